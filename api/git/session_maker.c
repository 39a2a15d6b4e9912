#include "api/git/session_maker.h"

#include <stdio.h>
#include <stdlib.h>

#include "api/git/git_commit.h"
#include "formats/base/hash.h"
#include "formats/base/hex.h"
#include "formats/path.h"

/* A request may have REQUEST_MAX bytes; the rest is for what a session has besides. */
#define SESSION_BYTES_MAX (REQUEST_MAX - 2u * MIB)
/* Bytes of an operation without its paths and its content, rounded up. */
#define OPERATION_BYTES 200u
/* Attributes of one session may have half a request. */
#define COMMIT_BYTES_MAX  (12u * MIB)
#define LEFT_OUT_TEXT_MAX (512u * KIB)

/* One commit under way. */
struct making {
    struct session_maker *maker;
    const git_oid *commit;
    uint64_t number;
    struct arena arena;
    struct git_hex hex;
    struct buf left_out; /* the attribute's text */
    struct record *records;
    size_t n_records;
    size_t inline_left; /* bytes that contents may still take */
};

int session_maker_open(struct session_maker *maker, const struct session_terms *terms,
                       struct git_report *report)
{
    *maker = (struct session_maker){.terms = terms, .report = report};
    int code = git_repository_open(&maker->repository, terms->repository);
    if (code == 0)
        code = git_repository_odb(&maker->odb, maker->repository);
    if (code == 0)
        return OK;
    session_maker_close(maker);
    return git_lib_fail(report, code, terms->repository);
}

void session_maker_close(struct session_maker *maker)
{
    git_odb_free(maker->odb);
    git_repository_free(maker->repository);
    if (maker->has_client)
        client_close(&maker->client);
    *maker = (struct session_maker){0};
}

static int lib_failed(struct making *m, int code)
{
    char what[80];
    (void)snprintf(what, sizeof(what), "commit %s", m->hex.s);
    return git_lib_fail(m->maker->report, code, what);
}

/* ---- what is left out -------------------------------------------------------------------- */

/* Control bytes, backslashes and what is not UTF-8 as \ooo. */
static struct bytes quoted(struct bytes path, struct arena *arena)
{
    bool utf8 = utf8_ok(path);
    AUTO_BUF text = {0};
    for (size_t i = 0; i < path.len; i++) {
        uint8_t c = path.data[i];
        if (c < 0x20 || c == 0x7f || c == '\\' || (c >= 0x80 && !utf8))
            buf_printf(&text, "\\%03o", c);
        else
            buf_append(&text, &c, 1);
    }
    return arena_copy(arena, buf_bytes(&text));
}

static void on_left_out(void *arg, const struct git_left_out *item)
{
    struct making *m = arg;
    struct git_left_out named = *item;
    named.path = quoted(item->path, &m->arena);
    named.commit = bytes_str(m->hex.s);
    left_out_add(m->maker->terms->left_out, &named, m->number);
    if (m->left_out.len + named.path.len + named.detail.len + 2 > LEFT_OUT_TEXT_MAX)
        return;
    buf_append_bytes(&m->left_out, named.path);
    buf_append(&m->left_out, "\t", 1);
    buf_append_bytes(&m->left_out, named.detail);
    buf_append(&m->left_out, "\n", 1);
}

/* ---- contents ---------------------------------------------------------------------------- */

static int blob_read(struct making *m, const git_oid *oid, git_odb_object **out)
{
    int code = git_odb_read(out, m->maker->odb, oid);
    if (code == 0 && git_odb_object_type(*out) != GIT_OBJECT_BLOB) {
        git_error_set_str(GIT_ERROR_ODB, "an entry that is called a file is none");
        code = GIT_EINVALID;
    }
    return code == 0 ? OK : lib_failed(m, code);
}

/* The name of a content that a tree before had. */
static int name_of(struct making *m, const git_oid *oid, struct content_name *out)
{
    if (content_names_find(m->maker->terms->names, oid, out))
        return OK;
    AUTO_OBJECT *object = NULL;
    int err = blob_read(m, oid, &object);
    if (err != OK)
        return err;
    struct bytes plain = git_object_bytes(object);
    *out = (struct content_name){.hash = sha256(plain), .size = plain.len};
    content_names_put(m->maker->terms->names, oid, out);
    return OK;
}

