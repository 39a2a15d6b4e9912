/* Where a workspace is to go: a position, and what changes on the way. The trees of whole
 * batches are read and checked by the client itself. A position inside a batch has no tree
 * object of its own; what differs there is asked of the server, and its contents are checked by
 * their hashes. */
#ifndef API_CLI_TARGET_H
#define API_CLI_TARGET_H

#include "api/cli/index.h"
#include "api/client/client_range.h"
#include "api/client/thick_tree.h"

struct target {
    uint64_t position;
    struct thick_tree tree; /* of the position, or, when `inside`, of the batch before */
    bool inside;
    struct hash content; /* of the tree at position; zero when `inside` */
};

struct target_changes {
    struct thick_change *changes; /* `a` is not filled in: the index has it. Sorted. Entries
                                     without a place are fetched by path and position */
    size_t n;
};

/* `position` UINT64_MAX: the head's. The client's problem is filled in when it fails. */
int target_find(struct client_ranges *, uint64_t position, struct arena *,
                struct target *out) MUST_USE;
/* What differs from the base of `index` (an index without a tree and position 0 is empty). */
int target_diff(struct client_ranges *, const struct index *, const struct target *,
                struct arena *, struct target_changes *out) MUST_USE;

#endif
