/* The one rule of landing: compare and swap per path. Every operation and every guard says what
 * it has seen; it holds if the path is still that. A write also holds if the path already is
 * what it wants, a delete if the path is gone (a rename's delete does not). */
#ifndef PIPELINE_REPO_CONFLICT_H
#define PIPELINE_REPO_CONFLICT_H

#include "formats/landing.h"
#include "pipeline/repo/tree/tree_edit.h"

struct conflict_list {
    struct conflict *conflicts; /* the first CONFLICTS_LISTED_MAX of them, in the arena */
    uint16_t n_listed;
    uint32_t n; /* all */
};

/* Checks all that the session saw against the tree, before anything of it is applied: none in
 * `out` means that it may land. Changes nothing. ERR_CORRUPT and the store's errors when the
 * tree cannot be read; ERR_INVALID when the session's own writes clash with each other (one
 * writes a path below another). */
int conflict_check(struct tree_edit *, const struct session_view *, struct arena *,
                   struct conflict_list *out) MUST_USE;

#endif
