/* One libcheck program: its tests run as one suite, each in a process of its own. */
#ifndef TESTS_SUPPORT_SUITE_H
#define TESTS_SUPPORT_SUITE_H

#include <check.h>

#include "formats/base/types.h"

/* Runs `n` tests and gives what main returns: 0 when all passed. */
int suite_run(const char *noun, const TTest *const *tests, size_t n) MUST_USE;

#endif
