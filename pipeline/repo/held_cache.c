#include "pipeline/repo/held_cache.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "formats/base/hash.h"
#include "pipeline/sys/must_alloc.h"

#define BUCKETS_FIRST 1024u

struct held_cache {
    pthread_mutex_t mutex;
    void (*drop)(struct held *);
    struct held **buckets;
    size_t n_buckets; /* a power of two */
    size_t n;
    struct held *newest;
    struct held *oldest;
    size_t bytes_max;
    struct held_cache_stats stats;
};

static void lock(struct held_cache *cache)
{
    int failed = pthread_mutex_lock(&cache->mutex);
    assert(failed == 0);
    (void)failed;
}

static void unlock(struct held_cache *cache)
{
    int failed = pthread_mutex_unlock(&cache->mutex);
    assert(failed == 0);
    (void)failed;
}

struct held_cache *held_cache_open(size_t bytes_max, void (*drop)(struct held *))
{
    struct held_cache *cache = must_alloc(1, sizeof(*cache));
    cache->drop = drop;
    cache->bytes_max = bytes_max;
    cache->n_buckets = BUCKETS_FIRST;
    cache->buckets = must_alloc(cache->n_buckets, sizeof(*cache->buckets));
    int failed = pthread_mutex_init(&cache->mutex, NULL);
    assert(failed == 0);
    (void)failed;
    return cache;
}

void held_cache_close(struct held_cache *cache)
{
    if (cache == NULL) {
        return;
    }
    for (struct held *h = cache->newest; h != NULL;) {
        struct held *older = h->older;
        assert(h->holders == 0);
        cache->drop(h);
        h = older;
    }
    (void)pthread_mutex_destroy(&cache->mutex);
    free(cache->buckets);
    free(cache);
}

static struct held **bucket_of(struct held_cache *cache, uint64_t hash)
{
    return &cache->buckets[hash & (cache->n_buckets - 1)];
}

static struct held *find(struct held_cache *cache, struct bytes key, uint64_t hash)
{
    struct held *h = *bucket_of(cache, hash);
    while (h != NULL && (h->hash != hash || !bytes_equal(h->key, key))) {
        h = h->next;
    }
    return h;
}

static void order_remove(struct held_cache *cache, struct held *h)
{
    *(h->newer != NULL ? &h->newer->older : &cache->newest) = h->older;
    *(h->older != NULL ? &h->older->newer : &cache->oldest) = h->newer;
    h->newer = NULL;
    h->older = NULL;
}

static void order_add(struct held_cache *cache, struct held *h)
{
    h->older = cache->newest;
    *(cache->newest != NULL ? &cache->newest->newer : &cache->oldest) = h;
    cache->newest = h;
}

static void list_remove(struct held_cache *cache, struct held *h)
{
    struct held **at = bucket_of(cache, h->hash);
    while (*at != h) {
        at = &(*at)->next;
    }
    *at = h->next;
    order_remove(cache, h);
    cache->n--;
    cache->stats.bytes -= h->bytes;
    h->listed = false;
    if (h->holders == 0) {
        cache->drop(h);
    }
}

static void grow(struct held_cache *cache)
{
    struct held **old = cache->buckets;
    cache->n_buckets *= 2;
    cache->buckets = must_alloc(cache->n_buckets, sizeof(*cache->buckets));
    for (struct held *h = cache->newest; h != NULL; h = h->older) {
        struct held **bucket = bucket_of(cache, h->hash);
        h->next = *bucket;
        *bucket = h;
    }
    free(old);
}

static void list_add(struct held_cache *cache, struct held *h)
{
    /* Two buckets for each, so that most hold one thing: each look at another is a miss of the
     * processor's cache. */
    if (cache->n * 2 >= cache->n_buckets) {
        grow(cache);
    }
    struct held **bucket = bucket_of(cache, h->hash);
    h->next = *bucket;
    *bucket = h;
    order_add(cache, h);
    cache->n++;
    cache->stats.bytes += h->bytes;
    h->listed = true;
    while (cache->stats.bytes > cache->bytes_max) {
        list_remove(cache, cache->oldest);
    }
}

/* One holder more of what is listed. */
static struct held *hold(struct held_cache *cache, struct held *h)
{
    h->holders++;
    if (cache->newest != h) {
        order_remove(cache, h);
        order_add(cache, h);
    }
    return h;
}

struct held *held_cache_find(struct held_cache *cache, struct bytes key)
{
    uint64_t hash = xxh3_64(key);
    lock(cache);
    struct held *h = find(cache, key, hash);
    if (h != NULL) {
        (void)hold(cache, h);
    }
    *(h == NULL ? &cache->stats.misses : &cache->stats.hits) += 1;
    unlock(cache);
    return h;
}

struct held *held_cache_add(struct held_cache *cache, struct held *made)
{
    made->hash = xxh3_64(made->key);
    lock(cache);
    struct held *there = find(cache, made->key, made->hash);
    if (there == NULL) {
        /* Held before it is listed: what is larger than the cache leaves the list at once. */
        made->holders = 1;
        list_add(cache, made);
    } else {
        (void)hold(cache, there);
    }
    unlock(cache);
    if (there == NULL) {
        return made;
    }
    cache->drop(made);
    return there;
}

void held_cache_drop(struct held_cache *cache, struct held *h)
{
    lock(cache);
    assert(h->holders > 0);
    h->holders--;
    bool last = h->holders == 0 && !h->listed;
    unlock(cache);
    if (last) {
        cache->drop(h);
    }
}

void held_cache_remove(struct held_cache *cache, struct bytes key)
{
    uint64_t hash = xxh3_64(key);
    lock(cache);
    struct held *h = find(cache, key, hash);
    if (h != NULL) {
        list_remove(cache, h);
    }
    unlock(cache);
}

struct held_cache_stats held_cache_stats(struct held_cache *cache)
{
    lock(cache);
    struct held_cache_stats stats = cache->stats;
    unlock(cache);
    return stats;
}
