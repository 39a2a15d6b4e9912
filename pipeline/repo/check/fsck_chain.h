/* Walking the chain of a project: from the head back, a block of batches at a time. Within a
 * block the ancestors that footers name lead to many batches at once, so they are read side by
 * side; batches come in no order, blocks from the newest on. */
#ifndef PIPELINE_REPO_CHECK_FSCK_CHAIN_H
#define PIPELINE_REPO_CHECK_FSCK_CHAIN_H

#include "pipeline/repo/check/fsck_batch.h"

struct fsck_visit {
    bool ids_only; /* footers and ids; quiet: damage has been told by a walk before */
    /* May be NULL, but for `batch`. */
    int (*batch)(void *arg, struct fsck_batch *);
    /* Answers that the chain files under positions [first, end) could not all be read. */
    void (*unknown)(void *arg, uint64_t first, uint64_t end);
    /* All that is filed under positions over `position` has been visited. */
    int (*block)(void *arg, uint64_t position);
    void *arg;
};

/* Takes the head: sets head, tip, tip_batch of the project. Damage to head or tip is told, and
 * leaves what cannot be walked. `*absent` when there is no head. */
int fsck_chain_tip(struct fsck_project *, bool *absent) MUST_USE;
/* The project's position as it is now; that of the check when the head cannot be read. */
int fsck_position_now(const struct fsck_project *, uint64_t *out) MUST_USE;
int fsck_chain_walk(struct fsck_project *, const struct fsck_visit *) MUST_USE;

#endif
