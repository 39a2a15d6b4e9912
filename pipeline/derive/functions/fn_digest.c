/* Digests of bytes, spelled in lower-case hex. */
#include "formats/base/hash.h"
#include "formats/base/hex.h"
#include "pipeline/derive/functions/builtin.h"

static int sha256_run(struct fn_run *run)
{
    struct fn_bytes *in = run->inputs[0];
    AUTO(sha256_release) struct sha256_ctx ctx = {0};
    sha256_init(&ctx);
    for (uint64_t at = 0; at < in->size;) {
        struct bytes view;
        int err = in->view(in, at, &view);
        if (err != OK)
            return err;
        sha256_update(&ctx, view);
        at += view.len;
    }
    struct hash hash = sha256_final(&ctx);
    return fn_put(run->out, bytes_str(hash_hex(&hash).s));
}

const struct function fn_sha256 = {
    .name = "sha256",
    .version = "1.0.0",
    .revision = "1",
    .about = "The SHA-256 of its input, in lower-case hex digits.",
    .inputs_least = 1,
    .inputs_most = 1,
    .run = sha256_run,
};

static int xxh3_run(struct fn_run *run)
{
    struct fn_bytes *in = run->inputs[0];
    struct xxh3_128_ctx ctx;
    xxh3_128_init(&ctx);
    int err = OK;
    for (uint64_t at = 0; at < in->size && err == OK;) {
        struct bytes view;
        err = in->view(in, at, &view);
        if (err == OK) {
            xxh3_128_update(&ctx, view);
            at += view.len;
        }
    }
    struct id16 hash = xxh3_128_final(&ctx);
    return err != OK ? err : fn_put(run->out, bytes_str(id16_hex(&hash).s));
}

const struct function fn_xxh3 = {
    .name = "xxh3",
    .version = "1.0.0",
    .revision = "1",
    .about = "The XXH3 of its input with 128 bits, in its canonical spelling. Not for names: "
             "it can be forged.",
    .inputs_least = 1,
    .inputs_most = 1,
    .run = xxh3_run,
};
