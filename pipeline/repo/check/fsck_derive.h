/* The derive log of a project: every object is what its name says, no number of an agent is
 * missing, be it by itself or in a segment, what an item names is there, and where a tree is
 * said to lie, a directory of that content lies. */
#ifndef PIPELINE_REPO_CHECK_FSCK_DERIVE_H
#define PIPELINE_REPO_CHECK_FSCK_DERIVE_H

#include "pipeline/repo/check/fsck_inside.h"

/* When the project's uploads have been listed. Memory: some words for each agent and segment.
 */
int fsck_derive_check(struct fsck_project *) MUST_USE;

#endif
