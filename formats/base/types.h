/* The words that every file uses: byte slices, ids, hashes, and the few macros of the house. */
#ifndef FORMATS_BASE_TYPES_H
#define FORMATS_BASE_TYPES_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#define UNUSED       __attribute__((unused))
#define MUST_USE     __attribute__((warn_unused_result))
/* Runs `fn` on the variable's address when it leaves its scope. */
#define AUTO(fn) __attribute__((cleanup(fn)))

/* Bytes that somebody else owns. `data` may be NULL when `len` is 0. */
struct bytes {
    const uint8_t *data;
    size_t len;
};

/* A 32-byte hash: SHA-256 of content, SHA-512/256 of pages. All zero means "none". */
struct hash {
    uint8_t b[32];
};

/* A 16-byte id: of a project, a session, an owner or a record. All zero means "none". */
struct id16 {
    uint8_t b[16];
};

static inline struct bytes bytes_of(const void *data, size_t len)
{
    return (struct bytes){.data = data, .len = len};
}

static inline struct bytes bytes_str(const char *s)
{
    return bytes_of(s, strlen(s));
}

static inline bool bytes_equal(struct bytes a, struct bytes b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

/* Order of unsigned bytes; a prefix comes before what it is a prefix of. */
static inline int bytes_compare(struct bytes a, struct bytes b)
{
    size_t n = a.len < b.len ? a.len : b.len;
    int c = n == 0 ? 0 : memcmp(a.data, b.data, n);
    return c != 0 ? c : (a.len > b.len) - (a.len < b.len);
}

static inline bool hash_equal(const struct hash *a, const struct hash *b)
{
    return memcmp(a->b, b->b, sizeof(a->b)) == 0;
}

static inline int hash_compare(const struct hash *a, const struct hash *b)
{
    return memcmp(a->b, b->b, sizeof(a->b));
}

static inline bool hash_is_zero(const struct hash *h)
{
    static const struct hash zero;
    return hash_equal(h, &zero);
}

static inline bool id16_equal(const struct id16 *a, const struct id16 *b)
{
    return memcmp(a->b, b->b, sizeof(a->b)) == 0;
}

static inline int id16_compare(const struct id16 *a, const struct id16 *b)
{
    return memcmp(a->b, b->b, sizeof(a->b));
}

static inline bool id16_is_zero(const struct id16 *id)
{
    static const struct id16 zero;
    return id16_equal(id, &zero);
}

#endif
