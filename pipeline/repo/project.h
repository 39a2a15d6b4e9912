/* Projects: made once, named by a handle. */
#ifndef PIPELINE_REPO_PROJECT_H
#define PIPELINE_REPO_PROJECT_H

#include "pipeline/repo/repo.h"

/* Makes a project: its info, the tree object of an empty tree, its head, and last its handle,
 * which is put if absent. ERR_CONFLICT when the handle is taken (what was put before lies there
 * unnamed). ERR_INVALID for a bad handle. */
int project_create(struct repo *, struct bytes handle, struct id16 *out) MUST_USE;

/* The same in two parts, for who fills a project before it gets its name, and says what its id
 * is. The first puts the tree object of an empty tree and a head, unless there is a head; the
 * second the info, and last the handle: until then neither the handle nor the id leads to it.
 * Both may be done again. project_publish: ERR_CONFLICT when the handle names another. */
int project_begin(struct repo *, const struct project_info *) MUST_USE;
int project_publish(struct repo *, const struct project_info *) MUST_USE;

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
