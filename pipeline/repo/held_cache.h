/* Things that never change, in memory: bounded by bytes, the least recently used go first, and
 * what is held stays until it is given back. Any thread. What is cached begins with a `struct
 * held`; page_cache and content_cache say what theirs is. */
#ifndef PIPELINE_REPO_HELD_CACHE_H
#define PIPELINE_REPO_HELD_CACHE_H

#include "formats/base/types.h"

struct held {
    struct bytes key; /* lies in what is cached */
    size_t bytes;     /* what it counts for */
    /* The cache's own. */
    uint64_t hash;     /* of its key */
    struct held *next; /* in its bucket */
    struct held *newer;
    struct held *older;
    size_t holders;
    bool listed; /* in the table; freed when it is neither listed nor held */
};

struct held_cache;

/* `drop` frees one thing. */
struct held_cache *held_cache_open(size_t bytes_max, void (*drop)(struct held *)) MUST_USE;
/* Nothing may be held. */
void held_cache_close(struct held_cache *);

/* NULL when it is not there. Give it back with held_cache_drop. */
struct held *held_cache_find(struct held_cache *, struct bytes key);
/* Takes over what was made, or frees it when its key is there already. Gives what is there,
 * held; it may be larger than the cache, and then goes when it is given back. */
struct held *held_cache_add(struct held_cache *, struct held *made);
void held_cache_drop(struct held_cache *, struct held *);
/* What has the key is found no more. */
void held_cache_remove(struct held_cache *, struct bytes key);

struct held_cache_stats {
    uint64_t hits;
    uint64_t misses;
    size_t bytes;
};
struct held_cache_stats held_cache_stats(struct held_cache *);

#endif
