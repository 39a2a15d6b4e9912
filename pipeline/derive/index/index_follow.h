/* The index reads the derive log of a repo. */
#ifndef PIPELINE_DERIVE_INDEX_INDEX_FOLLOW_H
#define PIPELINE_DERIVE_INDEX_INDEX_FOLLOW_H

#include "pipeline/derive/index/derive_index.h"
#include "pipeline/repo/repo.h"

/* For derive_index_options: `arg` is the struct repo. */
int index_follow(void *arg, struct derive_index *, const struct id16 *project,
                 struct derive_cursor *) MUST_USE;
/* For derive_log_options: `arg` is the struct derive_index, which takes in what is durable. */
void index_durable(void *arg, const struct derive_object *, struct bytes encoded);

#endif
