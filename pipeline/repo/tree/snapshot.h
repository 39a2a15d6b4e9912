/* The tree of a project at any position, also one inside a batch: that of the batch before,
 * with the batch's records up to it applied again. */
#ifndef PIPELINE_REPO_TREE_SNAPSHOT_H
#define PIPELINE_REPO_TREE_SNAPSHOT_H

#include "pipeline/repo/chain.h"
#include "pipeline/repo/tree/tree_edit.h"

struct snapshot;

/* `position` UINT64_MAX is the head's. ERR_INVALID when it is over the head's (a client's base
 * from elsewhere). */
int snapshot_open(struct repo *, const struct id16 *project, uint64_t position,
                  struct snapshot **out) MUST_USE;
/* Against a head that the caller has read. */
int snapshot_open_at(struct repo *, const struct id16 *project, const struct head *,
                     uint64_t position, struct snapshot **out) MUST_USE;
void snapshot_close(struct snapshot *);

uint64_t snapshot_position(const struct snapshot *);
/* As tree_find; a directory's hash is its content hash. Names in the arena. */
int snapshot_find(struct snapshot *, struct bytes path, struct arena *,
                  struct entry *out) MUST_USE;
/* What is seen at path: absent is OK and KIND_NONE. */
int snapshot_seen(struct snapshot *, struct bytes path, struct seen *out) MUST_USE;
int snapshot_list(struct snapshot *, struct bytes path, struct bytes after, size_t max,
                  struct arena *, struct tree_listing *out) MUST_USE;
/* The plain tree, when the position is that of a whole batch; else ERR_NOT_FOUND. */
int snapshot_tree(const struct snapshot *, struct tree *out) MUST_USE;

/* What changed below `path` from a to b, as tree_diff does; for positions inside a batch, too.
 * Gives at most `max` changes after path `after`. */
struct snapshot_changes {
    struct tree_change *changes; /* in the arena */
    size_t n;
    bool more;
};
int snapshot_diff(struct snapshot *a, struct snapshot *b, struct bytes path, struct bytes after,
                  size_t max, struct arena *, struct snapshot_changes *out) MUST_USE;

/* Applies what a landed record's session did, at `stamp`: used by the snapshot, the landing
 * stage and replay alike. Deletes first, then writes; a write that keeps its source takes the
 * entry found there (before the deletes) under its hash. ERR_CORRUPT when a source is not
 * there. `self` is the tree object that the record's contents lie in (all zero: the one under
 * construction). */
int snapshot_apply(struct tree_edit *, const struct session_view *, const struct hash *self,
                   uint64_t stamp) MUST_USE;

#endif
