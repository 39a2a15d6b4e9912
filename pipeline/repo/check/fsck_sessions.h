/* The objects of sessions: open ones, and tombstones. */
#ifndef PIPELINE_REPO_CHECK_FSCK_SESSIONS_H
#define PIPELINE_REPO_CHECK_FSCK_SESSIONS_H

#include "pipeline/repo/check/fsck_inside.h"

/* Reads all of a project's. `tombstone` gets the id of each that is settled. Quiet: what is
 * wrong has been told by a walk before. */
int fsck_sessions_walk(struct fsck_project *, bool quiet,
                       void (*tombstone)(void *arg, const struct id16 *session),
                       void *arg) MUST_USE;

#endif
