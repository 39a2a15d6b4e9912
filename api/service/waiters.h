/* Who waits for answers, and the one who fetches them for all: one read of the head per project
 * that somebody waits for and round; the new batches of the chain hold the answers. A hint
 * makes a round come earlier and is never needed.
 *
 * Where it has no hint, a project's rounds come a few milliseconds after the last request or
 * answer, then ever more rarely, up to poll_ms. An answer that is older than the request (it
 * was asked before) is in no new batch: for who waits for half a second the chain is looked
 * through, and again after twice as long. Where nothing new has come for that time, it is also
 * asked whether the project can be read at all: a drain that finds it damaged answers
 * nobody. */
#ifndef API_SERVICE_WAITERS_H
#define API_SERVICE_WAITERS_H

#include "api/service/service.h"
#include "pipeline/repo/tree/base_tree.h"

struct waiters;
struct waiter;

struct waiters *waiters_open(struct repo *, struct base_cache *,
                             const struct service_options *) MUST_USE;
/* Nobody may wait. */
void waiters_close(struct waiters *);
void waiters_start(struct waiters *);
/* Ends the thread. Whoever still waits is told `pending`; no new one is taken. */
void waiters_stop(struct waiters *);
/* One round over all projects, without the thread. Gives how many it answered. */
int waiters_step(struct waiters *);
/* The project's head is, or was a moment ago, `head`. */
void waiters_hint(struct waiters *, const struct id16 *project, const struct head *head);

struct wait_request {
    struct id16 project;
    struct id16 request;
    struct id16 owner;
    const struct id16 *sessions; /* copied */
    size_t n;
    uint64_t wait_ms;
    landed_fn landed;
    void *arg;
};

/* Registers, before the request goes into the queue: so no answer is missed. ERR_AGAIN when
 * there are too many. */
int waiters_add(struct waiters *, const struct wait_request *, struct waiter **out) MUST_USE;
/* The request did not go in. False when it has an answer all the same (another copy of it was
 * in before): then the callback has been or will be called. */
bool waiters_cancel(struct waiter *);
/* What became of the request's queue object: what intake_add calls, with the waiter. The
 * callback comes from the waiters' thread. */
void waiters_taken(void *arg, int err);
/* A request that has its answer already: the callback comes from the waiters' thread all the
 * same. */
int waiters_answer(struct waiters *, const struct wait_request *,
                   const struct landing *) MUST_USE;

struct waiters_stats {
    uint64_t landed;
    uint64_t conflicted;
    uint64_t refused;
    uint64_t waiting;
};
void waiters_stats(struct waiters *, struct waiters_stats *);

#endif
