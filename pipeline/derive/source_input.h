/* Leaves and trees of a project, open for functions. */
#ifndef PIPELINE_DERIVE_SOURCE_INPUT_H
#define PIPELINE_DERIVE_SOURCE_INPUT_H

#include "formats/entry.h"
#include "pipeline/derive/derive.h"

/* Opens what `address` names: where `place` says that it lies, unless that is NULL, or where
 * the index, the cache of results or the project's uploads have it. ERR_NOT_FOUND. */
int source_input_open(struct derive *, const struct id16 *project, const struct hash *address,
                      const struct entry *place, struct derive_input **out) MUST_USE;

#endif
