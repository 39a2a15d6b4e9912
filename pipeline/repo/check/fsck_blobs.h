/* Contents that were uploaded: whether what is named is there, and deep, whether it is what its
 * name says. */
#ifndef PIPELINE_REPO_CHECK_FSCK_BLOBS_H
#define PIPELINE_REPO_CHECK_FSCK_BLOBS_H

#include "formats/content.h"
#include "pipeline/repo/check/fsck_inside.h"

struct fsck_blobs;

/* Lists them: after the head was taken, so all that its chain names is there. */
int fsck_blobs_open(struct fsck_project *, struct fsck_blobs **out) MUST_USE;
void fsck_blobs_close(struct fsck_blobs *);

/* Whether a landed content that was uploaded is there, with all its chunks; `by` names it. */
int fsck_blobs_need(struct fsck_blobs *, const struct content *, const char *by) MUST_USE;
/* Every object under blobs/, whole. */
int fsck_blobs_read(struct fsck_blobs *) MUST_USE;

#endif
