#include "formats/base/wire.h"

#include "formats/base/hash.h"

#define CHECKSUM_AT 8u

void rd_init(struct reader *r, struct bytes in)
{
    static const uint8_t nothing;
    r->at = in.data == NULL ? &nothing : in.data;
    r->end = r->at + in.len;
    r->err = OK;
}

size_t rd_left(const struct reader *r)
{
    return (size_t)(r->end - r->at);
}

void rd_fail(struct reader *r, int err)
{
    assert(err != OK);
    if (r->err == OK) {
        r->err = err;
    }
    /* Nothing is left, so that a loop over what is left ends and every later read fails,
     * too. */
    r->at = r->end;
}

int rd_error(const struct reader *r)
{
    return r->err;
}

int rd_end(struct reader *r)
{
    if (r->err == OK && r->at != r->end) {
        rd_fail(r, ERR_CORRUPT);
    }
    return r->err;
}

/* The next `len` bytes, or NULL when there are not so many. */
static const uint8_t *take(struct reader *r, size_t len)
{
    if (len > rd_left(r) || r->err != OK) {
        rd_fail(r, ERR_CORRUPT);
        return NULL;
    }
    const uint8_t *at = r->at;
    r->at += len;
    return at;
}

static uint64_t take_number(struct reader *r, size_t len)
{
    const uint8_t *at = take(r, len);
    uint64_t number = 0;
    for (size_t i = 0; at != NULL && i < len; i++) {
        number = number << 8 | at[i];
    }
    return number;
}

uint8_t rd_u8(struct reader *r)
{
    return (uint8_t)take_number(r, 1);
}

uint16_t rd_u16(struct reader *r)
{
    return (uint16_t)take_number(r, 2);
}

uint32_t rd_u32(struct reader *r)
{
    return (uint32_t)take_number(r, 4);
}

uint64_t rd_u64(struct reader *r)
{
    return take_number(r, 8);
}

struct hash rd_hash(struct reader *r)
{
    struct hash hash = {{0}};
    const uint8_t *at = take(r, sizeof(hash.b));
    if (at != NULL) {
        memcpy(hash.b, at, sizeof(hash.b));
    }
    return hash;
}

struct id16 rd_id16(struct reader *r)
{
    struct id16 id = {{0}};
    const uint8_t *at = take(r, sizeof(id.b));
    if (at != NULL) {
        memcpy(id.b, at, sizeof(id.b));
    }
    return id;
}

struct bytes rd_bytes(struct reader *r, size_t len)
{
    const uint8_t *at = take(r, len);
    return bytes_of(at, at == NULL ? 0 : len);
}

static struct bytes take_run(struct reader *r, size_t len, size_t max)
{
    if (len > max) {
        rd_fail(r, ERR_LIMIT);
    }
    return rd_bytes(r, len);
}

struct bytes rd_run8(struct reader *r, size_t max)
{
    size_t len = rd_u8(r);
    return take_run(r, len, max);
}

struct bytes rd_run16(struct reader *r, size_t max)
{
    size_t len = rd_u16(r);
    return take_run(r, len, max);
}

struct bytes rd_run32(struct reader *r, size_t max)
{
    size_t len = rd_u32(r);
    return take_run(r, len, max);
}

uint32_t rd_count(struct reader *r, size_t item_min, uint32_t max)
{
    assert(item_min > 0);
    uint32_t n = rd_u32(r);
    if (n > max) {
        rd_fail(r, ERR_LIMIT);
    } else if (n > rd_left(r) / item_min) {
        rd_fail(r, ERR_CORRUPT);
    }
    return r->err == OK ? n : 0;
}

bool rd_bool(struct reader *r)
{
    uint8_t b = rd_u8(r);
    if (b > 1) {
        rd_fail(r, ERR_CORRUPT);
    }
    return b == 1;
}

static void store_number(uint8_t *at, uint64_t number, size_t len)
{
    for (size_t i = len; i > 0; i--) {
        at[i - 1] = (uint8_t)number;
        number >>= 8;
    }
}

static void append_number(struct buf *out, uint64_t number, size_t len)
{
    store_number(buf_reserve(out, len), number, len);
    out->len += len;
}

void wr_u8(struct buf *out, uint8_t number)
{
    append_number(out, number, 1);
}

void wr_u16(struct buf *out, uint16_t number)
{
    append_number(out, number, 2);
}

void wr_u32(struct buf *out, uint32_t number)
{
    append_number(out, number, 4);
}

void wr_u64(struct buf *out, uint64_t number)
{
    append_number(out, number, 8);
}

void wr_hash(struct buf *out, const struct hash *hash)
{
    buf_append(out, hash->b, sizeof(hash->b));
}

void wr_id16(struct buf *out, const struct id16 *id)
{
    buf_append(out, id->b, sizeof(id->b));
}

void wr_bytes(struct buf *out, struct bytes bytes)
{
    buf_append_bytes(out, bytes);
}

void wr_run8(struct buf *out, struct bytes run)
{
    assert(run.len <= UINT8_MAX);
    append_number(out, run.len, 1);
    buf_append_bytes(out, run);
}

void wr_run16(struct buf *out, struct bytes run)
{
    assert(run.len <= UINT16_MAX);
    append_number(out, run.len, 2);
    buf_append_bytes(out, run);
}

void wr_run32(struct buf *out, struct bytes run)
{
    assert(run.len <= UINT32_MAX);
    append_number(out, run.len, 4);
    buf_append_bytes(out, run);
}

size_t envelope_begin(struct buf *out, const char magic[4], uint16_t version)
{
    size_t at = out->len;
    buf_append(out, magic, 4);
    wr_u16(out, version);
    wr_u16(out, 0);
    wr_u64(out, 0);
    return at;
}

void envelope_close(struct buf *out, size_t at)
{
    assert(at <= out->len && out->len - at >= ENVELOPE_LEN);
    size_t body = at + ENVELOPE_LEN;
    uint64_t checksum = xxh3_64(bytes_of(out->data + body, out->len - body));
    store_number(out->data + at + CHECKSUM_AT, checksum, 8);
}

int envelope_open(struct bytes in, const char magic[4], uint16_t version, struct reader *body)
{
    struct reader r;
    rd_init(&r, in);
    struct bytes found = rd_bytes(&r, 4);
    uint16_t found_version = rd_u16(&r);
    uint16_t zero = rd_u16(&r);
    uint64_t checksum = rd_u64(&r);
    if (rd_error(&r) != OK || !bytes_equal(found, bytes_of(magic, 4)) ||
        found_version != version || zero != 0 ||
        checksum != xxh3_64(bytes_of(r.at, rd_left(&r)))) {
        return ERR_CORRUPT;
    }
    *body = r;
    return OK;
}
