#include "pipeline/repo/check/fsck_blobs.h"

#include <stdlib.h>

#include "formats/base/hash.h"
#include "formats/base/hex.h"
#include "formats/blob.h"
#include "pipeline/repo/content/blob_read.h"
#include "pipeline/repo/content/content_read.h"

/* Objects whose names are kept; beyond these the store is asked for each. */
#define NAMES_MAX (16u * MIB)
/* Manifests that are remembered as checked, and what is missing as told. */
#define REMEMBERED 4096u
#define READ_LEN   (4u * MIB)

struct fsck_blobs {
    struct fsck_project *p;
    uint64_t *names; /* the first eight bytes of each hash, sorted */
    size_t n;
    size_t cap;
    bool some_left; /* not all are in `names` */
    struct hash checked[REMEMBERED];
    struct hash told[REMEMBERED];
    struct hash unread; /* a content whose chunks cannot be read as one; zero: none */
};

static uint64_t name_of(const struct hash *hash)
{
    uint64_t name = 0;
    for (unsigned i = 0; i < sizeof(name); i++)
        name = name << 8 | hash->b[i];
    return name;
}

/* Whether it is new there. */
static bool remember(struct hash table[REMEMBERED], const struct hash *hash)
{
    struct hash *slot = &table[name_of(hash) % REMEMBERED];
    bool is_new = !hash_equal(slot, hash);
    *slot = *hash;
    return is_new;
}

/* --- names --- */

/* blobs/{h2}/{hash} below the project; false for a key that no content has. */
static bool key_parse(const struct fsck_project *p, const char *key, struct hash *out)
{
    const char *last = strrchr(key, '/');
    if (last == NULL || hash_parse(bytes_str(last + 1), out) != OK)
        return false;
    struct key again = key_blob(&p->id, out);
    return strcmp(again.s, key) == 0;
}

static struct key prefix_of(const struct fsck_project *p)
{
    static const struct hash any;
    struct key key = key_blob(&p->id, &any);
    *(strrchr(key.s, '/') - 2) = '\0'; /* what is before the two digits */
    return key;
}

static void name_add(struct fsck_blobs *blobs, const struct hash *hash)
{
    if (blobs->n == NAMES_MAX) {
        blobs->some_left = true;
        return;
    }
    if (blobs->n == blobs->cap) {
        blobs->cap = blobs->cap == 0 ? 1024 : 2 * blobs->cap;
        blobs->names = realloc(blobs->names, blobs->cap * sizeof(*blobs->names));
        if (blobs->names == NULL)
            abort();
    }
    blobs->names[blobs->n++] = name_of(hash); /* keys are listed in order */
}

int fsck_blobs_open(struct fsck_project *p, struct fsck_blobs **out)
{
    struct fsck_blobs *blobs = calloc(1, sizeof(*blobs));
    if (blobs == NULL)
        abort();
    blobs->p = p;
    struct key prefix = prefix_of(p);
    AUTO(fsck_keys_release)
    struct fsck_keys keys = {.store = p->fsck->store, .prefix = prefix.s};
    const struct store_key *key;
    int err;
    while ((err = fsck_keys_next(&keys, &key)) == OK) {
        struct hash hash;
        if (key_parse(p, key->key, &hash))
            name_add(blobs, &hash);
    }
    *out = blobs;
    return err == ERR_NOT_FOUND ? OK : err;
}

void fsck_blobs_close(struct fsck_blobs *blobs)
{
    if (blobs == NULL)
        return;
    free(blobs->names);
    free(blobs);
}

static int name_order(const void *a, const void *b)
{
    uint64_t left = *(const uint64_t *)a;
    uint64_t right = *(const uint64_t *)b;
    return (left > right) - (left < right);
}

/* What was not listed is asked for by itself before it is missed. */
static int is_there(struct fsck_blobs *blobs, const struct hash *hash, bool *there)
{
    uint64_t name = name_of(hash);
    *there = blobs->n > 0 &&
             bsearch(&name, blobs->names, blobs->n, sizeof(name), name_order) != NULL;
    if (*there)
        return OK;
    struct key key = key_blob(&blobs->p->id, hash);
    int err = store_get(blobs->p->fsck->store, key.s, range_none(), NULL, NULL, NULL);
    *there = err == OK;
    return err == ERR_NOT_FOUND ? OK : err;
}

