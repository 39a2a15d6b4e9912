#include <stdio.h>

#include "api/client/call.h"
#include "formats/base/hex.h"

/* Begins a request about one session; `below` is "" or begins with a slash. */
static void call_session(struct call *call, struct client *client, const char *method,
                         struct bytes project, const struct id16 *session, const char *below)
{
    char text[128];
    snprintf(text, sizeof(text), "/sessions/%s%s", id16_hex(session).s, below);
    call_project(call, client, method, project, text);
}

int client_session_start(struct client *client, struct bytes project, struct bytes key,
                         struct bytes goal, uint64_t base, struct id16 *out)
{
    AUTO_CALL call;
    call_project(&call, client, "POST", project, "/sessions");
    struct json_writer w;
    jwr_init(&w, &call.body);
    jwr_object(&w, NULL);
    if (key.len > 0)
        jwr_text(&w, "key", key);
    jwr_text(&w, "goal", goal);
    if (base != UINT64_MAX)
        jwr_u64(&w, "base", base);
    jwr_object_end(&w);
    call_json(&call);
    AUTO_JSON *value = NULL;
    struct json_problem wrong = {0};
    struct json_at top;
    int err = call_top(&call, &value, &wrong, &top);
    if (err != OK)
        return err;
    struct id16 id = jrd_id16(&top, "session", JSON_REQUIRED);
    err = call_fields(&call, &wrong);
    if (err == OK)
        *out = id;
    return err;
}

static struct client_session_row row_of(const struct json_at *at, struct arena *arena)
{
    return (struct client_session_row){
        .id = jrd_id16(at, "id", JSON_REQUIRED),
        .author = arena_copy(arena, jrd_text(at, "author", JSON_OPTIONAL)),
        .goal = arena_copy(arena, jrd_text(at, "goal", JSON_OPTIONAL)),
        .base = jrd_u64(at, "base", JSON_OPTIONAL, INT64_MAX, 0),
        .created = jrd_decimal(at, "created", JSON_OPTIONAL),
        .updated = jrd_decimal(at, "updated", JSON_OPTIONAL),
    };
}

int client_session_list(struct client *client, struct bytes project, struct bytes after,
                        struct arena *arena, struct client_session_rows *out)
{
    AUTO_CALL call;
    call_project(&call, client, "GET", project, "/sessions");
    call_query(&call, "state", bytes_str("open"));
    if (after.len > 0)
        call_query(&call, "after", after);
    AUTO_JSON *value = NULL;
    struct json_problem wrong = {0};
    struct json_at top;
    int err = call_top(&call, &value, &wrong, &top);
    if (err != OK)
        return err;
    struct json_at list = jrd_array(&top, "sessions", JSON_REQUIRED);
    struct client_session_rows found = {.n = jrd_count(&list)};
    found.rows = arena_array(arena, found.n, struct client_session_row);
    for (size_t i = 0; i < found.n; i++) {
        struct json_at item = jrd_item(&list, i);
        found.rows[i] = row_of(&item, arena);
        found.rows[i].operations = jrd_u64(&item, "operations", JSON_OPTIONAL, INT64_MAX, 0);
    }
    if (!jrd_null(&top, "next"))
        found.next = arena_copy(arena, jrd_text(&top, "next", JSON_OPTIONAL));
    err = call_fields(&call, &wrong);
    if (err == OK)
        *out = found;
    return err;
}

static struct client_said *said_of(const struct json_at *top, const char *name,
                                   struct arena *arena, size_t *n)
{
    struct json_at list = jrd_array(top, name, JSON_OPTIONAL);
    *n = jrd_count(&list);
    struct client_said *said = arena_array(arena, *n, struct client_said);
    for (size_t i = 0; i < *n; i++) {
        struct json_at item = jrd_item(&list, i);
        said[i].role = arena_copy(arena, jrd_text(&item, "role", JSON_OPTIONAL));
        said[i].text = arena_copy(arena, jrd_text(&item, "text", JSON_REQUIRED));
        said[i].hlc = jrd_decimal(&item, "hlc", JSON_OPTIONAL);
    }
    return said;
}

