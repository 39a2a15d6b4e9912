/* The chain of tree objects: from the head back to the first batch. Footers, ids and records
 * are checked against the tree hash that led to them, and cached, for they never change. */
#ifndef PIPELINE_REPO_CHAIN_H
#define PIPELINE_REPO_CHAIN_H

#include "formats/base/buf.h"
#include "formats/head.h"
#include "formats/tree_object.h"
#include "pipeline/repo/repo.h"
#include "pipeline/repo/tree/tree.h"

struct chain_cache;
/* `records_max`: bytes of records that are kept besides. */
struct chain_cache *chain_cache_open(size_t batches_max, size_t records_max) MUST_USE;
void chain_cache_close(struct chain_cache *);

/* One batch of the chain: its footer and its ids. Immutable; drop it when done. */
struct batch {
    struct hash tree_hash;
    struct footer footer;
    struct tree_id *ids; /* footer.n_records */
    struct buf records;  /* their section, where it is at hand; else empty */
    struct arena arena;
};

/* The head of a project and its version. ERR_NOT_FOUND when there is no such project (no
 * `project` object either), ERR_CORRUPT when the project is there and its head is not, or is
 * damaged. */
int chain_head(struct repo *, const struct id16 *project, struct head *,
               struct etag *) MUST_USE;

/* The bytes of a head that was read by other means. ERR_CORRUPT when they are damaged. */
int chain_head_decode(struct repo *, const struct id16 *project, struct bytes,
                      struct head *) MUST_USE;

/* The tree hash of a head that is as new as anything that this process has told of it, for who
 * can bear that the head has moved a moment ago: at most 10 ms, or the time that reading it
 * takes. It is read where the last read is older than that, or began before this process knew
 * of the stamp `hlc`. */
int chain_head_lately(struct repo *, const struct id16 *project, uint64_t hlc,
                      struct hash *tree_hash) MUST_USE;
/* Tells of a head that was put in this process a moment ago. */
void chain_head_told(struct repo *, const struct id16 *project, const struct head *);

/* The batch that `tree_hash` names. One suffix read when it is not cached, which brings its
 * root page into the page cache, and its records, where that is no longer; a second for a long
 * tail. A missing object is ERR_CORRUPT. */
int chain_batch(struct repo *, const struct id16 *project, const struct hash *tree_hash,
                const struct batch **out) MUST_USE;
void chain_drop(struct repo *, const struct batch *);

/* The batch of a head, which must agree with its footer in position and hlc. */
int chain_tip(struct repo *, const struct id16 *project, const struct head *,
              const struct batch **out) MUST_USE;

/* Reads the batch of a head from the store, also when it is cached: whether its footer and its
 * root page can be read now. ERR_CORRUPT when they cannot. */
int chain_verify(struct repo *, const struct id16 *project, const struct head *) MUST_USE;

/* The batch that position `position` belongs to, from `head` back: the oldest whose
 * footer.position >= position. ERR_INVALID when position is over the head's. O(log n) reads. */
int chain_find(struct repo *, const struct id16 *project, const struct head *,
               uint64_t position, const struct batch **out) MUST_USE;

/* From a batch one step toward the one that `position` belongs to, held. ERR_NOT_FOUND when it
 * is that one. */
int chain_step(struct repo *, const struct id16 *project, const struct batch *,
               uint64_t position, const struct batch **out) MUST_USE;
/* The same from a batch back, for a position that it or an older one has made. Drops `from`
 * also on error. */
int chain_find_from(struct repo *, const struct id16 *project, const struct batch *from,
                    uint64_t position, const struct batch **out) MUST_USE;

/* The tree after a batch. */
struct tree chain_tree(struct repo *, const struct id16 *project, const struct batch *);
/* The same of whom knows its footer and its tree object's hash. */
struct tree chain_tree_of(struct repo *, const struct id16 *project, const struct footer *,
                          const struct hash *tree);

/* The landing records of a batch, in their order: one range read, where they are not at
 * hand. */
int chain_records(struct repo *, const struct id16 *project, const struct batch *,
                  struct arena *, struct landing **out) MUST_USE;
/* One of them, by index. */
int chain_record(struct repo *, const struct id16 *project, const struct batch *,
                 uint32_t index, struct arena *, struct landing *out) MUST_USE;

/* Remembers a batch whose tree object this process has put; `records` is their section, or
 * empty. Everything in the cache is found by its hash, so it may come before the head names
 * it. */
void chain_remember(struct repo *, const struct id16 *project, const struct hash *tree_hash,
                    const struct footer *, const struct tree_id *ids, struct bytes records);

#endif
