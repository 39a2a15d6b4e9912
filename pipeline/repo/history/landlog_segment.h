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
/* Both. An ERR_CORRUPT that stays is logged. */
int landlog_list(struct repo *, const struct id16 *project, struct arena *,
                 struct landlog_segment_ref **keys, size_t *n_keys,
                 struct landlog_segment_ref **chosen, size_t *n) MUST_USE;
/* The last of the chosen segments that has positions <= `position`; NULL when there is none. */
const struct landlog_segment_ref *landlog_segment_at(const struct landlog_segment_ref *,
                                                     size_t n, uint64_t position);

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
