#include "pipeline/repo/tree/page_cache.h"
#include "pipeline/sys/must_alloc.h"

#include <stdio.h>
#include <stdlib.h>

struct cached_key {
    struct id16 project;
    struct hash tree;
    struct hash check;
};

struct cached {
    struct held held;      /* first: what the cache knows of it */
    struct page_held page; /* what its users know */
    struct cached_key key;
    uint8_t encoded[];
};

static void cached_free(struct held *held)
{
    struct cached *c = (struct cached *)held;
    free(c->page.page.entries);
    free(c);
}

struct held_cache *page_cache_open(size_t bytes_max)
{
    return held_cache_open(bytes_max, cached_free);
}

static struct cached_key key_of(const struct id16 *project, const struct location *where)
{
    static_assert(sizeof(struct cached_key) == 80, "no padding that a hash would read");
    return (struct cached_key){*project, where->tree, where->check};
}

static const struct page_held *page_of(struct held *held)
{
    return held == NULL ? NULL : &((struct cached *)held)->page;
}

const struct page_held *page_cache_find(struct held_cache *cache, const struct id16 *project,
                                        const struct location *where)
{
    struct cached_key key = key_of(project, where);
    return page_of(held_cache_find(cache, bytes_of(&key, sizeof(key))));
}

/* A copy of the bytes, for names point into them, and beside it exactly the entries. */
static int cached_make(const struct cached_key *key, struct bytes encoded, struct cached **out)
{
    struct cached *c = must_alloc(1, sizeof(*c) + encoded.len);
    memcpy(c->encoded, encoded.data, encoded.len);
    c->key = *key;
    c->held.key = bytes_of(&c->key, sizeof(c->key));
    AUTO(arena_release) struct arena arena = {0};
    int err = page_decode(bytes_of(c->encoded, encoded.len), &key->tree, &arena, &c->page.page);
    if (err != 0) {
        free(c);
        return err;
    }
    size_t n = c->page.page.n;
    struct entry *entries = must_alloc(n + 1, sizeof(*entries));
    memcpy(entries, c->page.page.entries, n * sizeof(*entries));
    c->page.page.entries = entries;
    c->held.bytes = sizeof(*c) + encoded.len + (n + 1) * sizeof(*entries);
    *out = c;
    return 0;
}

int page_cache_add_made(struct held_cache *cache, const struct id16 *project,
                        const struct location *where, struct bytes encoded,
                        const struct page_held **out)
{
    struct cached_key key = key_of(project, where);
    struct cached *made;
    int err = cached_make(&key, encoded, &made);
    if (err == 0) {
        *out = page_of(held_cache_add(cache, &made->held));
    }
    return err;
}

int page_cache_add(struct held_cache *cache, const struct id16 *project,
                   const struct location *where, struct bytes encoded,
                   const struct page_held **out)
{
    struct hash hash = page_hash(encoded);
    if (!hash_equal(&hash, &where->check)) {
        return ERR_CORRUPT;
    }
    return page_cache_add_made(cache, project, where, encoded, out);
}

void page_cache_drop(struct held_cache *cache, const struct page_held *page)
{
    if (page != NULL) {
        uintptr_t at = (uintptr_t)page - offsetof(struct cached, page);
        held_cache_drop(cache, &((struct cached *)at)->held);
    }
}
