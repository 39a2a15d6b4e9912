/* A layer that remembers whether the store below answers: from what it said to those who asked
 * anyway, so that nobody has to ask for this alone.
 *
 * A call is well when the store did it, or said why not (there is no such thing, a condition
 * does not hold, …). "Later", "nobody knows" and "you may not" are not well. The store is away
 * when three calls in a row were not, and back with the first that is. */
#ifndef PIPELINE_STORE_PULSE_H
#define PIPELINE_STORE_PULSE_H

#include "pipeline/store/store.h"
#include "pipeline/sys/clock.h"

#define PULSE_AWAY_CALLS 3u

struct pulse {
    bool away;
    uint64_t failed;   /* calls in a row that were not well */
    uint64_t since_us; /* when the first of them ended; 0: none */
    uint64_t heard_us; /* when the last call of all ended; 0: there was none */
};

/* Does not own `below`. Times are the clock's mono_us. */
struct store *pulse_store_open(struct store *below, struct clock *) MUST_USE;
struct pulse pulse_store_read(struct store *pulse);

#endif
