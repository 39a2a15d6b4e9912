#include "pipeline/derive/index/index_filter.h"

#include "pipeline/sys/must_alloc.h"

/* All bits of a key lie in one line of the processor's cache. */
#define LINE_WORDS    8u
#define KEYS_PER_LINE 32u
#define BITS_PER_KEY  4u

struct index_filter {
    uint64_t keys_max;
    uint64_t keys;
    uint64_t n_lines;
    uint64_t *lines;
};

struct index_filter *index_filter_open(uint64_t keys)
{
    struct index_filter *f = must_alloc(1, sizeof(*f));
    f->keys_max = keys;
    f->n_lines = keys / KEYS_PER_LINE + 1;
    f->lines = must_alloc(f->n_lines, LINE_WORDS * sizeof(*f->lines));
    return f;
}

void index_filter_close(struct index_filter *f)
{
    if (f == NULL)
        return;
    free(f->lines);
    free(f);
}

/* Keys are hashes, so their bytes are as good as hashes of them. */
static uint64_t part(const struct hash *key, size_t at)
{
    uint64_t part;
    memcpy(&part, key->b + at, sizeof(part));
    return part;
}

static uint64_t *line_of(const struct index_filter *f, const struct hash *key)
{
    return f->lines + part(key, 0) % f->n_lines * LINE_WORDS;
}

void index_filter_add(struct index_filter *f, const struct hash *key)
{
    uint64_t *line = line_of(f, key);
    uint64_t bits = part(key, 8);
    for (unsigned i = 0; i < BITS_PER_KEY; i++, bits >>= 9)
        line[bits / 64 % LINE_WORDS] |= 1ull << bits % 64;
    f->keys++;
}

bool index_filter_may(const struct index_filter *f, const struct hash *key)
{
    const uint64_t *line = line_of(f, key);
    uint64_t bits = part(key, 8);
    bool all = true;
    for (unsigned i = 0; i < BITS_PER_KEY; i++, bits >>= 9)
        all = all && (line[bits / 64 % LINE_WORDS] >> bits % 64 & 1) != 0;
    return all;
}

bool index_filter_full(const struct index_filter *f)
{
    return f->keys > f->keys_max;
}
