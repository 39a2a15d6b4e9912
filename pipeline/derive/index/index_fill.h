/* Takes a stage into the database, in one transaction: sorted by what the tables are sorted
 * by, so that their pages are gone over once. */
#ifndef PIPELINE_DERIVE_INDEX_INDEX_FILL_H
#define PIPELINE_DERIVE_INDEX_INDEX_FILL_H

#include "pipeline/derive/index/index_stage.h"

/* `read`: how far agents' logs have been read with that. `twice` is called for functions that
 * are quarantined because a memo in the database and one in the stage differ in their
 * output. */
int index_fill(struct index_rows *, const struct index_stage *, const struct derive_read *read,
               size_t n_read, void (*twice)(void *arg, const struct quarantine *),
               void *arg) MUST_USE;

#endif
