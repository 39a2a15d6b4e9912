/* Which landings have touched some paths since a position: many paths in one question, each
 * with a position of its own. What comes was looked up in the log, so it is exact; a path of
 * which nothing comes is certainly untouched up to the position that the answer holds for.
 *
 * What it costs does not grow with the history, but by its logarithm: the head and its batch, a
 * list of the log's end and one of each level of rollups; then for each level a read for each
 * object at the ends of the run that is asked about, for all paths together where the object is
 * small, else one a path; and a segment of the log for each hundred landings that touched a
 * path. What no rollup has yet (the newest hundred landings or so) is read from the log or,
 * batch by batch, from the chain. */
#ifndef PIPELINE_REPO_HISTORY_TOUCHED_H
#define PIPELINE_REPO_HISTORY_TOUCHED_H

#include "pipeline/repo/history/landlog.h"

enum touched_what {
    TOUCHED_BELOW,  /* the path, or anything below it; "" is the root */
    TOUCHED_ITSELF, /* the path itself, not what lies below it */
    TOUCHED_KEY,    /* a key as rollups have it (formats/rollup.h): of a path, a content or a
                       session; an answer that landed nothing touches its session's, too */
};

struct touched_ask {
    enum touched_what what;
    struct bytes path; /* unless it is TOUCHED_KEY */
    uint64_t key;      /* TOUCHED_KEY */
    uint64_t since;    /* what is filed under greater positions is looked at */
    uint32_t max;      /* landings that are wanted, the newest; at least 1 */
};

/* In the caller's arena. */
struct touched {
    /* Newest first, at most `max`. The effects are those that touch what was asked for: for
     * TOUCHED_BELOW those on the path or below it, for TOUCHED_ITSELF the one on the path, for
     * TOUCHED_KEY all. */
    struct log_entry *landings;
    uint32_t n;
};

/* One `struct touched` for each of the asks, in their order, as of position `*at`: that of the
 * head when it was read. ERR_NOT_FOUND when there is no such project, ERR_CORRUPT when the log
 * has a hole where it is read. */
int touched_since(struct repo *, const struct id16 *project, const struct touched_ask *asks,
                  size_t n, struct arena *, struct touched **out, uint64_t *at) MUST_USE;

#endif
