/* Random numbers for property tests: another seed at each run, printed, and MIC_SEED=n repeats
 * one. */
#ifndef TESTS_SUPPORT_CHANCE_H
#define TESTS_SUPPORT_CHANCE_H

#include "formats/base/types.h"

struct chance {
    uint64_t state;
};

/* Begins with MIC_SEED, or by the clock, and prints the seed beside `test`. */
void chance_init(struct chance *, const char *test);
uint64_t chance_u64(struct chance *);
/* From 0 to `below` - 1. */
uint64_t chance_below(struct chance *, uint64_t below);

#endif
