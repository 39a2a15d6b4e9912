/* Whether a session would land. */
#include "api/http/route.h"
#include "api/http/session_json.h"
#include "api/http/sessions_body.h"
#include "formats/base/hex.h"

static void preflight_answer(struct request *r, const struct preflight *preflight)
{
    struct json_writer w;
    respond_json(r, 200, &w);
    respond_header(r, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
    preflight_to_json(&w, preflight);
    jwr_object_end(&w);
}

void handle_session_preflight(struct request *r)
{
    struct id16 sid;
    struct problem problem;
    struct preflight preflight;
    if (id16_parse(r->rest, &sid) != OK)
        respond_error(r, 404, "not_found", "sid", "a session's id has 32 hex digits");
    else if (service_session_preflight(r->service, &r->project, &sid, &r->arena, &preflight,
                                       &problem) != OK)
        respond_problem(r, &problem);
    else
        preflight_answer(r, &preflight);
}

void handle_preflight(struct request *r)
{
    struct session *sessions;
    size_t n;
    struct problem problem;
    struct preflight preflight;
    if (!sessions_body(r, JSON_TO_ASK, &sessions, &n))
        return;
    if (service_preflight(r->service, &r->caller, &r->project, sessions, n, &r->arena,
                          &preflight, &problem) != OK)
        respond_problem(r, &problem);
    else
        preflight_answer(r, &preflight);
}
