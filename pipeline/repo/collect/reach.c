#include "pipeline/repo/collect/reach.h"

#include <stdio.h>

#include "pipeline/repo/content/blob_read.h"
#include "pipeline/repo/damage.h"

/* Of a manifest, at first: the chunks of 2 GiB. */
#define MANIFEST_FIRST (64u * KIB)
/* Enough to tell whether an object is one. */
#define MANIFEST_LOOK 16u

void reach_init(struct reach *reach, struct repo *repo, const struct id16 *project)
{
    *reach = (struct reach){.repo = repo, .project = *project};
    reach->fsck.store = repo->store;
    reach->fsck.options = &reach->options;
}

void reach_release(struct reach *reach)
{
    name_set_release(&reach->marked);
    buf_release(&reach->manifests);
    buf_release(&reach->derive_agents);
}

int reach_damaged(struct reach *reach, const char *key)
{
    (void)snprintf(reach->damaged.s, sizeof(reach->damaged.s), "%s", key);
    damage_log(reach->repo, key, ERR_CORRUPT);
    return ERR_CORRUPT;
}

/* --- names --- */

void reach_tree(struct reach *reach, const struct hash *tree)
{
    const struct gc_name name = {.what = GC_TREE, .hash = *tree};
    (void)name_set_add(&reach->marked, &name);
}

void reach_blob(struct reach *reach, const struct hash *hash, bool manifest)
{
    const struct gc_name name = {.what = GC_BLOB, .hash = *hash};
    if (name_set_add(&reach->marked, &name) && manifest)
        wr_hash(&reach->manifests, hash);
}

void reach_records(struct reach *reach, const struct record *records, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const struct record *record = &records[i];
        if (record->kind != RECORD_OPERATION || record->operation.op == OP_DELETE)
            continue;
        const struct content *content = &record->operation.content;
        if (content->carrier == CARRIER_BLOB || content->carrier == CARRIER_MANIFEST)
            reach_blob(reach, &content->hash, content->carrier == CARRIER_MANIFEST);
    }
}

/* --- sessions --- */

/* An object of this length holds no record: a tombstone, most likely. It names nothing. */
static size_t empty_session_len(void)
{
    AUTO_BUF bytes = {0};
    struct session none = {.state = SESSION_SETTLED};
    session_encode(&none, &bytes);
    return bytes.len;
}

static int session_take(struct reach *reach, const struct store_op *op)
{
    AUTO(arena_release) struct arena arena = {0};
    struct session session;
    if (op->err == ERR_NOT_FOUND) /* they are never deleted by the forge */
        return OK;
    if (op->err != OK || session_decode(buf_bytes(op->body), &arena, &session) != OK)
        return reach_damaged(reach, op->key);
    reach->counts.sessions += session.state == SESSION_OPEN;
    reach_records(reach, session.records, session.n_records);
    return OK;
}

static int sessions_wave(struct reach *reach, struct fsck_gets *gets)
{
    int err = fsck_gets_run(&reach->fsck, gets);
    for (size_t i = 0; i < gets->n && err == OK; i++)
        err = session_take(reach, &gets->ops[i]);
    fsck_gets_clear(gets);
    return err;
}

static int reach_sessions(struct reach *reach)
{
    struct fsck_gets gets = {0};
    struct key prefix = key_session_prefix(&reach->project);
    AUTO(fsck_keys_release)
    struct fsck_keys keys = {.store = reach->repo->store, .prefix = prefix.s};
    const struct store_key *key;
    size_t empty = empty_session_len();
    int err;
    reach->counts.sessions = 0;
    while ((err = fsck_keys_next(&keys, &key)) == OK) {
        struct id16 id;
        if (key->size == empty || key_session_parse(key->key, &id) != OK)
            continue;
        if (gets.n > 0 && (gets.n == FSCK_AT_ONCE || gets.bytes + key->size > FSCK_BYTES)) {
            err = sessions_wave(reach, &gets);
            if (err != OK)
                return err;
        }
        struct key name = key_session(&reach->project, &id);
        (void)fsck_gets_add(&gets, &name, range_all());
        gets.bytes += key->size;
    }
    return err == ERR_NOT_FOUND ? sessions_wave(reach, &gets) : err;
}

/* --- manifests --- */

/* One that is gone names nothing; whoever uploads it again puts every chunk. */
static int manifest_take(struct reach *reach, const struct hash *hash, struct store_op *op,
                         bool named)
{
    AUTO(arena_release) struct arena arena = {0};
    struct manifest manifest;
    struct hash check;
    if (op->err == ERR_NOT_FOUND)
        return OK;
    int err = op->err;
    if (err == OK)
        err = blob_manifest_get(reach->repo, &reach->project, hash, op->body, op->size, &arena,
                                &manifest, &check);
    if (err != OK && fsck_is_damage(err))
        return named ? reach_damaged(reach, op->key) : OK;
    if (err != OK)
        return err;
    reach->counts.manifests++;
    for (uint32_t i = 0; i < manifest.n; i++)
        reach_blob(reach, &manifest.chunks[i], false);
    return OK;
}

static int reach_manifests(struct reach *reach, bool named)
{
    int err = OK;
    while (reach->manifests.len > 0 && err == OK) {
        struct fsck_gets gets = {0};
        struct hash hashes[FSCK_AT_ONCE];
        while (gets.n < FSCK_AT_ONCE && reach->manifests.len > 0) {
            reach->manifests.len -= sizeof(struct hash);
            struct hash *hash = &hashes[gets.n];
            memcpy(hash, reach->manifests.data + reach->manifests.len, sizeof(*hash));
            struct key key = key_blob(&reach->project, hash);
            (void)fsck_gets_add(&gets, &key, range_of(0, MANIFEST_FIRST));
        }
        err = fsck_gets_run(&reach->fsck, &gets);
        for (size_t i = 0; i < gets.n && err == OK; i++)
            err = manifest_take(reach, &hashes[i], &gets.ops[i], named);
        fsck_gets_clear(&gets);
    }
    return err;
}

int reach_chunks(struct reach *reach, const struct hash *hashes, size_t n)
{
    int err = OK;
    for (size_t at = 0; at < n && err == OK; at += FSCK_AT_ONCE) {
        struct fsck_gets gets = {0};
        for (size_t i = at; i < n && gets.n < FSCK_AT_ONCE; i++) {
            struct key key = key_blob(&reach->project, &hashes[i]);
            (void)fsck_gets_add(&gets, &key, range_of(0, MANIFEST_LOOK));
        }
        err = fsck_gets_run(&reach->fsck, &gets);
        for (size_t i = 0; i < gets.n && err == OK; i++) {
            if (gets.ops[i].err == OK && manifest_is(buf_bytes(&gets.bodies[i])))
                wr_hash(&reach->manifests, &hashes[at + i]);
        }
        fsck_gets_clear(&gets);
    }
    return err == OK ? reach_manifests(reach, false) : err;
}

/* --- all --- */

int reach_mark(struct reach *reach)
{
    int err = reach_queue(reach);
    if (err == OK)
        err = reach_sessions(reach);
    if (err == OK)
        err = reach_derive(reach);
    if (err == OK)
        err = reach_chain(reach);
    return err == OK ? reach_manifests(reach, true) : err;
}
