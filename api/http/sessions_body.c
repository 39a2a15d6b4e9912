#include "api/http/sessions_body.h"

#include <stdlib.h>

#include "api/http/http_values.h"
#include "formats/base/limits.h"

#define SESSIONS_TYPE "application/vnd.micelio.sessions"

static int record_order(const void *a, const void *b)
{
    return record_time_compare(a, b);
}

static void series_refuse(struct request *r)
{
    respond_error(r, 413, "series_too_long", "sessions", "a series has at most %u sessions",
                  SERIES_MAX);
}

/* Each session's bytes behind their length; the hlcs of its records are their order. */
static bool sessions_decode(struct request *r, struct session **out, size_t *n)
{
    size_t cap = 0;
    size_t used = r->arena.used;
    struct reader reader;
    *out = NULL;
    *n = 0;
    rd_init(&reader, buf_bytes(&r->body));
    while (rd_left(&reader) > 0 && rd_error(&reader) == OK) {
        struct bytes bytes = rd_run32(&reader, REQUEST_MAX);
        struct session *session =
            arena_push(&r->arena, (void **)out, n, &cap, sizeof(*session));
        int err = rd_error(&reader) != OK ? rd_error(&reader)
                                          : session_decode(bytes, &r->arena, session);
        if (*n > SERIES_MAX) {
            series_refuse(r);
            return false;
        }
        if (err != OK) {
            respond_error(r, 400, "malformed_session", NULL,
                          "session %zu of the request is damaged", *n - 1);
            return false;
        }
        if (!request_hold(r, r->arena.used - used))
            return false;
        used = r->arena.used;
        if (session->n_records > 0)
            qsort(session->records, session->n_records, sizeof(*session->records),
                  record_order);
    }
    if (*n > 0)
        return true;
    respond_error(r, 400, "malformed_session", NULL, "there is no session in the request");
    return false;
}

/* False: the answer says why. */
static bool sessions_from_json(struct request *r, enum json_purpose purpose,
                               struct session **out, size_t *n)
{
    static const char *const names[] = {"session", "sessions"};
    struct json_problem wrong = {0};
    struct json_at top;
    if (!request_json(r, false, &wrong, &top))
        return false;
    jrd_only(&top, names, ARRAY_LEN(names));
    bool one = jrd_has(&top, "session");
    struct json_at list = jrd_array(&top, "sessions", one ? JSON_OPTIONAL : JSON_REQUIRED);
    *n = one ? 1 : jrd_count(&list);
    if (one && list.value != NULL)
        jrd_fail(&top, "sessions", "bad_value", "either one session, or several");
    if (jrd_ok(&top) && *n == 0)
        jrd_fail(&top, "sessions", "bad_value", "there is nothing in it");
    if (*n > SERIES_MAX) {
        series_refuse(r);
        return false;
    }
    *out = arena_array(&r->arena, *n, struct session);
    for (size_t i = 0; i < *n && jrd_ok(&top); i++) {
        struct json_at item =
            one ? jrd_object(&top, "session", JSON_REQUIRED) : jrd_item(&list, i);
        (*out)[i] = session_from_json(&item, &r->caller, purpose, &r->arena);
    }
    if (!jrd_ok(&top))
        respond_json_problem(r, &wrong);
    return jrd_ok(&top);
}

bool sessions_body(struct request *r, enum json_purpose purpose, struct session **out,
                   size_t *n)
{
    const char *type = request_header(r, MHD_HTTP_HEADER_CONTENT_TYPE);
    return media_type_named(type, SESSIONS_TYPE) ? sessions_decode(r, out, n)
                                                 : sessions_from_json(r, purpose, out, n);
}
