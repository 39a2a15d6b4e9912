/* Hybrid logical clock in one u64: 48 bits of milliseconds since 1970, 16 bits of counter; a
 * full counter carries into the milliseconds. Greater is later. (Kulkarni and others, "Logical
 * Physical Clocks", 2014.) No rule of correctness rests on it; it orders what would else be
 * unordered. */
#ifndef FORMATS_HLC_H
#define FORMATS_HLC_H

#include "formats/base/types.h"

static inline uint64_t hlc_make(uint64_t ms, uint16_t counter)
{
    return ms << 16 | counter;
}

static inline uint64_t hlc_ms(uint64_t hlc)
{
    return hlc >> 16;
}

/* The next stamp after `last` at wall time `wall_ms`: greater than `last`, and not behind the
 * wall. After the very last one, UINT64_MAX, it stays there. */
uint64_t hlc_next(uint64_t last, uint64_t wall_ms);

/* Whether `hlc` is further ahead of `wall_ms` than `skew_ms`. */
bool hlc_too_far(uint64_t hlc, uint64_t wall_ms, uint64_t skew_ms);

/* "1763695478123456789" as JSON carries it. ERR_INVALID unless plain decimal that fits. */
int hlc_parse(struct bytes decimal, uint64_t *out) MUST_USE;

#endif
