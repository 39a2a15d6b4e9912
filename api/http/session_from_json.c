#include "api/http/session_json.h"
#include "formats/base/base64.h"
#include "formats/base/hash.h"
#include "formats/base/limits.h"

static enum kind kind_read(const struct json_at *at, bool dirs)
{
    struct bytes text = jrd_text(at, "kind", JSON_OPTIONAL);
    if (!jrd_has(at, "kind") || bytes_equal(text, bytes_str("file")))
        return KIND_FILE;
    if (bytes_equal(text, bytes_str("link")))
        return KIND_LINK;
    if (dirs && bytes_equal(text, bytes_str("dir")))
        return KIND_DIR;
    jrd_fail(at, "kind", "bad_value", "kind is to be \"file\"%s or \"link\"",
             dirs ? ", \"dir\"" : "");
    return KIND_FILE;
}

static uint16_t mode_read(const struct json_at *at, enum kind kind)
{
    struct bytes text = jrd_text(at, "mode", JSON_OPTIONAL);
    bool exec = bytes_equal(text, bytes_str("0755"));
    if (jrd_has(at, "mode") &&
        (kind != KIND_FILE || (!exec && !bytes_equal(text, bytes_str("0644")))))
        jrd_fail(at, "mode", "bad_value", "mode is \"0644\" or \"0755\", and for files only");
    if (kind != KIND_FILE)
        return 0;
    return exec ? MODE_EXEC : MODE_PLAIN;
}

/* null is absent; without the field nothing was said. */
static struct seen seen_read_json(const struct json_at *at, const char *name)
{
    static const char *const names[] = {"kind", "mode", "hash"};
    struct seen seen = {0};
    if (!jrd_has(at, name))
        return seen;
    seen.said = true;
    if (jrd_null(at, name))
        return seen;
    struct json_at object = jrd_object(at, name, JSON_REQUIRED);
    jrd_only(&object, names, ARRAY_LEN(names));
    seen.kind = kind_read(&object, true);
    seen.mode = mode_read(&object, seen.kind);
    seen.hash = jrd_hash(&object, "hash", JSON_REQUIRED);
    return seen;
}

static void plain_read(const struct json_at *at, struct bytes plain, struct arena *arena,
                       struct content *out)
{
    if (plain.len > INLINE_CONTENT_MAX)
        jrd_fail(at, NULL, "content_too_large",
                 "content of over %u bytes is uploaded first, and named by \"blob\"",
                 INLINE_CONTENT_MAX);
    else
        *out = content_inline(arena, out->kind, out->mode, plain);
}

static struct bytes base64_read(const struct json_at *at, struct arena *arena)
{
    AUTO_BUF plain = {0};
    if (base64_decode(jrd_text(at, "base64", JSON_REQUIRED), &plain) != OK)
        jrd_fail(at, "base64", "bad_value", "this is not base64");
    return arena_copy(arena, buf_bytes(&plain));
}

/* What the path, or a rename's source, has already. Without a hash: whatever that is. */
static void keep_read(const struct json_at *at, struct content *out)
{
    out->carrier = CARRIER_SOURCE;
    if (!jrd_bool(at, "keep", JSON_REQUIRED) && jrd_ok(at))
        jrd_fail(at, "keep", "bad_value", "keep is true, or left out");
    out->hash = jrd_hash(at, "hash", JSON_OPTIONAL);
    out->size = jrd_u64(at, "size", JSON_OPTIONAL, CONTENT_SIZE_MAX, 0);
    if (jrd_has(at, "size") && !jrd_has(at, "hash"))
        jrd_fail(at, "hash", "missing_field", "a size says something only about a hash");
}

/* The content of `item`, which has its kind and mode beside it: in one of four forms, so that
 * none is passed over, or to ask only by its name. */
