/* gzip (RFC 1952), by zlib. Input comes in blocks of one size and output goes through one
 * buffer of one size, so that the result depends on nothing but input and level. */
#include <zlib.h>

#include "pipeline/derive/functions/builtin.h"
#include "pipeline/derive/functions/fn_feed.h"

#define OUT_LEN     (64u * KIB)
#define WINDOW_GZIP (15 + 16) /* zlib's way to say: with gzip's header and trailer */
#define MEMORY      8

static int level_of(const struct fn_run *run, uint64_t *out)
{
    int err = fn_parameter_u64(run, "level", 6, out);
    if (err == OK && (*out == 0 || *out > 9))
        return fn_refuse(run, "level", "not between 1 and 9");
    return err;
}

static int compress_check(const struct fn_run *run)
{
    uint64_t level;
    return level_of(run, &level);
}

/* zlib does not say const, and does not write there. */
static void give(z_stream *z, struct bytes block)
{
    z->next_in = (Bytef *)(uintptr_t)block.data;
    z->avail_in = (uInt)block.len;
}

static int block_compress(struct fn_run *run, z_stream *z, bool last, struct buf *out)
{
    for (;;) {
        z->next_out = out->data;
        z->avail_out = OUT_LEN;
        int state = deflate(z, last ? Z_FINISH : Z_NO_FLUSH);
        assert(state != Z_STREAM_ERROR);
        int err = fn_put(run->out, bytes_of(out->data, OUT_LEN - z->avail_out));
        if (err != OK)
            return err;
        if (z->avail_out > 0)
            return OK;
    }
}

static int stream_compress(struct fn_run *run, z_stream *z)
{
    /* No time, no name, and no word about the machine. */
    gz_header header = {.os = 255};
    int set = deflateSetHeader(z, &header);
    assert(set == Z_OK);
    AUTO_BUF out = {0};
    (void)buf_reserve(&out, OUT_LEN);
    AUTO(fn_feed_release) struct fn_feed feed;
    fn_feed_init(&feed, run->inputs[0]);
    int err = OK;
    for (bool last = false; !last && err == OK;) {
        struct bytes block;
        err = fn_feed_next(&feed, &block, &last);
        if (err == OK) {
            give(z, block);
            err = block_compress(run, z, last, &out);
        }
    }
    return err;
}

static int compress_run(struct fn_run *run)
{
    uint64_t level;
    int err = level_of(run, &level);
    if (err != OK)
        return err;
    z_stream z = {0};
    int set = deflateInit2(&z, (int)level, Z_DEFLATED, WINDOW_GZIP, MEMORY, Z_DEFAULT_STRATEGY);
    assert(set == Z_OK);
    err = stream_compress(run, &z);
    (void)deflateEnd(&z);
    return err;
}

/* One member may follow another. `ended` is true between them. */
static int block_decompress(struct fn_run *run, z_stream *z, bool *ended, struct buf *out)
{
    for (;;) {
        if (*ended && z->avail_in == 0)
            return OK;
        if (*ended)
            (void)inflateReset(z);
        z->next_out = out->data;
        z->avail_out = OUT_LEN;
        int state = inflate(z, Z_NO_FLUSH);
        if (state != Z_OK && state != Z_STREAM_END && state != Z_BUF_ERROR)
            return fn_refuse(run, NULL, "the input is not gzip: %s",
                             z->msg != NULL ? z->msg : "damaged");
        *ended = state == Z_STREAM_END;
        int err = fn_put(run->out, bytes_of(out->data, OUT_LEN - z->avail_out));
        if (err != OK)
            return err;
        if (!*ended && z->avail_out > 0)
            return OK; /* it wants more */
    }
}

static int stream_decompress(struct fn_run *run, z_stream *z)
{
    AUTO_BUF out = {0};
    (void)buf_reserve(&out, OUT_LEN);
    AUTO(fn_feed_release) struct fn_feed feed;
    fn_feed_init(&feed, run->inputs[0]);
    bool ended = false;
    for (bool last = false; !last;) {
        struct bytes block;
        int err = fn_feed_next(&feed, &block, &last);
        if (err == OK) {
            give(z, block);
            err = block_decompress(run, z, &ended, &out);
        }
        if (err != OK)
            return err;
    }
    if (!ended)
        return fn_refuse(run, NULL, "the input is not gzip: it ends early");
    return OK;
}

static int decompress_run(struct fn_run *run)
{
    z_stream z = {0};
    int set = inflateInit2(&z, WINDOW_GZIP);
    assert(set == Z_OK);
    int err = stream_decompress(run, &z);
    (void)inflateEnd(&z);
    return err;
}

static void library(struct buf *out)
{
    buf_printf(out, "zlib %s", zlibVersion());
}

static const struct fn_parameter compress_parameters[] = {{"level", false}};

const struct function fn_gzip_compress = {
    .name = "gzip.compress",
    .version = "1.0.0",
    .revision = "1",
    .about =
        "Its input as one gzip member without name and time; `level` is 1 to 9, by default 6.",
    .library = library,
    .inputs_least = 1,
    .inputs_most = 1,
    .parameters = compress_parameters,
    .n_parameters = ARRAY_LEN(compress_parameters),
    .check = compress_check,
    .run = compress_run,
};

const struct function fn_gzip_decompress = {
    .name = "gzip.decompress",
    .version = "1.0.0",
    .revision = "1",
    .about = "What one gzip member, or several after each other, hold.",
    .library = library,
    .inputs_least = 1,
    .inputs_most = 1,
    .run = decompress_run,
};
