/* Runs seeds, each in a process of its own, and gathers what they met. */
#ifndef TESTS_SIM_SEEDS_H
#define TESTS_SIM_SEEDS_H

#include "tests/sim/counts.h"

/* A seed may take so long, in real seconds. */
#define SEED_SECONDS_MAX 120u

struct seeds_result {
    uint64_t ran;
    uint64_t failed;
    uint64_t calls;
    uint64_t calls_least; /* of a seed */
    struct counts counts;
    struct verdict_of_seed first; /* that failed */
};

/* Runs one seed; false when something did not hold. */
bool seed_run(uint64_t seed, struct counts *, struct verdict_of_seed *);
/* Runs any piece of simulation in a process of its own, as seed_run does. */
bool seed_run_with(void (*run)(uint64_t number, struct verdict_of_seed *), uint64_t number,
                   struct counts *, struct verdict_of_seed *);
/* Runs seeds [from, from + n) and adds to the result; those that fail are told on standard
 * output. Stops after the first that fails when `until_failure`. */
void seeds_run(uint64_t from, uint64_t n, bool until_failure, struct seeds_result *);

#endif
