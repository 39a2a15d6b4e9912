/* Inside replay: the log read forwards in blocks, and a tree that its effects are applied to.
 * Only replay*.c include this. */
#ifndef PIPELINE_REPO_REPLAY_REPLAY_INSIDE_H
#define PIPELINE_REPO_REPLAY_REPLAY_INSIDE_H

#include "formats/base/hex.h"
#include "formats/key.h"
#include "pipeline/repo/history/landlog_segment.h"
#include "pipeline/repo/replay/replay.h"
#include "pipeline/repo/tree/tree_edit.h"

/* Gets of one `many`. */
#define REPLAY_AT_ONCE 64u

/* Says it, unless something at that position or before was said. Gives ERR_CORRUPT. */
int replay_say(struct replay_fault *, uint64_t position, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* ---- the log ---- */

/* A batch that the log names. */
struct replay_batch {
    struct hash tree;
    struct footer footer;
    struct log_entry *entries; /* all that the log has of it, in its order */
    uint32_t n;
};

/* What the batches of the log must follow on. */
struct replay_place {
    uint64_t position;
    uint64_t batch;
    uint64_t hlc;
    struct hash tree;
    bool begun; /* there was a batch */
};

/* Some batches that follow each other. */
struct replay_block {
    struct arena arena;
    struct replay_batch *batches;
    size_t n;
    uint64_t contents; /* that were read, and names of large ones that were looked for */
    uint64_t blobs;
    struct replay_place passed; /* the last batch that was passed over, when there was one */
    int err; /* what comes after them: OK, ERR_NOT_FOUND at the end, or why there is no more */
    struct replay_fault fault;
    struct replay_block *next;
};

/* Where in the log reading goes on. One thread. */
struct replay_source {
    struct repo *repo;
    struct id16 project;
    struct head head;
    uint64_t to;        /* the first batch that reaches it is the last; UINT64_MAX: all */
    uint64_t after_hlc; /* batches up to this one are passed over; 0: none */
    bool contents;      /* the contents are read and checked */

    struct arena arena; /* of the list of segments */
    struct landlog_segment_ref *segments;
    size_t n_segments;
    uint64_t chain_from; /* the first position that is read from the chain */
    uint64_t next;       /* entries under earlier positions have been read */
    unsigned span;       /* segments that are read at once */
    bool all_read;
    struct arena held_arena; /* of `held`: entries of a batch whose others are not read yet */
    struct log_entry *held;
    uint32_t n_held;
};

/* Reads from the entries under position `from` on (0: all). A hole is ERR_CORRUPT. */
int replay_source_open(struct replay_source *, struct repo *, const struct id16 *project,
                       uint64_t from, struct replay_fault *) MUST_USE;
void replay_source_release(struct replay_source *);
/* The next block, which may have no batch; its `err` says what then. Free it with
 * replay_block_free. */
struct replay_block *replay_source_next(struct replay_source *) MUST_USE;
void replay_block_free(struct replay_block *);

/* Reads the footers of the block's batches, whose trees and entries are set. Where one cannot
 * be read the block ends before it, with a fault; so it is with the next. */
int replay_footers_read(struct replay_source *, struct replay_block *) MUST_USE;
/* Reads the contents that the block's batches name, and holds them to their hashes; asks for
 * the large ones. */
int replay_contents_check(struct replay_source *, struct replay_block *) MUST_USE;

/* Blocks one after another, read by a thread of its own when `ahead`. */
struct replay_reader;
struct replay_reader *replay_reader_open(struct replay_source *, bool ahead) MUST_USE;
/* Free it with replay_block_free. */
struct replay_block *replay_reader_next(struct replay_reader *) MUST_USE;
void replay_reader_close(struct replay_reader *);

/* ---- the tree ---- */

/* Applies what the log says of one landing; `wheres`, one an effect, says where contents lie in
 * place of the log. A write that kept its source finds it by its hash under the paths that the
 * landing changed. What cannot be applied is ERR_CORRUPT, and said. */
int replay_apply(struct tree_edit *, const struct log_entry *, const struct location *wheres,
                 struct replay_fault *) MUST_USE;
/* Whether the tree is as the batch's footer says, up to and with its last landing. */
int replay_compare(struct tree_edit *, const struct replay_batch *,
                   struct replay_fault *) MUST_USE;

/* Whether `batch` goes on where `place` ends, with all its answers, in their order. */
int replay_follows(struct repo *, const struct id16 *project, const struct replay_place *,
                   const struct replay_batch *, struct replay_fault *) MUST_USE;
/* Whether the head is what the log has led to, with nothing answered since. */
int replay_head_reached(struct repo *, const struct id16 *project, const struct replay_place *,
                        const struct head *, struct replay_fault *) MUST_USE;
void replay_place_move(struct replay_place *, const struct replay_batch *);

/* ---- copying ---- */

/* Makes the large contents that the batches name (up to position `to`) lie in project `target`,
 * too, each checked against its hash. */
int replay_blobs_copy(struct repo *, const struct id16 *from, const struct id16 *target,
                      const struct replay_batch *, size_t n, uint64_t to,
                      struct replay_report *) MUST_USE;

#endif
