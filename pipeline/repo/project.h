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
 * Both may be done again. project_publish: ERR_CONFLICT when the handle names another; of a
 * tree of references it puts no handle, for it has none. */
int project_begin(struct repo *, const struct project_info *) MUST_USE;
int project_publish(struct repo *, const struct project_info *) MUST_USE;

/* The project that `name` means: a handle, or 32 hex digits of a project id. ERR_NOT_FOUND.
 * Handles are cached (they never change). */
int project_find(struct repo *, struct bytes name, struct id16 *out) MUST_USE;

/* The tree of a project's references is a project of its own (formats/project_id.h), with the
 * same handle in its `project` object and none that names it. So project_find does not find it,
 * and nothing that is asked for by a name reaches it but by these.
 *
 * Makes it, unless it is there: tree object, head, and last the `project` object, which says
 * that it was made. May be done again, and by several at once. ERR_NOT_FOUND when there is no
 * such project. */
int project_refs_make(struct repo *, const struct id16 *project) MUST_USE;
/* Its id. ERR_NOT_FOUND when it was not made: nothing was ever bound. */
int project_refs_find(struct repo *, const struct id16 *project, struct id16 *out) MUST_USE;
/* As project_find, and "NAME/refs" is the tree of NAME's references: for the programs that look
 * after a bucket. */
int project_find_tree(struct repo *, struct bytes name, struct id16 *out) MUST_USE;

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
