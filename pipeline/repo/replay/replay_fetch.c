/* What a block of the log names: footers of tree objects, and contents. Side by side. */
#include "formats/base/hash.h"
#include "formats/base/limits.h"
#include "pipeline/repo/content/blob_store.h"
#include "pipeline/repo/damage.h"
#include "pipeline/repo/replay/replay_inside.h"

/* Most footers are shorter; a longer one costs another get. */
#define FOOTER_GET 2048u
/* Bytes of contents, but for the first batch's, that are in memory at once. */
#define CONTENTS_GET (32u * MIB)

/* ---- footers ---- */

/* Decodes the footer at the end of `tail`. ERR_LIMIT: the tail is too short for it, and
 * `*want` long enough. */
static int footer_take(struct bytes tail, uint64_t size, const struct hash *tree,
                       struct arena *arena, uint64_t *want, struct footer *out)
{
    uint32_t len;
    int err = tree_trailer_find(tail, &len);
    if (err != OK)
        return ERR_CORRUPT;
    uint64_t whole = TREE_TRAILER_LEN + (uint64_t)len;
    if (size > TREE_OBJECT_MAX || size < TREE_HEADER_LEN + whole)
        return ERR_CORRUPT;
    if (tail.len < whole) {
        *want = whole;
        return ERR_LIMIT;
    }
    struct bytes bytes =
        arena_copy(arena, bytes_of(tail.data + (tail.len - whole), (size_t)len));
    struct hash hash = sha256(bytes);
    err = hash_equal(&hash, tree) ? footer_decode(bytes, arena, out) : ERR_CORRUPT;
    return err != OK ? ERR_CORRUPT : OK;
}

static int footer_of(struct replay_source *s, struct replay_block *block,
                     const struct store_op *op, struct replay_batch *batch)
{
    uint64_t want = 0;
    int err = op->err;
    if (err == OK)
        err = footer_take(buf_bytes(op->body), op->size, &batch->tree, &block->arena, &want,
                          &batch->footer);
    if (err == ERR_LIMIT) {
        AUTO_BUF longer = {0};
        uint64_t size;
        err = store_get(s->repo->store, op->key, range_suffix(want), &longer, NULL, &size);
        if (err == OK)
            err = footer_take(buf_bytes(&longer), size, &batch->tree, &block->arena, &want,
                              &batch->footer);
    }
    err = damage_of(s->repo, op->key, err);
    if (err == ERR_CORRUPT)
        return replay_say(&block->fault, batch->entries[0].position,
                          "the batch's tree object %s is missing or damaged", op->key);
    return err;
}

int replay_footers_read(struct replay_source *s, struct replay_block *block)
{
    struct key keys[REPLAY_AT_ONCE];
    struct buf bodies[REPLAY_AT_ONCE];
    struct store_op ops[REPLAY_AT_ONCE];
    int err = OK;
    for (size_t at = 0; at < block->n && err == OK; at += REPLAY_AT_ONCE) {
        size_t n = block->n - at < REPLAY_AT_ONCE ? block->n - at : REPLAY_AT_ONCE;
        for (size_t i = 0; i < n; i++) {
            keys[i] = key_tree(&s->project, &block->batches[at + i].tree);
            bodies[i] = (struct buf){0};
            ops[i] = (struct store_op){.verb = STORE_GET,
                                       .key = keys[i].s,
                                       .range = range_suffix(FOOTER_GET),
                                       .body = &bodies[i]};
        }
        (void)!store_many(s->repo->store, ops, n); /* each has its own answer */
        for (size_t i = 0; i < n; i++) {
            if (err == OK)
                err = footer_of(s, block, &ops[i], &block->batches[at + i]);
            if (err != OK && block->n > at + i)
                block->n = at + i;
            buf_release(&bodies[i]);
        }
    }
    return err;
}

/* ---- contents ---- */

/* Where a batch's contents lie in its tree object. */
struct extent {
    uint64_t from;
    uint64_t end;
};

static int extent_of(const struct replay_batch *batch, struct replay_fault *fault,
                     struct extent *out)
{
    struct extent extent = {.from = UINT64_MAX};
    for (uint32_t i = 0; i < batch->n; i++) {
        const struct log_entry *entry = &batch->entries[i];
        for (uint32_t j = 0; j < entry->n_effects; j++) {
            const struct log_effect *effect = &entry->effects[j];
            if (!log_effect_in_tree(effect))
                continue;
            uint64_t from = effect->where.offset;
            uint64_t end = from + effect->where.len;
            if (!hash_equal(&effect->where.tree, &batch->tree) ||
                end > batch->footer.records.offset)
                return replay_say(fault, entry->position,
                                  "the content of %.*s does not lie among those of its batch",
                                  (int)(effect->path.len < 200 ? effect->path.len : 200),
                                  (const char *)effect->path.data);
            extent.from = from < extent.from ? from : extent.from;
            extent.end = end > extent.end ? end : extent.end;
        }
    }
    *out = extent.end > 0 ? extent : (struct extent){0};
    return OK;
}

