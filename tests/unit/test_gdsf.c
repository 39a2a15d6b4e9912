#include "pipeline/derive/cache/gdsf.h"

#include <math.h>

#include "ops/bench/shared/zipf.h"
#include "tests/support/chance.h"
#include "tests/support/suite.h"

static struct gdsf_node node(void)
{
    return (struct gdsf_node){.frequency = 1};
}

START_TEST(the_cheap_and_large_goes_first)
{
    struct gdsf g = {0};
    struct gdsf_node dear = node();
    struct gdsf_node large = node();
    struct gdsf_node cheap = node();
    struct gdsf_node used = node();
    gdsf_add(&g, &dear, 100, 5000);
    gdsf_add(&g, &large, 1000, 5000);
    gdsf_add(&g, &cheap, 100, 400);
    gdsf_add(&g, &used, 100, 400);
    gdsf_use(&g, &used);
    ck_assert_ptr_eq(gdsf_take(&g), &cheap);
    ck_assert_ptr_eq(gdsf_take(&g), &large);
    ck_assert_ptr_eq(gdsf_take(&g), &used);
    ck_assert_ptr_eq(gdsf_take(&g), &dear);
    ck_assert_ptr_null(gdsf_take(&g));
    gdsf_release(&g);
}
END_TEST

/* What comes is worth more by what the last one that had to go was worth. */
START_TEST(what_is_not_used_goes_in_the_end)
{
    struct gdsf g = {0};
    struct gdsf_node once = node();
    gdsf_add(&g, &once, 1, 100);
    unsigned passed = 0;
    for (;;) {
        struct gdsf_node next = node();
        gdsf_add(&g, &next, 1, 40);
        struct gdsf_node *gone = gdsf_take(&g);
        if (gone == &once)
            break;
        ck_assert_ptr_eq(gone, &next);
        ck_assert_uint_lt(++passed, 4);
    }
    ck_assert_uint_eq(passed, 2);
    gdsf_release(&g);
}
END_TEST

static double worth(const struct gdsf *g, const struct gdsf_node *n)
{
    return n->at == 0 ? 0 : g->floor + (double)n->frequency * n->per_byte;
}

/* Beside a look at all of them. */
START_TEST(always_the_least)
{
    enum { N = 200 };
    static struct gdsf_node nodes[N];
    static double worths[N];
    struct gdsf g = {0};
    struct chance chance;
    chance_init(&chance, "always_the_least");
    for (unsigned i = 0; i < N; i++)
        nodes[i] = node();
    for (unsigned round = 0; round < 20000; round++) {
        unsigned i = (unsigned)chance_below(&chance, N);
        uint64_t what = chance_below(&chance, 10);
        if (what < 5 && nodes[i].at == 0) {
            nodes[i].frequency = 1;
            gdsf_add(&g, &nodes[i], 1 + chance_below(&chance, 1000),
                     chance_below(&chance, 100000));
            worths[i] = worth(&g, &nodes[i]);
        } else if (what < 8 && nodes[i].at != 0) {
            gdsf_use(&g, &nodes[i]);
            worths[i] = worth(&g, &nodes[i]);
        } else if (what == 8 && nodes[i].at != 0) {
            gdsf_remove(&g, &nodes[i]);
        } else if (what == 9 && g.n > 0) {
            double least = HUGE_VAL;
            for (unsigned j = 0; j < N; j++)
                if (nodes[j].at != 0 && worths[j] < least)
                    least = worths[j];
            size_t before = g.n;
            const struct gdsf_node *gone = gdsf_take(&g);
            ck_assert(worths[gone - nodes] <= least);
            ck_assert_uint_eq(gone->at, 0);
            ck_assert_uint_eq(g.n, before - 1);
        }
    }
    gdsf_release(&g);
}
END_TEST

/* A tenth of the bytes; sizes and costs have nothing to do with each other. */
START_TEST(saves_more_than_least_recently_used)
{
    struct zipf_options options = {.seed = 1,
                                   .recipes = 20000,
                                   .exponent = 0.9,
                                   .requests = 200000,
                                   .sigma = 1.5,
                                   .size_median = 16384,
                                   .cost_median_us = 10000};
    struct zipf_work work;
    zipf_make(&options, &work);
    struct zipf_saved gdsf = zipf_gdsf(&work, work.bytes / 10);
    struct zipf_saved lru = zipf_lru(&work, work.bytes / 10);
    double ratio = (double)gdsf.saved_us / (double)lru.saved_us;
    ck_assert_uint_eq(gdsf.all_us, lru.all_us);
    ck_assert_msg(ratio >= 1.3, "%.3f times as much", ratio);
    ck_assert_uint_gt(gdsf.hits, lru.hits);
    zipf_release(&work);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        the_cheap_and_large_goes_first,
        what_is_not_used_goes_in_the_end,
        always_the_least,
        saves_more_than_least_recently_used,
    };
    return suite_run("gdsf", tests, ARRAY_LEN(tests));
}