static void attributes_of(const struct json_at *top, struct arena *arena,
                          struct client_session *out)
{
    struct json_at object = jrd_object(top, "attributes", JSON_OPTIONAL);
    struct json_at field;
    size_t n = 0;
    for (void *iter = NULL; jrd_each(&object, &iter, &field);)
        n++;
    out->attributes = arena_array(arena, n, struct client_attribute);
    for (void *iter = NULL; jrd_each(&object, &iter, &field) && out->n_attributes < n;) {
        struct client_attribute *attribute = &out->attributes[out->n_attributes++];
        attribute->name = arena_copy(arena, bytes_str(field.name));
        const char *form = jrd_has(&field, "text") ? "text" : "base64";
        attribute->value = arena_copy(arena, jrd_text(&field, form, JSON_REQUIRED));
    }
}

static void changes_of(const struct json_at *top, struct arena *arena,
                       struct client_session *out)
{
    struct json_at list = jrd_array(top, "operations", JSON_OPTIONAL);
    out->n_operations = jrd_count(&list);
    out->operations = arena_array(arena, out->n_operations, struct client_operation);
    for (size_t i = 0; i < out->n_operations; i++) {
        struct json_at item = jrd_item(&list, i);
        out->operations[i] = client_operation_parse(&item, arena);
    }
    list = jrd_array(top, "guards", JSON_OPTIONAL);
    out->n_guards = jrd_count(&list);
    out->guards = arena_array(arena, out->n_guards, struct client_guard);
    for (size_t i = 0; i < out->n_guards; i++) {
        struct json_at item = jrd_item(&list, i);
        out->guards[i].path = arena_copy(arena, jrd_text(&item, "path", JSON_REQUIRED));
        out->guards[i].seen = client_seen_parse(&item, "seen");
    }
}

int client_session_get(struct client *client, struct bytes project, const struct id16 *session,
                       struct arena *arena, struct client_session *out)
{
    AUTO_CALL call;
    call_session(&call, client, "GET", project, session, "");
    call_header(&call, "Accept: application/json");
    call.http.body_max = 256u * MIB;
    AUTO_JSON *value = NULL;
    struct json_problem wrong = {0};
    struct json_at top;
    int err = call_top(&call, &value, &wrong, &top);
    if (err != OK)
        return err;
    struct client_session found = {.row = row_of(&top, arena)};
    found.state = arena_copy(arena, jrd_text(&top, "state", JSON_REQUIRED));
    if (!jrd_null(&top, "position"))
        found.position = jrd_u64(&top, "position", JSON_OPTIONAL, INT64_MAX, 0);
    attributes_of(&top, arena, &found);
    changes_of(&top, arena, &found);
    found.row.operations = found.n_operations;
    found.decisions = said_of(&top, "decisions", arena, &found.n_decisions);
    found.turns = said_of(&top, "conversation", arena, &found.n_turns);
    err = call_fields(&call, &wrong);
    if (err == OK)
        *out = found;
    return err;
}

/* ---- writes ------------------------------------------------------------------------------ */

static int content_to_json(struct json_writer *w, const struct content *content,
                           struct arena *scratch)
{
    struct bytes plain;
    int err;
    jwr_object(w, "content");
    switch (content->carrier) {
    case CARRIER_INLINE_RAW:
    case CARRIER_INLINE_ZSTD:
        err = content_plain(scratch, content, &plain);
        if (err != OK)
            return err;
        jwr_base64(w, "base64", plain);
        break;
    case CARRIER_BLOB:
    case CARRIER_MANIFEST:
        jwr_hash(w, "blob", &content->hash);
        break;
    case CARRIER_SOURCE:
        jwr_bool(w, "keep", true);
        jwr_hash(w, "hash", &content->hash);
        jwr_u64(w, "size", content->size);
        break;
    case CARRIER_TREE_RAW:
        jwr_hash(w, "hash", &content->hash);
        jwr_u64(w, "size", content->size);
        break;
    case CARRIER_TREE_ZSTD:
        return ERR_INVALID;
    }
    jwr_object_end(w);
    jwr_str(w, "kind", kind_name(content->kind));
    if (content->kind == KIND_FILE)
        jwr_str(w, "mode", content->mode == MODE_EXEC ? "0755" : "0644");
    return OK;
}

