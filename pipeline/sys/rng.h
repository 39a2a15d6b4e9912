/* Chance, handed down from jobs/: the system's in production, seeded in tests. */
#ifndef PIPELINE_SYS_RNG_H
#define PIPELINE_SYS_RNG_H

#include <stddef.h>
#include <stdint.h>

struct rng {
    void (*fill)(struct rng *, void *out, size_t len);
};

/* getrandom(2); any thread. */
struct rng *rng_system(void);

/* xoshiro256** seeded by splitmix64: the same numbers for the same seed on every machine. Not
 * thread-safe. */
struct rng_seeded {
    struct rng rng;
    uint64_t s[4];
};
void rng_seeded_init(struct rng_seeded *, uint64_t seed);

uint64_t rng_u64(struct rng *);
/* Evenly out of [0, n), n > 0. */
uint64_t rng_below(struct rng *, uint64_t n);

#endif
