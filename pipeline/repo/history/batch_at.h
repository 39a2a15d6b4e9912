/* Which batch a position belongs to, however far back that is. */
#ifndef PIPELINE_REPO_HISTORY_BATCH_AT_H
#define PIPELINE_REPO_HISTORY_BATCH_AT_H

#include "pipeline/repo/chain.h"

/* What chain_find gives, and its errors. A position that is many steps back along the chain is
 * looked up in the landing log, which takes one read of a segment or two. Where the log has it
 * not, or what it says of it is not so, the chain is gone along to the end. */
int batch_at(struct repo *, const struct id16 *project, const struct head *, uint64_t position,
             const struct batch **out) MUST_USE;

#endif
