#include "pipeline/derive/refs/refs_values.h"

#include "formats/content.h"
#include "formats/key.h"
#include "formats/ref.h"
#include "pipeline/repo/content/content_cache.h"
#include "pipeline/repo/damage.h"

#define READS_AT_ONCE 64u

struct wave {
    size_t n;
    struct ref_file *files[READS_AT_ONCE];
    struct key keys[READS_AT_ONCE];
    struct buf bodies[READS_AT_ONCE];
    struct store_op ops[READS_AT_ONCE];
};

static bool is_held(struct repo *repo, const struct id16 *refs, struct ref_file *file)
{
    AUTO_BUF plain = {0};
    return content_cache_find(repo->contents, refs, &file->hash, &plain) &&
           ref_decode(buf_bytes(&plain), &file->address) == OK;
}

static int file_take(struct repo *repo, const struct id16 *refs, struct ref_file *file,
                     const struct store_op *op)
{
    AUTO(arena_release) struct arena arena = {0};
    struct bytes plain;
    int err = op->err;
    if (err == OK)
        err = content_unpack(&arena, file->where.place == PLACE_ZSTD, buf_bytes(op->body),
                             file->size, &file->hash, &plain);
    if (err == OK)
        err = ref_decode(plain, &file->address);
    if (err != OK)
        return damage_of(repo, op->key, err);
    content_cache_add(repo->contents, refs, &file->hash, plain);
    return OK;
}

static int wave_run(struct repo *repo, const struct id16 *refs, struct wave *wave)
{
    int err = OK;
    if (wave->n > 0)
        (void)!store_many(repo->store, wave->ops, wave->n); /* each has its own outcome */
    for (size_t i = 0; i < wave->n; i++) {
        int taken = file_take(repo, refs, wave->files[i], &wave->ops[i]);
        err = err == OK ? taken : err;
        buf_release(&wave->bodies[i]);
    }
    wave->n = 0;
    return err;
}

static void wave_add(struct wave *wave, const struct id16 *refs, struct ref_file *file)
{
    size_t i = wave->n++;
    wave->files[i] = file;
    wave->keys[i] = key_tree(refs, &file->where.tree);
    wave->bodies[i] = (struct buf){0};
    wave->ops[i] = (struct store_op){.verb = STORE_GET,
                                     .key = wave->keys[i].s,
                                     .want_etag = ETAG_NEVER,
                                     .range = range_of(file->where.offset, file->where.len),
                                     .body = &wave->bodies[i]};
}

int refs_values_read(struct repo *repo, const struct id16 *refs, struct ref_file *files,
                     size_t n)
{
    struct wave wave;
    wave.n = 0;
    int err = OK;
    for (size_t i = 0; i < n && err == OK; i++) {
        enum place place = files[i].where.place;
        if (is_held(repo, refs, &files[i]))
            continue;
        if ((place != PLACE_RAW && place != PLACE_ZSTD) || files[i].size != REF_LEN) {
            err = ERR_CORRUPT; /* nobody binds a ref so */
            break;
        }
        wave_add(&wave, refs, &files[i]);
        if (wave.n == READS_AT_ONCE)
            err = wave_run(repo, refs, &wave);
    }
    int last = wave_run(repo, refs, &wave);
    return err == OK ? last : err;
}
