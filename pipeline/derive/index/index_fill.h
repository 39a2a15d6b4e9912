/* Takes a stage into the database, in one transaction: sorted by what the tables are sorted
 * by, so that their pages are gone over once. */
#ifndef PIPELINE_DERIVE_INDEX_INDEX_FILL_H
#define PIPELINE_DERIVE_INDEX_INDEX_FILL_H

#include "pipeline/derive/index/index_stage.h"

/* What a fill tells of; `arg` comes first. */
struct fill_heard {
    void *arg;
    /* A function is quarantined, because a memo in the database and one in the stage differ in
     * their output. */
    void (*twice)(void *arg, const struct quarantine *);
    /* These edges are in the database now (input << 31 | recipe). */
    void (*edges)(void *arg, const uint64_t *edges, size_t n);
};

/* `read`: how far agents' logs have been read with that. */
int index_fill(struct index_rows *, const struct index_stage *, const struct derive_read *read,
               size_t n_read, const struct fill_heard *) MUST_USE;

#endif
