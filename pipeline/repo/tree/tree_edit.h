/* A tree with changes on top, in memory: what a drain decides against and what it makes new
 * pages from. Reads go through the changes; only directories that are touched are loaded. One
 * thread. */
#ifndef PIPELINE_REPO_TREE_TREE_EDIT_H
#define PIPELINE_REPO_TREE_TREE_EDIT_H

#include "pipeline/repo/tree/tree.h"
#include "pipeline/repo/tree/tree_build.h"

struct tree_edit;

/* Starts from `base` (copied), or from the empty tree when base->root.place is PLACE_NONE. */
struct tree_edit *tree_edit_open(const struct tree *base) MUST_USE;
void tree_edit_close(struct tree_edit *);

/* The entry at `path` as changed: as tree_find. A directory that has no file left below is
 * ERR_NOT_FOUND; the root ("") is always there. The name points into `path`. A
 * directory that was changed has its hash only after tree_edit_seen, and no place before the
 * seal. The root's stamp begins as the position of the base, an upper bound. */
int tree_edit_find(struct tree_edit *, struct bytes path, struct entry *out) MUST_USE;
/* What is seen at `path`, with the content hash of a directory computed as changed. Absent is
 * OK and KIND_NONE. */
int tree_edit_seen(struct tree_edit *, struct bytes path, struct seen *out) MUST_USE;
/* The deepest directory above `path` that exists, or the file that stands in its way: its
 * path's length in `*len` and its entry. */
int tree_edit_nearest(struct tree_edit *, struct bytes path, size_t *len,
                      struct entry *out) MUST_USE;
/* As tree_list, through the changes. */
int tree_edit_list(struct tree_edit *, struct bytes path, struct bytes after, size_t max,
                   struct arena *, struct tree_listing *out) MUST_USE;

/* Puts a file or link; directories above come by themselves. The entry's stamp and those of the
 * directories above become `stamp`; the name of `e` is not used. An entry that is already so
 * (kind, mode, hash) changes nothing, sets no stamp and gives `*changed` false. Its location
 * may have an all-zero tree: the object under construction. ERR_CONFLICT when a file stands
 * above the path or a directory at it; ERR_INVALID or ERR_LIMIT for a path that path_check
 * refuses. On an error nothing was changed. */
int tree_edit_put(struct tree_edit *, struct bytes path, const struct entry *e, uint64_t stamp,
                  bool *changed) MUST_USE;
/* Removes a file or link; nothing when it is gone. ERR_CONFLICT for a directory. */
int tree_edit_remove(struct tree_edit *, struct bytes path, uint64_t stamp,
                     bool *changed) MUST_USE;

/* Appends every changed page but the root to `build`, and gives the root's bytes. The footer
 * gets files, bytes and root_content. After this the edit may only be published and closed. On
 * an error (such as ERR_CORRUPT of a page that splitting must read, or ERR_LIMIT) `build` may
 * hold pages that nothing names: it is to be dropped. */
int tree_edit_seal(struct tree_edit *, struct tree_build *build, struct buf *root_page,
                   struct footer *footer) MUST_USE;
/* After a seal whose tree object became `tree`: the new pages, the root included, go into the
 * repo's page cache under the place that they have in it. */
void tree_edit_publish(struct tree_edit *, const struct hash *tree);

/* Content hash of the whole tree as changed; the edit goes on. */
int tree_edit_root_hash(struct tree_edit *, struct hash *out) MUST_USE;
/* Bytes of memory that the edit takes, without pages that it shares with the cache. */
size_t tree_edit_memory(const struct tree_edit *);

#endif
