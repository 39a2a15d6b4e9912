/* The simulator over many seeds: a fixed set, and some that nobody has run before.
 *
 *   test_sim               what `make test` runs
 *   test_sim run SEED      one seed, and tells what happens (`make sim SEED=n`)
 *   test_sim seeds A N     seeds A to A + N - 1, up to the first that fails
 *
 * MIC_SIM_SEEDS is how many seeds the two sets have together. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "tests/sim/seeds.h"

#if defined(__SANITIZE_ADDRESS__)
#define SEEDS_DEFAULT 24u
#else
#define SEEDS_DEFAULT 300u
#endif
#define SEEDS_LONG 3000u
/* One in so many is a fresh one. */
#define FRESH_ONE_IN 5u
/* Fewer fixed seeds need not meet everything. */
#define SEEDS_OF_ALL 240u
#define CALLS_LEAST  1000u

static uint64_t seeds_wanted(void)
{
    const char *given = getenv("MIC_SIM_SEEDS");
    if (given != NULL)
        return strtoull(given, NULL, 10);
    return getenv("MIC_LONG") != NULL ? SEEDS_LONG : SEEDS_DEFAULT;
}

static uint64_t seeds_fixed(void)
{
    return seeds_wanted() - seeds_wanted() / FRESH_ONE_IN;
}

static void result_check(const struct seeds_result *result)
{
    const struct verdict_of_seed *first = &result->first;
    ck_assert_msg(result->failed == 0, "seed %lu at %.3f s: %s: %s (make sim SEED=%lu)",
                  (unsigned long)first->seed, (double)first->virtual_ms / 1e3, first->broken,
                  first->detail, (unsigned long)first->seed);
    ck_assert_msg(result->calls_least >= CALLS_LEAST, "a seed has %lu store calls",
                  (unsigned long)result->calls_least);
}

START_TEST(test_fixed_seeds)
{
    struct seeds_result result = {0};
    seeds_run(1, seeds_fixed(), false, &result);
    printf("seeds 1 to %lu, %lu store calls, at least %lu in each:\n",
           (unsigned long)seeds_fixed(), (unsigned long)result.calls,
           (unsigned long)result.calls_least);
    counts_print(stdout, &result.counts);
    result_check(&result);
    for (unsigned i = 0; i < COUNT_KINDS && seeds_fixed() >= SEEDS_OF_ALL; i++)
        ck_assert_msg(result.counts.n[i] > 0, "no seed has met: %s", count_text(i));
}
END_TEST

START_TEST(test_fresh_seeds)
{
    struct seeds_result result = {0};
    uint64_t n = seeds_wanted() / FRESH_ONE_IN;
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    uint64_t from = (uint64_t)now.tv_sec * 1000;
    seeds_run(from, n, false, &result);
    printf("fresh seeds %lu to %lu, %lu store calls\n", (unsigned long)from,
           (unsigned long)(from + n - 1), (unsigned long)result.calls);
    if (n > 0)
        result_check(&result);
}
END_TEST

/* One seed is the same every time: else nobody could look into what it found. */
START_TEST(test_a_seed_replays)
{
    for (uint64_t seed = 1; seed <= 4; seed++) {
        struct counts counts = {0};
        struct verdict_of_seed first;
        struct verdict_of_seed second;
        ck_assert(seed_run(seed, &counts, &first));
        ck_assert(seed_run(seed, &counts, &second));
        ck_assert_uint_eq(first.calls, second.calls);
        ck_assert_uint_eq(first.steps, second.steps);
        ck_assert_uint_eq(first.digest, second.digest);
    }
}
END_TEST

static int run_one(uint64_t seed)
{
    struct counts counts = {0};
    struct verdict_of_seed verdict;
    trace_on();
    bool good = seed_run(seed, &counts, &verdict);
    counts_print(stdout, &counts);
    printf("seed %lu: %lu store calls, %lu steps, %.3f s, digest %016lx\n", (unsigned long)seed,
           (unsigned long)verdict.calls, (unsigned long)verdict.steps,
           (double)verdict.virtual_ms / 1e3, (unsigned long)verdict.digest);
    if (!good)
        printf("broken: %s: %s\n", verdict.broken, verdict.detail);
    return good ? EXIT_SUCCESS : EXIT_FAILURE;
}

static int run_some(uint64_t from, uint64_t n)
{
    struct seeds_result result = {0};
    seeds_run(from, n, true, &result);
    printf("ran %lu seeds, %lu store calls, %lu failed\n", (unsigned long)result.ran,
           (unsigned long)result.calls, (unsigned long)result.failed);
    return result.failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "run") == 0)
        return run_one(strtoull(argv[2], NULL, 10));
    if (argc == 4 && strcmp(argv[1], "seeds") == 0)
        return run_some(strtoull(argv[2], NULL, 10), strtoull(argv[3], NULL, 10));
    Suite *suite = suite_create("sim");
    TCase *tcase = tcase_create("sim");
    tcase_set_timeout(tcase, 3600);
    tcase_add_test(tcase, test_a_seed_replays);
    tcase_add_test(tcase, test_fixed_seeds);
    tcase_add_test(tcase, test_fresh_seeds);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
