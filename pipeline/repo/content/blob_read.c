#include "pipeline/repo/content/blob_read.h"

#include "formats/base/hash.h"
#include "formats/base/limits.h"
#include "formats/key.h"
#include "pipeline/repo/damage.h"

#define MANIFEST_HEAD_LEN 64u

uint64_t blob_frame_max(uint64_t size)
{
    /* zstd's worst case adds a 256th and a little for short content; twice that is plenty. */
    return size + size / 128 + 1024;
}

int blob_get(struct repo *repo, const struct id16 *project, const struct hash *hash,
             uint64_t max, struct buf *out, uint64_t *size)
{
    struct key key = key_blob(project, hash);
    size_t before = out->len;
    uint64_t whole;
    int err = store_get(repo->store, key.s, range_of(0, max), out, NULL, &whole);
    if (err != OK)
        return damage_unless_absent(repo, key.s, err);
    uint64_t got = out->len - before;
    if (got == 0 || got != (whole < max ? whole : max))
        return damage_of(repo, key.s, ERR_CORRUPT);
    *size = whole;
    return OK;
}

int blob_plain_get(struct repo *repo, const struct id16 *project, const struct hash *hash,
                   uint64_t size, struct buf *out)
{
    AUTO_BUF frame = {0};
    struct key key = key_blob(project, hash);
    uint64_t max = blob_frame_max(size);
    uint64_t whole;
    int err = blob_get(repo, project, hash, max, &frame, &whole);
    if (err != OK)
        return err;
    size_t before = out->len;
    err = whole > max ? ERR_CORRUPT : zstd_unpack(buf_bytes(&frame), size, out);
    if (err == OK) {
        struct hash found = sha256(bytes_of(out->data + before, out->len - before));
        if (!hash_equal(&found, hash))
            err = ERR_CORRUPT;
    }
    if (err != OK)
        out->len = before;
    return damage_of(repo, key.s, err);
}

int blob_plain_of(struct repo *repo, const struct id16 *project, const struct hash *hash,
                  struct bytes frame, uint64_t object_size, struct buf *out)
{
    struct key key = key_blob(project, hash);
    size_t before = out->len;
    uint64_t size;
    int err = object_size == frame.len ? zstd_size(frame, &size) : ERR_CORRUPT;
    if (err == OK && size > repo->bucket.chunk_size)
        err = ERR_CORRUPT;
    if (err == OK)
        err = zstd_unpack(frame, size, out);
    if (err == OK) {
        struct hash found = sha256(bytes_of(out->data + before, out->len - before));
        err = hash_equal(&found, hash) ? OK : ERR_CORRUPT;
    }
    if (err != OK)
        out->len = before;
    return damage_of(repo, key.s, err);
}

static int manifest_get(struct repo *repo, const struct key *key, const struct hash *hash,
                        struct buf *begun, uint64_t object_size, struct arena *arena,
                        struct manifest *out, struct hash *check)
{
    const uint64_t most =
        MANIFEST_HEAD_LEN + (uint64_t)MANIFEST_CHUNKS_MAX * sizeof(struct hash);
    if (!manifest_is(buf_bytes(begun)) || object_size > most || begun->len > object_size)
        return ERR_CORRUPT;
    if (begun->len < object_size) {
        int err = store_get(repo->store, key->s, range_of(begun->len, object_size - begun->len),
                            begun, NULL, NULL);
        if (err != OK)
            return err;
        if (begun->len != object_size)
            return ERR_CORRUPT;
    }
    struct manifest manifest;
    int err = manifest_decode(buf_bytes(begun), arena, &manifest);
    if (err != OK || !hash_equal(&manifest.hash, hash))
        return ERR_CORRUPT;
    *check = sha256(buf_bytes(begun));
    *out = manifest;
    return OK;
}

int blob_manifest_get(struct repo *repo, const struct id16 *project, const struct hash *hash,
                      struct buf *begun, uint64_t object_size, struct arena *arena,
                      struct manifest *out, struct hash *check)
{
    struct key key = key_blob(project, hash);
    return damage_of(repo, key.s,
                     manifest_get(repo, &key, hash, begun, object_size, arena, out, check));
}
