/* A layer that lets every request take a fixed time, for benchmarks: a far store's round
 * trip. */
#ifndef PIPELINE_STORE_SLOW_H
#define PIPELINE_STORE_SLOW_H

#include "pipeline/store/store.h"
#include "pipeline/sys/clock.h"

/* Every request takes at least `delay_us`; those of one `many` wait together. Owns neither
 * `below` nor `clock`. */
struct store *slow_store_open(struct store *below, struct clock *clock,
                              uint64_t delay_us) MUST_USE;

#endif
