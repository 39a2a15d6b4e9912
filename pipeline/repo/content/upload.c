#include "formats/base/hash.h"
#include "formats/base/limits.h"
#include "formats/blob.h"
#include "formats/key.h"
#include "pipeline/repo/content/blob_store.h"
#include "pipeline/repo/known.h"

/* Chunks that are put side by side: as many, but not more bytes than this. */
#define GROUP_CHUNKS 4u
#define GROUP_BYTES  (4u * MIB)

struct chunk {
    struct hash hash;
    struct key key;
    struct buf frame;
};

struct upload {
    struct arena arena; /* holds the upload itself */
    struct repo *repo;
    struct id16 project;
    struct sha256_ctx sha;
    uint64_t size;
    struct buf plain;                 /* what has come since the last chunk was sealed */
    struct buf chunks;                /* the hashes of all sealed chunks */
    struct chunk group[GROUP_CHUNKS]; /* sealed, not yet put */
    unsigned n_group;
    size_t group_bytes;
    struct hash last_put; /* of the last group */
    uint64_t version;     /* of the project's gc, which was read before anything was put */
    int err;              /* the first; an upload that failed stays failed */
};

struct upload *upload_open(struct repo *repo, const struct id16 *project)
{
    struct arena arena = {0};
    struct upload *upload = arena_new(&arena, struct upload);
    upload->arena = arena;
    upload->repo = repo;
    upload->project = *project;
    upload->version = condemned_last(repo, project);
    sha256_init(&upload->sha);
    return upload;
}

void upload_close(struct upload *upload)
{
    if (upload == NULL)
        return;
    sha256_release(&upload->sha);
    buf_release(&upload->plain);
    buf_release(&upload->chunks);
    for (unsigned i = 0; i < GROUP_CHUNKS; i++)
        buf_release(&upload->group[i].frame);
    struct arena arena = upload->arena;
    arena_release(&arena);
}

static int group_put(struct upload *upload)
{
    if (upload->n_group == 0)
        return OK;
    struct store_op ops[GROUP_CHUNKS] = {0};
    for (unsigned i = 0; i < upload->n_group; i++) {
        struct chunk *chunk = &upload->group[i];
        ops[i] = (struct store_op){.verb = STORE_PUT,
                                   .key = chunk->key.s,
                                   .data = buf_bytes(&chunk->frame),
                                   .condition = PUT_ANY};
    }
    int err = store_many(upload->repo->store, ops, upload->n_group);
    if (err != OK)
        return err;
    upload->last_put = upload->group[upload->n_group - 1].hash;
    upload->n_group = 0;
    upload->group_bytes = 0;
    return OK;
}

/* Content often repeats itself, as zeros do: a chunk that this upload has just put, or is about
 * to, is not put again. */
static bool chunk_at_hand(const struct upload *upload, const struct hash *hash)
{
    for (unsigned i = 0; i < upload->n_group; i++) {
        if (hash_equal(&upload->group[i].hash, hash))
            return true;
    }
    return hash_equal(&upload->last_put, hash);
}

static int chunk_seal(struct upload *upload)
{
    if (upload->chunks.len / sizeof(struct hash) >= MANIFEST_CHUNKS_MAX)
        return ERR_LIMIT;
    struct hash hash = sha256(buf_bytes(&upload->plain));
    wr_hash(&upload->chunks, &hash);
    if (!chunk_at_hand(upload, &hash)) {
        struct chunk *chunk = &upload->group[upload->n_group++];
        chunk->hash = hash;
        chunk->key = key_blob(&upload->project, &hash);
        buf_clear(&chunk->frame);
        zstd_pack(buf_bytes(&upload->plain), &chunk->frame);
        upload->group_bytes += chunk->frame.len;
    }
    buf_clear(&upload->plain);
    if (upload->n_group == GROUP_CHUNKS || upload->group_bytes >= GROUP_BYTES)
        return group_put(upload);
    return OK;
}

