#include "pipeline/sys/rng.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

static void system_fill(struct rng *rng, void *out, size_t len)
{
    (void)rng;
    uint8_t *at = out;
    while (len > 0) {
        ssize_t got = getrandom(at, len, 0);
        if (got < 0 && errno != EINTR) {
            /* Ids drawn from anything less would not be unique. */
            (void)fputs("getrandom failed\n", stderr);
            abort();
        }
        if (got > 0) {
            at += got;
            len -= (size_t)got;
        }
    }
}

struct rng *rng_system(void)
{
    static struct rng rng = {.fill = system_fill};
    return &rng;
}

static uint64_t rotate_left(uint64_t x, unsigned by)
{
    return x << by | x >> (64 - by);
}

static uint64_t xoshiro_next(uint64_t s[4])
{
    uint64_t result = rotate_left(s[1] * 5, 7) * 9;
    uint64_t t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotate_left(s[3], 45);
    return result;
}

static void seeded_fill(struct rng *rng, void *out, size_t len)
{
    struct rng_seeded *seeded = (struct rng_seeded *)rng;
    uint8_t *at = out;
    while (len > 0) {
        uint64_t number = xoshiro_next(seeded->s);
        size_t n = len < 8 ? len : 8;
        for (size_t i = 0; i < n; i++) {
            at[i] = (uint8_t)(number >> (8 * i));
        }
        at += n;
        len -= n;
    }
}

void rng_seeded_init(struct rng_seeded *seeded, uint64_t seed)
{
    seeded->rng.fill = seeded_fill;
    for (int i = 0; i < 4; i++) {
        seed += 0x9e3779b97f4a7c15;
        uint64_t z = seed;
        z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
        z = (z ^ z >> 27) * 0x94d049bb133111eb;
        seeded->s[i] = z ^ z >> 31;
    }
}

uint64_t rng_u64(struct rng *rng)
{
    uint8_t bytes[8];
    rng->fill(rng, bytes, sizeof(bytes));
    uint64_t number = 0;
    for (size_t i = sizeof(bytes); i > 0; i--) {
        number = number << 8 | bytes[i - 1];
    }
    return number;
}

uint64_t rng_below(struct rng *rng, uint64_t n)
{
    assert(n > 0);
    /* The lowest 2^64 mod n numbers would favour small results; they are drawn again. */
    uint64_t unfair = (0 - n) % n;
    uint64_t number;
    do {
        number = rng_u64(rng);
    } while (number < unfair);
    return number % n;
}
