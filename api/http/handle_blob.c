/* Content by its hash, uploads, and objects of the bucket as they lie. */
#include "api/http/content_source.h"
#include "api/http/route.h"
#include "formats/base/hex.h"
#include "formats/key.h"

/* Hashes that one request asks about. */
#define MISSING_MAX 100000u

void handle_blob_put(struct request *r)
{
    struct hash expected;
    struct content content;
    const char *header = request_header(r, "Mic-Hash");
    if (header != NULL && hash_parse(bytes_str(header), &expected) != OK) {
        respond_error(r, 400, "bad_header", "Mic-Hash", "a hash is 64 lower-case hex digits");
        return;
    }
    if (!request_upload_finish(r, header == NULL ? NULL : &expected, &content))
        return;
    bool manifest = content.carrier == CARRIER_MANIFEST;
    struct json_writer w;
    respond_json(r, 201, &w);
    jwr_hash(&w, "hash", &content.hash);
    jwr_u64(&w, "size", content.size);
    jwr_str(&w, "carrier", manifest ? "manifest" : "blob");
    if (manifest)
        jwr_hash(&w, "manifest", &content.manifest);
    jwr_object_end(&w);
}

/* Small content lies in a tree object: the log knows where. */
static int content_open_landed(struct request *r, const struct hash *hash,
                               struct content_reader **out)
{
    struct log_effect effect;
    int err = landlog_content(r->repo, &r->project, hash, &r->arena, &effect);
    if (err != OK)
        return err;
    return content_open(r->repo, &r->project, &effect.where, effect.size, hash, out);
}

void handle_blob(struct request *r)
{
    struct hash hash;
    struct content_reader *reader;
    if (!request_hash(r, "hash", &hash))
        return;
    int err = content_open_blob(r->repo, &r->project, &hash, &reader);
    if (err == ERR_NOT_FOUND)
        err = content_open_landed(r, &hash, &reader);
    if (err != OK)
        respond_failure(r, err, "the content");
    else
        respond_source(r, "application/octet-stream", hash_hex(&hash).s, true,
                       content_source(reader));
}

void handle_blobs_missing(struct request *r)
{
    static const char *const names[] = {"hashes"};
    struct json_problem wrong = {0};
    struct json_at top;
    if (!request_json(r, false, &wrong, &top))
        return;
    jrd_only(&top, names, ARRAY_LEN(names));
    struct json_at list = jrd_array(&top, "hashes", JSON_REQUIRED);
    size_t n = jrd_count(&list);
    if (n > MISSING_MAX) {
        respond_error(r, 413, "too_many_hashes", "hashes", "at most %u hashes at once",
                      MISSING_MAX);
        return;
    }
    struct hash *hashes = arena_array(&r->arena, n, struct hash);
    bool *missing = arena_array(&r->arena, n, bool);
    for (size_t i = 0; i < n && jrd_ok(&top); i++)
        hashes[i] = jrd_item_hash(&list, i);
    if (!jrd_ok(&top)) {
        respond_json_problem(r, &wrong);
        return;
    }
    const struct condemned *condemned;
    int err = condemned_read(r->repo, &r->project, &condemned);
    if (err == OK) {
        err = blob_missing(r->repo, &r->project, condemned, hashes, n, missing, NULL);
        condemned_drop(condemned);
    }
    if (err != OK) {
        respond_failure(r, err, "the contents");
        return;
    }
    struct json_writer w;
    respond_json(r, 200, &w);
    jwr_array(&w, "missing");
    for (size_t i = 0; i < n; i++) {
        if (missing[i])
            jwr_hash(&w, NULL, &hashes[i]);
    }
    jwr_array_end(&w);
    jwr_object_end(&w);
}

/* An object under the project, as it lies: the client checks it against the hash that led it
 * here. */
static void respond_object(struct request *r, const struct key *key, const struct hash *hash)
{
    uint64_t size;
    int err = store_get(r->repo->store, key->s, range_none(), NULL, NULL, &size);
    if (err != OK)
        respond_failure(r, err, "the object");
    else
        respond_source(r, "application/octet-stream", hash_hex(hash).s, true,
                       object_source(r->repo->store, key->s, size));
}

void handle_tree_object(struct request *r)
{
    struct hash hash;
    if (!request_hash(r, "hash", &hash))
        return;
    struct key key = key_tree(&r->project, &hash);
    respond_object(r, &key, &hash);
}

void handle_raw_blob(struct request *r)
{
    struct hash hash;
    if (!request_hash(r, "hash", &hash))
        return;
    struct key key = key_blob(&r->project, &hash);
    respond_object(r, &key, &hash);
}