int upload_write(struct upload *upload, struct bytes data)
{
    if (upload->err == OK && data.len > CONTENT_SIZE_MAX - upload->size)
        upload->err = ERR_LIMIT;
    if (upload->err != OK)
        return upload->err;
    upload->size += data.len;
    sha256_update(&upload->sha, data);
    size_t chunk_size = upload->repo->bucket.chunk_size;
    while (data.len > 0) {
        /* A full piece is sealed only when more has come: content of just the chunk size is a
         * blob, not a chunk. */
        if (upload->plain.len == chunk_size) {
            upload->err = chunk_seal(upload);
            if (upload->err != OK)
                return upload->err;
        }
        size_t room = chunk_size - upload->plain.len;
        size_t n = data.len < room ? data.len : room;
        buf_append(&upload->plain, data.data, n);
        data = bytes_of(data.data + n, data.len - n);
    }
    return OK;
}

/* ---- the end ---- */

static int object_put(struct upload *upload, const struct hash *hash, const struct buf *bytes)
{
    struct key key = key_blob(&upload->project, hash);
    return store_put(upload->repo->store, key.s, buf_bytes(bytes), PUT_ANY, NULL);
}

static int blob_finish(struct upload *upload, struct content *content)
{
    AUTO_BUF frame = {0};
    zstd_pack(buf_bytes(&upload->plain), &frame);
    content->carrier = CARRIER_BLOB;
    return object_put(upload, &content->hash, &frame);
}

/* The manifest is put when all of its chunks are durable. */
static int manifest_finish(struct upload *upload, struct content *content)
{
    int err = chunk_seal(upload);
    if (err == OK)
        err = group_put(upload);
    if (err != OK)
        return err;
    struct manifest manifest = {
        .size = upload->size,
        .hash = content->hash,
        .chunk_size = upload->repo->bucket.chunk_size,
        .n = (uint32_t)(upload->chunks.len / sizeof(struct hash)),
        .chunks = (struct hash *)(void *)upload->chunks.data,
    };
    AUTO_BUF bytes = {0};
    manifest_encode(&manifest, &bytes);
    content->carrier = CARRIER_MANIFEST;
    content->manifest = sha256(buf_bytes(&bytes));
    return object_put(upload, &content->hash, &bytes);
}

/* All has been put. While the gc is the version that it was before that, or there never was
 * one, nothing was taken that it does not condemn; else it is looked at again. */
static int upload_stays(struct upload *upload, const struct content *content)
{
    const struct condemned *condemned;
    struct hash *chunks = (struct hash *)(void *)upload->chunks.data;
    size_t n = upload->chunks.len / sizeof(struct hash);
    int err = condemned_read(upload->repo, &upload->project, &condemned);
    if (err != OK)
        return err;
    bool gone = condemned_blob(condemned, &content->hash);
    for (size_t i = 0; i < n && condemned->gc.n > 0 && !gone; i++)
        gone = condemned_blob(condemned, &chunks[i]);
    if (!gone && condemned->version != upload->version &&
        condemned->version != CONDEMNED_ABSENT)
        err = blob_missing(upload->repo, &upload->project, condemned, &content->hash, 1, &gone,
                           NULL);
    if (err == OK && !gone)
        blob_learn(upload->repo, &upload->project, condemned, content);
    condemned_drop(condemned);
    return err == OK && gone ? ERR_CONFLICT : err;
}

int upload_finish(struct upload *upload, const struct hash *expected, struct content *out)
{
    if (upload->err != OK)
        return upload->err;
    struct content content = {
        .kind = KIND_FILE,
        .mode = MODE_PLAIN,
        .size = upload->size,
        .hash = sha256_final(&upload->sha),
    };
    if (expected != NULL && !hash_equal(expected, &content.hash))
        upload->err = ERR_INVALID;
    else if (upload->chunks.len == 0)
        upload->err = blob_finish(upload, &content);
    else
        upload->err = manifest_finish(upload, &content);
    if (upload->err != OK)
        return upload->err;
    upload->err = upload_stays(upload, &content);
    if (upload->err != OK)
        return upload->err;
    /* It is finished: nothing more can be written or finished a second time. */
    upload->err = ERR_INVALID;
    *out = content;
    return OK;
}