static int need_one(struct fsck_blobs *blobs, const struct hash *hash, const char *by,
                    bool *there)
{
    int err = is_there(blobs, hash, there);
    if (err != OK || *there || !remember(blobs->told, hash))
        return err;
    struct key key = key_blob(&blobs->p->id, hash);
    fsck_damage(blobs->p->fsck, "durable", "blob_missing", key.s, "it is named by %s", by);
    return OK;
}

/* --- manifests --- */

static int chunks_need(struct fsck_blobs *blobs, const struct manifest *manifest,
                       const char *key)
{
    int err = OK;
    for (uint32_t i = 0; i < manifest->n && err == OK; i++) {
        bool there;
        err = need_one(blobs, &manifest->chunks[i], key, &there);
    }
    return err;
}

/* The same of a manifest that nothing landed names, as far as is remembered: without all of its
 * chunks it counts as not uploaded. A put of one that took effect late leaves such. */
static int chunks_look(struct fsck_blobs *blobs, const struct manifest *manifest,
                       const char *key)
{
    for (uint32_t i = 0; i < manifest->n; i++) {
        bool there;
        int err = is_there(blobs, &manifest->chunks[i], &there);
        if (err != OK)
            return err;
        if (there)
            continue;
        fsck_note(blobs->p->fsck, "upload_partial", key, "the chunk %s is not there",
                  hash_hex(&manifest->chunks[i]).s);
        return OK;
    }
    return OK;
}

static void blob_damaged(struct fsck_blobs *blobs, const char *key, const char *what)
{
    fsck_damage(blobs->p->fsck, "named", "blob_damaged", key, "%s", what);
}

/* `content` may be NULL: then nobody says what it should be but its name. */
static int manifest_check(struct fsck_blobs *blobs, const struct hash *hash,
                          const struct content *content, struct bytes bytes)
{
    AUTO(arena_release) struct arena arena = {0};
    struct manifest manifest;
    struct key key = key_blob(&blobs->p->id, hash);
    struct hash check = sha256(bytes);
    int err = manifest_decode(bytes, &arena, &manifest);
    if (err != OK || !hash_equal(&manifest.hash, hash)) {
        blob_damaged(blobs, key.s,
                     err != OK ? "it is no manifest that can be decoded"
                               : "it is the manifest of another content");
        return OK;
    }
    if (content != NULL &&
        (!hash_equal(&check, &content->manifest) || manifest.size != content->size)) {
        blob_damaged(blobs, key.s, "it is not the manifest that was landed");
        return OK;
    }
    return content != NULL ? chunks_need(blobs, &manifest, key.s)
                           : chunks_look(blobs, &manifest, key.s);
}

static int manifest_need(struct fsck_blobs *blobs, const struct content *content)
{
    AUTO_BUF bytes = {0};
    struct key key = key_blob(&blobs->p->id, &content->hash);
    int err = store_get(blobs->p->fsck->store, key.s, range_all(), &bytes, NULL, NULL);
    if (err != OK) {
        if (!fsck_is_damage(err))
            return err;
        blob_damaged(blobs, key.s, "it cannot be read");
        return OK;
    }
    return manifest_check(blobs, &content->hash, content, buf_bytes(&bytes));
}

int fsck_blobs_need(struct fsck_blobs *blobs, const struct content *content, const char *by)
{
    bool there;
    int err = need_one(blobs, &content->hash, by, &there);
    if (err != OK || !there || content->carrier != CARRIER_MANIFEST)
        return err;
    /* Read deep, each is looked at by its name. */
    return remember(blobs->checked, &content->hash) ? manifest_need(blobs, content) : OK;
}

/* --- deep --- */

