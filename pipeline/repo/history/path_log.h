/* The landings that changed a path, newest first: those of a file, or of all that lies below a
 * directory. The rollups tell where to look and each landing is looked up in the log, so what
 * comes is exact, and costs little where little comes: the head, a list of the log's end, what
 * a question to the rollups costs (rollup_read.h), and a segment of the log for each hundred
 * landings that may have changed the path; and the batches of the chain that the log does not
 * have yet. */
#ifndef PIPELINE_REPO_HISTORY_PATH_LOG_H
#define PIPELINE_REPO_HISTORY_PATH_LOG_H

#include "pipeline/repo/history/landlog.h"

/* One thread at a time. */
struct path_log;

/* Of the landings at positions [from, before] (UINT64_MAX: up to the head) those with an effect
 * on `path` or below it; "" is the root, which every landing with an effect changes. The path
 * is copied. To go on where another left off: its last position less one as `before`. */
int path_log_open(struct repo *, const struct id16 *project, struct bytes path, uint64_t from,
                  uint64_t before, struct path_log **out) MUST_USE;
/* 0 and the next older landing, with all its effects (valid until the next call);
 * ERR_NOT_FOUND at the end. */
int path_log_next(struct path_log *, const struct log_entry **out) MUST_USE;
void path_log_close(struct path_log *);

/* Whether an effect of the entry is on `path` or below it. */
bool path_log_touches(const struct log_entry *, struct bytes path);

#endif
