/* Doing what a plan says: the files are removed and written; the index is left to the caller.
 * Files are fetched in long ranges and written by several threads. */
#ifndef API_CLI_APPLY_H
#define API_CLI_APPLY_H

#include "api/cli/plan.h"

struct apply_progress {
    void (*tick)(void *arg, uint64_t done, uint64_t total); /* from the caller's thread only */
    void *arg;
};

/* Steps are marked as done in place. ERR_AGAIN with code "changed" when a file was changed
 * since it was looked at: nothing is lost, and the whole can be done again. */
int apply_plan(struct workspace *, struct client_ranges *, uint64_t position, struct plan *,
               const struct apply_progress *) MUST_USE;

#endif
