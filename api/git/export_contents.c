#include "api/git/export_contents.h"

#include <pthread.h>
#include <stdlib.h>

#include "api/client/thick_contents.h"
#include "formats/base/hash.h"
#include "formats/base/hex.h"

/* A content over this goes into the repository as it comes. */
#define MEMORY_MAX MIB

struct bringing {
    struct export_contents *contents;
    const struct entry **entries;
    pthread_mutex_t lock; /* guards the map of contents */
};

static int on_content(void *arg, unsigned worker UNUSED, size_t index, struct bytes plain)
{
    struct bringing *bringing = arg;
    struct export_contents *contents = bringing->contents;
    git_oid oid;
    int err = pack_out_write(contents->pack, GIT_OBJECT_BLOB, plain, &oid);
    if (err != OK)
        return err;
    (void)pthread_mutex_lock(&bringing->lock);
    content_oids_put(&contents->oids, &bringing->entries[index]->hash, &oid);
    (void)pthread_mutex_unlock(&bringing->lock);
    return OK;
}

/* ---- uploaded contents ------------------------------------------------------------------- */

struct blob_sink {
    struct export_contents *contents;
    struct sha256_ctx sha;
    uint64_t left;
    struct buf memory;
    git_odb_stream *stream; /* or NULL: into memory */
};

static int blob_write(void *arg, struct bytes data)
{
    struct blob_sink *sink = arg;
    if (data.len > sink->left)
        return ERR_CORRUPT;
    sink->left -= data.len;
    sha256_update(&sink->sha, data);
    if (sink->stream == NULL) {
        buf_append_bytes(&sink->memory, data);
        return OK;
    }
    int code = git_odb_stream_write(sink->stream, (const char *)data.data, data.len);
    return code == 0 ? OK
                     : git_lib_fail(sink->contents->report, code, "writing a large object");
}

static int blob_end(struct blob_sink *sink, const struct hash *expected, git_oid *out)
{
    struct export_contents *contents = sink->contents;
    struct hash hash = sha256_final(&sink->sha);
    if (sink->left > 0 || !hash_equal(&hash, expected))
        return git_fail(contents->report, ERR_CORRUPT, "content %s came as something else",
                        hash_hex(expected).s);
    if (sink->stream == NULL)
        return pack_out_write(contents->pack, GIT_OBJECT_BLOB, buf_bytes(&sink->memory), out);
    int code = git_odb_stream_finalize_write(out, sink->stream);
    return code == 0 ? OK : git_lib_fail(contents->report, code, "writing a large object");
}

static int blob_bring(struct export_contents *contents, const struct content *content)
{
    struct blob_sink sink = {.contents = contents, .left = content->size};
    int err = content->size <= MEMORY_MAX
                  ? OK
                  : pack_out_stream(contents->pack, content->size, &sink.stream);
    if (err != OK)
        return err;
    sha256_init(&sink.sha);
    struct id16_hex id = id16_hex(&contents->project);
    struct http_sink http = {.write = blob_write, .arg = &sink};
    git_oid oid;
    err = client_blob(contents->client, bytes_str(id.s), &content->hash, http);
    if (err != OK && contents->report->problem[0] == '\0')
        (void)git_client_fail(contents->report, contents->client, err, "an uploaded content");
    if (err == OK)
        err = blob_end(&sink, &content->hash, &oid);
    if (err == OK)
        content_oids_put(&contents->oids, &content->hash, &oid);
    sha256_release(&sink.sha);
    git_odb_stream_free(sink.stream);
    buf_release(&sink.memory);
    return err;
}

/* ---- a batch ----------------------------------------------------------------------------- */

static bool in_tree(enum carrier carrier)
{
    return carrier == CARRIER_TREE_RAW || carrier == CARRIER_TREE_ZSTD;
}

static struct entry *entry_of(const struct content *content, const struct hash *tree,
                              struct arena *arena)
{
    struct entry *entry = arena_new(arena, struct entry);
    bool raw = content->carrier == CARRIER_TREE_RAW;
    *entry = (struct entry){
        .kind = content->kind,
        .size = content->size,
        .hash = content->hash,
        .where = {.place = raw ? PLACE_RAW : PLACE_ZSTD,
                  .tree = *tree,
                  .offset = content->offset,
                  .len = content->len},
    };
    return entry;
}

/* What the effect brings and nobody has brought before is noted as under way. */
static bool claim(struct export_contents *contents, const struct effect *effect)
{
    static const git_oid under_way;
    if (effect->kind != EFFECT_WRITE || effect->content.carrier == CARRIER_SOURCE ||
        content_oids_find(&contents->oids, &effect->content.hash) != NULL)
        return false;
    content_oids_put(&contents->oids, &effect->content.hash, &under_way);
    return true;
}

int export_contents_bring(struct export_contents *contents, const struct hash *tree,
                          const struct session_view *views, size_t n)
{
    AUTO(arena_release) struct arena arena = {0};
    size_t most = 0;
    for (size_t i = 0; i < n; i++)
        most += views[i].n_effects;
    struct bringing bringing = {.contents = contents,
                                .entries = arena_array(&arena, most, const struct entry *),
                                .lock = PTHREAD_MUTEX_INITIALIZER};
    size_t wanted = 0;
    int err = OK;
    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k < views[i].n_effects && err == OK; k++) {
            const struct effect *effect = &views[i].effects[k];
            if (!claim(contents, effect))
                continue;
            if (in_tree(effect->content.carrier))
                bringing.entries[wanted++] = entry_of(&effect->content, tree, &arena);
            else
                err = blob_bring(contents, &effect->content);
        }
    }
    if (err != OK)
        return err;
    err = thick_contents(contents->source, bringing.entries, wanted, contents->workers,
                         on_content, &bringing);
    if (err != OK && contents->report->problem[0] == '\0')
        return git_client_fail(contents->report, contents->client, err, "contents");
    return err;
}
