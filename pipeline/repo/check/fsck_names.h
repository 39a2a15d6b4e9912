/* Which projects there are: handles, the objects that they name, and keys that nobody knows. */
#ifndef PIPELINE_REPO_CHECK_FSCK_NAMES_H
#define PIPELINE_REPO_CHECK_FSCK_NAMES_H

#include "pipeline/repo/check/fsck_inside.h"

/* Every handle is what its key says and names a project. */
int fsck_handles_check(struct fsck *) MUST_USE;
/* Notes keys outside of all that the forge knows. */
int fsck_top_check(struct fsck *) MUST_USE;

/* The next project after `*id`, all zero to begin with. ERR_NOT_FOUND at the end. Notes keys
 * that are of no project. */
struct fsck_projects {
    struct fsck *fsck;
    char after[STORE_KEY_MAX + 1];
};
int fsck_projects_next(struct fsck_projects *, struct id16 *out) MUST_USE;

/* The project that a handle or an id means. ERR_NOT_FOUND. */
int fsck_project_find(struct fsck *, const char *name, struct id16 *out) MUST_USE;
/* Its `project` object, and that its handle names it. One without a head is damaged, unless no
 * handle names it, either: then its making was not finished, which is noted. */
int fsck_project_names(struct fsck_project *, bool has_head) MUST_USE;
/* Notes keys below it that the forge does not know, counts tree objects, tells the rollups'
 * check of its keys, and says whether it has references. */
int fsck_project_keys(struct fsck_project *, uint64_t *trees) MUST_USE;

#endif
