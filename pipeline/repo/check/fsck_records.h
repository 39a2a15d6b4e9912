/* The landing records of one batch: each what its id says, in order, a landed one with its
 * session and contents that can be there. */
#ifndef PIPELINE_REPO_CHECK_FSCK_RECORDS_H
#define PIPELINE_REPO_CHECK_FSCK_RECORDS_H

#include "pipeline/repo/check/fsck_batch.h"

struct fsck_records {
    struct landing *landings; /* footer.n_records */
    bool good;                /* nothing is wrong with any of them */
};

/* Decodes and checks them, and gives them to the log's sums. In the arena. */
int fsck_records_check(struct fsck_project *, const struct fsck_batch *, struct arena *,
                       struct fsck_records *out) MUST_USE;

#endif
