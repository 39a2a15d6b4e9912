#include <stdio.h>

#include "api/client/call.h"
#include "formats/base/hex.h"

#define LANDINGS_TYPE "application/vnd.micelio.landings"
#define WAIT_ONE_MS   30000u

/* ---- answers ----------------------------------------------------------------------------- */

static enum verdict verdict_of(struct bytes name)
{
    for (enum verdict v = VERDICT_LANDED; v <= VERDICT_ABANDONED; v++) {
        if (bytes_equal(name, bytes_str(verdict_name(v))))
            return v;
    }
    return VERDICT_REFUSED;
}

static enum conflict_what what_of(struct bytes name)
{
    for (enum conflict_what w = CONFLICT_OPERATION; w <= CONFLICT_ANCESTOR; w++) {
        if (bytes_equal(name, bytes_str(conflict_what_name(w))))
            return w;
    }
    return CONFLICT_OPERATION;
}

static void conflicts_of(const struct json_at *at, struct arena *arena, struct landing *landing)
{
    if (jrd_null(at, "conflicts"))
        return;
    struct json_at list = jrd_array(at, "conflicts", JSON_OPTIONAL);
    size_t n = jrd_count(&list);
    n = n < CONFLICTS_LISTED_MAX ? n : CONFLICTS_LISTED_MAX;
    landing->conflicts = arena_array(arena, n, struct conflict);
    landing->n_listed = (uint16_t)n;
    for (size_t i = 0; i < n; i++) {
        struct json_at item = jrd_item(&list, i);
        struct conflict *conflict = &landing->conflicts[i];
        conflict->what = what_of(jrd_text(&item, "what", JSON_REQUIRED));
        conflict->path = arena_copy(arena, jrd_text(&item, "path", JSON_REQUIRED));
        conflict->seen = client_seen_parse(&item, "seen");
        conflict->there = client_seen_parse(&item, "there");
        conflict->by = jrd_u64(&item, "by", JSON_OPTIONAL, INT64_MAX, 0);
    }
    landing->n_conflicts =
        (uint32_t)jrd_u64(at, "conflicts_total", JSON_OPTIONAL, UINT32_MAX, n);
}

void client_landing_parse(const struct json_at *at, struct arena *arena, struct landing *out)
{
    out->session = jrd_id16(at, "session", JSON_OPTIONAL);
    out->verdict = verdict_of(jrd_text(at, "verdict", JSON_REQUIRED));
    out->position = jrd_u64(at, "position", JSON_OPTIONAL, INT64_MAX, 0);
    if (!jrd_null(at, "reason"))
        out->reason = arena_copy(arena, jrd_text(at, "reason", JSON_OPTIONAL));
    if (!jrd_null(at, "detail"))
        out->detail = arena_copy(arena, jrd_text(at, "detail", JSON_OPTIONAL));
    conflicts_of(at, arena, out);
}

static int landed_of_json(struct call *call, struct arena *arena, struct client_landed *out)
{
    AUTO_JSON *value = NULL;
    int err = call_answer(call, &value);
    if (err != OK)
        return err;
    struct json_problem wrong = {0};
    struct json_at top = jrd_top(value, &wrong);
    struct client_landed found = {
        .pending = bytes_equal(jrd_text(&top, "state", JSON_REQUIRED), bytes_str("pending")),
    };
    struct json_at list = jrd_array(&top, "results", JSON_OPTIONAL);
    found.n = found.pending ? 0 : jrd_count(&list);
    found.landings = arena_array(arena, found.n, struct landing);
    for (size_t i = 0; i < found.n; i++) {
        struct json_at item = jrd_item(&list, i);
        client_landing_parse(&item, arena, &found.landings[i]);
    }
    err = call_fields(call, &wrong);
    if (err == OK)
        *out = found;
    return err;
}

static int landed_of_binary(struct call *call, size_t n, struct arena *arena,
                            struct client_landed *out)
{
    struct bytes body = arena_copy(arena, buf_bytes(&call->http.body));
    struct reader r;
    rd_init(&r, body);
    struct client_landed found = {.landings = arena_array(arena, n, struct landing)};
    while (rd_left(&r) > 0 && rd_error(&r) == OK && found.n < n) {
        struct bytes one = rd_run32(&r, RECORDS_MAX);
        if (rd_error(&r) != OK)
            break;
        int err = landing_decode(one, arena, &found.landings[found.n++]);
        if (err != OK)
            return client_fail(call->client, err, "bad_answer", "a landing record is damaged");
    }
    if (rd_end(&r) != OK || found.n != n)
        return client_fail(call->client, ERR_CORRUPT, "bad_answer",
                           "the server answered %zu of %zu sessions", found.n, n);
    *out = found;
    return OK;
}

/* 409 and 422 are answers here, when they come as landings; else they are errors. */
static int landed_of(struct call *call, size_t n, struct arena *arena,
                     struct client_landed *out)
{
    int status = call->http.status;
    struct bytes type = {0};
    (void)http_header(&call->http, "Content-Type", &type);
    size_t len = strlen(LANDINGS_TYPE);
    bool binary = type.len >= len && memcmp(type.data, LANDINGS_TYPE, len) == 0;
    if (call->http.err == OK && status == 202 && (binary || call->http.body.len == 0)) {
        *out = (struct client_landed){.pending = true};
        return OK;
    }
    if (call->http.err == OK && binary && (status == 200 || status == 409 || status == 422))
        return landed_of_binary(call, n, arena, out);
    if (call->http.err == OK && (status == 409 || status == 422) &&
        landed_of_json(call, arena, out) == OK)
        return OK;
    int err = call_result(call);
    return err != OK ? err : landed_of_json(call, arena, out);
}

