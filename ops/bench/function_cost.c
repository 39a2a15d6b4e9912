/* What a function takes for 64 MiB, beside its library called directly on a buffer. For `make
 * bench` part s.
 *
 *   function_cost NAME [MIB]     sha256, zstd.compress, zstd.decompress, uppercase,
 *                                base64.encode, hex.encode
 *
 * zstd.decompress gets what zstd.compress makes of that much.
 *
 * Prints a line of JSON, in milliseconds: of the library, of the function over views and an
 * output as it gets them, and of the whole run with its input read and its result kept. */
#include <stdio.h>
#include <stdlib.h>
#include <zstd.h>

#include "formats/base/base64.h"
#include "formats/base/hash.h"
#include "formats/base/hex.h"
#include "ops/bench/shared/recipe_table.h"
#include "pipeline/derive/run/executor.h"
#include "pipeline/sys/bell.h"

#define SIZE_MIB 64u
#define VIEW     CHUNK_SIZE_DEFAULT
#define OUT      (256u * KIB)

static uint64_t now_us(void)
{
    struct clock *clock = clock_system();
    return clock->mono_us(clock);
}

/* ---- the library ---- */

/* The least time of three: the first one meets memory that is not there yet. */
static uint64_t library_us(const char *name, struct bytes data, size_t out_most)
{
    uint64_t least = UINT64_MAX;
    AUTO_BUF out = {0};
    (void)buf_reserve(&out, out_most);
    for (int i = 0; i < 3; i++) {
        buf_clear(&out);
        uint64_t began = now_us();
        if (strcmp(name, "sha256") == 0) {
            struct hash hash = sha256(data);
            buf_append(&out, hash.b, sizeof(hash.b));
        } else if (strcmp(name, "zstd.compress") == 0) {
            out.len =
                ZSTD_compress(out.data, out.cap, data.data, data.len, ZSTD_CLEVEL_DEFAULT);
        } else if (strcmp(name, "zstd.decompress") == 0) {
            out.len = ZSTD_decompress(out.data, out.cap, data.data, data.len);
        } else if (strcmp(name, "base64.encode") == 0) {
            base64_encode(data, &out);
        } else if (strcmp(name, "hex.encode") == 0) {
            hex_encode((char *)out.data, data.data, data.len);
        } else {
            for (size_t k = 0; k < data.len; k++) {
                uint8_t c = data.data[k];
                out.data[k] = c >= 'a' && c <= 'z' ? (uint8_t)(c - 32) : c;
            }
        }
        uint64_t took = now_us() - began;
        least = took < least ? took : least;
    }
    return least;
}

/* ---- the function ---- */

struct input {
    struct fn_bytes bytes;
    struct bytes data;
};

static int view(struct fn_bytes *bytes, uint64_t offset, struct bytes *out)
{
    const struct input *input = (const struct input *)bytes;
    size_t left = input->data.len - (size_t)offset;
    *out = bytes_of(input->data.data + offset, left < VIEW ? left : VIEW);
    return OK;
}

static uint8_t out_block[OUT];

static int flush(struct fn_out *out)
{
    out->at = out_block;
    out->space = OUT;
    return OK;
}

static uint64_t function_us(const char *name, struct bytes data)
{
    const struct function *function = function_find(bytes_str(name), bytes_str("1.0.0"));
    uint64_t least = UINT64_MAX;
    for (int i = 0; i < 3; i++) {
        struct input input = {.bytes = {.size = data.len, .view = view}, .data = data};
        struct fn_bytes *inputs[] = {&input.bytes};
        struct fn_out out = {.at = out_block, .space = OUT, .flush = flush};
        struct fn_problem problem;
        struct fn_run run = {.inputs = inputs, .n_inputs = 1, .out = &out, .problem = &problem};
        uint64_t began = now_us();
        if (function == NULL || function->run(&run) != OK)
            exit(1);
        uint64_t took = now_us() - began;
        least = took < least ? took : least;
    }
    return least;
}

