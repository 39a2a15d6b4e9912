/* What the landing log is made of: segments in the store, and batches of the chain for what
 * they do not have yet. landlog.h is what others use; stage_append makes the segments. */
#ifndef PIPELINE_REPO_HISTORY_LANDLOG_SEGMENT_H
#define PIPELINE_REPO_HISTORY_LANDLOG_SEGMENT_H

#include "pipeline/repo/history/landlog.h"

/* Lists are not atomic, and ten segments go when one has taken their place: what looks like a
 * hole or has vanished is looked for so many times. */
#define LANDLOG_LISTS_MAX 4u

/* All segments that are there, also those that a longer one covers, by first, then end. What
 * has another name is none. */
int landlog_keys(struct repo *, const struct id16 *project, struct arena *,
                 struct landlog_segment_ref **out, size_t *n) MUST_USE;
/* Out of these the ones that readers take; ERR_CORRUPT when one lies behind a hole. */
int landlog_select(const struct landlog_segment_ref *keys, size_t n_keys, struct arena *,
                   struct landlog_segment_ref **out, size_t *n) MUST_USE;
/* The newest of these, and the head of a project that has them is at `position` or was a moment
 * ago: found from there backwards, so that it costs a list where the log is not behind, however
 * long it is. None when there are no segments. ERR_CORRUPT when one lies behind a hole. */
int landlog_newest(struct repo *, const struct id16 *project, uint64_t position, struct arena *,
                   struct landlog_segment_ref **out, size_t *n) MUST_USE;
/* Both. An ERR_CORRUPT that stays is logged. */
int landlog_list(struct repo *, const struct id16 *project, struct arena *,
                 struct landlog_segment_ref **keys, size_t *n_keys,
                 struct landlog_segment_ref **chosen, size_t *n) MUST_USE;
/* The last of the chosen segments that has positions <= `position`; NULL when there is none. */
const struct landlog_segment_ref *landlog_segment_at(const struct landlog_segment_ref *,
                                                     size_t n, uint64_t position);

/* The bytes of a segment, as they lie there. ERR_NOT_FOUND when it is gone. */
int landlog_bytes_get(struct repo *, const struct id16 *project,
                      const struct landlog_segment_ref *, struct buf *out) MUST_USE;
/* Of the segment that holds the position, where only its place in the log says what its name
 * is: a thousand positions long, or a hundred. ERR_NOT_FOUND when there is neither. */
int landlog_bytes_find(struct repo *, const struct id16 *project, uint64_t position,
                       struct landlog_segment_ref *ref, struct buf *out) MUST_USE;
/* Out of these bytes the entries filed under [from, end), which point into them, as
 * log_segment_decode_below gives them. ERR_CORRUPT when they are not what the name says. */
int landlog_bytes_decode(struct repo *, const struct id16 *project,
                         const struct landlog_segment_ref *, struct bytes, uint64_t from,
                         uint64_t end, struct bytes below, struct arena *,
                         struct log_segment *out) MUST_USE;
/* One segment, whole. ERR_NOT_FOUND when it is gone; ERR_CORRUPT when it is not what its name
 * says. */
int landlog_segment_get(struct repo *, const struct id16 *project,
                        const struct landlog_segment_ref *, struct arena *,
                        struct log_segment *out) MUST_USE;

/* The entries of all records of a batch, in their order. */
int landlog_batch_entries(struct repo *, const struct id16 *project, const struct batch *,
                          struct arena *, struct log_entry **out) MUST_USE;

/* A copy that lies in the arena with all that it points to. */
struct log_entry log_entry_keep(struct arena *, const struct log_entry *);

#endif
