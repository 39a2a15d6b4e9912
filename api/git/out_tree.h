/* The tree of an export as it grows, landing by landing: all names in memory, and for each
 * directory the id of the git tree that it has become. Only directories that changed are
 * written anew. */
#ifndef API_GIT_OUT_TREE_H
#define API_GIT_OUT_TREE_H

#include "api/git/pack_out.h"
#include "formats/entry.h"

struct out_tree;

struct out_tree *out_tree_open(void);
void out_tree_close(struct out_tree *);

/* Sets a file or link; a directory without entries that stands there goes. ERR_CONFLICT when a
 * file stands above it or a directory with entries in its place. */
int out_tree_put(struct out_tree *, struct bytes path, enum kind, uint16_t mode,
                 const git_oid *) MUST_USE;
/* Removes a file or link, and directories that are empty then. It is OK when there is none. */
void out_tree_remove(struct out_tree *, struct bytes path);
/* False when there is none. */
bool out_tree_find(const struct out_tree *, struct bytes path, enum kind *, uint16_t *mode,
                   git_oid *);
uint64_t out_tree_files(const struct out_tree *);

/* Writes what changed; gives the root's id. */
int out_tree_write(struct out_tree *, struct pack_out *, git_oid *out) MUST_USE;

#endif
