/* Memory that is dropped at once: one arena a batch or request. Not thread-safe: it has one
 * owner. Running out of memory aborts, so a size from outside meets a limit before it comes
 * here. */
#ifndef FORMATS_BASE_ARENA_H
#define FORMATS_BASE_ARENA_H

#include "formats/base/types.h"

struct arena_block;

struct arena {
    struct arena_block *blocks;
    size_t used; /* bytes handed out, for accounting */
};

/* An arena that is all zero is ready for use. */
void arena_init(struct arena *);
void arena_release(struct arena *);

/* `len` bytes aligned for any type, not cleared. Never NULL; `len` 0 gives a valid pointer. */
void *arena_alloc(struct arena *, size_t len) MUST_USE;
/* `n` times `size` zeroed bytes. */
void *arena_zalloc(struct arena *, size_t n, size_t size) MUST_USE;
/* A copy of `data`. */
struct bytes arena_copy(struct arena *, struct bytes data) MUST_USE;
/* A copy of `s` that ends in NUL. */
char *arena_str(struct arena *, struct bytes s) MUST_USE;
char *arena_printf(struct arena *, const char *fmt, ...) MUST_USE
    __attribute__((format(printf, 2, 3)));

#define arena_new(a, type)      ((type *)arena_zalloc((a), 1, sizeof(type)))
#define arena_array(a, n, type) ((type *)arena_zalloc((a), (n), sizeof(type)))

/* Appends room for one more `size`-byte item to a growing array in the arena: `*items` has `*n`
 * of
 * `*cap`. Gives the new item, zeroed, and counts it. */
void *arena_push(struct arena *, void **items, size_t *n, size_t *cap, size_t size) MUST_USE;

#endif
