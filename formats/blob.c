#include "formats/blob.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <zstd.h>

#include "formats/base/limits.h"
#include "formats/base/wire.h"

#define MANIFEST_VERSION 1u
static const char manifest_magic[4] = "MMAN";

void manifest_encode(const struct manifest *m, struct buf *out)
{
    size_t at = envelope_begin(out, manifest_magic, MANIFEST_VERSION);
    wr_u64(out, m->size);
    wr_hash(out, &m->hash);
    wr_u32(out, m->chunk_size);
    wr_u32(out, m->n);
    wr_bytes(out, bytes_of(m->chunks, (size_t)m->n * sizeof(*m->chunks)));
    envelope_close(out, at);
}

/* As many chunks as the size needs, and not one more. */
static bool manifest_agrees(const struct manifest *m)
{
    if (m->chunk_size < CHUNK_SIZE_MIN || m->chunk_size > CHUNK_SIZE_MAX || m->size == 0 ||
        m->size > CONTENT_SIZE_MAX) {
        return false;
    }
    return (m->size - 1) / m->chunk_size + 1 == m->n;
}

int manifest_decode(struct bytes in, struct arena *arena, struct manifest *out)
{
    struct reader r;
    int err = envelope_open(in, manifest_magic, MANIFEST_VERSION, &r);
    if (err != 0) {
        return err;
    }
    struct manifest m = {0};
    m.size = rd_u64(&r);
    m.hash = rd_hash(&r);
    m.chunk_size = rd_u32(&r);
    m.n = rd_count(&r, sizeof(struct hash), MANIFEST_CHUNKS_MAX);
    struct bytes chunks = rd_bytes(&r, (size_t)m.n * sizeof(struct hash));
    err = rd_end(&r);
    if (err != 0) {
        return err;
    }
    if (!manifest_agrees(&m)) {
        return ERR_CORRUPT;
    }
    m.chunks = arena_alloc(arena, chunks.len);
    memcpy(m.chunks, chunks.data, chunks.len);
    *out = m;
    return 0;
}

bool manifest_is(struct bytes in)
{
    return in.len >= sizeof(manifest_magic) &&
           memcmp(in.data, manifest_magic, sizeof(manifest_magic)) == 0;
}

/* A context is large and slow to make, so each thread keeps one of each for its lifetime. */
struct codec {
    ZSTD_CCtx *pack;
    ZSTD_DCtx *unpack;
};

static pthread_once_t codec_once = PTHREAD_ONCE_INIT;
static pthread_key_t codec_key;
static _Thread_local struct codec *codec_mine;

static void must(bool ok)
{
    if (!ok) {
        (void)fputs("out of memory for zstd\n", stderr);
        abort();
    }
}

static void codec_release(void *arg)
{
    struct codec *codec = arg;
    (void)ZSTD_freeCCtx(codec->pack);
    (void)ZSTD_freeDCtx(codec->unpack);
    free(codec);
    codec_mine = NULL;
}

static void codec_key_make(void)
{
    must(pthread_key_create(&codec_key, codec_release) == 0);
}

static struct codec *codec_get(void)
{
    if (codec_mine != NULL) {
        return codec_mine;
    }
    must(pthread_once(&codec_once, codec_key_make) == 0);
    struct codec *codec = malloc(sizeof(*codec));
    must(codec != NULL);
    codec->pack = ZSTD_createCCtx();
    codec->unpack = ZSTD_createDCtx();
    must(codec->pack != NULL && codec->unpack != NULL);
    must(pthread_setspecific(codec_key, codec) == 0);
    codec_mine = codec;
    return codec;
}

#define LEVEL_FAST 1

void zstd_pack(struct bytes plain, struct buf *out)
{
    size_t room = ZSTD_compressBound(plain.len);
    uint8_t *at = buf_reserve(out, room);
    size_t len =
        ZSTD_compressCCtx(codec_get()->pack, at, room, plain.data, plain.len, LEVEL_FAST);
    /* With room for the worst case nothing is left that could go wrong but memory. */
    must(!ZSTD_isError(len));
    out->len += len;
}

/* Within one block, which takes at least four bytes, a frame can say at most 128 KiB. */
#define FRAME_GROWTH_MAX (128u * KIB / 4)

int zstd_size(struct bytes frame, uint64_t *out)
{
    static const uint8_t magic[4] = {0x28, 0xb5, 0x2f, 0xfd};
    /* The library also takes skippable and very old frames; ours are neither. */
    if (frame.len < sizeof(magic) || memcmp(frame.data, magic, sizeof(magic)) != 0) {
        return ERR_CORRUPT;
    }
    unsigned long long size = ZSTD_getFrameContentSize(frame.data, frame.len);
    if (size == ZSTD_CONTENTSIZE_UNKNOWN || size == ZSTD_CONTENTSIZE_ERROR) {
        return ERR_CORRUPT;
    }
    *out = size;
    return 0;
}

/* Whether `frame` says `size` and can hold that much: asked before memory is spent on it. */
static bool frame_may_hold(struct bytes frame, uint64_t size)
{
    uint64_t said;
    return zstd_size(frame, &said) == 0 && said == size &&
           size / FRAME_GROWTH_MAX <= frame.len && size <= SIZE_MAX / 4;
}

static bool unpack_into(struct bytes frame, uint8_t *at, size_t size)
{
    /* One frame exactly: the library would go on to a second one. */
    size_t used = ZSTD_findFrameCompressedSize(frame.data, frame.len);
    if (ZSTD_isError(used) || used != frame.len) {
        return false;
    }
    size_t len = ZSTD_decompressDCtx(codec_get()->unpack, at, size, frame.data, frame.len);
    return !ZSTD_isError(len) && len == size;
}

int zstd_unpack(struct bytes frame, uint64_t size, struct buf *out)
{
    if (!frame_may_hold(frame, size) ||
        !unpack_into(frame, buf_reserve(out, (size_t)size), (size_t)size)) {
        return ERR_CORRUPT;
    }
    out->len += (size_t)size;
    return 0;
}

int zstd_unpack_arena(struct bytes frame, uint64_t size, struct arena *arena, struct bytes *out)
{
    if (!frame_may_hold(frame, size)) {
        return ERR_CORRUPT;
    }
    uint8_t *at = arena_alloc(arena, (size_t)size);
    if (!unpack_into(frame, at, (size_t)size)) {
        return ERR_CORRUPT;
    }
    *out = bytes_of(at, (size_t)size);
    return 0;
}
