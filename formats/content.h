/* Content that an operation brings: its name, and where its bytes are.
 *
 *   size field
 *      1 kind (1 file, 2 link)
 *      2 mode
 *      8 size of the plain bytes
 *     32 hash: SHA-256 of the plain bytes
 *      1 carrier
 *        for INLINE_RAW, INLINE_ZSTD: 4 + n the bytes
 *        for TREE_RAW, TREE_ZSTD:     4 offset, 4 length, in the tree object of the landing
 *        for MANIFEST:                32 SHA-256 of the manifest */
#ifndef FORMATS_CONTENT_H
#define FORMATS_CONTENT_H

#include "formats/base/arena.h"
#include "formats/entry.h"

enum carrier {
    CARRIER_INLINE_RAW = 1,
    CARRIER_INLINE_ZSTD = 2,
    CARRIER_BLOB = 3,     /* uploaded before */
    CARRIER_MANIFEST = 4, /* uploaded before, in chunks; `manifest` may be zero in a request */
    /* What the session or the operation's path already has under this hash. */
    CARRIER_SOURCE = 5,
    CARRIER_TREE_RAW = 6,  /* after landing */
    CARRIER_TREE_ZSTD = 7, /* after landing */
};

struct content {
    enum kind kind; /* KIND_FILE or KIND_LINK */
    uint16_t mode;
    uint64_t size;
    struct hash hash;
    enum carrier carrier;
    struct bytes data;    /* INLINE: raw bytes or a frame */
    uint32_t offset;      /* TREE */
    uint32_t len;         /* TREE */
    struct hash manifest; /* MANIFEST */
};

void content_write(struct buf *, const struct content *);
/* Byte runs point into the input. */
struct content content_read(struct reader *);

/* Makes an inline content out of plain bytes (at most INLINE_CONTENT_MAX): hashes, and
 * compresses where that is shorter. The bytes are copied into the arena. */
struct content content_inline(struct arena *, enum kind, uint16_t mode, struct bytes plain);
/* The plain bytes of an inline content, checked against size and hash (ERR_CORRUPT);
 * ERR_INVALID when it is not inline. Raw ones stay where they are. */
int content_plain(struct arena *, const struct content *, struct bytes *out) MUST_USE;
/* The same check for bytes that lie somewhere: `stored` as raw or one frame. ERR_LIMIT for a
 * size over CHUNK_SIZE_MAX: what is larger lies in chunks. */
int content_unpack(struct arena *, bool zstd, struct bytes stored, uint64_t size,
                   const struct hash *, struct bytes *out) MUST_USE;

#endif
