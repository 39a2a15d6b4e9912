/* Uploads: who was told that one is there finds it there for the grace time, with each of its
 * chunks; and a manifest is put when its chunks have been. That what has landed stays for ever
 * is seen at the end. */
#include "formats/base/hex.h"
#include "formats/blob.h"
#include "formats/key.h"
#include "tests/sim/sim.h"
#include "tests/sim/sim_oracle.h"

struct upload_known {
    uint64_t put_us;  /* the last time */
    uint64_t told_us; /* the last put that a client was told of */
    struct hash of;   /* the manifest that named it last */
};

static struct upload_known *known(struct oracle *o, const struct id16 *project,
                                  const struct hash *hash)
{
    struct id16 half;
    memcpy(half.b, hash->b, sizeof(half.b));
    struct upload_known *u = id_table_find(&o->uploads, project, &half);
    return u != NULL ? u : id_table_new(&o->uploads, project, &half, sizeof(*u));
}

/* False for what is no manifest. */
static bool manifest_read(struct bytes data, struct arena *arena, struct manifest *out)
{
    if (!manifest_is(data))
        return false;
    int err = manifest_decode(data, arena, out);
    if (err != OK)
        broken("named", "a manifest cannot be read: %s", err_name(err));
    return true;
}

static void chunks_put_check(struct oracle *o, const struct id16 *project, const char *key,
                             const struct manifest *manifest)
{
    for (uint32_t i = 0; i < manifest->n; i++) {
        struct upload_known *u = known(o, project, &manifest->chunks[i]);
        if (u->put_us == 0)
            broken("durable", "the manifest %s is put, and a chunk of it never was", key);
        if (!hash_is_zero(&u->of) && !hash_equal(&u->of, &manifest->hash))
            count(COUNT_UPLOAD_OVERLAP);
        u->of = manifest->hash;
    }
}

void oracle_upload_put(struct oracle *o, const char *key, struct bytes data)
{
    AUTO(arena_release) struct arena arena = {0};
    struct id16 project;
    struct hash hash;
    struct manifest manifest;
    if (key_kind(key, &project) != KEY_BLOB || key_blob_parse(key, &hash) != OK)
        return;
    if (manifest_read(data, &arena, &manifest))
        chunks_put_check(o, &project, key, &manifest);
    known(o, &project, &hash)->put_us = world_now_us();
}

uint64_t oracle_upload_put_us(struct oracle *o, const struct id16 *project,
                              const struct hash *hash)
{
    return known(o, project, hash)->put_us;
}

static void told(struct oracle *o, const struct id16 *project, const struct hash *hash,
                 uint64_t put_us)
{
    struct upload_known *u = known(o, project, hash);
    if (u->told_us < put_us)
        u->told_us = put_us;
}

static bool in_grace(const struct oracle *o, uint64_t told_us)
{
    return told_us > 0 && world_now_us() < told_us + o->profile->grace_ms * 1000;
}

void oracle_upload_told(struct oracle *o, const struct id16 *project, const struct hash *hash,
                        uint64_t put_us)
{
    AUTO(arena_release) struct arena arena = {0};
    AUTO_BUF bytes = {0};
    struct manifest manifest;
    struct key key = key_blob(project, hash);
    told(o, project, hash, put_us);
    /* An answer may be longer on its way than that. */
    if (o->profile->grace_ms > 0 && !in_grace(o, put_us))
        return;
    if (store_get(far_end_mem(o->end), key.s, range_all(), &bytes, NULL, NULL) != OK)
        broken("durable", "a client is told of %s, and it is not there", key.s);
    if (!manifest_read(buf_bytes(&bytes), &arena, &manifest))
        return;
    for (uint32_t i = 0; i < manifest.n; i++) {
        struct key chunk = key_blob(project, &manifest.chunks[i]);
        told(o, project, &manifest.chunks[i], put_us);
        if (store_get(far_end_mem(o->end), chunk.s, range_none(), NULL, NULL, NULL) != OK)
            broken("durable", "a client is told of %.12s, and its chunk %s is not there",
                   hash_hex(hash).s, chunk.s);
    }
}

void oracle_upload_deleting(struct oracle *o, const char *key)
{
    struct id16 project;
    struct hash hash;
    if (key_kind(key, &project) != KEY_BLOB || key_blob_parse(key, &hash) != OK)
        return;
    const struct upload_known *u = known(o, &project, &hash);
    if (in_grace(o, u->told_us))
        broken("durable", "%s is deleted %.3f s after a put that a client was told of", key,
               (double)(world_now_us() - u->told_us) / 1e6);
}