/* ---- the whole run ---- */

struct waiter {
    struct bell bell;
    struct derived *derived;
};

static void done(void *arg, struct derived *derived, const struct derive_problem *problem)
{
    struct waiter *waiter = arg;
    if (problem != NULL)
        exit(1);
    waiter->derived = derived;
    bell_ring(&waiter->bell);
}

static uint64_t whole_us(const char *name, struct bytes data)
{
    const struct id16 project = {.b = {1}};
    const struct result_cache_options results = {.ram_bytes = (size_t)4 * data.len,
                                                 .chunk_size = CHUNK_SIZE_DEFAULT};
    struct result_cache *cache;
    if (result_cache_open(&results, &cache) != OK)
        exit(1);
    const struct executor_options options = {.slots = 2,
                                             .planners = 1,
                                             .in_flight_max = (uint64_t)4 * data.len,
                                             .result_max = RESULT_SIZE_MAX,
                                             .known_max = MIB,
                                             .cache = cache,
                                             .clock = clock_system(),
                                             .rng = rng_system()};
    struct executor *ex = executor_open(&options);
    struct recipe_table *table = recipe_table_open();
    struct hash leaf = recipe_table_leaf(table, data);
    struct hash recipe = recipe_table_recipe(table, name, &leaf, 1, NULL, 0);
    struct waiter waiter = {.derived = NULL};
    bell_init(&waiter.bell);
    const struct get_options get = {.want = GET_BYTES, .done = done, .arg = &waiter};
    uint64_t began = now_us();
    executor_get(ex, &project, recipe_table_source(table), &recipe, &get, NULL);
    (void)bell_wait(&waiter.bell, BELL_FOR_EVER);
    uint64_t took = now_us() - began;
    derived_close(waiter.derived);
    bell_release(&waiter.bell);
    executor_close(ex);
    recipe_table_close(table);
    result_cache_close(cache);
    return took;
}

/* As zstd.compress does: with a checksum. */
static void pack(struct bytes data, struct buf *out)
{
    ZSTD_CCtx *ctx = ZSTD_createCCtx();
    (void)ZSTD_CCtx_setParameter(ctx, ZSTD_c_checksumFlag, 1);
    (void)buf_reserve(out, ZSTD_compressBound(data.len));
    out->len = ZSTD_compress2(ctx, out->data, out->cap, data.data, data.len);
    (void)ZSTD_freeCCtx(ctx);
    if (ZSTD_isError(out->len))
        exit(1);
}

int main(int argc, char **argv)
{
    if (argc < 2 || argc > 3) {
        (void)fprintf(stderr, "usage: function_cost NAME [MIB]\n");
        return 2;
    }
    size_t size = (argc > 2 ? strtoull(argv[2], NULL, 10) : SIZE_MIB) * MIB;
    uint8_t *text = malloc(size);
    struct rng_seeded rng;
    if (text == NULL)
        return 1;
    /* Text that zstd can do something with. */
    rng_seeded_init(&rng, 1);
    rng.rng.fill(&rng.rng, text, size);
    for (size_t i = 0; i < size; i++)
        text[i] = text[i] % 8 == 0 ? ' ' : (uint8_t)('a' + text[i] % 13);
    struct bytes data = bytes_of(text, size);
    AUTO_BUF packed = {0};
    if (strcmp(argv[1], "zstd.decompress") == 0) {
        pack(data, &packed);
        data = buf_bytes(&packed);
    }
    (void)printf("{\"library_ms\": %.3f, \"function_ms\": %.3f, \"whole_ms\": %.3f}\n",
                 (double)library_us(argv[1], data, 2 * size + KIB) / 1000,
                 (double)function_us(argv[1], data) / 1000,
                 (double)whole_us(argv[1], data) / 1000);
    free(text);
    return 0;
}
