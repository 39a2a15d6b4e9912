/* The intake: writes of all clients that arrive within a few milliseconds become one queue
 * object per shard, put once; only then are the clients answered.
 *
 * Groups come from any thread; one thread (or the simulator) calls intake_flush. While a put is
 * under way the next object fills, so the window grows with the store's latency by itself. */
#ifndef PIPELINE_REPO_INTAKE_H
#define PIPELINE_REPO_INTAKE_H

#include "formats/queue_object.h"
#include "pipeline/repo/repo.h"

struct intake;

struct intake_options {
    /* How long the first write of an object waits for others when there are others: when the
     * object before it, put a moment ago, was of several. 0: not at all. */
    uint64_t window_us;
    size_t batch_max; /* bytes at which an object is sealed at once */
    size_t queue_max; /* bytes that wait before new ones are refused with ERR_AGAIN */
    /* Called after an object has become durable: wakes a drain in this process. May be NULL. */
    void (*hint)(void *arg, uint32_t shard);
    void *hint_arg;
};

struct intake *intake_open(struct repo *, const struct intake_options *) MUST_USE;
void intake_close(struct intake *); /* nothing may wait in it */

/* Takes `n` groups (at least one) of one project in, all into the same object (their bytes are
 * copied). `done` is called once, from the thread that flushes: with 0 when they are durable,
 * else with the error (ERR_AGAIN: they were not taken; ERR_UNKNOWN: they may have been).
 * ERR_AGAIN when it is full or stops, ERR_LIMIT when no queue object could hold them; then
 * `done` is not called. */
int intake_add(struct intake *, const struct queue_group *groups, size_t n,
               void (*done)(void *arg, int err), void *arg) MUST_USE;

/* Seals and puts what waits, an object a shard at least. Gives how many groups it settled.
 * Where the store refuses or does not say, it tries again for about a second before it gives
 * up. */
int intake_flush(struct intake *) MUST_USE;

/* Flushes in a thread of its own until intake_stop, which settles what waits. */
void intake_start(struct intake *);
void intake_stop(struct intake *);

/* Bytes and groups that wait. */
void intake_load(struct intake *, size_t *bytes, size_t *groups);

#endif
