/* The landing log as readers see it: the longest segments, and what they do not have yet from
 * the chain; so it is never behind. Contiguity is demanded: a hole where it is read is
 * ERR_CORRUPT, never passed over. A segment's name follows from its positions, so that opening
 * and going to a position cost a few requests, however long the log is. */
#ifndef PIPELINE_REPO_HISTORY_LANDLOG_H
#define PIPELINE_REPO_HISTORY_LANDLOG_H

#include "formats/log_segment.h"
#include "pipeline/repo/chain.h"

#define LANDLOG_AHEAD_MAX  8u
#define LANDLOG_EXPECT_MAX 64u

/* Positions [from, end). */
struct landlog_range {
    uint64_t from;
    uint64_t end;
};

/* Entries newest first. */
struct landlog;

/* Everything filed under positions <= `before` (UINT64_MAX: from the head). */
int landlog_open(struct repo *, const struct id16 *project, uint64_t before,
                 struct landlog **out) MUST_USE;
/* The same as of a head that was read before. */
int landlog_open_at(struct repo *, const struct id16 *project, const struct head *,
                    uint64_t before, struct landlog **out) MUST_USE;
/* From now on only what is filed under positions [from, end), of what has not been given yet.
 * What lies between is passed over without reading it. Runs come newest first. */
int landlog_run(struct landlog *, uint64_t from, uint64_t end) MUST_USE;
/* Which runs most likely come next, newest first, so that up to `segments` segments that have
 * them (at most LANDLOG_AHEAD_MAX) are read side by side when the first one is wanted. What is
 * not foreseen costs a read of its own, and what is foreseen and not wanted a read for nothing.
 * At most LANDLOG_EXPECT_MAX ranges; they are copied. */
void landlog_expect(struct landlog *, const struct landlog_range *, size_t n,
                    unsigned segments);
/* From now on entries that have no effect on `path` or below it may be left out, and so may
 * effects of the others that write elsewhere: what a landing has made go away is always told,
 * for it may be where the path's content was before. The path stays the caller's. "" is the
 * root: nothing is left out. */
void landlog_below(struct landlog *, struct bytes path);
/* 0 and the next older entry (valid until the next call), ERR_NOT_FOUND at the end of the log
 * or of the run. */
int landlog_next(struct landlog *, const struct log_entry **out) MUST_USE;
void landlog_close(struct landlog *);

/* The head that the log was opened with. */
const struct head *landlog_head(const struct landlog *);
/* The first position that no segment has; 0 when there is none. What is filed there and later
 * is read from the chain. */
uint64_t landlog_end(const struct landlog *);

/* The segments that readers take: of those that begin alike the longest, contiguous from 1 on.
 * So the last one's end is the first position that no segment has. The first one holds the
 * answers under position 0, too. ERR_CORRUPT when one lies behind a hole. */
struct landlog_segment_ref {
    uint64_t first;
    uint64_t end;
};
int landlog_segments(struct repo *, const struct id16 *project, struct arena *,
                     struct landlog_segment_ref **out, size_t *n) MUST_USE;

/* The entries filed under positions [first, end) from the chain, in its order; up to the head
 * where `end` is beyond it. */
int landlog_collect(struct repo *, const struct id16 *project, const struct head *,
                    uint64_t first, uint64_t end, struct arena *, struct log_entry **out,
                    uint32_t *n) MUST_USE;

/* The entry of the landing at `position`. ERR_NOT_FOUND. */
int landlog_at(struct repo *, const struct id16 *project, uint64_t position, struct arena *,
               struct log_entry *out) MUST_USE;

/* The landing record (with its session) of the answer to session `sid`: its landing or
 * abandonment if there is one, else the newest that closes it, else its newest answer. From the
 * head down to the base in the id. ERR_NOT_FOUND when it was never answered. */
int landlog_session(struct repo *, const struct id16 *project, const struct id16 *sid,
                    struct arena *, struct landing *out, struct hash *tree) MUST_USE;
/* The same of the answer to exactly this request about it. */
int landlog_request(struct repo *, const struct id16 *project, const struct id16 *sid,
                    const struct id16 *request, struct arena *, struct landing *out) MUST_USE;

/* Where content with this hash lies among what has landed: the newest write of it that says so,
 * found as path_log finds a path. ERR_NOT_FOUND. */
int landlog_content(struct repo *, const struct id16 *project, const struct hash *,
                    struct arena *, struct log_effect *out) MUST_USE;

#endif
