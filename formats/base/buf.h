/* A byte buffer that grows, on the heap. All zero is an empty one. Out of memory aborts. */
#ifndef FORMATS_BASE_BUF_H
#define FORMATS_BASE_BUF_H

#include "formats/base/types.h"

struct buf {
    uint8_t *data;
    size_t len;
    size_t cap;
};

void buf_init(struct buf *);
void buf_release(struct buf *);
void buf_clear(struct buf *); /* len 0, memory kept */
/* Makes room for `more` bytes and gives where they go; the caller adds to len what it wrote. */
uint8_t *buf_reserve(struct buf *, size_t more);
void buf_append(struct buf *, const void *data, size_t len);
void buf_append_bytes(struct buf *, struct bytes);
void buf_printf(struct buf *, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static inline struct bytes buf_bytes(const struct buf *b)
{
    return bytes_of(b->data, b->len);
}

#define AUTO_BUF AUTO(buf_release) struct buf

#endif
