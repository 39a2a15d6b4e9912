#include "formats/page_canonical.h"

#include "formats/base/hash.h"

/* Of an entry's form: kind 1, mode 2, size 8, hash 32, then the name behind its length. */
#define FIELDS_LEN 43u

static uint8_t *put(uint8_t *at, uint64_t value, unsigned bytes)
{
    for (unsigned i = bytes; i > 0; i--)
        *at++ = (uint8_t)(value >> (8 * (i - 1)));
    return at;
}

static uint8_t *fields_put(uint8_t *at, const struct entry *e)
{
    at = put(at, e->kind, 1);
    at = put(at, e->mode, 2);
    at = put(at, e->size, 8);
    memcpy(at, e->hash.b, sizeof(e->hash.b));
    return at + sizeof(e->hash.b);
}

static void reserve(struct page_canonical *c, struct arena *arena, size_t len, size_t n)
{
    if (len > c->cap) {
        c->cap = len;
        c->bytes = arena_alloc(arena, len);
    }
    if (n > c->cap_entries) {
        c->cap_entries = (uint32_t)n;
        c->at = arena_alloc(arena, n * sizeof(*c->at));
    }
}

void page_canonical_make(struct page_canonical *c, struct arena *arena, uint8_t level,
                         const struct entry *const *entries, size_t n)
{
    size_t len = 1;
    for (size_t i = 0; i < n; i++)
        len += page_weight(entries[i]->name);
    reserve(c, arena, len, n);
    uint8_t *at = put(c->bytes, level, 1);
    for (size_t i = 0; i < n; i++) {
        struct bytes name = entries[i]->name;
        c->at[i] = (uint32_t)(at - c->bytes);
        at = put(fields_put(at, entries[i]), name.len, 1);
        memcpy(at, name.data, name.len);
        at += name.len;
    }
    assert(at == c->bytes + len);
    c->len = len;
    c->n = (uint32_t)n;
}

static struct bytes name_at(const struct page_canonical *c, uint32_t i)
{
    const uint8_t *len = c->bytes + c->at[i] + FIELDS_LEN;
    return bytes_of(len + 1, *len);
}

void page_canonical_set(struct page_canonical *c, const struct entry *e)
{
    uint32_t low = 0;
    uint32_t high = c->n;
    while (high - low > 1) {
        uint32_t middle = low + (high - low) / 2;
        if (bytes_compare(name_at(c, middle), e->name) <= 0)
            low = middle;
        else
            high = middle;
    }
    assert(low < c->n && bytes_equal(name_at(c, low), e->name));
    (void)fields_put(c->bytes + c->at[low], e);
}

struct hash page_canonical_hash(const struct page_canonical *c)
{
    return sha512_256("micelio page", bytes_of(c->bytes, c->len));
}
