#include "api/client/call.h"

/* Changes of a page: the server looks for the begin of each from the first one on. */
#define DIFF_PAGE 10000u

int client_log(struct client *client, struct bytes project, struct bytes path, uint64_t before,
               size_t limit, struct arena *arena, struct client_log *out)
{
    AUTO_CALL call;
    call_project(&call, client, "GET", project, "/log");
    if (path.len > 0)
        call_query(&call, "path", path);
    if (before > 0)
        call_query_u64(&call, "before", before);
    call_query_u64(&call, "limit", limit);
    call.http.body_max = 256u * MIB;
    AUTO_JSON *value = NULL;
    struct json_problem wrong = {0};
    struct json_at top;
    int err = call_top(&call, &value, &wrong, &top);
    if (err != OK)
        return err;
    struct json_at list = jrd_array(&top, "entries", JSON_REQUIRED);
    struct client_log found = {.n = jrd_count(&list)};
    found.entries = arena_array(arena, found.n, struct client_log_entry);
    for (size_t i = 0; i < found.n; i++) {
        struct json_at item = jrd_item(&list, i);
        struct client_log_entry *e = &found.entries[i];
        e->position = jrd_u64(&item, "position", JSON_REQUIRED, INT64_MAX, 0);
        e->verdict = arena_copy(arena, jrd_text(&item, "verdict", JSON_OPTIONAL));
        e->session = jrd_id16(&item, "session", JSON_REQUIRED);
        e->author = arena_copy(arena, jrd_text(&item, "author", JSON_REQUIRED));
        e->goal = arena_copy(arena, jrd_text(&item, "goal", JSON_REQUIRED));
        e->hlc = jrd_decimal(&item, "hlc", JSON_REQUIRED);
        e->tree = jrd_hash(&item, "tree", JSON_OPTIONAL);
        if (!jrd_null(&item, "reason"))
            e->reason = arena_copy(arena, jrd_text(&item, "reason", JSON_OPTIONAL));
        struct json_at effects = jrd_array(&item, "effects", JSON_OPTIONAL);
        e->n_effects = jrd_count(&effects);
        e->effects = arena_array(arena, e->n_effects, struct client_operation);
        for (size_t k = 0; k < e->n_effects; k++) {
            struct json_at effect = jrd_item(&effects, k);
            e->effects[k] = client_operation_parse(&effect, arena);
        }
    }
    if (!jrd_null(&top, "next"))
        found.next = jrd_u64(&top, "next", JSON_OPTIONAL, INT64_MAX, 0);
    err = call_fields(&call, &wrong);
    if (err == OK)
        *out = found;
    return err;
}

int client_list(struct client *client, struct bytes project, struct bytes path, uint64_t at,
                struct bytes after, struct arena *arena, struct client_listing *out)
{
    AUTO_CALL call;
    call_project(&call, client, "GET", project, "/tree");
    call_path(&call, path);
    if (at != UINT64_MAX)
        call_query_u64(&call, "at", at);
    if (after.len > 0)
        call_query(&call, "after", after);
    AUTO_JSON *value = NULL;
    struct json_problem wrong = {0};
    struct json_at top;
    int err = call_top(&call, &value, &wrong, &top);
    if (err != OK)
        return err;
    struct json_at list = jrd_array(&top, "entries", JSON_REQUIRED);
    struct client_listing found = {.n = jrd_count(&list)};
    found.position = jrd_u64(&top, "position", JSON_OPTIONAL, INT64_MAX, 0);
    found.entries = arena_array(arena, found.n, struct entry);
    for (size_t i = 0; i < found.n; i++) {
        struct json_at item = jrd_item(&list, i);
        found.entries[i] = client_entry_parse(&item, arena);
    }
    if (!jrd_null(&top, "next"))
        found.next = arena_copy(arena, jrd_text(&top, "next", JSON_OPTIONAL));
    err = call_fields(&call, &wrong);
    if (err == OK)
        *out = found;
    return err;
}

static const struct entry *side_of(const struct json_at *change, const char *name,
                                   struct arena *arena)
{
    if (!jrd_has(change, name) || jrd_null(change, name))
        return NULL;
    struct json_at at = jrd_object(change, name, JSON_REQUIRED);
    struct entry *e = arena_new(arena, struct entry);
    *e = client_entry_parse(&at, arena);
    return e;
}

int client_diff(struct client *client, struct bytes project, uint64_t from, uint64_t to,
                struct bytes path, struct bytes after, struct arena *arena,
                struct client_changes *out)
{
    AUTO_CALL call;
    call_project(&call, client, "GET", project, "/diff");
    call_query_u64(&call, "from", from);
    call_query_u64(&call, "to", to);
    if (path.len > 0)
        call_query(&call, "path", path);
    if (after.len > 0)
        call_query(&call, "after", after);
    call_query_u64(&call, "limit", DIFF_PAGE);
    call.http.body_max = 256u * MIB;
    AUTO_JSON *value = NULL;
    struct json_problem wrong = {0};
    struct json_at top;
    int err = call_top(&call, &value, &wrong, &top);
    if (err != OK)
        return err;
    struct json_at list = jrd_array(&top, "changes", JSON_REQUIRED);
    struct client_changes found = {.n = jrd_count(&list)};
    found.changes = arena_array(arena, found.n, struct client_change);
    for (size_t i = 0; i < found.n; i++) {
        struct json_at item = jrd_item(&list, i);
        found.changes[i].path = arena_copy(arena, jrd_text(&item, "path", JSON_REQUIRED));
        found.changes[i].a = side_of(&item, "a", arena);
        found.changes[i].b = side_of(&item, "b", arena);
    }
    if (!jrd_null(&top, "next"))
        found.next = arena_copy(arena, jrd_text(&top, "next", JSON_OPTIONAL));
    err = call_fields(&call, &wrong);
    if (err == OK)
        *out = found;
    return err;
}

int client_file(struct client *client, struct bytes project, struct bytes path, uint64_t at,
                struct http_sink sink)
{
    AUTO_CALL call;
    call_project(&call, client, "GET", project, "/files");
    call_path(&call, path);
    if (at != UINT64_MAX)
        call_query_u64(&call, "at", at);
    call.http.sink = sink;
    return call_run(&call);
}
