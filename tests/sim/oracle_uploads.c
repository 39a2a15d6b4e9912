/* Uploads: who was told that one is there finds it there for the grace time, with each of its
 * chunks; what an open session or the queue has named since before a run was opened is not
 * taken by it; nothing is ever deleted that is not condemned; and a manifest is put when its
 * chunks have been. That what has landed stays for ever is seen at the end. */
#include <stdlib.h>

#include "formats/base/hex.h"
#include "formats/blob.h"
#include "formats/gc.h"
#include "formats/key.h"
#include "tests/sim/sim.h"
#include "tests/sim/sim_oracle.h"

/* A session with a record that names the upload, or a manifest that it is a chunk of. */
struct namer {
    struct namer *next;
    struct id16 session;
    struct hash manifest; /* zero: itself */
    uint64_t since_ms;
};

struct upload_known {
    uint64_t put_us;  /* the last time */
    uint64_t told_us; /* the last put that a client was told of */
    bool leaf;        /* a client was told that it is one */
    struct hash of;   /* the manifest that named it last */
    struct namer *namers;
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

void oracle_leaf_told(struct oracle *o, const struct id16 *project, const struct hash *hash)
{
    AUTO(arena_release) struct arena arena = {0};
    AUTO_BUF bytes = {0};
    struct manifest manifest;
    struct key key = key_blob(project, hash);
    known(o, project, hash)->leaf = true;
    if (store_get(far_end_mem(o->end), key.s, range_all(), &bytes, NULL, NULL) != OK)
        broken("durable", "a client is told of the leaf %s, and it is not there", key.s);
    if (!manifest_read(buf_bytes(&bytes), &arena, &manifest))
        return;
    for (uint32_t i = 0; i < manifest.n; i++) {
        struct key chunk = key_blob(project, &manifest.chunks[i]);
        known(o, project, &manifest.chunks[i])->leaf = true;
        if (store_get(far_end_mem(o->end), chunk.s, range_none(), NULL, NULL, NULL) != OK)
            broken("durable",
                   "a client is told of the leaf %.12s, and its chunk %s is not there",
                   hash_hex(hash).s, chunk.s);
    }
}

/* --- who names it --- */

static void namer_add(struct upload_known *u, const struct id16 *session,
                      const struct hash *manifest)
{
    for (const struct namer *at = u->namers; at != NULL; at = at->next) {
        if (id16_equal(&at->session, session) && hash_equal(&at->manifest, manifest))
            return;
    }
    struct namer *namer = malloc(sizeof(*namer));
    if (namer == NULL)
        abort();
    *namer = (struct namer){.next = u->namers,
                            .session = *session,
                            .manifest = *manifest,
                            .since_ms = sim_date_ms()};
    u->namers = namer;
}

void oracle_upload_named(struct oracle *o, const struct id16 *project,
                         const struct id16 *session, const struct record *record)
{
    static const struct hash itself;
    AUTO(arena_release) struct arena arena = {0};
    AUTO_BUF bytes = {0};
    struct manifest manifest;
    if (record->kind != RECORD_OPERATION || record->operation.op == OP_DELETE)
        return;
    const struct content *content = &record->operation.content;
    if (content->carrier != CARRIER_BLOB && content->carrier != CARRIER_MANIFEST)
        return;
    struct key key = key_blob(project, &content->hash);
    if (store_get(far_end_mem(o->end), key.s, range_all(), &bytes, NULL, NULL) != OK)
        return; /* it was taken while the record was on its way */
    namer_add(known(o, project, &content->hash), session, &itself);
    if (!manifest_read(buf_bytes(&bytes), &arena, &manifest))
        return;
    for (uint32_t i = 0; i < manifest.n; i++)
        namer_add(known(o, project, &manifest.chunks[i]), session, &manifest.hash);
}

/* What names it by this manifest does so no more. */
static void namers_forget(struct upload_known *u, const struct hash *manifest)
{
    for (struct namer **at = &u->namers; *at != NULL;) {
        struct namer *namer = *at;
        if (hash_equal(&namer->manifest, manifest)) {
            *at = namer->next;
            free(namer);
        } else {
            at = &namer->next;
        }
    }
}

/* --- deletes --- */

/* When the run was opened that has condemned it. */
static uint64_t condemned_since(struct oracle *o, const struct id16 *project,
                                const struct gc_name *name, const char *key)
{
    AUTO(arena_release) struct arena arena = {0};
    AUTO_BUF bytes = {0};
    struct gc gc;
    struct key at = key_gc(project);
    int err = store_get(far_end_mem(o->end), at.s, range_all(), &bytes, NULL, NULL);
    if (err == OK)
        err = gc_decode(buf_bytes(&bytes), &arena, &gc);
    if (err != OK || !gc_has(&gc, name))
        broken("durable", "%s is deleted, and no run has condemned it", key);
    return gc.opened_ms;
}

void oracle_tree_deleting(struct oracle *o, const char *key)
{
    struct id16 project;
    struct gc_name name = {.what = GC_TREE};
    if (key_kind(key, &project) == KEY_TREE && key_tree_parse(key, &name.hash) == OK)
        (void)condemned_since(o, &project, &name, key);
}

void oracle_upload_deleting(struct oracle *o, const char *key, struct bytes old)
{
    static const struct hash itself;
    AUTO(arena_release) struct arena arena = {0};
    struct id16 project;
    struct gc_name name = {.what = GC_BLOB};
    struct manifest manifest;
    if (key_kind(key, &project) != KEY_BLOB || key_blob_parse(key, &name.hash) != OK)
        return;
    struct upload_known *u = known(o, &project, &name.hash);
    if (in_grace(o, u->told_us))
        broken("durable", "%s is deleted %.3f s after a put that a client was told of", key,
               (double)(world_now_us() - u->told_us) / 1e6);
    if (u->leaf)
        broken("durable", "%s is deleted, and a client was told that it is a leaf", key);
    uint64_t opened_ms = condemned_since(o, &project, &name, key);
    for (const struct namer *at = u->namers; at != NULL; at = at->next) {
        if (at->since_ms < opened_ms && oracle_closed(o, &at->session) == NULL)
            broken("durable", "%s is deleted, and session %s has named it %.3f s before", key,
                   id16_hex(&at->session).s, (double)(sim_date_ms() - at->since_ms) / 1e3);
    }
    namers_forget(u, &itself);
    if (!manifest_read(old, &arena, &manifest))
        return;
    for (uint32_t i = 0; i < manifest.n; i++)
        namers_forget(known(o, &project, &manifest.chunks[i]), &manifest.hash);
}
