/* A collector as a process of the simulator: now this project, now that one, with a short grace
 * time. What its dead predecessor has opened it ends, as an operator would; what another has
 * opened it leaves to him. */
#ifndef TESTS_SIM_SIM_COLLECT_H
#define TESTS_SIM_SIM_COLLECT_H

#include "tests/sim/sim_process.h"

struct stage *sim_collect_open(struct process *) MUST_USE;

#endif
