#include <stdio.h>

#include "api/client/call.h"
#include "formats/base/hex.h"

/* How many hashes one question names; an answer of so many fits every limit on bodies. */
#define MISSING_BATCH 10000u

int client_blob(struct client *client, struct bytes project, const struct hash *hash,
                struct http_sink sink)
{
    AUTO_CALL call;
    char below[96];
    snprintf(below, sizeof(below), "/blobs/%s", hash_hex(hash).s);
    call_project(&call, client, "GET", project, below);
    call.http.sink = sink;
    return call_run(&call);
}

int client_blob_put(struct client *client, struct bytes project,
                    const struct http_source *source, const struct hash *hash)
{
    AUTO_CALL call;
    call_project(&call, client, "POST", project, "/blobs");
    char line[96];
    snprintf(line, sizeof(line), "Mic-Hash: %s", hash_hex(hash).s);
    call_header(&call, line);
    call_header(&call, "Content-Type: application/octet-stream");
    call.http.source = *source;
    return call_run(&call);
}

struct memory_source {
    struct bytes data;
    size_t at;
};

static long memory_read(void *arg, uint8_t *out, size_t len)
{
    struct memory_source *source = arg;
    size_t left = source->data.len - source->at;
    len = len < left ? len : left;
    if (len > 0)
        memcpy(out, source->data.data + source->at, len);
    source->at += len;
    return (long)len;
}

static int memory_rewind(void *arg)
{
    struct memory_source *source = arg;
    source->at = 0;
    return OK;
}

int client_blob_put_bytes(struct client *client, struct bytes project, struct bytes bytes,
                          const struct hash *hash)
{
    struct memory_source memory = {.data = bytes};
    struct http_source source = {.read = memory_read,
                                 .rewind = memory_rewind,
                                 .arg = &memory,
                                 .size = (int64_t)bytes.len};
    return client_blob_put(client, project, &source, hash);
}

static int order(const struct hash *hashes, size_t n, const struct hash *hash)
{
    for (size_t i = 0; i < n; i++) {
        if (hash_equal(&hashes[i], hash))
            return (int)i;
    }
    return -1;
}

static int missing_batch(struct client *client, struct bytes project, const struct hash *hashes,
                         size_t n, bool *missing)
{
    AUTO_CALL call;
    call_project(&call, client, "POST", project, "/blobs/missing");
    struct json_writer w;
    jwr_init(&w, &call.body);
    jwr_object(&w, NULL);
    jwr_array(&w, "hashes");
    for (size_t i = 0; i < n; i++)
        jwr_hash(&w, NULL, &hashes[i]);
    jwr_array_end(&w);
    jwr_object_end(&w);
    call_json(&call);
    AUTO_JSON *value = NULL;
    struct json_problem wrong = {0};
    struct json_at top;
    int err = call_top(&call, &value, &wrong, &top);
    if (err != OK)
        return err;
    struct json_at list = jrd_array(&top, "missing", JSON_REQUIRED);
    size_t count = jrd_count(&list);
    /* The answer keeps the order of the question, so each look-up begins behind the last. */
    size_t from = 0;
    for (size_t i = 0; i < count; i++) {
        struct hash hash = jrd_item_hash(&list, i);
        int at = order(hashes + from, n - from, &hash);
        if (at < 0) {
            from = 0;
            at = order(hashes, n, &hash);
        }
        if (at >= 0) {
            missing[from + (size_t)at] = true;
            from += (size_t)at;
        }
    }
    return call_fields(&call, &wrong);
}

int client_blobs_missing(struct client *client, struct bytes project, const struct hash *hashes,
                         size_t n, bool *missing)
{
    memset(missing, 0, n * sizeof(*missing));
    for (size_t at = 0; at < n; at += MISSING_BATCH) {
        size_t count = n - at < MISSING_BATCH ? n - at : MISSING_BATCH;
        int err = missing_batch(client, project, hashes + at, count, missing + at);
        if (err != OK)
            return err;
    }
    return OK;
}
