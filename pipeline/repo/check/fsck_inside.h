/* What the parts of the check share. fsck.h is what others use. One thread.
 *
 * Each part is a noun: its functions tell what they find with fsck_damage and fsck_note, and
 * fail with the store's errors only. */
#ifndef PIPELINE_REPO_CHECK_FSCK_INSIDE_H
#define PIPELINE_REPO_CHECK_FSCK_INSIDE_H

#include "formats/head.h"
#include "formats/key.h"
#include "formats/tree_object.h"
#include "pipeline/repo/check/fsck.h"
#include "pipeline/repo/tree/overlay_store.h"

/* Operations of one `many`, and bytes, but for the first, that they bring. */
#define FSCK_AT_ONCE 64u
#define FSCK_BYTES   (64u * MIB)

struct fsck_queue;
struct fsck_answers;
struct fsck_blobs;
struct fsck_log;
struct fsck_rollups;

struct fsck {
    struct store *store;
    struct repo repo;
    struct overlay_store with_bucket; /* the store, and a bucket object where it is damaged */
    struct buf bucket;
    bool bucket_known;
    const struct fsck_options *options;
    struct fsck_counts counts;
    struct fsck_queue *queue;
};

struct fsck_project {
    struct fsck *fsck;
    struct id16 id;
    struct head head;
    struct hash tip;       /* of the chain; zero: there is none to walk */
    uint64_t tip_batch;    /* its number */
    uint64_t tip_position; /* the project's */
    bool has_refs;         /* something lies where a tree of references does */
    bool chain_whole;      /* every batch could be read */
    uint64_t companions;   /* tree objects that were put along with batches, and are there */
    uint64_t damages_from; /* fsck->counts.damages when this project began */
    struct hash unbuilt;   /* a batch whose tree could not be made again; zero: none */
    struct fsck_answers *answers;
    struct fsck_blobs *blobs;
    struct fsck_log *log;
    struct fsck_rollups *rollups;
};

void fsck_damage(struct fsck *, const char *invariant, const char *problem, const char *key,
                 const char *fmt, ...) __attribute__((format(printf, 5, 6)));
void fsck_note(struct fsck *, const char *problem, const char *key, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/* Whether `err` is about the object and not about the store. */
static inline bool fsck_is_damage(int err)
{
    return err == ERR_NOT_FOUND || err == ERR_CORRUPT || err == ERR_INVALID || err == ERR_LIMIT;
}

/* Gets up to FSCK_AT_ONCE whole objects side by side. Fails when the store does; what is wrong
 * with one object is in its op. The bodies are released by fsck_gets_release. */
struct fsck_gets {
    size_t n;
    uint64_t bytes; /* that they bring, as far as the caller has said */
    struct key keys[FSCK_AT_ONCE];
    struct buf bodies[FSCK_AT_ONCE];
    struct store_op ops[FSCK_AT_ONCE];
};
/* Gives its index. There must be room. */
size_t fsck_gets_add(struct fsck_gets *, const struct key *, struct store_range);
int fsck_gets_run(struct fsck *, struct fsck_gets *) MUST_USE;
void fsck_gets_clear(struct fsck_gets *);

/* The first error of a `many` that is about the store, or 0. */
int fsck_ops_failed(const struct store_op *ops, size_t n) MUST_USE;

/* The keys under a prefix, one after the other. */
struct fsck_keys {
    struct store *store;
    struct arena arena;
    const char *prefix;
    char after[STORE_KEY_MAX + 1];
    struct store_list list;
    size_t at;
    bool begun;
};
/* ERR_NOT_FOUND at the end. The key is valid until the next call. */
int fsck_keys_next(struct fsck_keys *, const struct store_key **out) MUST_USE;
void fsck_keys_release(struct fsck_keys *);

#endif
