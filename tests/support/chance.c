#include "tests/support/chance.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

void chance_init(struct chance *c, const char *test)
{
    const char *given = getenv("MIC_SEED");
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    c->state = given != NULL ? strtoull(given, NULL, 10)
                             : (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
    printf("%s: MIC_SEED=%" PRIu64 "\n", test, c->state);
    (void)fflush(stdout);
}

/* SplitMix64 (Steele, Lea, Flood, 2014): every seed is a good one. */
uint64_t chance_u64(struct chance *c)
{
    uint64_t z = c->state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

uint64_t chance_below(struct chance *c, uint64_t below)
{
    assert(below > 0);
    return chance_u64(c) % below;
}
