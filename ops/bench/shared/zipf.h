/* Requests for results as a fleet of clients makes them, and how much computing time a cache of
 * a part of the bytes saves: by GreedyDual-Size-Frequency, and by least recently used beside
 * it. Nothing is stored. The same numbers for the same seed on every machine, but for what the
 * last bit of a logarithm may change. */
#ifndef OPS_BENCH_SHARED_ZIPF_H
#define OPS_BENCH_SHARED_ZIPF_H

#include "formats/base/types.h"

struct zipf_options {
    uint64_t seed;
    uint32_t recipes;
    double exponent; /* recipe n (from 1) is asked for with a weight of n^-exponent */
    uint64_t requests;
    double sigma;       /* of the logarithms of sizes and costs, which are independent */
    double size_median; /* bytes */
    double cost_median_us;
};

struct zipf_work {
    uint32_t recipes;
    uint64_t requests;
    uint64_t bytes; /* of all recipes' results */
    uint64_t *sizes;
    uint64_t *costs_us;
    uint32_t *asked; /* by request */
};

struct zipf_saved {
    uint64_t hits;
    uint64_t evictions;
    uint64_t saved_us; /* costs of the requests that hit */
    uint64_t all_us;   /* of all requests */
};

void zipf_make(const struct zipf_options *, struct zipf_work *out);
void zipf_release(struct zipf_work *);
struct zipf_saved zipf_gdsf(const struct zipf_work *, uint64_t bytes_max);
struct zipf_saved zipf_lru(const struct zipf_work *, uint64_t bytes_max);

#endif
