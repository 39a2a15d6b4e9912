/* References in the simulator: clients that bind a few names to recipes over these names, so
 * that binds at once would close cycles all the time, and what must hold: no head of the tree
 * of references has a cycle, and what a client was told is in the history. */
#ifndef TESTS_SIM_SIM_REFS_H
#define TESTS_SIM_SIM_REFS_H

#include "tests/sim/sim_client.h"
#include "tests/sim/sim_oracle.h"

/* What clients have met, of all seeds. */
struct refs_counts {
    uint64_t bound;
    uint64_t deleted;
    uint64_t conflicts; /* not as expected */
    uint64_t moved;     /* a ref that was read had moved */
    uint64_t cycles;    /* that were refused */
    uint64_t heads;     /* that were looked at */
};
extern struct refs_counts *refs_counts; /* not NULL where refs are played */

/* Where fronts find recipes. */
struct refs_source sim_refs_source(void);

/* Binds or deletes one, until it is decided or nobody knows. */
void client_ref(struct client *);
/* A head of references has moved. */
void oracle_refs_head(struct oracle *, const struct id16 *refs);
/* At the end: everything that was told is so. */
void oracle_refs_final(struct oracle *);

#endif
