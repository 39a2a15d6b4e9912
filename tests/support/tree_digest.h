/* All that a tree says but where things lie, as one hash: paths, kinds, modes, sizes, counts,
 * content hashes and stamps. */
#ifndef TESTS_SUPPORT_TREE_DIGEST_H
#define TESTS_SUPPORT_TREE_DIGEST_H

#include "pipeline/repo/tree/tree.h"

/* The running test fails when the tree cannot be walked. */
struct hash tree_digest(const struct tree *);

/* The same for a project's tree after each of its batches that has a landing, up to the
 * position; all of them as one. */
struct hash trees_digest(struct repo *, const struct id16 *project, uint64_t position);

#endif
