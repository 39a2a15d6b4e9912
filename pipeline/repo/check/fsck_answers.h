/* Each request is answered once, and nothing lands after its session is closed. Of every answer
 * two numbers are kept, hashes of what it is about; when there are more than fit, those of half
 * of all classes are dropped and looked at in another walk over the ids. What looks alike by
 * its number is looked at exactly. */
#ifndef PIPELINE_REPO_CHECK_FSCK_ANSWERS_H
#define PIPELINE_REPO_CHECK_FSCK_ANSWERS_H

#include "pipeline/repo/check/fsck_batch.h"

struct fsck_answers;

struct fsck_answers *fsck_answers_open(struct fsck_project *, size_t ids_max) MUST_USE;
void fsck_answers_close(struct fsck_answers *);

/* The ids of one batch; a session whose object is a tombstone. */
void fsck_answers_add(struct fsck_answers *, const struct fsck_batch *);
void fsck_answers_tombstone(struct fsck_answers *, const struct id16 *session);

/* After a walk over the whole chain and all sessions. */
int fsck_answers_check(struct fsck_answers *) MUST_USE;

#endif
