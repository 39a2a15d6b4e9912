/* Content that is uploaded by itself: one plain zstd frame, so that it can be served as it
 * lies; above the chunk size a manifest of chunks, each of them a blob. The only place that
 * calls zstd.
 *
 * Manifest:
 *   offset size field
 *        0   16 envelope "MMAN" version 1
 *       16    8 size of the content
 *       24   32 SHA-256 of the content
 *       56    4 chunk size: every chunk but the last has it
 *       60    4 count of chunks, each 32: SHA-256 of the chunk's plain bytes */
#ifndef FORMATS_BLOB_H
#define FORMATS_BLOB_H

#include "formats/base/arena.h"
#include "formats/base/buf.h"
#include "formats/base/err.h"
#include "formats/base/types.h"

struct manifest {
    uint64_t size;
    struct hash hash;
    uint32_t chunk_size;
    uint32_t n;
    struct hash *chunks;
};

void manifest_encode(const struct manifest *, struct buf *out);
/* Checks that count, size and chunk size agree. */
int manifest_decode(struct bytes in, struct arena *, struct manifest *out) MUST_USE;
/* Whether `in` begins as a manifest does; a zstd frame never does. */
bool manifest_is(struct bytes in);

/* Appends one frame that says its content's size. Fast level; the same bytes for the same
 * content and library. */
void zstd_pack(struct bytes plain, struct buf *out);
/* Appends exactly `size` bytes, or ERR_CORRUPT: also for a frame that says no size or another,
 * or is not alone. Never allocates by what the frame says: by `size` only, where the frame may
 * hold it. */
int zstd_unpack(struct bytes frame, uint64_t size, struct buf *out) MUST_USE;
/* The same into fresh memory of the arena. */
int zstd_unpack_arena(struct bytes frame, uint64_t size, struct arena *,
                      struct bytes *out) MUST_USE;
/* The content size that the frame says; ERR_CORRUPT when it says none or is no frame. */
int zstd_size(struct bytes frame, uint64_t *out) MUST_USE;

#endif
