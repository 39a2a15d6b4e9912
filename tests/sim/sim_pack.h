/* Packing as a process of the simulator does it: now this project, now that one, into parts of
 * any size; when nothing goes wrong any more each of them, until none needs it. */
#ifndef TESTS_SIM_SIM_PACK_H
#define TESTS_SIM_SIM_PACK_H

#include "pipeline/stages/stages.h"

/* `calm` is looked at in each run. */
struct stage *sim_pack_open(struct repo *, const bool *calm) MUST_USE;

#endif
