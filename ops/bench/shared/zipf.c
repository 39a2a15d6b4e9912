#include "ops/bench/shared/zipf.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "pipeline/derive/cache/gdsf.h"
#include "pipeline/sys/must_alloc.h"
#include "pipeline/sys/rng.h"

/* Out of (0, 1]. */
static double even(struct rng *rng)
{
    return ((double)(rng_u64(rng) >> 11) + 1) / 9007199254740992.0;
}

/* Box and Muller. */
static uint64_t log_normal(struct rng *rng, double median, double sigma)
{
    double normal = sqrt(-2 * log(even(rng))) * cos(6.283185307179586 * even(rng));
    return (uint64_t)(median * exp(sigma * normal)) + 1;
}

/* The first of the sums that is at least `wanted`. */
static uint32_t place(const double *sums, uint32_t n, double wanted)
{
    uint32_t from = 0;
    uint32_t end = n - 1;
    while (from < end) {
        uint32_t middle = from + (end - from) / 2;
        if (sums[middle] < wanted)
            from = middle + 1;
        else
            end = middle;
    }
    return from;
}

void zipf_make(const struct zipf_options *options, struct zipf_work *out)
{
    struct rng_seeded seeded;
    rng_seeded_init(&seeded, options->seed);
    struct rng *rng = &seeded.rng;
    struct zipf_work work = {.recipes = options->recipes, .requests = options->requests};
    work.sizes = must_alloc(work.recipes, sizeof(*work.sizes));
    work.costs_us = must_alloc(work.recipes, sizeof(*work.costs_us));
    work.asked = must_alloc(work.requests, sizeof(*work.asked));
    double *sums = must_alloc(work.recipes, sizeof(*sums));
    double sum = 0;
    for (uint32_t i = 0; i < work.recipes; i++) {
        work.sizes[i] = log_normal(rng, options->size_median, options->sigma);
        work.costs_us[i] = log_normal(rng, options->cost_median_us, options->sigma);
        work.bytes += work.sizes[i];
        sum += pow(i + 1.0, -options->exponent);
        sums[i] = sum;
    }
    for (uint64_t i = 0; i < work.requests; i++)
        work.asked[i] = place(sums, work.recipes, even(rng) * sum);
    free(sums);
    *out = work;
}

void zipf_release(struct zipf_work *work)
{
    free(work->sizes);
    free(work->costs_us);
    free(work->asked);
}

/* A recipe as the policies see it; those in the cache are in a list for the one, in an order
 * for the other. */
struct item {
    struct gdsf_node node;
    bool in;
    uint32_t newer; /* numbers from 1; 0: none */
    uint32_t older;
};

struct run {
    const struct zipf_work *work;
    struct item *items; /* from 1 */
    uint64_t bytes;
    uint64_t bytes_max;
    uint32_t newest;
    uint32_t oldest;
    struct gdsf gdsf;
    struct zipf_saved saved;
};

static void list_remove(struct run *run, uint32_t n)
{
    struct item *item = &run->items[n];
    *(item->newer != 0 ? &run->items[item->newer].older : &run->newest) = item->older;
    *(item->older != 0 ? &run->items[item->older].newer : &run->oldest) = item->newer;
}

static void list_add(struct run *run, uint32_t n)
{
    struct item *item = &run->items[n];
    item->newer = 0;
    item->older = run->newest;
    *(run->newest != 0 ? &run->items[run->newest].newer : &run->oldest) = n;
    run->newest = n;
}

static void lru_ask(struct run *run, uint32_t n)
{
    if (run->items[n].in)
        list_remove(run, n);
    list_add(run, n);
}

static uint32_t lru_victim(struct run *run)
{
    uint32_t n = run->oldest;
    list_remove(run, n);
    return n;
}

static void gdsf_ask(struct run *run, uint32_t n)
{
    struct gdsf_node *node = &run->items[n].node;
    if (run->items[n].in) {
        gdsf_use(&run->gdsf, node);
        return;
    }
    /* As in the cache: what has gone is not remembered. */
    node->frequency = 1;
    gdsf_add(&run->gdsf, node, run->work->sizes[n - 1], run->work->costs_us[n - 1]);
}

static uint32_t gdsf_victim(struct run *run)
{
    struct gdsf_node *node = gdsf_take(&run->gdsf);
    return (uint32_t)((struct item *)((char *)node - offsetof(struct item, node)) - run->items);
}

static struct zipf_saved play(const struct zipf_work *work, uint64_t bytes_max,
                              void (*ask)(struct run *, uint32_t),
                              uint32_t (*victim)(struct run *))
{
    struct run run = {.work = work, .bytes_max = bytes_max};
    run.items = must_alloc((size_t)work->recipes + 1, sizeof(*run.items));
    for (uint64_t i = 0; i < work->requests; i++) {
        uint32_t n = work->asked[i] + 1;
        bool hit = run.items[n].in;
        run.saved.hits += hit;
        run.saved.saved_us += hit ? work->costs_us[n - 1] : 0;
        run.saved.all_us += work->costs_us[n - 1];
        ask(&run, n);
        run.items[n].in = true;
        run.bytes += hit ? 0 : work->sizes[n - 1];
        while (run.bytes > run.bytes_max) {
            uint32_t gone = victim(&run);
            run.items[gone].in = false;
            run.bytes -= work->sizes[gone - 1];
            run.saved.evictions++;
        }
    }
    gdsf_release(&run.gdsf);
    free(run.items);
    return run.saved;
}

struct zipf_saved zipf_gdsf(const struct zipf_work *work, uint64_t bytes_max)
{
    return play(work, bytes_max, gdsf_ask, gdsf_victim);
}

struct zipf_saved zipf_lru(const struct zipf_work *work, uint64_t bytes_max)
{
    return play(work, bytes_max, lru_ask, lru_victim);
}
