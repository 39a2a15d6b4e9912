/* References: names that addresses are bound to. */
#include "api/http/route.h"
#include "api/service/service_derive.h"
#include "api/service/service_refs.h"
#include "formats/base/hex.h"
#include "formats/ref.h"

#define LIST_DEFAULT 100u
#define LIST_MOST    1000u

/* ---- reading ---- */

struct ref_answer {
    struct request *r;
    struct bytes path;
    struct ref_value value;
};

static void ref_shown(void *arg)
{
    const struct ref_answer *answer = arg;
    const struct ref_value *value = &answer->value;
    struct request *r = answer->r;
    struct json_writer w;
    respond_json(r, 200, &w);
    jwr_text(&w, "name", r->rest);
    if (answer->path.len > 0)
        jwr_text(&w, "path", answer->path);
    jwr_hash(&w, "address", &value->address);
    jwr_str(&w, "kind", value->kind == KIND_NONE ? "address" : kind_name(value->kind));
    jwr_u64(&w, "position", value->stamp);
    jwr_object_end(&w);
    request_resume(r);
}

#define SHOWN(name) (int)((name).len < 100 ? (name).len : 100), (const char *)(name).data

/* What was asked of the ref that the URL names failed for `err`. */
static void ref_failed(struct request *r, int err, bool bound, struct bytes path)
{
    if (err != ERR_NOT_FOUND)
        respond_failure(r, err, "the ref");
    else if (!bound)
        respond_error(r, 404, "not_found", "name", "%.*s is not bound", SHOWN(r->rest));
    else if (ref_is_head(r->rest))
        respond_error(r, 404, "not_found", "path", "the project has nothing under %.*s",
                      SHOWN(path));
    else
        respond_error(r, 404, "not_found", "path",
                      "what %.*s is bound to is no directory that has %.*s", SHOWN(r->rest),
                      SHOWN(path));
}

void handle_ref(struct request *r)
{
    struct bytes path;
    struct ref_value value;
    const char *below = request_query(r, "path");
    if (!request_path(r, bytes_str(below == NULL ? "" : below), &path))
        return;
    struct refs_snapshot *snap = service_refs_snapshot(r->service, &r->caller, &r->project);
    int err = refs_snapshot_ref(snap, r->rest, path, &value);
    struct hash at;
    bool bound = err == ERR_NOT_FOUND &&
                 (ref_is_head(r->rest) || refs_snapshot_bound(snap, r->rest, &at) == OK);
    refs_snapshot_close(snap);
    if (err != OK) {
        ref_failed(r, err, bound, path);
        return;
    }
    struct ref_answer *answer = arena_new(&r->arena, struct ref_answer);
    *answer = (struct ref_answer){.r = r, .path = path, .value = value};
    request_suspend(r);
    if (value.kind == KIND_DIR)
        service_derive_show(r->service, &r->project, &value.address, &value.where, ref_shown,
                            answer);
    else
        ref_shown(answer);
}

void handle_ref_list(struct request *r)
{
    struct bytes prefix;
    uint64_t limit;
    struct refs_listing list;
    const char *below = request_query(r, "prefix");
    const char *after = request_query(r, "after");
    if (!request_path(r, bytes_str(below == NULL ? "" : below), &prefix) ||
        !request_limit(r, LIST_MOST, LIST_DEFAULT, &limit))
        return;
    struct refs_snapshot *snap = service_refs_snapshot(r->service, &r->caller, &r->project);
    int err = refs_snapshot_list(snap, prefix, bytes_str(after == NULL ? "" : after),
                                 (size_t)limit, &r->arena, &list);
    refs_snapshot_close(snap);
    if (err != OK) {
        respond_failure(r, err, "the references");
        return;
    }
    struct json_writer w;
    respond_json(r, 200, &w);
    jwr_array(&w, "refs");
    for (size_t i = 0; i < list.n; i++) {
        jwr_object(&w, NULL);
        jwr_text(&w, "name", list.refs[i].name);
        jwr_hash(&w, "address", &list.refs[i].address);
        jwr_u64(&w, "position", list.refs[i].stamp);
        jwr_object_end(&w);
    }
    jwr_array_end(&w);
    if (list.more)
        jwr_text(&w, "next", list.refs[list.n - 1].name);
    jwr_object_end(&w);
}

void handle_ref_log(struct request *r)
{
    uint64_t limit;
    uint64_t before;
    struct refs_history history;
    if (!request_limit(r, LIST_MOST, LIST_DEFAULT, &limit) ||
        !request_u64(r, "before", UINT64_MAX - 1, UINT64_MAX, &before))
        return;
    int err =
        refs_history(r->repo, &r->project, r->rest, before, (size_t)limit, &r->arena, &history);
    if (err == ERR_NOT_FOUND) {
        respond_error(r, 404, "not_found", "name", "%.*s was never bound", SHOWN(r->rest));
        return;
    }
    if (err != OK) {
        respond_failure(r, err, "the ref");
        return;
    }
    struct json_writer w;
    respond_json(r, 200, &w);
    jwr_text(&w, "name", r->rest);
    jwr_array(&w, "entries");
    for (size_t i = 0; i < history.n; i++) {
        const struct ref_change *change = &history.changes[i];
        jwr_object(&w, NULL);
        jwr_u64(&w, "position", change->position);
        jwr_decimal(&w, "hlc", change->hlc);
        jwr_text(&w, "author", change->author);
        if (change->bound)
            jwr_hash(&w, "address", &change->address);
        else
            jwr_null(&w, "address");
        jwr_object_end(&w);
    }
    jwr_array_end(&w);
    if (history.more)
        jwr_u64(&w, "next", history.next);
    jwr_object_end(&w);
}