static struct content content_read_json(const struct json_at *item, enum json_purpose purpose,
                                        struct arena *arena)
{
    static const char *const text_names[] = {"text"};
    static const char *const base64_names[] = {"base64"};
    static const char *const blob_names[] = {"blob"};
    static const char *const keep_names[] = {"keep", "hash", "size"};
    static const char *const name_names[] = {"hash", "size"};
    struct content content = {.kind = kind_read(item, false)};
    content.mode = mode_read(item, content.kind);
    struct json_at at = jrd_object(item, "content", JSON_REQUIRED);
    if (jrd_has(&at, "text")) {
        jrd_only(&at, text_names, ARRAY_LEN(text_names));
        plain_read(&at, jrd_text(&at, "text", JSON_REQUIRED), arena, &content);
    } else if (jrd_has(&at, "base64")) {
        jrd_only(&at, base64_names, ARRAY_LEN(base64_names));
        plain_read(&at, base64_read(&at, arena), arena, &content);
    } else if (jrd_has(&at, "blob")) {
        jrd_only(&at, blob_names, ARRAY_LEN(blob_names));
        content.hash = jrd_hash(&at, "blob", JSON_REQUIRED);
        content.carrier = CARRIER_BLOB;
    } else if (purpose == JSON_TO_ASK && !jrd_has(&at, "keep")) {
        jrd_only(&at, name_names, ARRAY_LEN(name_names));
        content.hash = jrd_hash(&at, "hash", JSON_REQUIRED);
        content.size = jrd_u64(&at, "size", JSON_OPTIONAL, CONTENT_SIZE_MAX, 0);
        content.carrier = CARRIER_TREE_RAW;
    } else {
        jrd_only(&at, keep_names, ARRAY_LEN(keep_names));
        if (jrd_ok(&at) && !jrd_has(&at, "keep"))
            jrd_fail(&at, NULL, "missing_field",
                     "content has one of \"text\", \"base64\", \"blob\", \"keep\"");
        keep_read(&at, &content);
    }
    return content;
}

/* A rename that says nothing of content keeps all of what its source is at the base. */
static struct content rename_content_read(const struct json_at *item, enum json_purpose purpose,
                                          struct arena *arena)
{
    if (jrd_has(item, "content"))
        return content_read_json(item, purpose, arena);
    if (jrd_has(item, "kind") || jrd_has(item, "mode"))
        jrd_fail(item, "content", "missing_field",
                 "kind and mode of a rename go with its content");
    return (struct content){.kind = KIND_FILE, .mode = MODE_PLAIN, .carrier = CARRIER_SOURCE};
}

static struct record_operation
operation_read_json(const struct json_at *item, enum json_purpose purpose, struct arena *arena)
{
    static const char *const write_names[] = {"op",  "path",    "seen", "base",
                                              "key", "content", "kind", "mode"};
    static const char *const delete_names[] = {"op", "path", "seen", "base", "key"};
    static const char *const rename_names[] = {"op",   "path", "target",  "seen", "target_seen",
                                               "base", "key",  "content", "kind", "mode"};
    struct record_operation op = {.op = OP_WRITE};
    struct bytes word = jrd_text(item, "op", JSON_REQUIRED);
    op.base = jrd_u64(item, "base", JSON_OPTIONAL, BASE_END - 1, UINT64_MAX);
    op.path = jrd_text(item, "path", JSON_REQUIRED);
    op.seen = seen_read_json(item, "seen");
    if (bytes_equal(word, bytes_str("write"))) {
        jrd_only(item, write_names, ARRAY_LEN(write_names));
        op.content = content_read_json(item, purpose, arena);
    } else if (bytes_equal(word, bytes_str("delete"))) {
        jrd_only(item, delete_names, ARRAY_LEN(delete_names));
        op.op = OP_DELETE;
    } else if (bytes_equal(word, bytes_str("rename"))) {
        jrd_only(item, rename_names, ARRAY_LEN(rename_names));
        op.op = OP_RENAME;
        op.target = jrd_text(item, "target", JSON_REQUIRED);
        op.target_seen = seen_read_json(item, "target_seen");
        op.content = rename_content_read(item, purpose, arena);
    } else {
        jrd_fail(item, "op", "bad_value", "op is \"write\", \"delete\" or \"rename\"");
    }
    return op;
}

static struct record_guard guard_read_json(const struct json_at *item)
{
    static const char *const names[] = {"path", "seen", "base", "key"};
    struct record_guard guard;
    jrd_only(item, names, ARRAY_LEN(names));
    guard.path = jrd_text(item, "path", JSON_REQUIRED);
    guard.seen = seen_read_json(item, "seen");
    guard.base = jrd_u64(item, "base", JSON_OPTIONAL, BASE_END - 1, UINT64_MAX);
    return guard;
}

