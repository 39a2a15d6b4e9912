/* Open sessions: start, write, read, list. */
#include "api/http/http_values.h"
#include "api/http/route.h"
#include "api/http/session_json.h"
#include "formats/base/hex.h"
#include "formats/base/limits.h"

/* A write was made durable, or not. */
static void on_written(void *arg, const struct written *written)
{
    struct request *r = arg;
    if (written->err != OK) {
        respond_problem(r, &written->problem);
    } else {
        struct json_writer w;
        respond_json(r, 202, &w);
        jwr_id16(&w, "session", &written->session);
        jwr_array(&w, "records");
        for (size_t i = 0; i < written->n; i++)
            jwr_id16(&w, NULL, &written->records[i]);
        jwr_array_end(&w);
        jwr_u64(&w, "base", session_id_base(&written->session));
        jwr_decimal(&w, "hlc", written->hlc);
        jwr_object_end(&w);
    }
    request_resume(r);
}

static bool session_of(struct request *r, struct id16 *sid)
{
    if (id16_parse(r->rest, sid) == OK)
        return true;
    respond_error(r, 404, "not_found", "sid", "a session's id has 32 hex digits");
    return false;
}

void handle_session_start(struct request *r)
{
    struct json_problem wrong = {0};
    struct json_at top;
    if (!request_json(r, false, &wrong, &top))
        return;
    struct session_start start = start_from_json(&top, &r->arena);
    struct problem problem;
    if (!jrd_ok(&top)) {
        respond_json_problem(r, &wrong);
    } else {
        request_suspend(r);
        if (service_session_start(r->service, &r->caller, &r->project, &start, on_written, r,
                                  &problem) != OK) {
            respond_problem(r, &problem);
            request_resume(r);
        }
    }
}

/* Writes `n` records; the connection waits. */
static void records_write(struct request *r, const struct id16 *sid, struct record *records,
                          const struct bytes *keys, size_t n)
{
    struct problem problem;
    request_suspend(r);
    if (service_session_write(r->service, &r->caller, &r->project, sid, records, keys, n,
                              on_written, r, &problem) != OK) {
        respond_problem(r, &problem);
        request_resume(r);
    }
}

/* A body that has one array of records of one kind under `name`. */
static void list_write(struct request *r, const char *name, enum record_kind kind)
{
    struct id16 sid;
    struct json_problem wrong = {0};
    struct json_at top;
    if (!session_of(r, &sid) || !request_json(r, false, &wrong, &top))
        return;
    jrd_only(&top, &name, 1);
    struct json_at list = jrd_array(&top, name, JSON_REQUIRED);
    size_t n = jrd_count(&list);
    if (n > SESSION_RECORDS_MAX) {
        respond_error(r, 413, "session_full", name, "a session has at most %u records",
                      SESSION_RECORDS_MAX);
        return;
    }
    struct record *records = arena_array(&r->arena, n, struct record);
    struct bytes *keys = arena_array(&r->arena, n, struct bytes);
    for (size_t i = 0; i < n; i++) {
        struct json_at item = jrd_item(&list, i);
        records[i] = record_from_json(&item, kind, JSON_TO_LAND, &r->arena, &keys[i]);
    }
    if (jrd_ok(&top) && n == 0)
        jrd_fail(&top, name, "bad_value", "there is nothing in it");
    if (jrd_ok(&top))
        records_write(r, &sid, records, keys, n);
    else
        respond_json_problem(r, &wrong);
}

void handle_session_operations(struct request *r)
{
    list_write(r, "operations", RECORD_OPERATION);
}

void handle_session_guards(struct request *r)
{
    list_write(r, "guards", RECORD_GUARD);
}

void handle_session_decisions(struct request *r)
{
    list_write(r, "decisions", RECORD_DECISION);
}

void handle_session_conversation(struct request *r)
{
    list_write(r, "conversation", RECORD_CONVERSATION);
}

void handle_session_rebase(struct request *r)
{
    static const char *const names[] = {"base", "key"};
    struct id16 sid;
    struct json_problem wrong = {0};
    struct json_at top;
    if (!session_of(r, &sid) || !request_json(r, false, &wrong, &top))
        return;
    jrd_only(&top, names, ARRAY_LEN(names));
    struct record record = {.kind = RECORD_REBASE};
    record.rebase = jrd_u64(&top, "base", JSON_REQUIRED, BASE_END - 1, 0);
    struct bytes key = jrd_text(&top, "key", JSON_OPTIONAL);
    if (jrd_ok(&top))
        records_write(r, &sid, &record, &key, 1);
    else
        respond_json_problem(r, &wrong);
}

void handle_session(struct request *r)
{
    struct id16 sid;
    struct session_current now;
    if (!session_of(r, &sid))
        return;
    int err = session_read(r->repo, &r->project, &sid, &r->arena, &now);
    if (err == OK && now.partial)
        err = ERR_CORRUPT;
    if (err != OK) {
        respond_failure(r, err, "the session");
        return;
    }
    const char *accept = request_header(r, MHD_HTTP_HEADER_ACCEPT);
    if (media_type_named(accept, "application/vnd.micelio.session")) {
        AUTO_BUF bytes = {0};
        session_encode(&now.session, &bytes);
        respond_bytes(r, 200, "application/vnd.micelio.session", buf_bytes(&bytes));
        return;
    }
    struct json_writer w;
    respond_json(r, 200, &w);
    session_to_json(&w, &now, &r->arena);
    jwr_object_end(&w);
}

void handle_session_list(struct request *r)
{
    const char *state = request_query(r, "state");
    const char *after_hex = request_query(r, "after");
    struct id16 after = {0};
    uint64_t limit;
    if (state != NULL && strcmp(state, "open") != 0) {
        respond_error(r, 400, "bad_query", "state",
                      "open sessions are listed; landed ones are in the log");
        return;
    }
    if (after_hex != NULL && id16_parse(bytes_str(after_hex), &after) != OK) {
        respond_error(r, 400, "bad_query", "after", "after is to be a session's id");
        return;
    }
    if (!request_limit(r, 1000, 100, &limit))
        return;
    struct session_list list;
    int err = session_list(r->repo, &r->project, &after, (size_t)limit, &r->arena, &list);
    if (err != OK) {
        respond_failure(r, err, "the list of sessions");
        return;
    }
    struct json_writer w;
    respond_json(r, 200, &w);
    jwr_array(&w, "sessions");
    for (size_t i = 0; i < list.n; i++)
        session_line_to_json(&w, &list.sessions[i], &r->arena);
    jwr_array_end(&w);
    if (list.more && list.n > 0)
        jwr_id16(&w, "next", &list.sessions[list.n - 1].id);
    jwr_object_end(&w);
}
