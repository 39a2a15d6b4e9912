/* The segments that a reader of the log is at or will come to: those of the runs that it is
 * told to expect are read side by side. landlog.h is what others use. */
#ifndef PIPELINE_REPO_HISTORY_LANDLOG_AHEAD_H
#define PIPELINE_REPO_HISTORY_LANDLOG_AHEAD_H

#include "formats/base/buf.h"
#include "pipeline/repo/history/landlog.h"

struct landlog_slot {
    struct landlog_segment_ref ref; /* of no positions: nothing is in it */
    struct buf bytes;               /* as they lie in the store, not checked */
};

/* All zero is ready for use, when `repo` and `project` are set. */
struct landlog_ahead {
    struct repo *repo;
    struct id16 project;
    const struct landlog_segment_ref
        *listed; /* the newest segments, of which names are known */
    size_t n_listed;
    struct landlog_range ranges[LANDLOG_EXPECT_MAX];
    size_t n_ranges;
    unsigned most;   /* segments that are read side by side; 0 is as 1 */
    bool one_by_one; /* they are long */
    struct landlog_slot slots[LANDLOG_AHEAD_MAX];
};

void landlog_ahead_release(struct landlog_ahead *);
/* The segment that has the position (1 or greater), one that was listed or the one whose name
 * follows from the position; it is valid until the next call. ERR_NOT_FOUND when there is
 * none. What else was to be read with it and could not be is read again when it is wanted. */
int landlog_ahead_get(struct landlog_ahead *, uint64_t position,
                      struct landlog_slot **out) MUST_USE;
/* It is not what it should be: the next call reads it again. */
void landlog_ahead_drop(struct landlog_slot *);

#endif