static int batch_check(struct replay_block *block, const struct replay_batch *batch,
                       struct extent extent, struct bytes bytes)
{
    AUTO(arena_release) struct arena scratch = {0};
    for (uint32_t i = 0; i < batch->n; i++) {
        const struct log_entry *entry = &batch->entries[i];
        for (uint32_t j = 0; j < entry->n_effects; j++) {
            const struct log_effect *effect = &entry->effects[j];
            if (!log_effect_in_tree(effect))
                continue;
            uint64_t at = effect->where.offset - extent.from;
            struct bytes plain;
            int err = ERR_CORRUPT;
            if (at + effect->where.len <= bytes.len)
                err = content_unpack(&scratch, effect->where.place == PLACE_ZSTD,
                                     bytes_of(bytes.data + at, effect->where.len), effect->size,
                                     &effect->hash, &plain);
            if (err != OK)
                return replay_say(&block->fault, entry->position,
                                  "the content of %.*s is not what the log says: %s is not its "
                                  "hash, in tree object %s",
                                  (int)(effect->path.len < 200 ? effect->path.len : 200),
                                  (const char *)effect->path.data, hash_hex(&effect->hash).s,
                                  hash_hex(&batch->tree).s);
            block->contents++;
        }
    }
    return OK;
}

/* Reads the contents of batches [from, to), and checks them. */
static int contents_get(struct replay_source *s, struct replay_block *block,
                        const struct extent *extents, size_t from, size_t to)
{
    struct key keys[REPLAY_AT_ONCE];
    struct buf bodies[REPLAY_AT_ONCE] = {0};
    struct store_op ops[REPLAY_AT_ONCE] = {0};
    size_t n = 0;
    for (size_t i = from; i < to; i++) {
        if (extents[i].end == extents[i].from)
            continue;
        keys[n] = key_tree(&s->project, &block->batches[i].tree);
        ops[n] = (struct store_op){
            .verb = STORE_GET,
            .key = keys[n].s,
            .range = range_of(extents[i].from, extents[i].end - extents[i].from),
            .body = &bodies[n]};
        n++;
    }
    (void)!store_many(s->repo->store, ops, n); /* each has its own answer */
    int err = OK;
    n = 0;
    for (size_t i = from; i < to; i++) {
        bool empty = extents[i].end == extents[i].from;
        if (err == OK && !empty)
            err = damage_of(s->repo, ops[n].key, ops[n].err);
        if (err == ERR_CORRUPT)
            err = replay_say(&block->fault, block->batches[i].entries[0].position,
                             "the contents in %s cannot be read", ops[n].key);
        if (err == OK)
            err = batch_check(block, &block->batches[i], extents[i],
                              empty ? (struct bytes){0} : buf_bytes(&bodies[n]));
        if (err != OK && block->n > i)
            block->n = i;
        if (!empty)
            buf_release(&bodies[n++]);
    }
    return err;
}

static int contents_read(struct replay_source *s, struct replay_block *block)
{
    struct extent *extents = arena_array(&block->arena, block->n, struct extent);
    int err = OK;
    for (size_t i = 0; i < block->n && err == OK; i++) {
        err = extent_of(&block->batches[i], &block->fault, &extents[i]);
        if (err != OK)
            block->n = i;
    }
    for (size_t i = 0; i < block->n;) {
        size_t from = i;
        uint64_t bytes = 0;
        while (i < block->n && i - from < REPLAY_AT_ONCE &&
               (i == from || bytes + extents[i].end - extents[i].from <= CONTENTS_GET)) {
            bytes += extents[i].end - extents[i].from;
            i++;
        }
        int got = contents_get(s, block, extents, from, i);
        if (got != OK)
            return got;
    }
    return err;
}

/* ---- large contents ---- */

static bool is_large(const struct log_effect *effect)
{
    return effect->kind == EFFECT_WRITE &&
           (effect->where.place == PLACE_BLOB || effect->where.place == PLACE_MANIFEST);
}

/* Gives, for the batch's large contents, their hashes and the positions that name them. */
static size_t blobs_of(const struct replay_batch *batch, struct arena *arena,
                       struct hash **hashes, uint64_t **positions)
{
    size_t n = 0;
    for (uint32_t i = 0; i < batch->n; i++) {
        for (uint32_t j = 0; j < batch->entries[i].n_effects; j++)
            n += is_large(&batch->entries[i].effects[j]);
    }
    *hashes = arena_array(arena, n, struct hash);
    *positions = arena_array(arena, n, uint64_t);
    n = 0;
    for (uint32_t i = 0; i < batch->n; i++) {
        for (uint32_t j = 0; j < batch->entries[i].n_effects; j++) {
            if (!is_large(&batch->entries[i].effects[j]))
                continue;
            (*hashes)[n] = batch->entries[i].effects[j].hash;
            (*positions)[n++] = batch->entries[i].position;
        }
    }
    return n;
}

static int blobs_look(struct replay_source *s, struct replay_block *block)
{
    for (size_t i = 0; i < block->n; i++) {
        AUTO(arena_release) struct arena arena = {0};
        struct hash *hashes;
        uint64_t *positions;
        size_t n = blobs_of(&block->batches[i], &arena, &hashes, &positions);
        bool *missing = arena_array(&arena, n, bool);
        int err =
            n > 0 ? blob_missing(s->repo, &s->project, NULL, hashes, n, missing, NULL) : OK;
        for (size_t k = 0; k < n && err == OK; k++) {
            if (missing[k])
                err = replay_say(&block->fault, positions[k], "the large content %s is missing",
                                 hash_hex(&hashes[k]).s);
        }
        if (err != OK) {
            block->n = i;
            return err;
        }
        block->blobs += n;
    }
    return OK;
}

int replay_contents_check(struct replay_source *s, struct replay_block *block)
{
    int err = contents_read(s, block);
    if (err != OK && !block->fault.found)
        return err;
    int looked = blobs_look(s, block);
    return looked != OK ? looked : err;
}
