/* Landing: of an open session, and of whole sessions in one request. */
#include "api/http/http_values.h"
#include "api/http/route.h"
#include "api/http/session_json.h"
#include "api/http/sessions_body.h"
#include "formats/base/hex.h"
#include "formats/base/limits.h"

#define LANDINGS_TYPE "application/vnd.micelio.landings"

/* 200 when all landed (or an abandon was answered), else what kept the first from it. */
static unsigned result_status(const struct land_result *result)
{
    if (result->pending)
        return 202;
    for (size_t i = 0; i < result->n; i++) {
        switch (result->landings[i].verdict) {
        case VERDICT_CONFLICTED:
            return 409;
        case VERDICT_REFUSED:
        case VERDICT_NOT_TRIED:
            return 422;
        case VERDICT_LANDED:
        case VERDICT_ABANDONED:
            break;
        }
    }
    return 200;
}

/* Each record's bytes behind their length; nothing while it is pending. */
static void landings_write(struct request *r, const struct land_result *result)
{
    respond_bytes(r, result_status(result), LANDINGS_TYPE, bytes_of(NULL, 0));
    respond_header(r, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
    respond_header(r, "Mic-Request", "%s", id16_hex(&result->request).s);
    for (size_t i = 0; !result->pending && i < result->n; i++) {
        size_t at = r->out.len;
        wr_u32(&r->out, 0);
        landing_encode(&result->landings[i], &r->out);
        wr_u32_at(&r->out, at, (uint32_t)(r->out.len - at - sizeof(uint32_t)));
    }
}

static void on_landed(void *arg, const struct land_result *result)
{
    struct request *r = arg;
    if (result->err != OK) {
        respond_problem(r, &result->problem);
        request_resume(r);
        return;
    }
    if (r->binary) {
        landings_write(r, result);
        request_resume(r);
        return;
    }
    struct json_writer w;
    respond_json(r, result_status(result), &w);
    respond_header(r, "Mic-Request", "%s", id16_hex(&result->request).s);
    jwr_id16(&w, "request", &result->request);
    jwr_str(&w, "state", result->pending ? "pending" : "decided");
    jwr_decimal(&w, "hlc", result->hlc);
    jwr_array(&w, result->pending ? "sessions" : "results");
    for (size_t i = 0; i < result->n; i++) {
        if (result->pending)
            jwr_id16(&w, NULL, &result->sessions[i]);
        else
            landing_to_json(&w, NULL, &result->landings[i]);
    }
    jwr_array_end(&w);
    jwr_object_end(&w);
    request_resume(r);
}

/* What every request for a landing says in its address and header: in which form it wants the
 * answer, and how long it waits, at most as long as the server lets it. */
static bool wait_of(struct request *r, uint64_t *out)
{
    r->binary = media_type_named(request_header(r, MHD_HTTP_HEADER_ACCEPT), LANDINGS_TYPE);
    uint64_t most = http_server_options(r->server)->wait_max_ms;
    if (!request_wait_ms(r, out))
        return false;
    if (*out > most)
        *out = most;
    return true;
}

static void start_or_fail(struct request *r, int err, const struct problem *problem)
{
    if (err == OK)
        return;
    respond_problem(r, problem);
    request_resume(r);
}

void handle_session_land(struct request *r)
{
    static const char *const names[] = {"records", "key"};
    struct id16 sid;
    uint64_t wait_ms;
    struct json_problem wrong = {0};
    struct json_at top;
    if (id16_parse(r->rest, &sid) != OK) {
        respond_error(r, 404, "not_found", "sid", "a session's id has 32 hex digits");
        return;
    }
    if (!wait_of(r, &wait_ms) || !request_json(r, true, &wrong, &top))
        return;
    jrd_only(&top, names, ARRAY_LEN(names));
    struct hash records = jrd_hash(&top, "records", JSON_OPTIONAL);
    struct bytes key = jrd_text(&top, "key", JSON_OPTIONAL);
    if (jrd_ok(&top)) {
        struct problem problem;
        request_suspend(r);
        int err = service_session_land(r->service, &r->caller, &r->project, &sid,
                                       jrd_has(&top, "records") ? &records : NULL, key, wait_ms,
                                       on_landed, r, &problem);
        start_or_fail(r, err, &problem);
    } else {
        respond_json_problem(r, &wrong);
    }
}

void handle_session_abandon(struct request *r)
{
    static const char *const names[] = {"reason"};
    struct id16 sid;
    uint64_t wait_ms;
    struct json_problem wrong = {0};
    struct json_at top;
    if (id16_parse(r->rest, &sid) != OK) {
        respond_error(r, 404, "not_found", "sid", "a session's id has 32 hex digits");
        return;
    }
    if (!wait_of(r, &wait_ms) || !request_json(r, true, &wrong, &top))
        return;
    jrd_only(&top, names, ARRAY_LEN(names));
    struct bytes reason = jrd_text(&top, "reason", JSON_OPTIONAL);
    if (jrd_ok(&top)) {
        struct problem problem;
        request_suspend(r);
        int err = service_session_abandon(r->service, &r->caller, &r->project, &sid, reason,
                                          wait_ms, on_landed, r, &problem);
        start_or_fail(r, err, &problem);
    } else {
        respond_json_problem(r, &wrong);
    }
}

/* --- whole sessions --- */

static void land_start(struct request *r, struct session *sessions, size_t n, uint64_t wait_ms)
{
    struct problem problem;
    request_suspend(r);
    int err = service_land(r->service, &r->caller, &r->project, sessions, n, &r->arena, wait_ms,
                           on_landed, r, &problem);
    start_or_fail(r, err, &problem);
}

void handle_land(struct request *r)
{
    uint64_t wait_ms;
    struct session *sessions;
    size_t n;
    if (!wait_of(r, &wait_ms))
        return;
    if (sessions_body(r, JSON_TO_LAND, &sessions, &n))
        land_start(r, sessions, n, wait_ms);
}