static int upload(struct making *m, struct bytes plain, const struct hash *hash)
{
    struct session_maker *maker = m->maker;
    const struct session_terms *terms = maker->terms;
    int err = OK;
    if (!maker->has_client) {
        struct client_options options = {
            .url = terms->url, .author = terms->author, .clock = terms->clock};
        err = client_open(&maker->client, &options);
        maker->has_client = err == OK;
    }
    struct id16_hex project = id16_hex(&terms->project);
    if (err == OK)
        err = client_blob_put_bytes(&maker->client, bytes_str(project.s), plain, hash);
    if (err == OK)
        return OK;
    return git_client_fail(maker->report, &maker->client, err, "uploading a large content");
}

static int content_bring(struct making *m, const struct git_side *side, struct content *out)
{
    struct content_names *names = m->maker->terms->names;
    struct content_name name;
    if (content_names_find(names, &side->oid, &name) && name.uploaded) {
        *out = (struct content){.size = name.size, .hash = name.hash, .carrier = CARRIER_BLOB};
        out->kind = side->kind;
        out->mode = side->mode;
        return OK;
    }
    AUTO_OBJECT *object = NULL;
    int err = blob_read(m, &side->oid, &object);
    if (err != OK)
        return err;
    struct bytes plain = git_object_bytes(object);
    if (plain.len <= INLINE_CONTENT_MAX) {
        struct content content = content_inline(&m->arena, side->kind, side->mode, plain);
        name = (struct content_name){.hash = content.hash, .size = content.size};
        content_names_put(names, &side->oid, &name);
        if (content.data.len <= m->inline_left) {
            m->inline_left -= content.data.len;
            *out = content;
            return OK;
        }
    }
    name = (struct content_name){.hash = sha256(plain), .size = plain.len, .uploaded = true};
    err = upload(m, plain, &name.hash);
    if (err != OK)
        return err;
    content_names_put(names, &side->oid, &name);
    *out = (struct content){.kind = side->kind,
                            .mode = side->mode,
                            .size = name.size,
                            .hash = name.hash,
                            .carrier = CARRIER_BLOB};
    return OK;
}

/* ---- operations -------------------------------------------------------------------------- */

static int seen_side(struct making *m, const struct git_side *side, struct seen *out)
{
    struct content_name name = {0};
    int err = side->kind == KIND_NONE ? OK : name_of(m, &side->oid, &name);
    *out =
        (struct seen){.said = true, .kind = side->kind, .mode = side->mode, .hash = name.hash};
    return err;
}

static struct record_operation *operation_add(struct making *m, enum op op, struct bytes path)
{
    struct record *record = &m->records[m->n_records++];
    *record =
        (struct record){.kind = RECORD_OPERATION,
                        .operation = {.op = op, .base = m->maker->terms->base, .path = path}};
    return &record->operation;
}

static int write_add(struct making *m, const struct git_change *change)
{
    struct record_operation *operation = operation_add(m, OP_WRITE, change->path);
    int err = seen_side(m, &change->a, &operation->seen);
    if (err != OK)
        return err;
    /* Only the mode is another: the bytes are there. */
    if (change->a.kind == change->b.kind && git_oid_equal(&change->a.oid, &change->b.oid)) {
        struct content_name name;
        err = name_of(m, &change->b.oid, &name);
        operation->content = (struct content){.kind = change->b.kind,
                                              .mode = change->b.mode,
                                              .size = name.size,
                                              .hash = name.hash,
                                              .carrier = CARRIER_SOURCE};
        return err;
    }
    return content_bring(m, &change->b, &operation->content);
}

static int delete_add(struct making *m, const struct git_change *change)
{
    struct record_operation *operation = operation_add(m, OP_DELETE, change->path);
    return seen_side(m, &change->a, &operation->seen);
}

static int rename_add(struct making *m, const struct git_change *from,
                      const struct git_change *to)
{
    struct content_name name;
    int err = name_of(m, &from->a.oid, &name);
    struct record_operation *operation = operation_add(m, OP_RENAME, from->path);
    operation->seen = (struct seen){
        .said = true, .kind = from->a.kind, .mode = from->a.mode, .hash = name.hash};
    operation->target = to->path;
    operation->target_seen = (struct seen){.said = true};
    operation->content = (struct content){.kind = to->b.kind,
                                          .mode = to->b.mode,
                                          .size = name.size,
                                          .hash = name.hash,
                                          .carrier = CARRIER_SOURCE};
    return err;
}