static int operation_to_json(struct json_writer *w, const struct record_operation *op,
                             struct arena *scratch)
{
    int err = OK;
    switch (op->op) {
    case OP_WRITE:
        jwr_str(w, "op", "write");
        err = content_to_json(w, &op->content, scratch);
        break;
    case OP_DELETE:
        jwr_str(w, "op", "delete");
        break;
    case OP_RENAME:
        jwr_str(w, "op", "rename");
        jwr_text(w, "target", op->target);
        client_seen_json(w, "target_seen", &op->target_seen);
        err = content_to_json(w, &op->content, scratch);
        break;
    }
    jwr_text(w, "path", op->path);
    jwr_u64(w, "base", op->base);
    client_seen_json(w, "seen", &op->seen);
    return err;
}

int client_record_json(struct json_writer *w, const struct record *record,
                       struct arena *scratch)
{
    switch (record->kind) {
    case RECORD_OPERATION:
        return operation_to_json(w, &record->operation, scratch);
    case RECORD_GUARD:
        jwr_text(w, "path", record->guard.path);
        jwr_u64(w, "base", record->guard.base);
        client_seen_json(w, "seen", &record->guard.seen);
        return OK;
    case RECORD_DECISION:
        jwr_text(w, "text", record->decision);
        return OK;
    case RECORD_CONVERSATION:
        jwr_text(w, "role", record->conversation.role);
        jwr_text(w, "text", record->conversation.text);
        return OK;
    case RECORD_START:
    case RECORD_REBASE:
    case RECORD_ABANDON:
    case RECORD_LAND:
        break;
    }
    return ERR_INVALID;
}

/* Where records of a kind are posted, without its slash. */
static const char *kind_endpoint(enum record_kind kind)
{
    switch (kind) {
    case RECORD_OPERATION:
        return "operations";
    case RECORD_GUARD:
        return "guards";
    case RECORD_DECISION:
        return "decisions";
    case RECORD_CONVERSATION:
        return "conversation";
    case RECORD_START:
    case RECORD_REBASE:
    case RECORD_ABANDON:
    case RECORD_LAND:
        break;
    }
    return NULL;
}

int client_session_write(struct client *client, struct bytes project,
                         const struct id16 *session, struct bytes key,
                         const struct record *records, size_t n)
{
    const char *name = n == 0 ? NULL : kind_endpoint(records[0].kind);
    if (name == NULL)
        return client_fail(client, ERR_INVALID, "invalid", "these records cannot be added");
    char below[32];
    snprintf(below, sizeof(below), "/%s", name);
    AUTO_CALL call;
    call_session(&call, client, "POST", project, session, below);
    AUTO(arena_release) struct arena scratch = {0};
    struct json_writer w;
    jwr_init(&w, &call.body);
    jwr_object(&w, NULL);
    jwr_array(&w, name);
    for (size_t i = 0; i < n; i++) {
        jwr_object(&w, NULL);
        int err = client_record_json(&w, &records[i], &scratch);
        if (err != OK)
            return client_fail(client, err, "invalid", "record %zu cannot be sent", i);
        char *own = arena_printf(&scratch, "%.*s-%zu", (int)key.len, key.data, i);
        jwr_str(&w, "key", own);
        jwr_object_end(&w);
    }
    jwr_array_end(&w);
    jwr_object_end(&w);
    call_json(&call);
    return call_run(&call);
}

int client_session_rebase(struct client *client, struct bytes project,
                          const struct id16 *session, uint64_t base)
{
    AUTO_CALL call;
    call_session(&call, client, "POST", project, session, "/rebase");
    struct json_writer w;
    jwr_init(&w, &call.body);
    jwr_object(&w, NULL);
    jwr_u64(&w, "base", base);
    jwr_object_end(&w);
    call_json(&call);
    return call_run(&call);
}
