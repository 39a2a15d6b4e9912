#include "pipeline/derive/index/index_front.h"

#include "formats/base/limits.h"
#include "pipeline/sys/must_alloc.h"

/* What is larger would push out thousands for one. */
#define VALUE_MAX (256u * KIB)

struct front_key {
    uint8_t b[16 + 1 + 32];
};

struct fronted {
    struct held held;
    struct front_key key;
    size_t len;
    uint8_t value[];
};

static struct front_key key_of(const struct id16 *project, enum front_kind kind,
                               const struct hash *key)
{
    struct front_key made;
    memcpy(made.b, project->b, 16);
    made.b[16] = (uint8_t)kind;
    memcpy(made.b + 17, key->b, 32);
    return made;
}

static void fronted_free(struct held *held)
{
    free(held);
}

struct held_cache *index_front_open(size_t bytes_max)
{
    return held_cache_open(bytes_max, fronted_free);
}

bool index_front_find(struct held_cache *front, const struct id16 *project,
                      enum front_kind kind, const struct hash *key, struct buf *out)
{
    struct front_key wanted = key_of(project, kind, key);
    struct held *held = held_cache_find(front, bytes_of(wanted.b, sizeof(wanted.b)));
    if (held == NULL)
        return false;
    const struct fronted *found = (const struct fronted *)held;
    buf_append(out, found->value, found->len);
    held_cache_drop(front, held);
    return true;
}

void index_front_add(struct held_cache *front, const struct id16 *project, enum front_kind kind,
                     const struct hash *key, struct bytes value)
{
    if (value.len > VALUE_MAX)
        return;
    struct fronted *made = must_alloc(1, sizeof(*made) + value.len);
    made->key = key_of(project, kind, key);
    made->held.key = bytes_of(made->key.b, sizeof(made->key.b));
    made->held.bytes = sizeof(*made) + value.len;
    made->len = value.len;
    memcpy(made->value, value.data, value.len);
    held_cache_drop(front, held_cache_add(front, &made->held));
}

void index_front_remove(struct held_cache *front, const struct id16 *project,
                        enum front_kind kind, const struct hash *key)
{
    struct front_key wanted = key_of(project, kind, key);
    held_cache_remove(front, bytes_of(wanted.b, sizeof(wanted.b)));
}
