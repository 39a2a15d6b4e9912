/* What must always hold of a project, checked from the chain alone against a plain serial
 * model: once, atomic, serial, final, monotone, rebuild and named. The running test fails with
 * the name of what does not hold. */
#ifndef TESTS_SUPPORT_ORACLE_H
#define TESTS_SUPPORT_ORACLE_H

#include "pipeline/repo/repo.h"

/* Answers seen before, which must never change. All zero is empty. */
struct oracle {
    struct oracle_answer *answers;
    size_t n;
    size_t cap;
    uint64_t position;
    uint64_t hlc;
};

void oracle_release(struct oracle *);

/* Reads the whole chain of the project, from the first batch to the head, and checks it; keeps
 * what it saw for the next time. */
void oracle_check(struct oracle *, struct repo *, const struct id16 *project);

#endif
