/* Nodes that derive, as processes of the simulator: the log that they tell, the index of what
 * all of them told, the cache of results and the executor, with all their threads as tasks.
 *
 * A node's directory is on a real disk. When a node dies, what its files held at that moment is
 * there for the next one, or lost, or damaged, by chance. */
#ifndef TESTS_SIM_SIM_NODE_H
#define TESTS_SIM_SIM_NODE_H

#include "pipeline/derive/derive.h"
#include "tests/sim/sim_process.h"

/* Of all that the seed `pid` plays; the process that forked it removes them. */
void sim_node_folder_of(long pid, struct buf *out);
void sim_node_folder_remove(long pid);

/* In the process's own task. */
void sim_node_open(struct process *);
/* Comes to its end in order: whoever still waits is told. */
void sim_node_end(struct process *);
/* The node has died. */
void sim_node_lost(struct process *);

#endif
