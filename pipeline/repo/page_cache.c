#include "pipeline/repo/page_cache.h"

#include "formats/base/hash.h"
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#define BUCKETS_FIRST 1024u

struct cached_key {
    struct id16 project;
    struct hash tree;
    struct hash check;
};

struct cached {
    struct page_held held; /* first, so that a held page leads back to what holds it */
    struct cached_key key;
    struct cached *next; /* in its bucket */
    struct cached *newer;
    struct cached *older;
    size_t bytes;
    size_t holders;
    bool listed; /* in the table; freed when it is neither listed nor held */
    uint8_t encoded[];
};

struct page_cache {
    pthread_mutex_t lock;
    struct cached **buckets;
    size_t n_buckets; /* a power of two */
    size_t n;
    struct cached *newest;
    struct cached *oldest;
    size_t bytes;
    size_t bytes_max;
    uint64_t hits;
    uint64_t misses;
};

static void *must_alloc(size_t n, size_t size)
{
    void *memory = calloc(n, size);
    if (memory == NULL) {
        (void)fputs("out of memory\n", stderr);
        abort();
    }
    return memory;
}

static void lock(struct page_cache *cache)
{
    int failed = pthread_mutex_lock(&cache->lock);
    assert(failed == 0);
    (void)failed;
}

static void unlock(struct page_cache *cache)
{
    int failed = pthread_mutex_unlock(&cache->lock);
    assert(failed == 0);
    (void)failed;
}

struct page_cache *page_cache_open(size_t bytes_max)
{
    struct page_cache *cache = must_alloc(1, sizeof(*cache));
    cache->bytes_max = bytes_max;
    cache->n_buckets = BUCKETS_FIRST;
    cache->buckets = must_alloc(cache->n_buckets, sizeof(struct cached *));
    int failed = pthread_mutex_init(&cache->lock, NULL);
    assert(failed == 0);
    (void)failed;
    return cache;
}

static void cached_free(struct cached *c)
{
    free(c->held.page.entries);
    free(c);
}

void page_cache_close(struct page_cache *cache)
{
    if (cache == NULL) {
        return;
    }
    for (struct cached *c = cache->newest; c != NULL;) {
        struct cached *older = c->older;
        assert(c->holders == 0);
        cached_free(c);
        c = older;
    }
    (void)pthread_mutex_destroy(&cache->lock);
    free(cache->buckets);
    free(cache);
}

static struct cached_key key_of(const struct id16 *project, const struct location *where)
{
    return (struct cached_key){*project, where->tree, where->check};
}

static struct cached **bucket_of(struct page_cache *cache, const struct cached_key *key)
{
    static_assert(sizeof(*key) == 80, "the key has no padding that a hash would read");
    uint64_t hash = xxh3_64(bytes_of(key, sizeof(*key)));
    return &cache->buckets[hash & (cache->n_buckets - 1)];
}

static struct cached *find(struct page_cache *cache, const struct cached_key *key)
{
    struct cached *c = *bucket_of(cache, key);
    while (c != NULL && memcmp(&c->key, key, sizeof(*key)) != 0) {
        c = c->next;
    }
    return c;
}

static void order_remove(struct page_cache *cache, struct cached *c)
{
    *(c->newer != NULL ? &c->newer->older : &cache->newest) = c->older;
    *(c->older != NULL ? &c->older->newer : &cache->oldest) = c->newer;
    c->newer = NULL;
    c->older = NULL;
}

static void order_add(struct page_cache *cache, struct cached *c)
{
    c->older = cache->newest;
    *(cache->newest != NULL ? &cache->newest->newer : &cache->oldest) = c;
    cache->newest = c;
}

static void list_remove(struct page_cache *cache, struct cached *c)
{
    struct cached **at = bucket_of(cache, &c->key);
    while (*at != c) {
        at = &(*at)->next;
    }
    *at = c->next;
    order_remove(cache, c);
    cache->n--;
    cache->bytes -= c->bytes;
    c->listed = false;
    if (c->holders == 0) {
        cached_free(c);
    }
}

