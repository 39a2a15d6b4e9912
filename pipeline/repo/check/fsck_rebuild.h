/* The tree of one batch, made again out of the tree before it and its records: what it holds,
 * its stamps, counts and locations must be what lies in the bucket; and every session must have
 * seen what was there. */
#ifndef PIPELINE_REPO_CHECK_FSCK_REBUILD_H
#define PIPELINE_REPO_CHECK_FSCK_REBUILD_H

#include "pipeline/repo/check/fsck_records.h"

/* For a batch with which nothing else is wrong. Where what lies before it cannot be read, the
 * project's `unbuilt` becomes the batch's hash and nothing is told. */
int fsck_rebuild_check(struct fsck_project *, const struct fsck_batch *,
                       const struct fsck_records *) MUST_USE;

#endif
