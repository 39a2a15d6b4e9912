/* The derive log, as one node writes it: what all its clients and its executor tell of
 * derivation within a few milliseconds becomes one derive object a project, put once; only then
 * are those who told answered.
 *
 * An agent's objects of a project are numbered from 1, and number n + 1 is put only when n is
 * durable: so a reader who goes by numbers misses none. A put of which nobody knows what became
 * of it is made again with the same bytes until that is known, however long it takes; those who
 * told are answered ERR_UNKNOWN after about a second, and what came behind them ERR_AGAIN, for
 * it was never put. Until it is known the project takes nothing in.
 *
 * Items come from any thread; one thread (or the simulator) makes steps. While a put is under
 * way the next object fills; how long it goes on filling follows what puts take and what comes
 * of them (intake_window.h). What waits is bounded; when the bound is reached, new items are
 * refused before anything is accepted. */
#ifndef PIPELINE_DERIVE_LOG_DERIVE_LOG_H
#define PIPELINE_DERIVE_LOG_DERIVE_LOG_H

#include "formats/derive_object.h"
#include "pipeline/repo/repo.h"

struct derive_log;

struct derive_log_options {
    /* How long the first item of an object waits for others, when there are others and the
     * store is well and fast. 0: not at all. */
    uint64_t window_us;
    size_t batch_max; /* bytes at which an object is full */
    size_t queue_max; /* bytes that wait before new ones are refused with ERR_AGAIN */
    /* Called by the thread that makes steps when an object is durable, before those who told
     * are: takes it into the index. Byte runs of the object point into `encoded`; both are gone
     * when it returns. May be NULL. */
    void (*durable)(void *arg, const struct derive_object *, struct bytes encoded);
    void *arg;
};

/* Told once, by the thread that makes steps: 0 when the items are durable, with the stamp of
 * their object; ERR_AGAIN: they were not taken; ERR_UNKNOWN: they may have been. */
typedef void (*derive_told_fn)(void *arg, int err, uint64_t hlc);

struct derive_log *derive_log_open(struct repo *, const struct derive_log_options *) MUST_USE;
/* No thread runs any more. What waits is not put, and nobody is told. */
void derive_log_close(struct derive_log *);

/* Takes items of one project in, at least one, all into the same object; they are copied.
 * ERR_AGAIN when the log is full or stops, or the project has a put of which nothing is known;
 * ERR_LIMIT when no object could hold them; then `told` is not called. Any thread. */
int derive_log_tell(struct derive_log *, const struct id16 *project, const struct derive_item *,
                    uint32_t n, derive_told_fn told, void *arg) MUST_USE;

/* One round: puts the next object of each project that has one, side by side, and tells of
 * those of which the outcome is known. Gives how many tells were answered. A log that is
 * started makes its steps itself. */
int derive_log_step(struct derive_log *) MUST_USE;
/* How long what waits is to wait before the next step: 0 when it is due, UINT64_MAX when
 * nothing waits. */
uint64_t derive_log_wait_us(struct derive_log *);

/* Makes steps in a thread of its own until derive_log_stop, which settles what waits. */
void derive_log_start(struct derive_log *);
void derive_log_stop(struct derive_log *);

/* What waits, and how the store takes it. Any thread. */
struct derive_log_load {
    size_t bytes; /* those being put included; never over queue_max, but for one tell */
    size_t items;
    size_t unknown;     /* projects with a put of which nothing is known */
    uint64_t window_us; /* how long the next object gathers items when there are several */
    uint64_t pause_us; /* how long the store is left alone, because it refused; 0: it did not */
    uint64_t retry_s;  /* when who is refused had better come again */
};
struct derive_log_load derive_log_load(struct derive_log *);

#endif