static void grow(struct page_cache *cache)
{
    struct cached **old = cache->buckets;
    cache->n_buckets *= 2;
    cache->buckets = must_alloc(cache->n_buckets, sizeof(struct cached *));
    for (struct cached *c = cache->newest; c != NULL; c = c->older) {
        struct cached **bucket = bucket_of(cache, &c->key);
        c->next = *bucket;
        *bucket = c;
    }
    free(old);
}

static void list_add(struct page_cache *cache, struct cached *c)
{
    if (cache->n == cache->n_buckets) {
        grow(cache);
    }
    struct cached **bucket = bucket_of(cache, &c->key);
    c->next = *bucket;
    *bucket = c;
    order_add(cache, c);
    cache->n++;
    cache->bytes += c->bytes;
    c->listed = true;
    while (cache->bytes > cache->bytes_max) {
        list_remove(cache, cache->oldest);
    }
}

/* One holder more of a listed page. */
static const struct page_held *hold(struct page_cache *cache, struct cached *c)
{
    c->holders++;
    if (cache->newest != c) {
        order_remove(cache, c);
        order_add(cache, c);
    }
    return &c->held;
}

const struct page_held *page_cache_find(struct page_cache *cache, const struct id16 *project,
                                        const struct location *where)
{
    struct cached_key key = key_of(project, where);
    lock(cache);
    struct cached *c = find(cache, &key);
    const struct page_held *held = c == NULL ? NULL : hold(cache, c);
    *(c == NULL ? &cache->misses : &cache->hits) += 1;
    unlock(cache);
    return held;
}

/* A copy of the bytes, for names point into them, and beside it exactly the entries. */
static int cached_make(const struct cached_key *key, struct bytes encoded, struct cached **out)
{
    struct cached *c = must_alloc(1, sizeof(*c) + encoded.len);
    memcpy(c->encoded, encoded.data, encoded.len);
    c->key = *key;
    AUTO(arena_release) struct arena arena = {0};
    int err = page_decode(bytes_of(c->encoded, encoded.len), &key->tree, &arena, &c->held.page);
    if (err != 0) {
        free(c);
        return err;
    }
    size_t n = c->held.page.n;
    struct entry *entries = must_alloc(n + 1, sizeof(*entries));
    memcpy(entries, c->held.page.entries, n * sizeof(*entries));
    c->held.page.entries = entries;
    c->bytes = sizeof(*c) + encoded.len + (n + 1) * sizeof(*entries);
    *out = c;
    return 0;
}

int page_cache_add_made(struct page_cache *cache, const struct id16 *project,
                        const struct location *where, struct bytes encoded,
                        const struct page_held **out)
{
    struct cached_key key = key_of(project, where);
    struct cached *made;
    int err = cached_make(&key, encoded, &made);
    if (err != 0) {
        return err;
    }
    lock(cache);
    struct cached *there = find(cache, &key);
    if (there == NULL) {
        /* Held before it is listed: a page larger than the cache leaves the list at once. */
        made->holders = 1;
        list_add(cache, made);
        *out = &made->held;
    } else {
        *out = hold(cache, there);
    }
    unlock(cache);
    if (there != NULL) {
        cached_free(made);
    }
    return 0;
}

int page_cache_add(struct page_cache *cache, const struct id16 *project,
                   const struct location *where, struct bytes encoded,
                   const struct page_held **out)
{
    struct hash hash = page_hash(encoded);
    if (!hash_equal(&hash, &where->check)) {
        return ERR_CORRUPT;
    }
    return page_cache_add_made(cache, project, where, encoded, out);
}

void page_cache_drop(struct page_cache *cache, const struct page_held *held)
{
    if (held == NULL) {
        return;
    }
    struct cached *c = (struct cached *)(uintptr_t)held;
    lock(cache);
    assert(c->holders > 0);
    c->holders--;
    bool last = c->holders == 0 && !c->listed;
    unlock(cache);
    if (last) {
        cached_free(c);
    }
}

struct page_cache_stats page_cache_stats(struct page_cache *cache)
{
    lock(cache);
    struct page_cache_stats stats = {cache->hits, cache->misses, cache->bytes};
    unlock(cache);
    return stats;
}
