/* References. */
#include "api/client/call.h"
#include "formats/base/hex.h"
#include "formats/record.h"

static void ref_begin(struct call *call, struct client *client, const char *method,
                      struct bytes project, struct bytes name, const char *below)
{
    call_project(call, client, method, project, "/refs");
    if (name.len > 0)
        call_path(call, name);
    buf_append(&call->url, below, strlen(below));
}

int client_ref(struct client *client, struct bytes project, struct bytes name,
               struct bytes path, struct arena *arena, struct client_ref *out)
{
    AUTO_CALL call;
    AUTO_JSON *value = NULL;
    ref_begin(&call, client, "GET", project, name, "");
    if (path.len > 0)
        call_query(&call, "path", path);
    struct json_problem wrong = {0};
    struct json_at top;
    int err = call_top(&call, &value, &wrong, &top);
    if (err != OK)
        return err;
    struct client_ref ref = {
        .name = arena_copy(arena, name),
        .address = jrd_hash(&top, "address", JSON_REQUIRED),
        .kind = arena_copy(arena, jrd_text(&top, "kind", JSON_REQUIRED)),
        .position = jrd_u64(&top, "position", JSON_REQUIRED, BASE_END - 1, 0),
    };
    err = call_fields(&call, &wrong);
    if (err == OK)
        *out = ref;
    return err;
}

int client_refs(struct client *client, struct bytes project, struct bytes prefix,
                struct bytes after, struct arena *arena, struct client_refs *out)
{
    AUTO_CALL call;
    AUTO_JSON *value = NULL;
    ref_begin(&call, client, "GET", project, bytes_of(NULL, 0), "");
    if (prefix.len > 0)
        call_query(&call, "prefix", prefix);
    if (after.len > 0)
        call_query(&call, "after", after);
    struct json_problem wrong = {0};
    struct json_at top;
    int err = call_top(&call, &value, &wrong, &top);
    if (err != OK)
        return err;
    struct json_at list = jrd_array(&top, "refs", JSON_REQUIRED);
    struct client_refs found = {.n = jrd_count(&list)};
    found.refs = arena_array(arena, found.n, struct client_ref);
    for (size_t i = 0; i < found.n; i++) {
        struct json_at item = jrd_item(&list, i);
        found.refs[i] = (struct client_ref){
            .name = arena_copy(arena, jrd_text(&item, "name", JSON_REQUIRED)),
            .address = jrd_hash(&item, "address", JSON_REQUIRED),
            .position = jrd_u64(&item, "position", JSON_REQUIRED, BASE_END - 1, 0),
        };
    }
    if (!jrd_null(&top, "next"))
        found.next = arena_copy(arena, jrd_text(&top, "next", JSON_OPTIONAL));
    err = call_fields(&call, &wrong);
    if (err == OK)
        *out = found;
    return err;
}

int client_ref_log(struct client *client, struct bytes project, struct bytes name,
                   uint64_t before, size_t limit, struct arena *arena,
                   struct client_ref_log *out)
{
    AUTO_CALL call;
    AUTO_JSON *value = NULL;
    ref_begin(&call, client, "GET", project, name, "/log");
    call_query_u64(&call, "limit", limit);
    if (before > 0)
        call_query_u64(&call, "before", before);
    struct json_problem wrong = {0};
    struct json_at top;
    int err = call_top(&call, &value, &wrong, &top);
    if (err != OK)
        return err;
    struct json_at list = jrd_array(&top, "entries", JSON_REQUIRED);
    struct client_ref_log found = {.n = jrd_count(&list)};
    found.entries = arena_array(arena, found.n, struct client_ref_entry);
    for (size_t i = 0; i < found.n; i++) {
        struct json_at item = jrd_item(&list, i);
        struct client_ref_entry *entry = &found.entries[i];
        entry->position = jrd_u64(&item, "position", JSON_REQUIRED, BASE_END - 1, 0);
        entry->hlc = jrd_decimal(&item, "hlc", JSON_REQUIRED);
        entry->author = arena_copy(arena, jrd_text(&item, "author", JSON_REQUIRED));
        entry->bound = !jrd_null(&item, "address");
        if (entry->bound)
            entry->address = jrd_hash(&item, "address", JSON_REQUIRED);
    }
    if (!jrd_null(&top, "next"))
        found.next = jrd_u64(&top, "next", JSON_OPTIONAL, BASE_END - 1, 0);
    err = call_fields(&call, &wrong);
    if (err == OK)
        *out = found;
    return err;
}

/* Runs it, and takes the answer of a bind or delete. */
static int done_take(struct call *call, struct client_ref_done *out)
{
    AUTO_JSON *value = NULL;
    struct json_problem wrong = {0};
    struct json_at top;
    int err = call_top(call, &value, &wrong, &top);
    if (err != OK)
        return err;
    struct bytes state = jrd_text(&top, "state", JSON_REQUIRED);
    struct client_ref_done done = {
        .pending = bytes_equal(state, bytes_str("pending")),
        .position = jrd_u64(&top, "position", JSON_OPTIONAL, BASE_END - 1, 0),
        .counted = jrd_has(&top, "affected"),
        .affected = jrd_u64(&top, "affected", JSON_OPTIONAL, INT64_MAX, 0),
        .depth = jrd_u64(&top, "depth", JSON_OPTIONAL, INT64_MAX, 0),
    };
    err = call_fields(call, &wrong);
    if (err == OK)
        *out = done;
    return err;
}

int client_ref_bind(struct client *client, struct bytes project, struct bytes name,
                    const struct hash *address, const struct client_expected *expected,
                    struct client_ref_done *out)
{
    AUTO_CALL call;
    struct json_writer w;
    ref_begin(&call, client, "PUT", project, name, "");
    jwr_init(&w, &call.body);
    jwr_object(&w, NULL);
    jwr_hash(&w, "address", address);
    if (expected->said && expected->bound)
        jwr_hash(&w, "expected", &expected->address);
    else if (expected->said)
        jwr_null(&w, "expected");
    jwr_object_end(&w);
    call_json(&call);
    return done_take(&call, out);
}

int client_ref_delete(struct client *client, struct bytes project, struct bytes name,
                      const struct client_expected *expected, struct client_ref_done *out)
{
    AUTO_CALL call;
    ref_begin(&call, client, "DELETE", project, name, "");
    if (expected->said && expected->bound)
        call_query(&call, "expected", bytes_str(hash_hex(&expected->address).s));
    return done_take(&call, out);
}
