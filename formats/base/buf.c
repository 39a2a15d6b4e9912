#include "formats/base/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define CAP_FIRST 64u

static void out_of_memory(void) __attribute__((noreturn));
static void out_of_memory(void)
{
    (void)fputs("out of memory\n", stderr);
    abort();
}

void buf_init(struct buf *buf)
{
    *buf = (struct buf){0};
}

void buf_release(struct buf *buf)
{
    free(buf->data);
    buf_init(buf);
}

void buf_clear(struct buf *buf)
{
    buf->len = 0;
}

uint8_t *buf_reserve(struct buf *buf, size_t more)
{
    if (buf->cap - buf->len < more || buf->data == NULL) {
        size_t need;
        if (__builtin_add_overflow(buf->len, more, &need) || need > SIZE_MAX / 4) {
            out_of_memory();
        }
        size_t cap = buf->cap + buf->cap / 2;
        cap = cap < need ? need : cap;
        cap = cap < CAP_FIRST ? CAP_FIRST : cap;
        uint8_t *data = realloc(buf->data, cap);
        if (data == NULL) {
            out_of_memory();
        }
        buf->data = data;
        buf->cap = cap;
    }
    return buf->data + buf->len;
}

void buf_append(struct buf *buf, const void *data, size_t len)
{
    if (len > 0) {
        memcpy(buf_reserve(buf, len), data, len);
        buf->len += len;
    }
}

void buf_append_bytes(struct buf *buf, struct bytes bytes)
{
    buf_append(buf, bytes.data, bytes.len);
}

void buf_printf(struct buf *buf, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    size_t room = buf->cap - buf->len;
    char *at = room == 0 ? NULL : (char *)buf->data + buf->len;
    int len = vsnprintf(at, room, fmt, args);
    va_end(args);
    assert(len >= 0);
    if ((size_t)len >= room) {
        /* vsnprintf wants room for a NUL, which is not counted. */
        at = (char *)buf_reserve(buf, (size_t)len + 1);
        va_start(args, fmt);
        (void)vsnprintf(at, (size_t)len + 1, fmt, args);
        va_end(args);
    }
    buf->len += (size_t)len;
}
