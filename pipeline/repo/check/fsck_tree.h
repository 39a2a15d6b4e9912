/* What one batch has added to the tree: its root page, and deep, its pages and contents. Pages
 * of batches before are looked at with these. */
#ifndef PIPELINE_REPO_CHECK_FSCK_TREE_H
#define PIPELINE_REPO_CHECK_FSCK_TREE_H

#include "pipeline/repo/check/fsck_records.h"

/* The root page against the footer: content hash, files and bytes. */
void fsck_root_check(struct fsck_project *, const struct fsck_batch *);
/* Every page below that lies in this batch's objects, and every content that its records have
 * in it. */
int fsck_tree_check(struct fsck_project *, const struct fsck_batch *,
                    const struct fsck_records *) MUST_USE;

#endif
