/* The landing log against the chain. What both say is summed up per hundred positions, so that
 * neither has to be kept: a segment is compared when all that it covers has been visited. */
#ifndef PIPELINE_REPO_CHECK_FSCK_LOG_H
#define PIPELINE_REPO_CHECK_FSCK_LOG_H

#include "formats/log_segment.h"
#include "pipeline/repo/check/fsck_inside.h"

struct fsck_log;

/* Lists the segments: after the head was taken. A hole is told. */
int fsck_log_open(struct fsck_project *, struct fsck_log **out) MUST_USE;
void fsck_log_close(struct fsck_log *);

/* Which batches answered, going back from a position: each one's tree object as the segments
 * name it, once for all of its answers that follow each other. */
struct fsck_log_back {
    const struct fsck_log *log;
    struct arena arena; /* of the segment at hand */
    struct log_segment segment;
    uint32_t left;     /* entries of it */
    uint64_t position; /* what is filed above it is passed over */
    struct hash tree;  /* given last */
};
void fsck_log_back_init(struct fsck_log_back *, const struct fsck_log *, uint64_t position);
void fsck_log_back_release(struct fsck_log_back *);
/* ERR_NOT_FOUND where the log begins, or cannot be read. */
int fsck_log_back_next(struct fsck_log_back *, struct hash *out) MUST_USE;

/* Whether a segment has the position: then the answers filed there are wanted. */
bool fsck_log_wants(const struct fsck_log *, uint64_t position);
/* The answers of one batch, in its order. */
void fsck_log_add(struct fsck_log *, const struct log_entry *, size_t n);
/* The answers filed under positions [first, end) are not all known: nothing there is
 * compared. */
void fsck_log_unknown(struct fsck_log *, uint64_t first, uint64_t end);
/* All that is filed under `from` and above has been added: compares the segments there. */
int fsck_log_check(struct fsck_log *, uint64_t from) MUST_USE;

#endif
