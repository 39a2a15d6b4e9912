#include "pipeline/repo/content/content_cache.h"

#include <stdio.h>
#include <stdlib.h>

struct cached_key {
    struct id16 project;
    struct hash hash;
};

struct cached {
    struct held held; /* first: what the cache knows of it */
    struct cached_key key;
    size_t len;
    uint8_t content[];
};

static void cached_free(struct held *held)
{
    free(held);
}

struct held_cache *content_cache_open(size_t bytes_max)
{
    return held_cache_open(bytes_max, cached_free);
}

bool content_cache_find(struct held_cache *cache, const struct id16 *project,
                        const struct hash *hash, struct buf *out)
{
    struct cached_key key = {*project, *hash};
    struct held *held = held_cache_find(cache, bytes_of(&key, sizeof(key)));
    if (held == NULL) {
        return false;
    }
    const struct cached *c = (const struct cached *)held;
    buf_append(out, c->content, c->len);
    held_cache_drop(cache, held);
    return true;
}

void content_cache_add(struct held_cache *cache, const struct id16 *project,
                       const struct hash *hash, struct bytes content)
{
    struct cached *c = malloc(sizeof(*c) + content.len);
    if (c == NULL) {
        (void)fputs("out of memory\n", stderr);
        abort();
    }
    *c = (struct cached){.key = {*project, *hash}, .len = content.len};
    if (content.len > 0) {
        memcpy(c->content, content.data, content.len);
    }
    c->held.key = bytes_of(&c->key, sizeof(c->key));
    c->held.bytes = sizeof(*c) + content.len;
    held_cache_drop(cache, held_cache_add(cache, &c->held));
}