/* Of a rename, what goes and what comes. */
struct half {
    const struct git_oid *oid;
    const struct git_change *change;
};

static int half_order(const void *a, const void *b)
{
    const struct half *left = a;
    const struct half *right = b;
    int c = git_oid_cmp(left->oid, right->oid);
    return c != 0 ? c : bytes_compare(left->change->path, right->change->path);
}

static size_t halves(struct making *m, const struct git_changes *changes, bool come,
                     struct half **out)
{
    struct half *found = arena_array(&m->arena, changes->n, struct half);
    size_t n = 0;
    for (size_t i = 0; i < changes->n; i++) {
        const struct git_change *change = &changes->changes[i];
        if (come && change->a.kind == KIND_NONE)
            found[n++] = (struct half){.oid = &change->b.oid, .change = change};
        if (!come && change->b.kind == KIND_NONE)
            found[n++] = (struct half){.oid = &change->a.oid, .change = change};
    }
    if (n > 1)
        qsort(found, n, sizeof(*found), half_order);
    *out = found;
    return n;
}

/* Pairs what goes with what comes where the bytes are the same, so that they need not be sent.
 * Marks both in `done`. An empty file comes and goes for its own reasons. */
static int renames_add(struct making *m, const struct git_changes *changes, bool *done)
{
    static const git_oid empty = {{0xe6, 0x9d, 0xe2, 0x9b, 0xb2, 0xd1, 0xd6, 0x43, 0x4b, 0x8b,
                                   0x29, 0xae, 0x77, 0x5a, 0xd8, 0xc2, 0xe4, 0x8c, 0x53, 0x91}};
    struct half *go;
    struct half *come;
    size_t n_go = halves(m, changes, false, &go);
    size_t n_come = n_go == 0 ? 0 : halves(m, changes, true, &come);
    size_t i = 0, k = 0;
    while (i < n_go && k < n_come) {
        int c = git_oid_cmp(go[i].oid, come[k].oid);
        if (c == 0 && go[i].change->a.kind == come[k].change->b.kind &&
            !git_oid_equal(go[i].oid, &empty)) {
            int err = rename_add(m, go[i].change, come[k].change);
            if (err != OK)
                return err;
            done[go[i].change - changes->changes] = true;
            done[come[k].change - changes->changes] = true;
        }
        i += c <= 0 ? 1 : 0;
        k += c >= 0 ? 1 : 0;
    }
    return OK;
}

static int operations_add(struct making *m, const struct git_changes *changes)
{
    bool *done = arena_array(&m->arena, changes->n, bool);
    int err = renames_add(m, changes, done);
    for (size_t i = 0; i < changes->n && err == OK; i++) {
        const struct git_change *change = &changes->changes[i];
        if (done[i])
            continue;
        err = change->b.kind == KIND_NONE ? delete_add(m, change) : write_add(m, change);
    }
    return err;
}

/* ---- the session ------------------------------------------------------------------------- */

static void attribute_add(struct record_start *start, const char *name, struct bytes value)
{
    start->attributes[start->n_attributes++] =
        (struct attribute){.name = bytes_str(name), .value = value};
}

static int start_add(struct making *m, const struct git_commit_parts *parts)
{
    if (parts->rest.len > COMMIT_BYTES_MAX)
        return git_fail(m->maker->report, ERR_LIMIT, "commit %s: its message has over %u MiB",
                        m->hex.s, COMMIT_BYTES_MAX / MIB);
    struct record *record = &m->records[m->n_records++];
    *record = (struct record){.kind = RECORD_START};
    struct record_start *start = &record->start;
    unsigned attempt = m->maker->terms->attempt;
    start->key = attempt == 1 ? bytes_str(m->hex.s)
                              : bytes_str(arena_printf(&m->arena, "%s#%u", m->hex.s, attempt));
    start->base = m->maker->terms->base;
    start->author = bytes_str(m->maker->terms->author);
    start->goal = git_commit_subject(parts->rest, GOAL_LEN_MAX, &m->arena);
    size_t pieces = parts->rest.len / TEXT_LEN_MAX + 1;
    start->attributes = arena_array(&m->arena, pieces + 3, struct attribute);
    for (size_t i = 0, at = 0; i == 0 || at < parts->rest.len; i++) {
        size_t left = parts->rest.len - at;
        size_t len = left < TEXT_LEN_MAX ? left : TEXT_LEN_MAX;
        const char *name =
            i == 0 ? GIT_ATTR_COMMIT : arena_printf(&m->arena, GIT_ATTR_COMMIT ".%zu", i);
        attribute_add(start, name, bytes_of(parts->rest.data + at, len));
        at += len;
    }
    attribute_add(start, GIT_ATTR_ID, bytes_str(m->hex.s));
    attribute_add(start, GIT_ATTR_PARENTS, parts->parents);
    if (m->left_out.len > 0)
        attribute_add(start, GIT_ATTR_LEFT_OUT, buf_bytes(&m->left_out));
    return OK;
}

