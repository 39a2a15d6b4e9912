#include "pipeline/store/s3_inside.h"

#include <inttypes.h>
#include <stdio.h>

/* An offset that servers may not be able to read; no object is as large. */
#define OFFSET_ODD   (1ull << 62)
#define RESERVE_MOST (64u << 20) /* of what an answer promises to be long */

/* Takes digits and the byte `end` behind them; "" for the end of the text. */
static bool read_number(struct bytes *text, const char *end, uint64_t *out)
{
    uint64_t value = 0;
    size_t i = 0;
    for (; i < text->len && text->data[i] >= '0' && text->data[i] <= '9' && i < 19; i++) {
        value = value * 10 + (uint64_t)(text->data[i] - '0');
    }
    size_t end_len = strlen(end);
    bool ended =
        end_len == 0 ? i == text->len : i < text->len && text->data[i] == (uint8_t)end[0];
    if (i == 0 || !ended) {
        return false;
    }
    *text = bytes_of(text->data + i + end_len, text->len - i - end_len);
    *out = value;
    return true;
}

static int take_body(void *arg, struct bytes data)
{
    struct s3_call *call = arg;
    struct bytes length;
    uint64_t promised = 0;
    if (call->got == 0 && http_header(&call->http, "content-length", &length) &&
        !read_number(&length, "", &promised)) {
        promised = 0;
    }
    if (promised > STORE_GET_MAX || data.len > STORE_GET_MAX - call->got) {
        call->too_big = true;
        return ERR_LIMIT;
    }
    if (promised > 0) {
        (void)buf_reserve(call->op->body,
                          promised < RESERVE_MOST ? (size_t)promised : RESERVE_MOST);
    }
    buf_append_bytes(call->op->body, data);
    call->got += data.len;
    return OK;
}

/* No Range can say "no bytes", so for these only the size is asked for. */
static bool wants_no_bytes(const struct store_range *range)
{
    switch (range->kind) {
    case RANGE_ALL:
        return false;
    case RANGE_FROM:
        return range->len == 0 || range->offset >= OFFSET_ODD;
    case RANGE_SUFFIX:
        return range->len == 0;
    case RANGE_NONE:
        return true;
    }
    return false;
}

/* One byte more than a get may give shows that the object has too many. */
static uint64_t bounded(uint64_t len)
{
    return len <= STORE_GET_MAX ? len : STORE_GET_MAX + 1;
}

void s3_get_write(struct s3_call *call)
{
    const struct store_range *range = &call->op->range;
    call->got = 0;
    call->too_big = false;
    call->range[0] = '\0';
    if (call->op->body != NULL) {
        call->op->body->len = call->body_at;
    }
    if (call->by_head || wants_no_bytes(range)) {
        call->what = S3_HEAD;
        call->http.method = "HEAD";
        call->http.sink.write = NULL;
        return;
    }
    call->what = S3_GET;
    call->http.method = "GET";
    call->http.sink = (struct http_sink){.write = take_body, .arg = call};
    if (range->kind == RANGE_FROM) {
        (void)snprintf(call->range, sizeof(call->range), "bytes=%" PRIu64 "-%" PRIu64,
                       range->offset, range->offset + bounded(range->len) - 1);
    } else if (range->kind == RANGE_SUFFIX) {
        (void)snprintf(call->range, sizeof(call->range), "bytes=-%" PRIu64,
                       bounded(range->len));
    }
}

/* `bytes FIRST-LAST/SIZE` */
static bool read_content_range(const struct http_call *http, uint64_t *first, uint64_t *last,
                               uint64_t *size)
{
    struct bytes text;
    if (!http_header(http, "content-range", &text) || text.len < 6 ||
        memcmp(text.data, "bytes ", 6) != 0) {
        return false;
    }
    text = bytes_of(text.data + 6, text.len - 6);
    return read_number(&text, "-", first) && read_number(&text, "/", last) &&
           read_number(&text, "", size) && *first <= *last && *last < *size;
}

static int odd(struct s3_call *call, const char *what)
{
    call->odd = what;
    return ERR_AGAIN;
}

static int check_size(struct s3_call *call, uint64_t size)
{
    uint64_t offset;
    uint64_t len;
    int err = range_resolve(call->op->range, size, &offset, &len);
    if (err == OK && len > 0 && !wants_no_bytes(&call->op->range)) {
        /* It was said to have no such range, and has it now. */
        call->by_head = false;
        return odd(call, "it gives no part of an object that has it");
    }
    call->op->size = size;
    return err;
}

/* The server has sent the whole object: what was asked for is cut out. */
static int check_whole(struct s3_call *call)
{
    struct buf *body = call->op->body;
    uint64_t offset;
    uint64_t len;
    int err = range_resolve(call->op->range, call->got, &offset, &len);
    if (err != OK) {
        return err;
    }
    if (len > 0 && offset > 0) {
        memmove(body->data + call->body_at, body->data + call->body_at + offset, (size_t)len);
    }
    body->len = call->body_at + (size_t)len;
    call->op->size = call->got;
    return OK;
}

static int check_part(struct s3_call *call)
{
    uint64_t first;
    uint64_t last;
    uint64_t size;
    uint64_t offset;
    uint64_t len;
    if (call->range[0] == '\0' || !read_content_range(&call->http, &first, &last, &size)) {
        return odd(call, "it gives a part, and not of what it is");
    }
    if (range_resolve(call->op->range, size, &offset, &len) != OK || first != offset ||
        last - first + 1 != len || call->got != len) {
        return odd(call, "it gives another part than was asked for");
    }
    call->op->size = size;
    return OK;
}

int s3_get_check(struct s3_call *call)
{
    const struct http_call *http = &call->http;
    struct bytes length;
    uint64_t size;
    if (http->status == 416) {
        call->by_head = true;
        return ERR_AGAIN;
    }
    if (!s3_etag_read(http, &call->op->etag)) {
        return odd(call, "it gives no strong ETag");
    }
    /* Without a length nobody can tell that a body was cut. */
    if (!http_header(http, "content-length", &length) || !read_number(&length, "", &size)) {
        return odd(call, "it gives no Content-Length");
    }
    if (call->what == S3_HEAD) {
        return check_size(call, size);
    }
    if (size != call->got) {
        return odd(call, "its Content-Length is wrong");
    }
    return http->status == 200 ? check_whole(call) : check_part(call);
}
