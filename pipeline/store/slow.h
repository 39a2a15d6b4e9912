/* A layer that behaves as a far store does, for benchmarks and tests: every request takes a
 * fixed time, and a key may be put only so often. */
#ifndef PIPELINE_STORE_SLOW_H
#define PIPELINE_STORE_SLOW_H

#include "pipeline/store/store.h"
#include "pipeline/sys/clock.h"

struct slow_options {
    struct clock *clock;
    /* Every request takes at least so long; those of one `many` wait together. */
    uint64_t delay_us;
    /* A put to a key that was put within this time is answered ERR_AGAIN, and changes nothing.
     * 0: any put is taken. What it says as its store_put_interval_ms, or the store below when
     * that says more. */
    uint32_t put_interval_ms;
};

/* Owns neither `below` nor the clock. */
struct store *slow_store_open(struct store *below, const struct slow_options *) MUST_USE;
/* Puts that were refused because they came too early. */
uint64_t slow_store_refused(struct store *);

#endif
