/* The check of a bucket: what must always hold, as far as it can be seen in what lies there. It
 * only reads, and it may run beside landings: of each project one head is taken and all that it
 * commits to is checked; what comes later is not looked at, and what a write under way can
 * explain is read again before it is told. A damaged part stops the check of no other.
 *
 * Not deep it reads each batch's records, ids, root page and footer, the log, rollups, sessions
 * and the queue, and the derive log, and asks for the names of uploaded contents; it asks the
 * rollups of each level for every path, content and session of the log. Deep it reads every
 * page and every content besides, and makes the tree of each batch again out of the one before
 * and the records.
 *
 * Memory is bounded by a block of the chain, not by its length: some thousand batches' links, a
 * few records sections, and `ids_max` numbers; with more answers than that the ids are walked
 * over more than once. The names of uploaded contents take eight bytes each, those of the log's
 * segments and rollups a few dozen; of rollups one of each level is held. */
#ifndef PIPELINE_REPO_CHECK_FSCK_H
#define PIPELINE_REPO_CHECK_FSCK_H

#include "pipeline/repo/repo.h"

#define FSCK_IDS_MAX (16u * MIB) /* numbers that are kept at once, unless told */

struct fsck_finding {
    bool damage;           /* false: a note, nothing is wrong by it */
    const char *invariant; /* what does not hold, such as "named"; of a note "" */
    const char *problem;   /* a stable word, such as "blob_missing" */
    const char *key;       /* the object that breaks it, or that should be there */
    const char *detail;    /* a sentence's worth for people */
};

struct fsck_options {
    const char *project; /* a handle or an id; NULL: all */
    bool deep;
    size_t ids_max; /* 0: FSCK_IDS_MAX */
    size_t page_cache_bytes;
    /* Told of each finding as it is found; what it points to is gone after the call. */
    void (*found)(void *arg, const struct fsck_finding *);
    void *found_arg;
};

/* What was looked at. */
struct fsck_counts {
    uint64_t projects;
    uint64_t batches;
    uint64_t landings;
    uint64_t answers;
    uint64_t segments;
    uint64_t rollups;
    uint64_t sessions;
    uint64_t queue_objects;
    uint64_t blobs;
    uint64_t derive_objects; /* of the derive log, merged or not */
    uint64_t pages;          /* deep, but for roots */
    uint64_t contents;       /* deep */
    uint64_t keys;
    uint64_t unnamed; /* tree objects that no chain names: left by crashes, for the collector */
    uint64_t damages;
    uint64_t notes;
};

/* Checks the bucket in the store, and counts in `out`, also when it fails. ERR_NOT_FOUND when
 * there is no bucket or no such project; else the store's errors: then the rest was not
 * checked. */
int fsck_run(struct store *, struct clock *, struct rng *, const struct fsck_options *,
             struct fsck_counts *out) MUST_USE;

#endif
