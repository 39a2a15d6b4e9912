/* A segment of the landing log: what became of positions first to end - 1, and the answers that
 * landed nothing, filed under the position that the project then had. Derived from the tree
 * objects, written once.
 *
 *   offset size field
 *        0   16 envelope "MLOG" version 1
 *       16   16 project
 *       32    8 first
 *       40    8 end
 *       48    4 count of tree objects, each 32: hash; sorted, no two alike, each used below
 *             4 count of entries, in order of the chain, each
 *                 1 verdict, plus 128 when the answer closes the session
 *                 8 position   4 index of the batch's tree object
 *                16 request   16 session   16 owner   8 hlc
 *               1+n author   4+n goal   1+n reason
 *                 4 count of effects, by path, each
 *                     1 kind (1 write, 2 delete, 3 moved away)   2+n path
 *                   and for a write
 *                     1 file kind   2 mode   8 size   32 hash   1 place
 *                     RAW, ZSTD: 4 index of the tree object   4 offset   4 length
 *                     MANIFEST: 32 check
 *
 * A landing at position N is filed under N; positions count from 1, so the segments are
 * [1, 101), [101, 201) … and the answers before the first landing are filed in the first one
 * (position 0). A segment has a landing for each of its positions, in order; another answer
 * stands behind the landing under whose position it is filed. */
#ifndef FORMATS_LOG_SEGMENT_H
#define FORMATS_LOG_SEGMENT_H

#include "formats/landing.h"

/* Positions of a segment, and of the one that takes the place of ten. */
#define LOG_SPAN_SMALL 100u
#define LOG_SPAN_LARGE 1000u

struct log_effect {
    enum effect_kind kind;
    struct bytes path;
    enum kind file_kind; /* write */
    uint16_t mode;
    uint64_t size;
    struct hash hash;
    struct location where;
};

/* Whether it has written content that lies in a tree object: `where.tree` says in which. */
static inline bool log_effect_in_tree(const struct log_effect *effect)
{
    return effect->kind == EFFECT_WRITE &&
           (effect->where.place == PLACE_RAW || effect->where.place == PLACE_ZSTD);
}

struct log_entry {
    enum verdict verdict;
    bool closes;
    uint64_t position;
    struct hash tree; /* of its batch */
    struct id16 request;
    struct id16 session;
    struct id16 owner;
    uint64_t hlc;
    struct bytes author;
    struct bytes goal;
    struct bytes reason;
    struct log_effect *effects; /* sorted by path */
    uint32_t n_effects;
};

struct log_segment {
    struct id16 project;
    uint64_t first;
    uint64_t end;
    struct log_entry *entries;
    uint32_t n;
};

/* Whether there is a segment of these positions, if there are so many landings. */
bool log_span_ok(uint64_t first, uint64_t end);
/* The scratch arena keeps what is needed until the caller drops it. */
void log_segment_encode(const struct log_segment *, struct arena *scratch, struct buf *out);
int log_segment_decode(struct bytes in, struct arena *, struct log_segment *out) MUST_USE;
/* The same with only the entries that are filed under positions [from, end): the others are
 * passed over, which takes a small part of the time. Of these only lengths and positions are
 * checked. */
int log_segment_decode_run(struct bytes in, uint64_t from, uint64_t end, struct arena *,
                           struct log_segment *out) MUST_USE;
/* Of these only the entries with an effect on `path` or below it, with these effects and those
 * that are no writes: of a landing of many files the others are passed over, too. "" is the
 * root: all of them. */
int log_segment_decode_below(struct bytes in, uint64_t from, uint64_t end, struct bytes path,
                             struct arena *, struct log_segment *out) MUST_USE;

/* The log entry of a landing record that lies in tree object `tree`: its effects are those of
 * session_view. A write that kept its source has place PLACE_NONE: its hash names it. Strings
 * point to where the landing's do. ERR_CORRUPT when a landing's session is missing or
 * still has inline content. */
int log_entry_of(const struct landing *, const struct hash *tree, struct arena *,
                 struct log_entry *out) MUST_USE;

#endif
