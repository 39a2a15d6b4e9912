/* Looks how the store is when nobody else finds out: after a call that was not well, ever more
 * rarely, until one is; else only when somebody wants to know and nothing was heard of it for a
 * while. A look is one request for no bytes. */
#ifndef API_SERVICE_STORE_LOOK_H
#define API_SERVICE_STORE_LOOK_H

#include "pipeline/repo/repo.h"
#include "pipeline/store/pulse.h"

/* What was heard of the store so long ago is old. */
#define STORE_LOOK_OLD_US 5000000u

struct store_look;

/* `pulse` is a layer under the repo's store. */
struct store_look *store_look_open(struct repo *, struct store *pulse) MUST_USE;
void store_look_close(struct store_look *);
/* Looks in a thread of its own until store_look_stop. */
void store_look_start(struct store_look *);
void store_look_stop(struct store_look *);

/* How the store is, as far as was heard lately; what is old makes the thread look. Any thread;
 * asks nothing itself. */
struct pulse store_look_pulse(struct store_look *);
/* One step, without the thread: looks if it is time. Gives how long until the next. */
uint64_t store_look_step(struct store_look *) MUST_USE;

#endif
