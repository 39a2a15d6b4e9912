/* All edges of a database once more, in few long runs, each sorted: who needs them all reads
 * them out of these in a fraction of the time in which the database would step over rows.
 *
 * A fill adds one run, and puts it together with those before it that are not much longer, so
 * that there are few runs, and an edge is written a few times only. The writer and readers of a
 * database, each in a transaction of its own. */
#ifndef PIPELINE_DERIVE_INDEX_INDEX_RUNS_H
#define PIPELINE_DERIVE_INDEX_INDEX_RUNS_H

#include "pipeline/derive/index/index_rows.h"

/* A run gets no longer than this, so that no fill has more to write at once. */
#define RUN_EDGES_MAX (2u * 1024u * 1024u)

/* Adds edges, which are sorted, and none of which is there. */
int runs_add(struct index_rows *, const uint64_t *edges, size_t n) MUST_USE;
/* Hands over all edges, sorted, in parts. ERR_CORRUPT when there are not `n`. */
int runs_read(struct index_rows *, uint64_t n,
              int (*take)(void *arg, const uint64_t *edges, size_t n), void *arg) MUST_USE;

#endif