static void call_wait(struct call *call, uint64_t wait_ms)
{
    char text[32];
    snprintf(text, sizeof(text), "%llums", (unsigned long long)wait_ms);
    call_query(call, "wait", bytes_str(text));
    call->http.body_max = 256u * MIB;
}

/* ---- whole sessions ---------------------------------------------------------------------- */

/* The order meant is that of the array, and travels as hlcs 1, 2, …; the front stamps them
 * anew. */
static void session_finish(struct session *session, const struct id16 *project,
                           const struct id16 *owner)
{
    session->state = SESSION_OPEN;
    session->project = *project;
    session->owner = *owner;
    for (size_t i = 0; i < session->n_records; i++) {
        struct record *record = &session->records[i];
        record->hlc = i + 1;
        if (record->kind == RECORD_START)
            session->base = record->start.base;
    }
    session->hlc_created = 1;
    session->hlc_updated = session->n_records;
    session_assign_ids(session);
}

void client_land_encode(struct session *session, const struct id16 *project,
                        const struct id16 *owner, struct buf *out)
{
    /* Encoding sorts the records by id; asked a second time, they have their ids already. */
    if (id16_is_zero(&session->id))
        session_finish(session, project, owner);
    size_t at = out->len;
    wr_u32(out, 0);
    session_encode(session, out);
    wr_u32_at(out, at, (uint32_t)(out->len - at - 4));
}

int client_land_encoded(struct client *client, const struct id16 *project,
                        struct bytes sessions, size_t n, uint64_t wait_ms, struct arena *arena,
                        struct client_landed *out)
{
    if (sessions.len > REQUEST_MAX)
        return client_fail(client, ERR_LIMIT, "too_large",
                           "one landing request may have %u MiB; this one has %zu",
                           REQUEST_MAX / MIB, sessions.len / MIB + 1);
    AUTO_CALL call;
    struct id16_hex id = id16_hex(project);
    call_project(&call, client, "POST", bytes_str(id.s), "/land");
    call_wait(&call, wait_ms);
    call_header(&call, "Content-Type: application/vnd.micelio.sessions");
    call_header(&call, "Accept: " LANDINGS_TYPE);
    call.http.data = sessions;
    call.http.timeout_ms = wait_ms + 120000;
    (void)!call_run(&call);
    return landed_of(&call, n, arena, out);
}

int client_land(struct client *client, const struct client_project *project,
                struct session *sessions, size_t n, uint64_t wait_ms, struct arena *arena,
                struct client_landed *out)
{
    AUTO_BUF body = {0};
    struct id16 owner = owner_of(bytes_str(client->author));
    for (size_t i = 0; i < n; i++)
        client_land_encode(&sessions[i], &project->id, &owner, &body);
    return client_land_encoded(client, &project->id, buf_bytes(&body), n, wait_ms, arena, out);
}

int client_land_wait(struct client *client, const struct client_project *project,
                     struct session *sessions, size_t n, uint64_t patience_ms,
                     struct arena *arena, struct client_landed *out)
{
    uint64_t waited = 0;
    for (;;) {
        uint64_t left = patience_ms - waited;
        uint64_t wait_ms = left < WAIT_ONE_MS ? left : WAIT_ONE_MS;
        int err = client_land(client, project, sessions, n, wait_ms, arena, out);
        waited += wait_ms;
        /* The same bytes are the same request: asking again can only give its one answer. */
        bool again = err == ERR_UNKNOWN || (err == OK && out->pending);
        if (!again || waited >= patience_ms)
            return err;
    }
}

/* ---- a session that is open -------------------------------------------------------------- */

static int session_ask(struct client *client, struct bytes project, const struct id16 *session,
                       const char *verb, const char *field, struct bytes value,
                       uint64_t wait_ms, struct arena *arena, struct client_landed *out)
{
    AUTO_CALL call;
    char below[128];
    snprintf(below, sizeof(below), "/sessions/%s/%s", id16_hex(session).s, verb);
    call_project(&call, client, "POST", project, below);
    call_wait(&call, wait_ms);
    struct json_writer w;
    jwr_init(&w, &call.body);
    jwr_object(&w, NULL);
    if (value.len > 0)
        jwr_text(&w, field, value);
    jwr_object_end(&w);
    call_json(&call);
    call_header(&call, "Accept: application/json");
    call.http.timeout_ms = wait_ms + 120000;
    (void)!call_run(&call);
    return landed_of(&call, 1, arena, out);
}

int client_session_land(struct client *client, struct bytes project, const struct id16 *session,
                        struct bytes key, uint64_t wait_ms, struct arena *arena,
                        struct client_landed *out)
{
    return session_ask(client, project, session, "land", "key", key, wait_ms, arena, out);
}

int client_session_abandon(struct client *client, struct bytes project,
                           const struct id16 *session, struct bytes reason, uint64_t wait_ms,
                           struct arena *arena, struct client_landed *out)
{
    return session_ask(client, project, session, "abandon", "reason", reason, wait_ms, arena,
                       out);
}
