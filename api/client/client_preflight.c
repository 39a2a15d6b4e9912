#include <stdio.h>

#include "api/client/call.h"
#include "formats/base/hex.h"

/* ---- the answer -------------------------------------------------------------------------- */

static struct client_preflight_cause cause_of(const struct json_at *at, struct arena *arena)
{
    struct json_at list = jrd_array(at, "landings", JSON_OPTIONAL);
    struct client_preflight_cause cause = {
        .base = jrd_u64(at, "base", JSON_OPTIONAL, INT64_MAX, 0),
        .n = jrd_count(&list),
        .more = jrd_bool(at, "more", JSON_OPTIONAL),
    };
    cause.landings = arena_array(arena, cause.n, struct client_preflight_landing);
    for (size_t i = 0; i < cause.n; i++) {
        struct json_at item = jrd_item(&list, i);
        cause.landings[i] = (struct client_preflight_landing){
            .position = jrd_u64(&item, "position", JSON_REQUIRED, INT64_MAX, 0),
            .session = jrd_id16(&item, "session", JSON_REQUIRED),
            .author = arena_copy(arena, jrd_text(&item, "author", JSON_REQUIRED)),
            .goal = arena_copy(arena, jrd_text(&item, "goal", JSON_REQUIRED)),
            .hlc = jrd_decimal(&item, "hlc", JSON_REQUIRED),
        };
    }
    return cause;
}

static void result_of(const struct json_at *item, struct arena *arena,
                      struct client_preflight *out)
{
    out->verdict = arena_copy(arena, jrd_text(item, "verdict", JSON_REQUIRED));
    if (jrd_has(item, "answer")) {
        struct json_at answer = jrd_object(item, "answer", JSON_REQUIRED);
        client_landing_parse(&answer, arena, &out->landing);
        return;
    }
    client_landing_parse(item, arena, &out->landing);
    struct json_at list = jrd_array(item, "conflicts", JSON_OPTIONAL);
    out->causes = arena_array(arena, out->landing.n_listed, struct client_preflight_cause);
    for (size_t i = 0; i < out->landing.n_listed; i++) {
        struct json_at conflict = jrd_item(&list, i);
        out->causes[i] = cause_of(&conflict, arena);
    }
}

static int preflight_run(struct call *call, struct arena *arena, struct client_preflight *out)
{
    AUTO_JSON *value = NULL;
    call->http.body_max = 256u * MIB;
    int err = call_run(call);
    if (err == OK)
        err = call_answer(call, &value);
    if (err != OK)
        return err;
    struct json_problem wrong = {0};
    struct json_at top = jrd_top(value, &wrong);
    struct client_preflight found = {
        .position = jrd_u64(&top, "position", JSON_REQUIRED, INT64_MAX, 0),
        .hlc = jrd_decimal(&top, "hlc", JSON_REQUIRED),
    };
    struct json_at list = jrd_array(&top, "results", JSON_REQUIRED);
    if (jrd_count(&list) != 1)
        return client_fail(call->client, ERR_CORRUPT, "bad_answer",
                           "the server answered about %zu sessions, not one", jrd_count(&list));
    struct json_at item = jrd_item(&list, 0);
    result_of(&item, arena, &found);
    err = call_fields(call, &wrong);
    if (err == OK)
        *out = found;
    return err;
}

/* ---- the questions ----------------------------------------------------------------------- */

static int records_json(struct json_writer *w, const char *name, enum record_kind kind,
                        const struct record *records, size_t n)
{
    jwr_array(w, name);
    for (size_t i = 0; i < n; i++) {
        AUTO(arena_release) struct arena scratch = {0};
        if (records[i].kind != kind)
            continue;
        jwr_object(w, NULL);
        int err = client_record_json(w, &records[i], &scratch);
        if (err != OK)
            return err;
        jwr_object_end(w);
    }
    jwr_array_end(w);
    return OK;
}

int client_preflight(struct client *client, struct bytes project, uint64_t base,
                     const struct record *records, size_t n, struct arena *arena,
                     struct client_preflight *out)
{
    AUTO_CALL call;
    call_project(&call, client, "POST", project, "/preflight");
    struct json_writer w;
    jwr_init(&w, &call.body);
    jwr_object(&w, NULL);
    jwr_object(&w, "session");
    jwr_u64(&w, "base", base);
    int err = records_json(&w, "operations", RECORD_OPERATION, records, n);
    if (err == OK)
        err = records_json(&w, "guards", RECORD_GUARD, records, n);
    if (err != OK)
        return client_fail(client, err, "invalid", "these records cannot be sent");
    jwr_object_end(&w);
    jwr_object_end(&w);
    call_json(&call);
    return preflight_run(&call, arena, out);
}

int client_session_preflight(struct client *client, struct bytes project,
                             const struct id16 *session, struct arena *arena,
                             struct client_preflight *out)
{
    AUTO_CALL call;
    char below[128];
    snprintf(below, sizeof(below), "/sessions/%s/preflight", id16_hex(session).s);
    call_project(&call, client, "POST", project, below);
    return preflight_run(&call, arena, out);
}
