/* Paths that the forge cannot hold as git has them, each named once. Any thread. */
#ifndef API_GIT_LEFT_OUT_H
#define API_GIT_LEFT_OUT_H

#include <pthread.h>

#include "api/git/git.h"

struct left_out_set;

struct left_out_set *left_out_open(void);
void left_out_close(struct left_out_set *);
/* Counts the path, unless it was counted for the same reason before. `number` orders the
 * commits: of two that have the path the lower is named. */
void left_out_add(struct left_out_set *, const struct git_left_out *, uint64_t number);
/* Fills in the report, in order of the commits. */
void left_out_report(struct left_out_set *, struct git_report *);

#endif
