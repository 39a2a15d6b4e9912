/* How long the intake gathers writes before it puts them, and how long it leaves a store alone
 * that refused: a rule over what puts took and what came of them. No clock and no store of its
 * own, no lock; times are microseconds on the caller's clock.
 *
 *   well     A write waits for others only when there are others: when the last put, a moment
 *            ago, was of several. Then for `base_us`, or for an eighth of what a put takes of
 *            late when that is more, at most a quarter of a second: who waits two seconds for
 *            a put had better be in the one that is made now.
 *   refused  Whoever wrote waits, for nothing is put until a pause is over that begins at 4 ms
 *            and doubles with each refusal in a row, up to two seconds. The first put that the
 *            store takes ends it. */
#ifndef PIPELINE_REPO_INTAKE_INTAKE_WINDOW_H
#define PIPELINE_REPO_INTAKE_INTAKE_WINDOW_H

#include <stdbool.h>
#include <stdint.h>

#define INTAKE_WINDOW_MAX_US 250000u
#define INTAKE_PAUSE_MIN_US  4000u
#define INTAKE_PAUSE_MAX_US  2000000u
#define INTAKE_RETRY_MAX_S   30u

struct intake_window {
    uint64_t base_us;  /* 0: no write ever waits for others while the store is well */
    uint64_t took_us;  /* what a put takes, smoothed; 0: there was none yet */
    uint64_t pause_us; /* 0: the store took the last put */
    uint64_t put_us;   /* when the last put ended */
    bool crowd;        /* and whether it was of several */
};

/* The store took a put that ended at `now_us`. */
void intake_window_taken(struct intake_window *, uint64_t now_us, uint64_t took_us);
/* It refused, or did not say what it did. */
void intake_window_refused(struct intake_window *, uint64_t now_us);

/* How long the first write of an object waits for others, if it waits. */
uint64_t intake_window_us(const struct intake_window *);
/* When an object is to be put whose first write came at `first_us`; `full`: it can hold no
 * more. May be in the past. */
uint64_t intake_window_due_us(const struct intake_window *, uint64_t first_us, bool full);
/* After how many seconds somebody who was turned away had better come again: when what waits
 * now has had time to go. From 1 to INTAKE_RETRY_MAX_S. */
uint64_t intake_window_retry_s(const struct intake_window *);

#endif
