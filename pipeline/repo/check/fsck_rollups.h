/* Rollups against the landing log: each is whole and what its name says, covers nothing that
 * the head does not reach, and says "no" to no key of a landing that it covers. Of those that
 * cover the same positions the longest is asked, as readers do.
 *
 * Held are the names, and one object of each level, which is read again where segments come in
 * another order than positions. */
#ifndef PIPELINE_REPO_CHECK_FSCK_ROLLUPS_H
#define PIPELINE_REPO_CHECK_FSCK_ROLLUPS_H

#include "formats/log_segment.h"
#include "pipeline/repo/check/fsck_inside.h"

struct fsck_rollups;

struct fsck_rollups *fsck_rollups_open(struct fsck_project *);
void fsck_rollups_close(struct fsck_rollups *);

/* A key that lies below the project: false when it is not a rollup's. */
bool fsck_rollups_add(struct fsck_rollups *, const char *key);
/* All keys have been added, after the head was taken. */
int fsck_rollups_listed(struct fsck_rollups *) MUST_USE;
/* Asks for all that a segment has. It must say what the chain does. */
int fsck_rollups_ask(struct fsck_rollups *, const struct log_segment *) MUST_USE;
/* All segments have been asked for: reads what nobody has asked. */
int fsck_rollups_rest(struct fsck_rollups *) MUST_USE;

#endif
