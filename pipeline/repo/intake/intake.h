/* The intake: writes of all clients that arrive within a few milliseconds become one queue
 * object per shard, put once; only then are the clients answered.
 *
 * Groups come from any thread; one thread (or the simulator) calls intake_flush. While a put is
 * under way the next object fills, and how long it goes on filling after that follows what puts
 * take and what comes of them (intake_window.h). What waits is bounded; when the bound is
 * reached, new groups are refused before anything is accepted. */
#ifndef PIPELINE_REPO_INTAKE_INTAKE_H
#define PIPELINE_REPO_INTAKE_INTAKE_H

#include "formats/queue_object.h"
#include "pipeline/repo/repo.h"

struct intake;

struct intake_options {
    /* How long the first write of an object waits for others, when there are others and the
     * store is well and fast. 0: not at all. */
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
/* How long what waits is to wait for more before the next flush; 0: no longer, or nothing
 * waits. */
uint64_t intake_wait_us(struct intake *);

/* Flushes in a thread of its own until intake_stop, which settles what waits. */
void intake_start(struct intake *);
void intake_stop(struct intake *);

/* What waits, and how the store takes it. Any thread. */
struct intake_load {
    size_t bytes; /* those being put included; never over queue_max, but for one add */
    size_t groups;
    uint64_t window_us; /* how long the next object gathers writes when there are several */
    uint64_t pause_us; /* how long the store is left alone, because it refused; 0: it did not */
    uint64_t retry_s;  /* when who is refused had better come again */
};
struct intake_load intake_load(struct intake *);

#endif
