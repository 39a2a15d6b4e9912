/* What a get sees of a project: the index of the derive log, the contents and trees that the
 * bucket has, results that are cached, and the references in one snapshot.
 *
 * An address is looked for among recipes, leaves, places of trees and results that this node
 * knows; then among the project's uploaded contents; then the log is read for what others have
 * told; then among contents that have landed; then among the chunks of results. */
#ifndef PIPELINE_DERIVE_PROJECT_SOURCE_H
#define PIPELINE_DERIVE_PROJECT_SOURCE_H

#include "pipeline/derive/derive.h"

struct project_source;

/* Reads nothing yet. It counts its holders: one is who opened it. What all nodes had told at
 * `since_us` of the monotonic clock is seen; 0: until now. */
struct project_source *project_source_open(struct derive *, const struct id16 *project,
                                           uint64_t since_us);
/* Another holder: what executor_get takes over. */
struct derive_source *project_source_hold(struct project_source *);
void project_source_drop(struct project_source *); /* NULL is fine */

/* The heads at which references are read here: of their tree (all zero when nothing was ever
 * bound) and of the project. Reads them if that was not needed yet. */
int project_source_heads(struct project_source *, struct head *refs,
                         struct head *head) MUST_USE;

#endif
