/* A project's tree as an input of functions. Every page and content is checked against the hash
 * that its parent holds; pages, and small contents, that lie beside each other are read in
 * longer and longer ranges. In memory are, besides the repo's caches, the pages on which places
 * stand, what was read ahead (a few MiB of pages, and of contents), and two chunks of each file
 * that is open. One thread. */
#ifndef PIPELINE_DERIVE_TREE_INPUT_H
#define PIPELINE_DERIVE_TREE_INPUT_H

#include "pipeline/derive/function.h"
#include "pipeline/repo/repo.h"

struct tree_input;

/* The directory whose top page lies at `where`; PLACE_NONE is the empty one. Reads that page;
 * ERR_CORRUPT also when its content hash is not `content`. */
int tree_input_open(struct repo *, const struct id16 *project, const struct location *where,
                    const struct hash *content, struct tree_input **out) MUST_USE;
/* Lives as long as the input. Errors are those of the repo. */
struct fn_tree *tree_input_tree(struct tree_input *);
/* What was opened in it is closed before. NULL is fine. */
void tree_input_close(struct tree_input *);

#endif