/* All of a content in chunks, through the hash over all of it. */
static int chunks_read(struct fsck_blobs *blobs, const struct hash *hash, const char *key)
{
    struct repo *repo = &blobs->p->fsck->repo;
    struct content_reader *reader;
    int err = content_open_blob(repo, &blobs->p->id, hash, &reader);
    if (err != OK)
        return fsck_is_damage(err) ? OK : err; /* told as what is damaged or missing */
    struct sha256_ctx sha;
    sha256_init(&sha);
    AUTO_BUF bytes = {0};
    for (uint64_t at = 0; at < content_size(reader) && err == OK; at += READ_LEN) {
        buf_clear(&bytes);
        err = content_read_at(reader, at, READ_LEN, &bytes);
        sha256_update(&sha, buf_bytes(&bytes));
    }
    content_close(reader);
    struct hash found = sha256_final(&sha);
    if (err == OK && !hash_equal(&found, hash))
        blob_damaged(blobs, key, "its chunks are not the content that its name says");
    if (!fsck_is_damage(err))
        return err;
    blobs->unread = *hash;
    return OK;
}

/* Chunks that are each what their names say may still be of another size than they should. */
static void unread_tell(struct fsck_blobs *blobs)
{
    const struct fsck_project *p = blobs->p;
    struct key key = key_blob(&p->id, &blobs->unread);
    if (!hash_is_zero(&blobs->unread) && p->fsck->counts.damages == p->damages_from)
        blob_damaged(blobs, key.s, "its chunks cannot be read as one content");
}

static int object_read(struct fsck_blobs *blobs, const struct store_op *op)
{
    struct hash hash;
    if (op->err == ERR_NOT_FOUND || !key_parse(blobs->p, op->key, &hash))
        return OK;
    struct bytes bytes = op->err == OK ? buf_bytes(op->body) : bytes_of(NULL, 0);
    blobs->p->fsck->counts.contents++;
    if (manifest_is(bytes)) {
        const struct fsck_counts *counts = &blobs->p->fsck->counts;
        uint64_t findings = counts->damages + counts->notes;
        int err =
            remember(blobs->checked, &hash) ? manifest_check(blobs, &hash, NULL, bytes) : OK;
        bool good = findings == counts->damages + counts->notes;
        return err == OK && good ? chunks_read(blobs, &hash, op->key) : err;
    }
    AUTO_BUF plain = {0};
    uint64_t size;
    int err = zstd_size(bytes, &size);
    if (err == OK)
        err = size <= CHUNK_SIZE_MAX ? zstd_unpack(bytes, size, &plain) : ERR_CORRUPT;
    struct hash found = sha256(buf_bytes(&plain));
    if (err != OK || !hash_equal(&found, &hash))
        blob_damaged(blobs, op->key, "it is not the content that its name says");
    return OK;
}

static int wave_run(struct fsck_blobs *blobs, struct fsck_gets *gets)
{
    int err = fsck_gets_run(blobs->p->fsck, gets);
    for (size_t i = 0; i < gets->n && err == OK; i++)
        err = object_read(blobs, &gets->ops[i]);
    fsck_gets_clear(gets);
    return err;
}

int fsck_blobs_read(struct fsck_blobs *blobs)
{
    struct fsck_gets gets = {0};
    struct key prefix = prefix_of(blobs->p);
    AUTO(fsck_keys_release)
    struct fsck_keys keys = {.store = blobs->p->fsck->store, .prefix = prefix.s};
    const struct store_key *key;
    int err;
    while ((err = fsck_keys_next(&keys, &key)) == OK) {
        struct hash hash;
        if (!key_parse(blobs->p, key->key, &hash))
            continue;
        if (gets.n > 0 && (gets.n == FSCK_AT_ONCE || gets.bytes + key->size > FSCK_BYTES)) {
            err = wave_run(blobs, &gets);
            if (err != OK)
                return err;
        }
        struct key name = key_blob(&blobs->p->id, &hash);
        (void)fsck_gets_add(&gets, &name, range_all());
        gets.bytes += key->size;
    }
    if (err == ERR_NOT_FOUND)
        err = wave_run(blobs, &gets);
    if (err == OK)
        unread_tell(blobs);
    return err;
}
