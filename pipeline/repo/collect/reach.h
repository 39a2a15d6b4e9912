/* What of a project must stay: all that its roots name, as the collector needs to know it.
 *
 * The roots are read in the order in which records move, so that none is missed on its way:
 * objects of the queue, the dead among them (listed again when one that was listed is gone, for
 * it may lie in a new one), then objects of open sessions, then the derive log, its segments
 * last, then the head and the chain. The
 * footers of the chain name every tree object, with those put along with each; no tree is
 * walked. Records of landed sessions, of open ones and in the queue name uploads, and so does
 * the derive log; a manifest names its chunks. Whatever was ever named stays marked, so marking
 * again only adds: the chain is then read from the head back to where it was, and the derive
 * log on from there.
 *
 * A root that cannot be read or decoded is ERR_CORRUPT: nobody knows what it names, and nothing
 * may be collected. Memory: name_set.h, and a block of the chain (fsck.h). One thread. */
#ifndef PIPELINE_REPO_COLLECT_REACH_H
#define PIPELINE_REPO_COLLECT_REACH_H

#include "pipeline/repo/check/fsck_inside.h"
#include "pipeline/repo/collect/name_set.h"

struct reach_counts {
    uint64_t queue_objects;
    uint64_t sessions; /* that are open */
    uint64_t batches;
    uint64_t manifests;
    uint64_t derive_objects; /* read, so far */
};

struct reach {
    struct repo *repo;
    struct id16 project;
    struct name_set marked;
    struct buf manifests;     /* hashes whose chunks are still to be marked */
    struct hash tip;          /* to where the chain was read; zero: not at all */
    struct buf derive_agents; /* to where each agent's derive log was read */
    uint64_t derive_segments; /* and how many of its segments */
    struct reach_counts counts;
    struct key damaged; /* what could not be read, when ERR_CORRUPT was given; "" when many */
    /* The check's own tools. */
    struct fsck fsck;
    struct fsck_options options;
};

void reach_init(struct reach *, struct repo *, const struct id16 *project);
void reach_release(struct reach *);

/* Reads all roots. What was named when it began, and is still named when it ends, is marked. */
int reach_mark(struct reach *) MUST_USE;
static inline bool reach_has(const struct reach *reach, const struct gc_name *name)
{
    return name_set_has(&reach->marked, name);
}

/* Of these uploads, which nothing named may keep, those that are manifests keep their chunks: a
 * manifest is there only if each of its chunks is. One that is damaged keeps nothing. */
int reach_chunks(struct reach *, const struct hash *, size_t n) MUST_USE;

/* Between the parts. */
void reach_tree(struct reach *, const struct hash *);
/* An upload; a manifest's chunks are marked, too. */
void reach_blob(struct reach *, const struct hash *, bool manifest);
/* All uploads that the records name. */
void reach_records(struct reach *, const struct record *, size_t n);
/* Remembers what is damaged; gives ERR_CORRUPT. */
int reach_damaged(struct reach *, const char *key);
int reach_queue(struct reach *) MUST_USE;
int reach_chain(struct reach *) MUST_USE;
int reach_derive(struct reach *) MUST_USE;

#endif
