/* What the landings of one batch did, by path and position. Immutable, counted by who holds it;
 * any thread. */
#ifndef PIPELINE_REPO_TREE_BASE_CHANGES_H
#define PIPELINE_REPO_TREE_BASE_CHANGES_H

#include "pipeline/repo/chain.h"

struct base_change {
    struct bytes path;
    uint64_t position;
    struct entry there; /* after the landing: kind, mode, size and hash; KIND_NONE is absent */
};

struct base_changes;

/* One range read. */
int base_changes_read(struct repo *, const struct id16 *project, const struct batch *,
                      struct base_changes **out) MUST_USE;
struct base_changes *base_changes_hold(struct base_changes *);
void base_changes_drop(struct base_changes *); /* NULL is fine */

bool base_changes_are(const struct base_changes *, const struct id16 *project,
                      const struct hash *tree);
/* The last change of exactly `path` up to `position`, or NULL. */
const struct base_change *base_changes_at(const struct base_changes *, struct bytes path,
                                          uint64_t position);
/* Whether something below `path` changed up to `position`. */
bool base_changes_below(const struct base_changes *, struct bytes path, uint64_t position);
/* Whether something that they put below `path` is there at `position`. */
bool base_changes_stand_below(const struct base_changes *, struct bytes path,
                              uint64_t position);

#endif
