#include "formats/memo.h"

#include "formats/base/hash.h"
#include "formats/base/limits.h"

static const char key_prefix[] = "micelio memo";

/* Most need no more. */
#define KEY_USUAL  256u
#define MEMO_USUAL 192u

struct hash memo_key(const struct recipe *recipe, const struct hash *implementation,
                     const struct memo_input *inputs, uint32_t n_inputs)
{
    AUTO_BUF text = {0};
    (void)buf_reserve(&text, KEY_USUAL);
    wr_run8(&text, recipe->function);
    wr_run8(&text, recipe->version);
    wr_hash(&text, implementation);
    wr_u32(&text, n_inputs);
    for (uint32_t i = 0; i < n_inputs; i++) {
        wr_u8(&text, (uint8_t)inputs[i].kind);
        wr_hash(&text, &inputs[i].hash);
    }
    wr_u32(&text, recipe->n_parameters);
    for (uint32_t i = 0; i < recipe->n_parameters; i++) {
        wr_run8(&text, recipe->parameters[i].name);
        wr_run32(&text, recipe->parameters[i].value);
    }
    return sha512_256(key_prefix, buf_bytes(&text));
}

void memo_write(struct buf *out, const struct memo *memo)
{
    (void)buf_reserve(out, MEMO_USUAL);
    wr_hash(out, &memo->key);
    wr_run8(out, memo->function);
    wr_run8(out, memo->version);
    wr_hash(out, &memo->implementation);
    wr_u64(out, memo->cost_us);
    wr_u64(out, memo->size);
    wr_hash(out, &memo->output);
    wr_u32(out, memo->chunk_size);
    wr_hash(out, &memo->chunks);
}

static bool memo_ok(const struct memo *memo)
{
    return function_name_ok(memo->function) && function_version_ok(memo->version) &&
           memo->size <= RESULT_SIZE_MAX && memo->chunk_size >= CHUNK_SIZE_MIN &&
           memo->chunk_size <= CHUNK_SIZE_MAX &&
           hash_is_zero(&memo->chunks) == (memo->size <= memo->chunk_size);
}

struct memo memo_read(struct reader *r)
{
    struct memo memo = {.key = rd_hash(r)};
    memo.function = rd_run8(r, FUNCTION_NAME_MAX);
    memo.version = rd_run8(r, FUNCTION_NAME_MAX);
    memo.implementation = rd_hash(r);
    memo.cost_us = rd_u64(r);
    memo.size = rd_u64(r);
    memo.output = rd_hash(r);
    memo.chunk_size = rd_u32(r);
    memo.chunks = rd_hash(r);
    if (rd_error(r) == OK && !memo_ok(&memo))
        rd_fail(r, ERR_CORRUPT);
    return memo;
}
