#include "tests/sim/schedules.h"

#include <check.h>
#include <stdlib.h>

#include "tests/sim/seeds.h"

static const struct schedule *schedules;

static void play(uint64_t number, struct verdict_of_seed *verdict)
{
    script_play(schedules[number].play, verdict);
}

START_TEST(test_schedule)
{
    struct counts counts = {0};
    struct verdict_of_seed verdict;
    if (getenv("MIC_SIM_TRACE") != NULL)
        trace_on();
    bool good = seed_run_with(play, (uint64_t)_i, &counts, &verdict);
    ck_assert_msg(good, "schedule %u at %.3f s: %s: %s", schedules[_i].number,
                  (double)verdict.virtual_ms / 1e3, verdict.broken, verdict.detail);
}
END_TEST

int schedules_main(const char *name, const struct schedule *all, size_t n)
{
    schedules = all;
    Suite *suite = suite_create(name);
    TCase *tcase = tcase_create(name);
    tcase_set_timeout(tcase, SEED_SECONDS_MAX + 10);
    tcase_add_loop_test(tcase, test_schedule, 0, (int)n);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
