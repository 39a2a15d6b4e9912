/* Projects: made once, named by a handle. */
#ifndef PIPELINE_REPO_PROJECT_H
#define PIPELINE_REPO_PROJECT_H

#include "pipeline/repo/repo.h"

/* Makes a project: its info, the tree object of an empty tree, its head, and last its handle,
 * which is put if absent. ERR_CONFLICT when the handle is taken (what was put before lies there
 * unnamed). ERR_INVALID for a bad handle. */
int project_create(struct repo *, struct bytes handle, struct id16 *out) MUST_USE;

/* The project that `name` means: a handle, or 32 hex digits of a project id. ERR_NOT_FOUND.
 * Handles are cached (they never change). */
int project_find(struct repo *, struct bytes name, struct id16 *out) MUST_USE;

/* All handles, greater than `after`, at most `max`. */
struct project_list {
    struct project_info *projects;
    size_t n;
    bool more;
};
int project_list(struct repo *, struct arena *, const char *after, size_t max,
                 struct project_list *out) MUST_USE;

/* What `project` object says. */
int project_info_get(struct repo *, const struct id16 *, struct arena *,
                     struct project_info *out) MUST_USE;

#endif