/* What is left for contents; ERR_LIMIT when the rest is too much already. */
static int room_find(struct making *m, const struct git_changes *changes, size_t attributes)
{
    size_t sum = attributes;
    for (size_t i = 0; i < changes->n; i++)
        sum += OPERATION_BYTES + changes->changes[i].path.len;
    if (sum > SESSION_BYTES_MAX)
        return git_fail(m->maker->report, ERR_LIMIT,
                        "commit %s changes %zu paths: that is more than one landing can hold",
                        m->hex.s, changes->n);
    m->inline_left = SESSION_BYTES_MAX - sum;
    return OK;
}

static int commit_open(struct making *m, const git_oid *oid, git_odb_object **object,
                       struct git_commit_parts *parts, git_oid *tree)
{
    int code = git_odb_read(object, m->maker->odb, oid);
    if (code == 0 && git_odb_object_type(*object) != GIT_OBJECT_COMMIT) {
        git_error_set_str(GIT_ERROR_ODB, "it is no commit");
        code = GIT_EINVALID;
    }
    if (code != 0)
        return lib_failed(m, code);
    if (git_commit_split(git_object_bytes(*object), &m->arena, parts) != OK ||
        git_oid_fromstrn(tree, (const char *)parts->tree.data, parts->tree.len) != 0)
        return git_fail(m->maker->report, ERR_CORRUPT, "commit %s is damaged", git_hex(oid).s);
    return OK;
}

static int making_run(struct making *m, const git_oid *parent, struct buf *out)
{
    AUTO_OBJECT *before = NULL;
    AUTO_OBJECT *object = NULL;
    struct git_commit_parts parts = {0};
    git_oid a = {0};
    git_oid b = {0};
    int err = parent == NULL ? OK : commit_open(m, parent, &before, &parts, &a);
    if (err == OK)
        err = commit_open(m, m->commit, &object, &parts, &b);
    if (err != OK)
        return err;
    struct git_diff_options options = {.odb = m->maker->odb, .left_out = on_left_out, .arg = m};
    struct git_changes changes;
    int code = git_diff_trees(&options, parent == NULL ? NULL : &a, &b, &m->arena, &changes);
    if (code != 0)
        return lib_failed(m, code);
    if (out == NULL)
        return OK;
    m->records = arena_array(&m->arena, changes.n + 1, struct record);
    err = start_add(m, &parts);
    if (err == OK)
        err = room_find(m, &changes,
                        parts.rest.len + parts.parents.len + m->left_out.len + GOAL_LEN_MAX);
    if (err == OK)
        err = operations_add(m, &changes);
    if (err != OK)
        return err;
    struct session session = {.records = m->records, .n_records = m->n_records};
    client_land_encode(&session, &m->maker->terms->project, &m->maker->terms->owner, out);
    return OK;
}

int session_make(struct session_maker *maker, const git_oid *parent, const git_oid *commit,
                 uint64_t number, struct buf *out)
{
    struct making m = {
        .maker = maker, .commit = commit, .number = number, .hex = git_hex(commit)};
    int err = making_run(&m, parent, out);
    buf_release(&m.left_out);
    arena_release(&m.arena);
    return err;
}

int session_maker_look(struct session_maker *maker, const git_oid *commit)
{
    struct making m = {.maker = maker, .commit = commit, .hex = git_hex(commit)};
    int err = making_run(&m, NULL, NULL);
    buf_release(&m.left_out);
    arena_release(&m.arena);
    return err;
}
