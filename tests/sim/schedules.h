/* A program of schedules: plays each in a process of its own, as a test. */
#ifndef TESTS_SIM_SCHEDULES_H
#define TESTS_SIM_SCHEDULES_H

#include "tests/sim/script.h"

struct schedule {
    unsigned number; /* in the list of schedules */
    void (*play)(struct script *);
};

/* The program's main: its exit status. MIC_SIM_TRACE tells what happens. */
int schedules_main(const char *name, const struct schedule *, size_t n);

#endif
