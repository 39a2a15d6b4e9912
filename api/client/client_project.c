#include "api/client/call.h"

int client_project_create(struct client *client, struct bytes handle, struct id16 *out)
{
    AUTO_CALL call;
    call_begin(&call, client, "POST", "/projects");
    struct json_writer w;
    jwr_init(&w, &call.body);
    jwr_object(&w, NULL);
    jwr_text(&w, "handle", handle);
    jwr_object_end(&w);
    call_json(&call);
    AUTO_JSON *value = NULL;
    struct json_problem wrong = {0};
    struct json_at top;
    int err = call_top(&call, &value, &wrong, &top);
    if (err != OK)
        return err;
    struct id16 id = jrd_id16(&top, "id", JSON_REQUIRED);
    err = call_fields(&call, &wrong);
    if (err == OK)
        *out = id;
    return err;
}

int client_project_list(struct client *client, struct bytes after, struct arena *arena,
                        struct client_projects *out)
{
    AUTO_CALL call;
    call_begin(&call, client, "GET", "/projects");
    if (after.len > 0)
        call_query(&call, "after", after);
    AUTO_JSON *value = NULL;
    struct json_problem wrong = {0};
    struct json_at top;
    int err = call_top(&call, &value, &wrong, &top);
    if (err != OK)
        return err;
    struct json_at list = jrd_array(&top, "projects", JSON_REQUIRED);
    struct client_projects found = {.n = jrd_count(&list)};
    found.projects = arena_array(arena, found.n, struct client_project);
    for (size_t i = 0; i < found.n; i++) {
        struct json_at item = jrd_item(&list, i);
        found.projects[i].id = jrd_id16(&item, "id", JSON_REQUIRED);
        found.projects[i].handle = arena_copy(arena, jrd_text(&item, "handle", JSON_REQUIRED));
    }
    if (!jrd_null(&top, "next"))
        found.next = arena_copy(arena, jrd_text(&top, "next", JSON_OPTIONAL));
    err = call_fields(&call, &wrong);
    if (err == OK)
        *out = found;
    return err;
}

int client_project_find(struct client *client, struct bytes project, struct arena *arena,
                        struct client_project *out)
{
    AUTO_CALL call;
    call_project(&call, client, "GET", project, "");
    AUTO_JSON *value = NULL;
    struct json_problem wrong = {0};
    struct json_at top;
    int err = call_top(&call, &value, &wrong, &top);
    if (err != OK)
        return err;
    struct client_project found = {.id = jrd_id16(&top, "id", JSON_REQUIRED)};
    found.handle = arena_copy(arena, jrd_text(&top, "handle", JSON_REQUIRED));
    err = call_fields(&call, &wrong);
    if (err == OK)
        *out = found;
    return err;
}

int client_head(struct client *client, struct bytes project, struct client_head *out)
{
    AUTO_CALL call;
    call_project(&call, client, "GET", project, "/head");
    AUTO_JSON *value = NULL;
    struct json_problem wrong = {0};
    struct json_at top;
    int err = call_top(&call, &value, &wrong, &top);
    if (err != OK)
        return err;
    struct client_head head = {
        .position = jrd_u64(&top, "position", JSON_REQUIRED, BASE_END - 1, 0),
        .tree = jrd_hash(&top, "tree", JSON_REQUIRED),
        .content = jrd_hash(&top, "content", JSON_REQUIRED),
        .hlc = jrd_decimal(&top, "hlc", JSON_REQUIRED),
        .files = jrd_u64(&top, "files", JSON_OPTIONAL, INT64_MAX, 0),
        .bytes = jrd_u64(&top, "bytes", JSON_OPTIONAL, INT64_MAX, 0),
    };
    err = call_fields(&call, &wrong);
    if (err == OK)
        *out = head;
    return err;
}
