/* A memo: that a function was run, and what came of it. Its key is a SHA-512/256 behind a
 * prefix of its own over all that decides the result: function, implementation, the content
 * hashes of the inputs, parameters. So two recipes whose inputs are equal share one run, and an
 * input that changes to the same content changes nothing.
 *
 *   size field
 *     32 key
 *    1+n function name   1+n function version
 *     32 digest of the implementation
 *      8 cost: what the run took, in microseconds
 *      8 size of the output
 *     32 output: SHA-256 of its bytes
 *      4 chunk size
 *     32 chunks: SHA-256 of the manifest of its chunks (blob.h); zero where the output is not
 *        larger than the chunk size, and then lies in one piece */
#ifndef FORMATS_MEMO_H
#define FORMATS_MEMO_H

#include "formats/base/wire.h"
#include "formats/recipe.h"

/* What an input is: bytes by their SHA-256, a directory by its content hash. */
enum memo_input_kind {
    MEMO_BYTES = 1,
    MEMO_TREE = 2,
};

struct memo_input {
    enum memo_input_kind kind;
    struct hash hash;
};

struct memo {
    struct hash key;
    struct bytes function;
    struct bytes version;
    struct hash implementation;
    uint64_t cost_us;
    uint64_t size;
    struct hash output;
    uint32_t chunk_size;
    struct hash chunks;
};

/* Of the recipe only function, version and parameters count; it is settled. */
struct hash memo_key(const struct recipe *, const struct hash *implementation,
                     const struct memo_input *inputs, uint32_t n_inputs);

void memo_write(struct buf *, const struct memo *);
/* Byte runs point into the input. Fails where size, chunk size and chunks do not agree. */
struct memo memo_read(struct reader *);

#endif
