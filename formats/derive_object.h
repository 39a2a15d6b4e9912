/* A derive object: what one node has told of derivation within one window, for one project.
 * Together in the order of their numbers an agent's objects are its derive log. It puts number
 * n + 1 only when n is durable, so a reader who has seen a number has seen all before it.
 *
 *   offset size field
 *        0   16 envelope "MDRV" version 1
 *       16   16 project
 *       32    8 agent
 *       40    8 sequence number of the agent, from 1
 *       48    8 hlc
 *       56    4 count of items, each
 *                 1 kind, and then for
 *                   1 recipe      4+n canonical bytes (recipe.h), named by their address
 *                   2 leaf        4+n bytes, named by their SHA-256
 *                   3 upload      32 SHA-256, 8 size: a leaf that was uploaded as a blob
 *                   4 memo        memo.h
 *                   5 tree        32 content hash of a directory, 32 tree object, 4 offset,
 *                                 4 length, 32 page hash: where its page lies
 *                   6 quarantine  1+n function name, 1+n version, 32 implementation,
 *                                 32 memo key, 32 first output, 32 second output
 *                   7 pin         32 address
 *                   8 unpin       32 address
 *                   9 chunks      32 recipe, 32 output, 8 size of it, 4 chunk size,
 *                                 4 number of the first chunk told here, from 0,
 *                                 4 count, each 32: SHA-256 of a chunk
 *
 * Chunks say which parts a recipe's output has, each of the chunk size but the last, so that a
 * part can be found by its content. The recipe uses no reference, nor does what is below it. An
 * output with more than DERIVE_CHUNKS_MAX chunks is told in several items; one that is no
 * longer than the chunk size has itself as its only chunk.
 *
 * A pin and an unpin of one address are told apart by the hlc of their objects, and within one
 * object by their order: the later counts. */
#ifndef FORMATS_DERIVE_OBJECT_H
#define FORMATS_DERIVE_OBJECT_H

#include "formats/entry.h"
#include "formats/memo.h"

enum derive_kind {
    DERIVE_RECIPE = 1,
    DERIVE_LEAF = 2,
    DERIVE_UPLOAD = 3,
    DERIVE_MEMO = 4,
    DERIVE_TREE = 5,
    DERIVE_QUARANTINE = 6,
    DERIVE_PIN = 7,
    DERIVE_UNPIN = 8,
    DERIVE_CHUNKS = 9,
};

/* A function that gave two results for one memo key. */
struct quarantine {
    struct bytes function;
    struct bytes version;
    struct hash implementation;
    struct hash key;
    struct hash first;
    struct hash second;
};

/* Some of the chunks of an output. */
struct derive_chunks {
    struct hash recipe;
    struct hash output;
    uint64_t size; /* of the output */
    uint32_t chunk_size;
    uint32_t first; /* number of the first of these */
    uint32_t n;     /* 1 to DERIVE_CHUNKS_MAX */
    const struct hash *hashes;
};

/* How many chunks an output of a size has: one at least. */
uint64_t derive_chunks_count(uint64_t size, uint32_t chunk_size);

struct derive_item {
    enum derive_kind kind;
    /* What it is about: address of a recipe, leaf or upload, content hash of a tree, key of a
     * memo or quarantine, what is pinned, the output of chunks. Not written where the bytes
     * below give it. */
    struct hash address;
    struct bytes data;     /* RECIPE: canonical; LEAF: plain */
    uint64_t size;         /* UPLOAD */
    struct memo memo;      /* MEMO */
    struct location where; /* TREE: place PAGE */
    struct quarantine quarantine;
    struct derive_chunks chunks; /* CHUNKS */
};

struct derive_object {
    struct id16 project;
    uint64_t agent;
    uint64_t seq;
    uint64_t hlc;
    struct derive_item *items;
    uint32_t n;
};

void derive_item_write(struct buf *, const struct derive_item *);
/* Starts an object, in an empty buffer, whose items the caller appends as bytes of
 * derive_item_write; derive_object_finish fills in their count and closes the envelope. */
void derive_object_begin(struct buf *out, const struct id16 *project, uint64_t agent,
                         uint64_t seq, uint64_t hlc);
void derive_object_finish(struct buf *out, uint32_t items);
/* Checks every recipe, and names every item. Byte runs point into the input; hashes of chunks
 * lie in the arena. */
int derive_object_decode(struct bytes in, struct arena *, struct derive_object *out) MUST_USE;

#endif
