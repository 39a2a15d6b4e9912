/* The landings that changed a path, newest first: those of a file, or of all that lies below a
 * directory. The rollups tell where to look and each landing is looked up in the log, so what
 * comes is exact, and costs little where little comes: the head, a list of the log's end, what
 * a question to the rollups costs (rollup_read.h), and a segment of the log for each hundred
 * landings that may have changed the path; and the batches of the chain that the log does not
 * have yet. What comes next is foreseen, so that rollups and segments are read side by side:
 * few at first, then more, so that who wants a few landings reads little for nothing. */
#ifndef PIPELINE_REPO_HISTORY_PATH_LOG_H
#define PIPELINE_REPO_HISTORY_PATH_LOG_H

#include "pipeline/repo/history/landlog.h"

/* One thread at a time. */
struct path_log;

/* The landings at positions [from, before] with an effect on `path` or below it; "" is the
 * root, which every landing with an effect changes. To go on where another left off: its last
 * position less one as `before`. */
struct path_asked {
    struct bytes path; /* is copied */
    uint64_t from;
    uint64_t before;         /* UINT64_MAX: up to the head */
    uint64_t wanted;         /* so many are most likely enough: no more is read ahead */
    const struct head *head; /* one that was read before; NULL: it is read */
};

int path_log_open(struct repo *, const struct id16 *project, const struct path_asked *,
                  struct path_log **out) MUST_USE;
/* 0 and the next older landing (valid until the next call), with its effects on the path or
 * below it and at least those of the others that are no writes; ERR_NOT_FOUND at the end. */
int path_log_next(struct path_log *, const struct log_entry **out) MUST_USE;
void path_log_close(struct path_log *);

/* Whether an effect of the entry is on `path` or below it. */
bool path_log_touches(const struct log_entry *, struct bytes path);

#endif
