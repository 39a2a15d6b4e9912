#include "api/cli/changes.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "formats/base/hash.h"
#include "formats/base/hex.h"
#include "pipeline/sys/file.h"

static int fail(struct changes *c, int err, struct bytes path, const char *what)
{
    snprintf(c->why, sizeof(c->why), "%.*s %s", (int)(path.len < 400 ? path.len : 400),
             path.data, what);
    return err;
}

static struct record *record_push(struct changes *c)
{
    struct record *record =
        arena_push(c->arena, (void **)&c->records, &c->n, &c->cap, sizeof(*record));
    record->kind = RECORD_OPERATION;
    record->operation.base = c->base;
    return record;
}

void changes_delete(struct changes *c, struct bytes path, const struct seen *seen)
{
    struct record *record = record_push(c);
    record->operation.op = OP_DELETE;
    record->operation.path = path;
    record->operation.seen = *seen;
}

void changes_restore(struct changes *c, struct bytes path, const struct index_entry *base)
{
    struct seen seen = index_seen(base);
    if (base == NULL) {
        changes_delete(c, path, &seen);
        return;
    }
    struct record *record = record_push(c);
    record->operation.op = OP_WRITE;
    record->operation.path = path;
    record->operation.seen = seen;
    record->operation.content = (struct content){.kind = base->kind,
                                                 .mode = base->mode,
                                                 .size = base->size,
                                                 .hash = base->hash,
                                                 .carrier = CARRIER_SOURCE};
}

static void upload_push(struct changes *c, struct bytes path, const struct hash *hash)
{
    size_t n = c->n_uploads;
    struct bytes *slot =
        arena_push(c->arena, (void **)&c->paths, &n, &c->cap_paths, sizeof(*slot));
    *slot = path;
    struct hash *name =
        arena_push(c->arena, (void **)&c->hashes, &c->n_uploads, &c->cap_hashes, sizeof(*name));
    *name = *hash;
}

/* The content's name, read unless the scan has it. */
static int content_name(struct changes *c, const struct scan_item *item, struct content *out)
{
    struct stat st;
    *out = (struct content){.kind = item->kind,
                            .mode = item->mode,
                            .size = item->size,
                            .hash = item->hash,
                            .carrier = CARRIER_TREE_RAW};
    if (item->hashed)
        return OK;
    int err = worktree_hash(c->tree, item->path, &out->hash, &st);
    out->kind = stat_kind(&st);
    out->mode = stat_mode(&st);
    out->size = (uint64_t)st.st_size;
    return err;
}

/* The content as it is to travel, read once. */
static int content_of(struct changes *c, const struct scan_item *item, struct content *out)
{
    struct stat st;
    if (c->named)
        return content_name(c, item, out);
    if (item->size <= INLINE_CONTENT_MAX) {
        AUTO_BUF plain = {0};
        int err = worktree_read(c->tree, item->path, INLINE_CONTENT_MAX, &plain, &st);
        if (err != OK)
            return err == ERR_LIMIT ? ERR_AGAIN : err;
        *out = content_inline(c->arena, stat_kind(&st), stat_mode(&st), buf_bytes(&plain));
        if (out->kind == KIND_LINK || c->inline_bytes + out->data.len <= c->inline_max) {
            c->inline_bytes += out->data.len;
            return OK;
        }
    } else {
        int err = worktree_hash(c->tree, item->path, &out->hash, &st);
        if (err != OK)
            return err;
        out->kind = stat_kind(&st);
        out->mode = stat_mode(&st);
        out->size = (uint64_t)st.st_size;
    }
    out->carrier = CARRIER_BLOB;
    out->data = bytes_of(NULL, 0);
    upload_push(c, item->path, &out->hash);
    return OK;
}

int changes_add(struct changes *c, const struct scan_item *item, const struct seen *seen)
{
    if (item->state == SCAN_DELETED) {
        changes_delete(c, item->path, seen);
        return OK;
    }
    struct content content = {0};
    bool kept =
        item->hashed && seen->kind == item->kind && hash_equal(&seen->hash, &item->hash);
    if (kept) {
        content = (struct content){.kind = item->kind,
                                   .mode = item->mode,
                                   .size = item->size,
                                   .hash = item->hash,
                                   .carrier = CARRIER_SOURCE};
    } else {
        int err = content_of(c, item, &content);
        if (err != OK)
            return fail(c, err, item->path,
                        err == ERR_AGAIN ? "changes while it is read" : "cannot be read");
    }
    struct record *record = record_push(c);
    record->operation.op = OP_WRITE;
    record->operation.path = item->path;
    record->operation.seen = *seen;
    record->operation.content = content;
    return OK;
}

/* ---- uploads ----------------------------------------------------------------------------- */

struct upload {
    int fd;
    uint64_t sent;
};

static long upload_read(void *arg, uint8_t *out, size_t len)
{
    struct upload *upload = arg;
    ssize_t got;
    do {
        got = read(upload->fd, out, len);
    } while (got < 0 && errno == EINTR);
    if (got < 0)
        return err_from_errno(errno);
    upload->sent += (uint64_t)got;
    return (long)got;
}

static int upload_rewind(void *arg)
{
    struct upload *upload = arg;
    return lseek(upload->fd, 0, SEEK_SET) == 0 ? OK : ERR_INVALID;
}

static int upload_one(struct changes *c, struct bytes path, const struct hash *hash)
{
    struct upload upload = {0};
    int err = worktree_file(c->tree, path, &upload.fd);
    if (err != OK)
        return fail(c, err, path, "cannot be read");
    struct stat st;
    if (fstat(upload.fd, &st) != 0)
        err = err_from_errno(errno);
    struct http_source source = {.read = upload_read,
                                 .rewind = upload_rewind,
                                 .arg = &upload,
                                 .size = (int64_t)st.st_size};
    if (err == OK)
        err = client_blob_put(c->client, c->project, &source, hash);
    close(upload.fd);
    if (err != OK) {
        snprintf(c->why, sizeof(c->why), "%.*s: %s", (int)(path.len < 100 ? path.len : 100),
                 path.data, c->client->problem.message);
        return err;
    }
    c->uploaded += upload.sent;
    return OK;
}

int changes_upload(struct changes *c)
{
    if (c->n_uploads == 0)
        return OK;
    bool *missing = calloc(c->n_uploads, sizeof(*missing));
    if (missing == NULL)
        abort();
    int err = client_blobs_missing(c->client, c->project, c->hashes, c->n_uploads, missing);
    if (err != OK)
        snprintf(c->why, sizeof(c->why), "%s", c->client->problem.message);
    for (size_t i = 0; i < c->n_uploads && err == OK; i++) {
        if (missing[i])
            err = upload_one(c, c->paths[i], &c->hashes[i]);
    }
    free(missing);
    return err;
}
