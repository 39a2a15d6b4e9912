/* What waits in the queue, what died there, and who drains it. */
#ifndef PIPELINE_REPO_CHECK_FSCK_QUEUE_H
#define PIPELINE_REPO_CHECK_FSCK_QUEUE_H

#include "pipeline/repo/check/fsck_batch.h"

/* A queue object of which all is settled may stay so long before it counts as forgotten. */
#define FSCK_SETTLED_MS 60000u

struct fsck_queue;

/* Reads all of it, before any head: `project` NULL for all, else only what is of that one. */
int fsck_queue_open(struct fsck *, const struct id16 *project,
                    struct fsck_queue **out) MUST_USE;
void fsck_queue_close(struct fsck_queue *);

/* The ids of a batch: which of the requests that wait are answered. */
void fsck_queue_mark(struct fsck_queue *, const struct fsck_batch *);
/* After all chains: tells old objects of which all is settled and that are not deleted. */
int fsck_queue_check(struct fsck_queue *) MUST_USE;

/* leases/ */
int fsck_leases_check(struct fsck *) MUST_USE;

#endif
