/* Inside a front's process: the service with its steps as tasks, and the calls of clients. */
#ifndef TESTS_SIM_SIM_FRONT_H
#define TESTS_SIM_SIM_FRONT_H

#include "tests/sim/sim_process.h"

/* In the process's own task: opens the service and starts what the service's threads do. */
void front_open(struct process *);
/* Comes to its end in order: whoever still waits is told. */
void front_end(struct process *);
/* The process is dead: nobody will answer. */
void front_calls_lose(struct process *);
/* A drain in the same process has moved a head; `arg` is the process. */
void front_landed_hint(void *arg, const struct id16 *project, const struct head *head);

#endif
