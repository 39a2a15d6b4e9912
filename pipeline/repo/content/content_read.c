#include "pipeline/repo/content/content_read.h"

#include "formats/base/hash.h"
#include "formats/base/limits.h"
#include "formats/key.h"
#include "pipeline/repo/content/blob_read.h"
#include "pipeline/repo/content/content_cache.h"
#include "pipeline/repo/damage.h"

struct content_reader {
    struct arena arena; /* holds the reader itself */
    struct repo *repo;
    struct id16 project;
    uint64_t size;
    uint64_t piece_size; /* plain bytes of every piece but the last */
    struct hash *chunks; /* the pieces' hashes; NULL when there is one piece, which is loaded */
    struct buf piece;    /* the piece that was read last, plain and checked */
    uint64_t loaded;     /* its number; UINT64_MAX: none */
};

static struct content_reader *reader_new(struct repo *repo, const struct id16 *project)
{
    struct arena arena = {0};
    struct content_reader *reader = arena_new(&arena, struct content_reader);
    reader->arena = arena;
    reader->repo = repo;
    reader->project = *project;
    reader->loaded = UINT64_MAX;
    return reader;
}

void content_close(struct content_reader *reader)
{
    if (reader == NULL)
        return;
    buf_release(&reader->piece);
    struct arena arena = reader->arena;
    arena_release(&arena);
}

/* What a parent names and that is not there is damage. */
static int blob_damage(const struct content_reader *reader, const struct hash *hash, int err)
{
    struct key key = key_blob(&reader->project, hash);
    return damage_of(reader->repo, key.s, err);
}

/* ---- opening ---- */

static void set_single(struct content_reader *reader)
{
    reader->size = reader->piece.len;
    reader->piece_size = reader->size > 0 ? reader->size : 1;
    reader->loaded = 0;
}

static void set_manifest(struct content_reader *reader, const struct manifest *manifest)
{
    reader->size = manifest->size;
    reader->piece_size = manifest->chunk_size;
    reader->chunks = manifest->chunks;
}

/* The bytes as they lie in the tree object, in `own` or in what was read ahead. */
static int stored_read(const struct content_reader *reader, const struct key *key,
                       const struct location *where, struct object_ahead *ahead,
                       struct buf *own, struct bytes *out)
{
    int err = OK;
    *out = (struct bytes){0};
    if (where->len > 0 && ahead != NULL)
        return object_ahead_get(ahead, reader->repo->store, key->s, where, out);
    if (where->len > 0)
        err = store_get(reader->repo->store, key->s, range_of(where->offset, where->len), own,
                        NULL, NULL);
    *out = buf_bytes(own);
    return err == OK && out->len != where->len ? ERR_CORRUPT : err;
}

/* Small content in a tree object: all of it is read at once. */
static int open_in_tree(struct content_reader *reader, const struct location *where,
                        uint64_t size, const struct hash *hash, struct object_ahead *ahead)
{
    if (size > INLINE_CONTENT_MAX || where->len > blob_frame_max(size))
        return ERR_CORRUPT;
    struct held_cache *cache = reader->repo->contents;
    if (content_cache_find(cache, &reader->project, hash, &reader->piece)) {
        set_single(reader);
        return reader->size == size ? OK : ERR_CORRUPT;
    }
    AUTO_BUF own = {0};
    struct bytes stored;
    struct key key = key_tree(&reader->project, &where->tree);
    int err = stored_read(reader, &key, where, ahead, &own, &stored);
    if (err == OK && where->place == PLACE_ZSTD)
        err = zstd_unpack(stored, size, &reader->piece);
    else if (err == OK)
        buf_append_bytes(&reader->piece, stored);
    struct hash found = sha256(buf_bytes(&reader->piece));
    if (err == OK && (reader->piece.len != size || !hash_equal(&found, hash)))
        err = ERR_CORRUPT;
    if (err != OK)
        return damage_of(reader->repo, key.s, err);
    content_cache_add(cache, &reader->project, hash, buf_bytes(&reader->piece));
    set_single(reader);
    return OK;
}

static int open_blob(struct content_reader *reader, uint64_t size, const struct hash *hash)
{
    if (size > reader->repo->bucket.chunk_size)
        return ERR_CORRUPT;
    int err = blob_plain_get(reader->repo, &reader->project, hash, size, &reader->piece);
    if (err != OK)
        return blob_damage(reader, hash, err);
    set_single(reader);
    return OK;
}

