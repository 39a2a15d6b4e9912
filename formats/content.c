#include "formats/content.h"

#include "formats/base/hash.h"
#include "formats/base/limits.h"
#include "formats/blob.h"

void content_write(struct buf *out, const struct content *c)
{
    wr_u8(out, (uint8_t)c->kind);
    wr_u16(out, c->mode);
    wr_u64(out, c->size);
    wr_hash(out, &c->hash);
    wr_u8(out, (uint8_t)c->carrier);
    switch (c->carrier) {
    case CARRIER_INLINE_RAW:
    case CARRIER_INLINE_ZSTD:
        wr_run32(out, c->data);
        break;
    case CARRIER_TREE_RAW:
    case CARRIER_TREE_ZSTD:
        wr_u32(out, c->offset);
        wr_u32(out, c->len);
        break;
    case CARRIER_MANIFEST:
        wr_hash(out, &c->manifest);
        break;
    case CARRIER_BLOB:
    case CARRIER_SOURCE:
        break;
    }
}

static void carrier_read(struct reader *r, struct content *c)
{
    switch (c->carrier) {
    case CARRIER_INLINE_RAW:
    case CARRIER_INLINE_ZSTD:
        c->data = rd_run32(r, INLINE_CONTENT_MAX);
        break;
    case CARRIER_TREE_RAW:
    case CARRIER_TREE_ZSTD:
        c->offset = rd_u32(r);
        c->len = rd_u32(r);
        break;
    case CARRIER_MANIFEST:
        c->manifest = rd_hash(r);
        break;
    case CARRIER_BLOB:
    case CARRIER_SOURCE:
        break;
    }
}

/* What size and carrier have to do with each other: 0 or an error. */
static int content_fault(const struct content *c)
{
    switch (c->carrier) {
    case CARRIER_INLINE_RAW:
        return c->data.len == c->size ? 0 : ERR_CORRUPT;
    case CARRIER_INLINE_ZSTD:
        return c->size <= INLINE_CONTENT_MAX ? 0 : ERR_LIMIT;
    case CARRIER_TREE_RAW:
        return c->len == c->size ? 0 : ERR_CORRUPT;
    case CARRIER_TREE_ZSTD:
        return c->size <= TREE_CONTENTS_MAX ? 0 : ERR_LIMIT;
    case CARRIER_BLOB:
    case CARRIER_MANIFEST:
    case CARRIER_SOURCE:
        return c->size <= CONTENT_SIZE_MAX ? 0 : ERR_LIMIT;
    }
    return ERR_CORRUPT;
}

struct content content_read(struct reader *r)
{
    struct content c = {0};
    uint8_t kind = rd_u8(r);
    c.mode = rd_u16(r);
    c.size = rd_u64(r);
    c.hash = rd_hash(r);
    uint8_t carrier = rd_u8(r);
    if ((kind != KIND_FILE && kind != KIND_LINK) || carrier < CARRIER_INLINE_RAW ||
        carrier > CARRIER_TREE_ZSTD) {
        rd_fail(r, ERR_CORRUPT);
        return c;
    }
    c.kind = (enum kind)kind;
    c.carrier = (enum carrier)carrier;
    carrier_read(r, &c);
    if (!mode_ok(c.kind, c.mode)) {
        rd_fail(r, ERR_CORRUPT);
    }
    int fault = content_fault(&c);
    if (fault != 0) {
        rd_fail(r, fault);
    }
    return c;
}

struct content content_inline(struct arena *arena, enum kind kind, uint16_t mode,
                              struct bytes plain)
{
    assert((kind == KIND_FILE || kind == KIND_LINK) && mode_ok(kind, mode));
    assert(plain.len <= INLINE_CONTENT_MAX);
    struct content c = {
        .kind = kind,
        .mode = mode,
        .size = plain.len,
        .hash = sha256(plain),
        .carrier = CARRIER_INLINE_RAW,
    };
    AUTO_BUF frame = {0};
    zstd_pack(plain, &frame);
    if (frame.len < plain.len) {
        c.carrier = CARRIER_INLINE_ZSTD;
        plain = buf_bytes(&frame);
    }
    c.data = arena_copy(arena, plain);
    return c;
}

int content_unpack(struct arena *arena, bool zstd, struct bytes stored, uint64_t size,
                   const struct hash *hash, struct bytes *out)
{
    /* Nothing that is one run or one frame is larger than the largest chunk. */
    if (size > CHUNK_SIZE_MAX) {
        return ERR_LIMIT;
    }
    struct bytes plain = stored;
    if (zstd) {
        int err = zstd_unpack_arena(stored, size, arena, &plain);
        if (err != 0) {
            return err;
        }
    }
    if (plain.len != size) {
        return ERR_CORRUPT;
    }
    struct hash found = sha256(plain);
    if (!hash_equal(&found, hash)) {
        return ERR_CORRUPT;
    }
    *out = plain;
    return 0;
}

int content_plain(struct arena *arena, const struct content *c, struct bytes *out)
{
    if (c->carrier != CARRIER_INLINE_RAW && c->carrier != CARRIER_INLINE_ZSTD) {
        return ERR_INVALID;
    }
    bool zstd = c->carrier == CARRIER_INLINE_ZSTD;
    return content_unpack(arena, zstd, c->data, c->size, &c->hash, out);
}
