/* The fence of a collection: an empty batch. Whoever has read the head before it gets 412 for
 * his own, and uses nothing of what he has put for it.
 *
 * A fence is a batch as any other: a tree object without records whose tree is that of the
 * batch before, and a head with its position and a greater hlc. */
#ifndef PIPELINE_REPO_COLLECT_FENCE_H
#define PIPELINE_REPO_COLLECT_FENCE_H

#include "pipeline/repo/repo.h"

/* Reads the head, and sees to it that it is another one when this returns OK: nobody's put that
 * is conditional on a head that was read before can succeed. Where somebody else has put one
 * meanwhile, that does as well. */
int fence_put(struct repo *, const struct id16 *project) MUST_USE;

#endif
