/* Large contents, copied from project to project as they lie, and checked on the way. */
#include "formats/base/hash.h"
#include "pipeline/repo/content/blob_read.h"
#include "pipeline/repo/content/blob_store.h"
#include "pipeline/repo/replay/replay_inside.h"

/* Frames that are in memory at once. */
#define FRAMES_AT_ONCE 8u

struct copying {
    struct repo *repo;
    const struct id16 *from;
    const struct id16 *target;
    struct replay_fault *fault;
    uint64_t position; /* that names what is copied now */
};

static int missing_say(struct copying *c, const struct hash *hash)
{
    return replay_say(c->fault, c->position, "the large content %s is missing or damaged",
                      hash_hex(hash).s);
}

/* Gets, checks and puts the frames under these hashes. */
static int frames_move(struct copying *c, const struct hash *const *hashes, size_t n)
{
    struct key from[FRAMES_AT_ONCE];
    struct key to[FRAMES_AT_ONCE];
    struct buf bodies[FRAMES_AT_ONCE] = {0};
    struct store_op ops[FRAMES_AT_ONCE] = {0};
    for (size_t i = 0; i < n; i++) {
        from[i] = key_blob(c->from, hashes[i]);
        to[i] = key_blob(c->target, hashes[i]);
        ops[i] = (struct store_op){
            .verb = STORE_GET, .key = from[i].s, .range = range_all(), .body = &bodies[i]};
    }
    (void)!store_many(c->repo->store, ops, n); /* each has its own answer */
    int err = OK;
    for (size_t i = 0; i < n && err == OK; i++) {
        AUTO_BUF plain = {0};
        err = ops[i].err;
        if (err == OK)
            err = blob_plain_of(c->repo, c->from, hashes[i], buf_bytes(&bodies[i]), ops[i].size,
                                &plain);
        if (err == ERR_NOT_FOUND || err == ERR_CORRUPT)
            err = missing_say(c, hashes[i]);
        ops[i] = (struct store_op){.verb = STORE_PUT,
                                   .key = to[i].s,
                                   .data = buf_bytes(&bodies[i]),
                                   .want_etag = ETAG_NEVER};
    }
    if (err == OK)
        err = store_many(c->repo->store, ops, n);
    for (size_t i = 0; i < n; i++)
        buf_release(&bodies[i]);
    return err;
}

/* Copies those of the frames that are not there. */
static int frames_copy(struct copying *c, const struct hash *hashes, size_t n)
{
    for (size_t at = 0; at < n; at += FRAMES_AT_ONCE) {
        size_t count = n - at < FRAMES_AT_ONCE ? n - at : FRAMES_AT_ONCE;
        bool missing[FRAMES_AT_ONCE];
        const struct hash *wanted[FRAMES_AT_ONCE];
        size_t n_wanted = 0;
        int err = blob_missing(c->repo, c->target, NULL, hashes + at, count, missing, NULL);
        if (err != OK)
            return err;
        for (size_t i = 0; i < count; i++) {
            if (missing[i])
                wanted[n_wanted++] = &hashes[at + i];
        }
        err = n_wanted > 0 ? frames_move(c, wanted, n_wanted) : OK;
        if (err != OK)
            return err;
    }
    return OK;
}

/* All chunks, and then what names them. */
static int manifest_copy(struct copying *c, const struct log_effect *effect)
{
    bool missing;
    int err = blob_missing(c->repo, c->target, NULL, &effect->hash, 1, &missing, NULL);
    if (err != OK || !missing)
        return err;
    AUTO(arena_release) struct arena arena = {0};
    AUTO_BUF bytes = {0};
    struct manifest manifest;
    struct key key = key_blob(c->from, &effect->hash);
    err = store_get(c->repo->store, key.s, range_all(), &bytes, NULL, NULL);
    if (err == OK)
        err = manifest_decode(buf_bytes(&bytes), &arena, &manifest);
    struct hash check = sha256(buf_bytes(&bytes));
    if (err == OK && (!hash_equal(&check, &effect->where.check) ||
                      !hash_equal(&manifest.hash, &effect->hash)))
        err = ERR_CORRUPT;
    if (err == ERR_NOT_FOUND || err == ERR_CORRUPT || err == ERR_LIMIT)
        return missing_say(c, &effect->hash);
    if (err == OK)
        err = frames_copy(c, manifest.chunks, manifest.n);
    if (err != OK)
        return err;
    key = key_blob(c->target, &effect->hash);
    return store_put(c->repo->store, key.s, buf_bytes(&bytes), PUT_ANY, NULL);
}

static int entry_copy(struct copying *c, const struct log_entry *entry,
                      struct replay_report *report)
{
    AUTO(arena_release) struct arena arena = {0};
    struct hash *frames = arena_array(&arena, entry->n_effects, struct hash);
    size_t n = 0;
    int err = OK;
    for (uint32_t i = 0; i < entry->n_effects && err == OK; i++) {
        const struct log_effect *effect = &entry->effects[i];
        if (effect->kind != EFFECT_WRITE)
            continue;
        report->blobs +=
            effect->where.place == PLACE_BLOB || effect->where.place == PLACE_MANIFEST;
        if (effect->where.place == PLACE_BLOB)
            frames[n++] = effect->hash;
        if (effect->where.place == PLACE_MANIFEST)
            err = manifest_copy(c, effect);
    }
    return err == OK ? frames_copy(c, frames, n) : err;
}

int replay_blobs_copy(struct repo *repo, const struct id16 *from, const struct id16 *target,
                      const struct replay_batch *batches, size_t n, uint64_t to,
                      struct replay_report *report)
{
    struct copying c = {.repo = repo, .from = from, .target = target, .fault = &report->fault};
    for (size_t i = 0; i < n; i++) {
        for (uint32_t j = 0; j < batches[i].n; j++) {
            const struct log_entry *entry = &batches[i].entries[j];
            if (entry->position > to)
                break;
            c.position = entry->position;
            int err = entry_copy(&c, entry, report);
            if (err != OK)
                return err;
        }
    }
    return OK;
}
