#include "formats/base/arena.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define BLOCK_FIRST 4096u
#define BLOCK_MOST  (1024u * 1024u)
#define ALIGNMENT   _Alignof(max_align_t)

struct arena_block {
    struct arena_block *next;
    size_t cap;
    size_t len;
    _Alignas(max_align_t) uint8_t data[];
};

static void *must_have(void *memory)
{
    if (memory == NULL) {
        (void)fputs("out of memory\n", stderr);
        abort();
    }
    return memory;
}

static size_t must_multiply(size_t a, size_t b)
{
    size_t product;
    if (__builtin_mul_overflow(a, b, &product)) {
        must_have(NULL);
    }
    return product;
}

void arena_init(struct arena *arena)
{
    *arena = (struct arena){0};
}

void arena_release(struct arena *arena)
{
    struct arena_block *block = arena->blocks;
    while (block != NULL) {
        struct arena_block *next = block->next;
        free(block);
        block = next;
    }
    arena_init(arena);
}

static struct arena_block *block_new(size_t cap)
{
    if (cap > SIZE_MAX / 2) {
        must_have(NULL);
    }
    struct arena_block *block = must_have(malloc(sizeof(*block) + cap));
    block->next = NULL;
    block->cap = cap;
    block->len = 0;
    return block;
}

/* A block with `len` bytes free. What is large gets a block of its own behind the first, so
 * that the rest of the first stays in use. */
static struct arena_block *block_with(struct arena *arena, size_t len)
{
    struct arena_block *first = arena->blocks;
    if (first != NULL && first->cap - first->len >= len) {
        return first;
    }
    size_t cap = first == NULL ? BLOCK_FIRST : first->cap * 2;
    cap = cap > BLOCK_MOST ? BLOCK_MOST : cap;
    if (first != NULL && len > cap / 4) {
        struct arena_block *own = block_new(len);
        own->next = first->next;
        first->next = own;
        return own;
    }
    struct arena_block *block = block_new(len > cap ? len : cap);
    block->next = first;
    arena->blocks = block;
    return block;
}

void *arena_alloc(struct arena *arena, size_t len)
{
    if (len > SIZE_MAX / 2) {
        must_have(NULL);
    }
    size_t room = len == 0 ? ALIGNMENT : (len + ALIGNMENT - 1) & ~(ALIGNMENT - 1);
    struct arena_block *block = block_with(arena, room);
    void *memory = block->data + block->len;
    block->len += room;
    arena->used += room;
    return memory;
}

void *arena_zalloc(struct arena *arena, size_t n, size_t size)
{
    size_t len = must_multiply(n, size);
    return memset(arena_alloc(arena, len), 0, len);
}

struct bytes arena_copy(struct arena *arena, struct bytes data)
{
    uint8_t *copy = arena_alloc(arena, data.len);
    if (data.len > 0) {
        memcpy(copy, data.data, data.len);
    }
    return bytes_of(copy, data.len);
}

char *arena_str(struct arena *arena, struct bytes s)
{
    if (s.len == SIZE_MAX) {
        must_have(NULL);
    }
    char *copy = arena_alloc(arena, s.len + 1);
    if (s.len > 0) {
        memcpy(copy, s.data, s.len);
    }
    copy[s.len] = '\0';
    return copy;
}

char *arena_printf(struct arena *arena, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    int len = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    assert(len >= 0);
    char *text = arena_alloc(arena, (size_t)len + 1);
    va_start(args, fmt);
    (void)vsnprintf(text, (size_t)len + 1, fmt, args);
    va_end(args);
    return text;
}

void *arena_push(struct arena *arena, void **items, size_t *n, size_t *cap, size_t size)
{
    assert(*n <= *cap && size > 0);
    if (*n == *cap) {
        size_t more = *cap == 0 ? 8 : must_multiply(*cap, 2);
        uint8_t *grown = arena_alloc(arena, must_multiply(more, size));
        if (*n > 0) {
            memcpy(grown, *items, *n * size);
        }
        *items = grown;
        *cap = more;
    }
    uint8_t *item = (uint8_t *)*items + *n * size;
    *n += 1;
    return memset(item, 0, size);
}
