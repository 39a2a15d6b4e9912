/* How much computing time a cache of a part of the bytes saves, beside least recently used. For
 * `make bench` part p.
 *
 *   zipf_cache SEED RECIPES EXPONENT REQUESTS SIGMA PERCENT
 *
 * Prints a line of JSON. Nothing is stored: the policy is played over the requests. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "ops/bench/shared/zipf.h"

static void print(const char *name, const struct zipf_saved *saved, uint64_t requests)
{
    (void)printf("\"%s\": {\"hits\": %.4f, \"saved\": %.4f, \"evictions\": %" PRIu64 "}, ",
                 name, (double)saved->hits / (double)requests,
                 (double)saved->saved_us / (double)saved->all_us, saved->evictions);
}

int main(int argc, char **argv)
{
    if (argc != 7) {
        (void)fputs("usage: zipf_cache SEED RECIPES EXPONENT REQUESTS SIGMA PERCENT\n", stderr);
        return 2;
    }
    struct zipf_options options = {.seed = strtoull(argv[1], NULL, 10),
                                   .recipes = (uint32_t)strtoul(argv[2], NULL, 10),
                                   .exponent = strtod(argv[3], NULL),
                                   .requests = strtoull(argv[4], NULL, 10),
                                   .sigma = strtod(argv[5], NULL),
                                   .size_median = 16384,
                                   .cost_median_us = 10000};
    struct zipf_work work;
    zipf_make(&options, &work);
    uint64_t bytes = (uint64_t)((double)work.bytes * strtod(argv[6], NULL) / 100);
    struct zipf_saved gdsf = zipf_gdsf(&work, bytes);
    struct zipf_saved lru = zipf_lru(&work, bytes);
    (void)printf("{\"cache_bytes\": %" PRIu64 ", ", bytes);
    print("gdsf", &gdsf, work.requests);
    print("lru", &lru, work.requests);
    (void)printf("\"ratio\": %.3f}\n", (double)gdsf.saved_us / (double)lru.saved_us);
    zipf_release(&work);
    return 0;
}
