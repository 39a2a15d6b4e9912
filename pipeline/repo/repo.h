/* What everything in this folder works with: the store, the bucket's settings, this process's
 * identity, and its caches of immutable things. One a process (the simulator has several). Any
 * thread. */
#ifndef PIPELINE_REPO_REPO_H
#define PIPELINE_REPO_REPO_H

#include "formats/bucket.h"
#include "formats/hlc.h"
#include "pipeline/store/store.h"
#include "pipeline/sys/clock.h"
#include "pipeline/sys/rng.h"
#include <pthread.h>

struct held_cache;
struct chain_cache;
struct condemned_cache;
struct known;
struct queue_cache;

struct repo {
    struct store *store;
    struct clock *clock;
    struct rng *rng;
    struct bucket bucket;
    uint64_t agent;              /* 64 random bits, drawn at each start */
    struct held_cache *pages;    /* page_cache.h */
    struct held_cache *contents; /* content_cache.h */
    struct chain_cache *chain;
    struct known *known;
    struct condemned_cache *condemned;
    struct queue_cache *queue;
    pthread_mutex_t hlc_lock;
    uint64_t hlc; /* the greatest that this process gave or saw */
};

struct repo_options {
    size_t page_cache_bytes;
    size_t content_cache_bytes;
    uint32_t shards;     /* when the bucket is made */
    uint32_t chunk_size; /* when the bucket is made */
};

/* Reads `bucket`, or puts it if it is absent. The store, clock and rng stay the caller's. */
int repo_open(struct repo *, struct store *, struct clock *, struct rng *,
              const struct repo_options *) MUST_USE;
void repo_close(struct repo *);

/* The same repo over another store: it shares the caches, and must not outlive the repo. */
void repo_view_init(struct repo *view, const struct repo *, struct store *);
void repo_view_release(struct repo *view);

/* A new stamp, greater than every one given or seen before. */
uint64_t repo_hlc(struct repo *);
/* Adopts a stamp that was read, if it is greater. */
void repo_hlc_seen(struct repo *, uint64_t hlc);
/* ERR_AGAIN when the wall clock is more than CLOCK_SKEW_MAX_MS off the store's. */
int repo_clock_ok(struct repo *) MUST_USE;

#endif
