/* Zstandard, by its library. Input is packed in blocks of one size out of a ring of one size,
 * and unpacked through one buffer of one size, so that a frame depends on nothing but input and
 * level.
 *
 * The library's stream packs out of a ring of its own that is hardly longer than the window, so
 * that most of what a block can refer to lies behind a seam, and a search that has to mind the
 * seam takes a third more time. A longer ring needs the calls that leave buffers to who calls
 * them, which the library has for programs of one version of it; the digest of the function
 * covers the version. */
#define ZSTD_STATIC_LINKING_ONLY
#define ZSTD_DISABLE_DEPRECATE_WARNINGS
#include <zstd.h>

#include "pipeline/derive/functions/builtin.h"
#include "pipeline/derive/functions/fn_feed.h"

#define LEVEL_MAX 19u
/* Windows up to 128 MiB: as much memory as a frame may ask for. */
#define WINDOW_LOG_MAX 27
/* The seam of the ring costs time while the window reaches behind it: so the ring is several
 * windows long where the search is fast, and at least two. */
#define RING_LEAST (16u * MIB)
#define BLOCK      ((size_t)ZSTD_BLOCKSIZE_MAX)
_Static_assert(RING_LEAST % ZSTD_BLOCKSIZE_MAX == 0, "a ring is whole blocks");

static int level_of(const struct fn_run *run, uint64_t *out)
{
    int err = fn_parameter_u64(run, "level", 3, out);
    if (err == OK && (*out == 0 || *out > LEVEL_MAX))
        return fn_refuse(run, "level", "not between 1 and %u", LEVEL_MAX);
    return err;
}

static int compress_check(const struct fn_run *run)
{
    uint64_t level;
    return level_of(run, &level);
}

static void cctx_free(ZSTD_CCtx **ctx)
{
    (void)ZSTD_freeCCtx(*ctx);
}

static void dctx_free(ZSTD_DCtx **ctx)
{
    (void)ZSTD_freeDCtx(*ctx);
}

/* Where blocks are packed from. Behind its end it goes on at its beginning: there the block
 * goes over what is the oldest, of which the library takes note. */
struct ring {
    struct buf memory;
    size_t size;
    size_t at;
    struct fn_bytes *in;
    uint64_t read;
};

static void ring_release(struct ring *ring)
{
    buf_release(&ring->memory);
}

static void ring_init(struct ring *ring, struct fn_bytes *in, uint32_t window_log)
{
    size_t size = (size_t)2 << window_log;
    size = size < RING_LEAST ? RING_LEAST : size;
    size = in->size < size ? (size_t)in->size : size;
    *ring = (struct ring){.size = size, .in = in};
    (void)buf_reserve(&ring->memory, size);
}

/* All blocks have one size, but the last. */
static int ring_next(struct ring *ring, struct bytes *block, bool *last)
{
    uint64_t left = ring->in->size - ring->read;
    size_t want = left < BLOCK ? (size_t)left : BLOCK;
    if (want > ring->size - ring->at)
        ring->at = 0;
    uint8_t *to = ring->memory.data + ring->at;
    for (size_t n = 0; n < want;) {
        struct bytes view;
        int err = ring->in->view(ring->in, ring->read, &view);
        if (err != OK)
            return err;
        size_t take = view.len < want - n ? view.len : want - n;
        memcpy(to + n, view.data, take);
        n += take;
        ring->read += take;
    }
    ring->at += want;
    *block = bytes_of(to, want);
    *last = ring->read == ring->in->size;
    return OK;
}

static int compress_run(struct fn_run *run)
{
    uint64_t level;
    int err = level_of(run, &level);
    if (err != OK)
        return err;
    AUTO(cctx_free) ZSTD_CCtx *ctx = ZSTD_createCCtx();
    assert(ctx != NULL);
    uint64_t size = run->inputs[0]->size;
    /* Here no size means that it is not known. */
    ZSTD_parameters how = ZSTD_getParams((int)level, size == 0 ? 1 : size, 0);
    how.fParams.checksumFlag = 1;
    size_t done = ZSTD_compressBegin_advanced(ctx, NULL, 0, how, size);
    assert(!ZSTD_isError(done));
    AUTO_BUF out = {0};
    (void)buf_reserve(&out, ZSTD_CStreamOutSize());
    AUTO(ring_release) struct ring ring;
    ring_init(&ring, run->inputs[0], how.cParams.windowLog);
    for (bool last = false; !last && err == OK;) {
        struct bytes block;
        err = ring_next(&ring, &block, &last);
        if (err != OK)
            return err;
        done = (last ? ZSTD_compressEnd : ZSTD_compressContinue)(ctx, out.data, out.cap,
                                                                 block.data, block.len);
        assert(!ZSTD_isError(done));
        err = fn_put(run->out, bytes_of(out.data, done));
    }
    return err;
}

static int decompress_run(struct fn_run *run)
{
    AUTO(dctx_free) ZSTD_DCtx *ctx = ZSTD_createDCtx();
    assert(ctx != NULL);
    size_t set = ZSTD_DCtx_setParameter(ctx, ZSTD_d_windowLogMax, WINDOW_LOG_MAX);
    assert(!ZSTD_isError(set));
    AUTO_BUF out = {0};
    (void)buf_reserve(&out, ZSTD_DStreamOutSize());
    AUTO(fn_feed_release) struct fn_feed feed;
    fn_feed_init(&feed, run->inputs[0]);
    size_t left = 1; /* what the frame still wants; no frame is not one either */
    for (bool last = false; !last;) {
        struct bytes block;
        int err = fn_feed_next(&feed, &block, &last);
        ZSTD_inBuffer in = {.src = block.data, .size = block.len};
        bool full = false; /* the library may hold more than the buffer took */
        while (err == OK && (in.pos < in.size || full)) {
            ZSTD_outBuffer to = {.dst = out.data, .size = out.cap};
            left = ZSTD_decompressStream(ctx, &to, &in);
            if (ZSTD_isError(left))
                return fn_refuse(run, NULL, "the input is not zstd: %s",
                                 ZSTD_getErrorName(left));
            full = to.pos == to.size && left != 0;
            err = fn_put(run->out, bytes_of(out.data, to.pos));
        }
        if (err != OK)
            return err;
    }
    if (left != 0)
        return fn_refuse(run, NULL, "the input is not zstd: it ends early");
    return OK;
}

static void library(struct buf *out)
{
    buf_printf(out, "zstd %s", ZSTD_versionString());
}

static const struct fn_parameter compress_parameters[] = {{"level", false}};

const struct function fn_zstd_compress = {
    .name = "zstd.compress",
    .version = "1.0.0",
    .revision = "2",
    .about = "Its input as one zstd frame that says its content's size and carries a checksum; "
             "`level` is 1 to 19, by default 3.",
    .library = library,
    .inputs_least = 1,
    .inputs_most = 1,
    .parameters = compress_parameters,
    .n_parameters = ARRAY_LEN(compress_parameters),
    .check = compress_check,
    .run = compress_run,
};

const struct function fn_zstd_decompress = {
    .name = "zstd.decompress",
    .version = "1.0.0",
    .revision = "1",
    .about = "What one zstd frame, or several after each other, hold.",
    .library = library,
    .inputs_least = 1,
    .inputs_most = 1,
    .run = decompress_run,
};