struct record record_from_json(const struct json_at *item, enum record_kind kind,
                               enum json_purpose purpose, struct arena *arena,
                               struct bytes *key)
{
    static const char *const decision_names[] = {"text", "key"};
    static const char *const turn_names[] = {"role", "text", "key"};
    struct record record = {.kind = kind};
    *key = jrd_text(item, "key", JSON_OPTIONAL);
    if (kind == RECORD_OPERATION) {
        record.operation = operation_read_json(item, purpose, arena);
    } else if (kind == RECORD_GUARD) {
        record.guard = guard_read_json(item);
    } else if (kind == RECORD_DECISION) {
        jrd_only(item, decision_names, ARRAY_LEN(decision_names));
        record.decision = jrd_text(item, "text", JSON_REQUIRED);
    } else {
        assert(kind == RECORD_CONVERSATION);
        jrd_only(item, turn_names, ARRAY_LEN(turn_names));
        record.conversation.role = jrd_text(item, "role", JSON_REQUIRED);
        record.conversation.text = jrd_text(item, "text", JSON_REQUIRED);
    }
    return record;
}

/* {"name": {"text": …} or {"base64": …}} */
static void attributes_read(const struct json_at *object, struct arena *arena,
                            struct attribute **out, uint32_t *n)
{
    static const char *const names[] = {"text", "base64"};
    size_t count = 0;
    size_t cap = 0;
    void *iter = NULL;
    struct json_at field;
    while (jrd_each(object, &iter, &field)) {
        jrd_only(&field, names, ARRAY_LEN(names));
        struct attribute *attribute =
            arena_push(arena, (void **)out, &count, &cap, sizeof(*attribute));
        attribute->name = bytes_str(field.name);
        if (!jrd_has(&field, "base64")) {
            attribute->value = jrd_text(&field, "text", JSON_REQUIRED);
            continue;
        }
        attribute->value = base64_read(&field, arena);
        if (jrd_has(&field, "text"))
            jrd_fail(&field, "text", "bad_value", "either text or base64");
    }
    *n = (uint32_t)count;
}

static void start_fields(const struct json_at *object, enum json_purpose purpose,
                         struct arena *arena, struct session_start *start)
{
    start->key = jrd_text(object, "key", JSON_OPTIONAL);
    start->goal =
        jrd_text(object, "goal", purpose == JSON_TO_LAND ? JSON_REQUIRED : JSON_OPTIONAL);
    start->base = jrd_u64(object, "base", JSON_OPTIONAL, BASE_END - 1, UINT64_MAX);
    /* The base is part of the session's id: with the head's, a retry would be another
     * session. */
    if (start->key.len > 0 && start->base == UINT64_MAX)
        jrd_fail(object, "base", "missing_field",
                 "a key makes a retry safe only together with the base: say both");
    struct json_at attributes = jrd_object(object, "attributes", JSON_OPTIONAL);
    attributes_read(&attributes, arena, &start->attributes, &start->n_attributes);
}

struct session_start start_from_json(const struct json_at *object, struct arena *arena)
{
    static const char *const names[] = {"key", "goal", "base", "attributes"};
    struct session_start start = {0};
    jrd_only(object, names, ARRAY_LEN(names));
    start_fields(object, JSON_TO_LAND, arena, &start);
    return start;
}

struct session session_from_json(const struct json_at *object, const struct caller *caller,
                                 enum json_purpose purpose, struct arena *arena)
{
    static const char *const names[] = {"key",        "goal",   "base",      "attributes",
                                        "operations", "guards", "decisions", "conversation"};
    static const struct {
        const char *name;
        enum record_kind kind;
    } lists[] = {
        {"operations", RECORD_OPERATION},
        {"guards", RECORD_GUARD},
        {"decisions", RECORD_DECISION},
        {"conversation", RECORD_CONVERSATION},
    };
    struct session session = {.state = SESSION_OPEN};
    struct session_start start = {0};
    jrd_only(object, names, ARRAY_LEN(names));
    start_fields(object, purpose, arena, &start);
    size_t n = 1;
    for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
        struct json_at list = jrd_array(object, lists[i].name, JSON_OPTIONAL);
        n += jrd_count(&list);
    }
    session.base = start.base;
    session.records = arena_array(arena, n, struct record);
    session.records[session.n_records++] =
        (struct record){.kind = RECORD_START,
                        .start = {.key = start.key,
                                  .base = start.base,
                                  .author = caller->author,
                                  .goal = start.goal,
                                  .attributes = start.attributes,
                                  .n_attributes = start.n_attributes}};
    for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
        struct json_at list = jrd_array(object, lists[i].name, JSON_OPTIONAL);
        for (size_t k = 0; k < jrd_count(&list); k++) {
            struct json_at item = jrd_item(&list, k);
            struct bytes key;
            session.records[session.n_records++] =
                record_from_json(&item, lists[i].kind, purpose, arena, &key);
        }
    }
    return session;
}