/* ---- binding ---- */

struct asked {
    struct request *r;
    bool binds; /* else it deletes */
    struct hash address;
    struct ref_expected expected;
    uint64_t wait_ms;
    uint64_t begun_us;
    struct project_source *before; /* what results came to until now */
    struct ref_done done;
};

static void asked_send(void *arg);

/* How much of the wait is left. */
static uint64_t left_ms(const struct asked *asked)
{
    struct clock *clock = http_server_options(asked->r->server)->clock;
    uint64_t gone_ms = (clock->mono_us(clock) - asked->begun_us) / 1000;
    return gone_ms < asked->wait_ms ? asked->wait_ms - gone_ms : 0;
}

/* On the connection's own thread, for it reads: what depends on the ref is counted, and its
 * results are freed behind the answer. */
static void asked_answer(void *arg)
{
    struct asked *asked = arg;
    struct request *r = asked->r;
    const struct ref_done *done = &asked->done;
    struct derive_walk affected;
    struct problem problem;
    bool counted =
        !done->pending && service_derive_rebound(r->service, &r->project, r->rest,
                                                 asked->binds ? &asked->address : NULL,
                                                 asked->before, &affected, &problem) == OK;
    project_source_drop(asked->before);
    struct json_writer w;
    respond_json(r, done->pending ? 202 : 200, &w);
    jwr_text(&w, "name", r->rest);
    if (asked->binds)
        jwr_hash(&w, "address", &asked->address);
    else
        jwr_null(&w, "address");
    jwr_str(&w, "state", done->pending ? "pending" : "decided");
    if (!done->pending)
        jwr_u64(&w, "position", done->position);
    if (counted) {
        jwr_u64(&w, "affected", affected.count);
        jwr_u64(&w, "depth", affected.depth);
    }
    jwr_decimal(&w, "hlc", done->hlc);
    jwr_object_end(&w);
}

static void asked_fail(struct asked *asked, const struct problem *problem)
{
    project_source_drop(asked->before);
    respond_problem(asked->r, problem);
    request_resume(asked->r);
}

static void on_done(void *arg, const struct ref_done *done)
{
    struct asked *asked = arg;
    struct request *r = asked->r;
    bool moved = done->err == ERR_AGAIN && strcmp(done->problem.code, "ref_moved") == 0;
    asked->done = *done;
    /* Others got in the way: as long as there is time it is tried again. */
    if (moved && left_ms(asked) > 0)
        request_again(r, asked_send, asked);
    else if (done->err != OK)
        asked_fail(asked, &done->problem);
    else
        request_again(r, asked_answer, asked);
}

/* On the connection's own thread, for it reads. */
static void asked_send(void *arg)
{
    struct asked *asked = arg;
    struct request *r = asked->r;
    struct problem problem;
    uint64_t wait_ms = left_ms(asked);
    if (asked->before == NULL)
        asked->before = service_derive_before(r->service, &r->project, r->rest);
    request_suspend(r);
    int err =
        asked->binds
            ? service_ref_bind(r->service, &r->caller, &r->project, r->rest, &asked->address,
                               &asked->expected, &r->arena, wait_ms, on_done, asked, &problem)
            : service_ref_delete(r->service, &r->caller, &r->project, r->rest, &asked->expected,
                                 &r->arena, wait_ms, on_done, asked, &problem);
    if (err != OK)
        asked_fail(asked, &problem);
}

/* Whoever asks for compare and set wants to know: without ?wait= it is the server's longest. */
static bool wait_of(struct asked *asked)
{
    const struct http_options *options = http_server_options(asked->r->server);
    uint64_t most = options->wait_max_ms;
    asked->begun_us = options->clock->mono_us(options->clock);
    asked->wait_ms = most;
    if (request_query(asked->r, "wait") == NULL)
        return true;
    if (!request_wait_ms(asked->r, &asked->wait_ms))
        return false;
    asked->wait_ms = asked->wait_ms < most ? asked->wait_ms : most;
    return true;
}

void handle_ref_put(struct request *r)
{
    static const char *const names[] = {"address", "expected"};
    struct json_problem wrong = {0};
    struct json_at top;
    struct asked *asked = arena_new(&r->arena, struct asked);
    *asked = (struct asked){.r = r, .binds = true};
    if (!wait_of(asked) || !request_json(r, false, &wrong, &top))
        return;
    jrd_only(&top, names, ARRAY_LEN(names));
    asked->address = jrd_hash(&top, "address", JSON_REQUIRED);
    if (jrd_null(&top, "expected"))
        asked->expected.what = REF_UNBOUND;
    else if (jrd_has(&top, "expected"))
        asked->expected = (struct ref_expected){
            .what = REF_BOUND, .address = jrd_hash(&top, "expected", JSON_REQUIRED)};
    if (jrd_ok(&top))
        asked_send(asked);
    else
        respond_json_problem(r, &wrong);
}

void handle_ref_delete(struct request *r)
{
    struct asked *asked = arena_new(&r->arena, struct asked);
    *asked = (struct asked){.r = r};
    const char *expected = request_query(r, "expected");
    if (!wait_of(asked))
        return;
    if (expected != NULL) {
        asked->expected.what = REF_BOUND;
        if (hash_parse(bytes_str(expected), &asked->expected.address) != OK) {
            respond_error(r, 400, "bad_query", "expected",
                          "an address is 64 lower-case hex digits");
            return;
        }
    }
    asked_send(asked);
}