static int open_manifest(struct content_reader *reader, const struct location *where,
                         uint64_t size, const struct hash *hash)
{
    AUTO_BUF object = {0};
    uint64_t object_size;
    int err = blob_get(reader->repo, &reader->project, hash,
                       blob_frame_max(reader->repo->bucket.chunk_size), &object, &object_size);
    struct manifest manifest;
    struct hash check;
    if (err == OK)
        err = blob_manifest_get(reader->repo, &reader->project, hash, &object, object_size,
                                &reader->arena, &manifest, &check);
    if (err == OK && (manifest.size != size || !hash_equal(&check, &where->check)))
        err = ERR_CORRUPT;
    if (err != OK)
        return blob_damage(reader, hash, err);
    set_manifest(reader, &manifest);
    return OK;
}

int content_open(struct repo *repo, const struct id16 *project, const struct location *where,
                 uint64_t size, const struct hash *hash, struct content_reader **out)
{
    return content_open_ahead(repo, project, where, size, hash, NULL, out);
}

int content_open_ahead(struct repo *repo, const struct id16 *project,
                       const struct location *where, uint64_t size, const struct hash *hash,
                       struct object_ahead *ahead, struct content_reader **out)
{
    struct content_reader *reader = reader_new(repo, project);
    int err = ERR_CORRUPT;
    switch (where->place) {
    case PLACE_RAW:
    case PLACE_ZSTD:
        err = open_in_tree(reader, where, size, hash, ahead);
        break;
    case PLACE_BLOB:
        err = open_blob(reader, size, hash);
        break;
    case PLACE_MANIFEST:
        err = open_manifest(reader, where, size, hash);
        break;
    case PLACE_NONE:
    case PLACE_PAGE:
        err = ERR_INVALID;
        break;
    }
    if (err != OK) {
        content_close(reader);
        return err;
    }
    *out = reader;
    return OK;
}

/* What lies under a hash when nothing says whether it is a blob or a manifest. */
static int open_either(struct content_reader *reader, const struct hash *hash)
{
    struct repo *repo = reader->repo;
    AUTO_BUF object = {0};
    uint64_t whole;
    uint64_t most = blob_frame_max(repo->bucket.chunk_size);
    int err = blob_get(repo, &reader->project, hash, most, &object, &whole);
    if (err != OK)
        return err;
    if (manifest_is(buf_bytes(&object))) {
        struct manifest manifest;
        struct hash check;
        err = blob_manifest_get(repo, &reader->project, hash, &object, whole, &reader->arena,
                                &manifest, &check);
        if (err == OK)
            set_manifest(reader, &manifest);
        return err;
    }
    err =
        blob_plain_of(repo, &reader->project, hash, buf_bytes(&object), whole, &reader->piece);
    if (err == OK)
        set_single(reader);
    return err;
}

int content_open_blob(struct repo *repo, const struct id16 *project, const struct hash *hash,
                      struct content_reader **out)
{
    struct content_reader *reader = reader_new(repo, project);
    int err = open_either(reader, hash);
    if (err != OK) {
        content_close(reader);
        return err;
    }
    *out = reader;
    return OK;
}

/* ---- reading ---- */

uint64_t content_size(const struct content_reader *reader)
{
    return reader->size;
}

static int piece_load(struct content_reader *reader, uint64_t number)
{
    if (reader->loaded == number)
        return OK;
    uint64_t left = reader->size - number * reader->piece_size;
    reader->loaded = UINT64_MAX;
    buf_clear(&reader->piece);
    int err =
        blob_plain_get(reader->repo, &reader->project, &reader->chunks[number],
                       left < reader->piece_size ? left : reader->piece_size, &reader->piece);
    if (err != OK)
        return blob_damage(reader, &reader->chunks[number], err);
    reader->loaded = number;
    return OK;
}

int content_read_at(struct content_reader *reader, uint64_t offset, size_t len, struct buf *out)
{
    if (offset >= reader->size)
        return OK;
    uint64_t left = reader->size - offset;
    if (len < left)
        left = len;
    size_t before = out->len;
    while (left > 0) {
        int err = piece_load(reader, offset / reader->piece_size);
        if (err != OK) {
            out->len = before;
            return err;
        }
        size_t at = (size_t)(offset % reader->piece_size);
        size_t run = reader->piece.len - at;
        if (run > left)
            run = (size_t)left;
        buf_append(out, reader->piece.data + at, run);
        offset += run;
        left -= run;
    }
    return OK;
}
