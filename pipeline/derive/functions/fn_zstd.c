/* Zstandard, by its library's streams. Input comes in blocks of one size and output goes
 * through one buffer of one size, so that the frame depends on nothing but input and level. */
#include <zstd.h>

#include "pipeline/derive/functions/builtin.h"
#include "pipeline/derive/functions/fn_feed.h"

#define LEVEL_MAX 19u
/* Windows up to 128 MiB: as much memory as a frame may ask for. */
#define WINDOW_LOG_MAX 27

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

static int block_compress(struct fn_run *run, ZSTD_CCtx *ctx, struct bytes block, bool last,
                          struct buf *out)
{
    ZSTD_inBuffer in = {.src = block.data, .size = block.len};
    for (;;) {
        ZSTD_outBuffer to = {.dst = out->data, .size = out->cap};
        size_t left = ZSTD_compressStream2(ctx, &to, &in, last ? ZSTD_e_end : ZSTD_e_continue);
        assert(!ZSTD_isError(left));
        int err = fn_put(run->out, bytes_of(out->data, to.pos));
        if (err != OK)
            return err;
        if (last ? left == 0 : in.pos == in.size)
            return OK;
    }
}

static int compress_run(struct fn_run *run)
{
    uint64_t level;
    int err = level_of(run, &level);
    if (err != OK)
        return err;
    AUTO(cctx_free) ZSTD_CCtx *ctx = ZSTD_createCCtx();
    assert(ctx != NULL);
    size_t set = ZSTD_CCtx_setParameter(ctx, ZSTD_c_compressionLevel, (int)level);
    assert(!ZSTD_isError(set));
    set = ZSTD_CCtx_setParameter(ctx, ZSTD_c_checksumFlag, 1);
    assert(!ZSTD_isError(set));
    set = ZSTD_CCtx_setPledgedSrcSize(ctx, run->inputs[0]->size);
    assert(!ZSTD_isError(set));
    AUTO_BUF out = {0};
    (void)buf_reserve(&out, ZSTD_CStreamOutSize());
    AUTO(fn_feed_release) struct fn_feed feed;
    fn_feed_init(&feed, run->inputs[0]);
    for (bool last = false; !last && err == OK;) {
        struct bytes block;
        err = fn_feed_next(&feed, &block, &last);
        if (err == OK)
            err = block_compress(run, ctx, block, last, &out);
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

/* One frame that says its content's size and carries a checksum; level 1 to 19, by default
 * 3. */
const struct function fn_zstd_compress = {
    .name = "zstd.compress",
    .version = "1.0.0",
    .revision = "1",
    .library = library,
    .inputs_least = 1,
    .inputs_most = 1,
    .parameters = compress_parameters,
    .n_parameters = ARRAY_LEN(compress_parameters),
    .check = compress_check,
    .run = compress_run,
};

/* What one frame, or several after each other, hold. */
const struct function fn_zstd_decompress = {
    .name = "zstd.decompress",
    .version = "1.0.0",
    .revision = "1",
    .library = library,
    .inputs_least = 1,
    .inputs_most = 1,
    .run = decompress_run,
};
