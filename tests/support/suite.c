#include "tests/support/suite.h"

/* Generous: under a sanitizer on a loaded machine. It only ends a test that hangs. */
#define TIMEOUT_S 120

int suite_run(const char *noun, const TTest *const *tests, size_t n)
{
    Suite *suite = suite_create(noun);
    TCase *tcase = tcase_create(noun);
    tcase_set_timeout(tcase, TIMEOUT_S);
    for (size_t i = 0; i < n; i++) {
        tcase_add_test(tcase, tests[i]);
    }
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
