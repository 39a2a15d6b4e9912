#include "tests/support/front.h"

#include <check.h>
#include <stdio.h>

#include "formats/base/limits.h"

void front_open(struct front *front, struct forge *forge)
{
    static const struct refs_source none;
    front_open_refs(front, forge, &none);
}

void front_open_refs(struct front *front, struct forge *forge, const struct refs_source *source)
{
    const struct service_options options = {
        .intake = {.batch_max = 8 * MIB, .queue_max = 64 * MIB},
        .wait_max_ms = 60000,
        .poll_ms = 50,
        .waiters_max = 1000,
        .refs = *source};
    *front = (struct front){.forge = forge, .project = forge->project};
    ck_assert_int_eq(service_open(&forge->repo, &options, &front->service), OK);
}

void front_close(struct front *front)
{
    service_stop(front->service);
    service_close(front->service);
}

void front_settle(struct front *front)
{
    for (unsigned quiet = 0, rounds = 0; quiet < 2; rounds++) {
        ck_assert_uint_lt(rounds, 1000);
        int moved = service_step(front->service);
        moved += front->forge->land->run(front->forge->land);
        quiet = moved > 0 ? 0 : quiet + 1;
    }
}

/* --- requests --- */

static struct bytes kept(struct front *front, const char *text)
{
    return arena_copy(&front->forge->arena, bytes_str(text));
}

struct caller caller_of(const char *author)
{
    return (struct caller){.author = bytes_str(author), .owner = owner_of(bytes_str(author))};
}

struct asked asked_open(struct front *front, const char *key, uint64_t base)
{
    struct asked asked = {.front = front};
    (void)asked_add(&asked, (struct record){.kind = RECORD_START,
                                            .start = {.key = kept(front, key),
                                                      .base = base,
                                                      .goal = kept(front, key)}});
    return asked;
}

struct record *asked_add(struct asked *asked, struct record record)
{
    void *items = asked->session.records;
    struct record *slot = arena_push(&asked->front->forge->arena, &items,
                                     &asked->session.n_records, &asked->cap, sizeof(*slot));
    asked->session.records = items;
    *slot = record;
    return slot;
}

struct record record_write_of(struct front *front, const char *path, const char *text,
                              uint64_t base)
{
    struct record record = {.kind = RECORD_OPERATION};
    record.operation.op = OP_WRITE;
    record.operation.base = base;
    record.operation.path = kept(front, path);
    record.operation.content =
        content_inline(&front->forge->arena, KIND_FILE, MODE_PLAIN, bytes_str(text));
    return record;
}

void asked_write(struct asked *asked, const char *path, const char *text)
{
    (void)asked_add(asked, record_write_of(asked->front, path, text, UINT64_MAX));
}

void asked_delete(struct asked *asked, const char *path)
{
    struct record record = {.kind = RECORD_OPERATION};
    record.operation.op = OP_DELETE;
    record.operation.base = UINT64_MAX;
    record.operation.path = kept(asked->front, path);
    (void)asked_add(asked, record);
}

void asked_rename(struct asked *asked, const char *path, const char *target)
{
    struct record record = {.kind = RECORD_OPERATION};
    record.operation.op = OP_RENAME;
    record.operation.base = UINT64_MAX;
    record.operation.path = kept(asked->front, path);
    record.operation.target = kept(asked->front, target);
    record.operation.content =
        (struct content){.kind = KIND_FILE, .mode = MODE_PLAIN, .carrier = CARRIER_SOURCE};
    (void)asked_add(asked, record);
}

void asked_guard(struct asked *asked, const char *path)
{
    (void)asked_add(asked, (struct record){.kind = RECORD_GUARD,
                                           .guard = {.base = UINT64_MAX,
                                                     .path = kept(asked->front, path)}});
}

/* --- what came of them --- */

void reply_landed(void *arg, const struct land_result *result)
{
    struct reply *reply = arg;
    ck_assert_uint_le(result->n, REPLY_SESSIONS_MAX);
    reply->calls++;
    reply->err = result->err;
    reply->problem = result->problem;
    reply->pending = result->pending;
    reply->request = result->request;
    reply->n = result->n;
    ck_assert_uint_gt(result->hlc, 0);
    for (size_t i = 0; i < result->n; i++) {
        reply->sessions[i] = result->sessions[i];
        if (result->err != OK || result->pending)
            continue;
        const struct landing *landing = &result->landings[i];
        ck_assert(id16_equal(&landing->session, &result->sessions[i]));
        ck_assert(id16_equal(&landing->request, &result->request));
        reply->verdicts[i] = landing->verdict;
        reply->positions[i] = landing->position;
        reply->conflicts[i] = landing->n_conflicts;
        (void)snprintf(reply->reasons[i], sizeof(reply->reasons[i]), "%.*s",
                       (int)landing->reason.len, (const char *)landing->reason.data);
    }
}

void reply_written(void *arg, const struct written *written)
{
    struct reply *reply = arg;
    ck_assert_uint_le(written->n, REPLY_SESSIONS_MAX);
    reply->calls++;
    reply->err = written->err;
    reply->problem = written->problem;
    reply->sessions[0] = written->session;
    reply->n = written->n;
    memcpy(reply->records, written->records, written->n * sizeof(struct id16));
}

/* The service completes records in place; the test may send the same again. */
static struct session *sessions_copy(struct front *front, const struct asked *asked, size_t n)
{
    struct arena *arena = &front->forge->arena;
    struct session *sessions = arena_array(arena, n, struct session);
    for (size_t i = 0; i < n; i++) {
        sessions[i] = asked[i].session;
        sessions[i].records = arena_array(arena, asked[i].session.n_records, struct record);
        memcpy(sessions[i].records, asked[i].session.records,
               asked[i].session.n_records * sizeof(struct record));
    }
    return sessions;
}

void front_land(struct front *front, const char *author, struct asked *asked, size_t n,
                uint64_t wait_ms, struct reply *reply)
{
    struct caller caller = caller_of(author);
    struct arena *arena = &front->forge->arena;
    struct session *sessions = sessions_copy(front, asked, n);
    *reply = (struct reply){0};
    struct problem problem;
    int err = service_land(front->service, &caller, &front->project, sessions, n, arena,
                           wait_ms, reply_landed, reply, &problem);
    if (err != OK) {
        reply->err = err;
        reply->problem = problem;
    }
}

struct reply front_landed(struct front *front, const char *author, struct asked *asked,
                          size_t n)
{
    struct reply reply;
    front_land(front, author, asked, n, 30000, &reply);
    front_settle(front);
    ck_assert_msg(reply.calls == 1, "not answered: %s", reply.problem.message);
    ck_assert_msg(reply.err == OK, "%s", reply.problem.message);
    ck_assert(!reply.pending);
    return reply;
}

const char *front_refused(struct front *front, struct asked *asked, size_t n)
{
    struct reply reply;
    front_land(front, "ann", asked, n, 30000, &reply);
    ck_assert_int_ne(reply.err, OK);
    ck_assert_uint_eq(reply.calls, 0);
    ck_assert_uint_gt(strlen(reply.problem.message), 0);
    return reply.problem.code;
}

const char *front_preflight(struct front *front, const struct asked *asked, size_t n,
                            bool keyed, struct preflight *out)
{
    struct caller caller = caller_of("ann");
    struct session *sessions = sessions_copy(front, asked, n);
    struct problem problem;
    for (size_t i = 0; i < n && !keyed; i++)
        sessions[i].records[0].start.key = bytes_of(NULL, 0);
    if (service_preflight(front->service, &caller, &front->project, sessions, n,
                          &front->forge->arena, out, &problem) == OK)
        return NULL;
    ck_assert_uint_gt(strlen(problem.message), 0);
    return problem.code;
}

struct preflight front_session_preflight(struct front *front, const struct id16 *sid)
{
    struct preflight preflight;
    struct problem problem;
    int err = service_session_preflight(front->service, &front->project, sid,
                                        &front->forge->arena, &preflight, &problem);
    ck_assert_msg(err == OK, "%s", problem.message);
    ck_assert_uint_eq(preflight.n, 1);
    ck_assert(preflight.results[0].has_session);
    ck_assert(id16_equal(&preflight.results[0].session, sid));
    return preflight;
}

struct reply front_start(struct front *front, const char *author, const char *key,
                         uint64_t base)
{
    struct caller caller = caller_of(author);
    struct reply reply = {0};
    struct session_start start = {
        .key = bytes_str(key), .base = base, .goal = bytes_str("a goal")};
    int err = service_session_start(front->service, &caller, &front->project, &start,
                                    reply_written, &reply, &reply.problem);
    if (err != OK) {
        reply.err = err;
        return reply;
    }
    (void)!service_step(front->service);
    ck_assert_uint_eq(reply.calls, 1);
    return reply;
}

struct reply front_write(struct front *front, const char *author, const struct id16 *sid,
                         struct record *records, size_t n)
{
    struct caller caller = caller_of(author);
    struct reply reply = {0};
    struct bytes keys[REPLY_SESSIONS_MAX] = {0};
    for (size_t i = 0; i < n; i++)
        keys[i] = bytes_str("key");
    int err = service_session_write(front->service, &caller, &front->project, sid, records,
                                    keys, n, reply_written, &reply, &reply.problem);
    if (err != OK) {
        reply.err = err;
        return reply;
    }
    (void)!service_step(front->service);
    ck_assert_uint_eq(reply.calls, 1);
    return reply;
}

struct reply front_session_land(struct front *front, const char *author, const struct id16 *sid,
                                const struct hash *records)
{
    struct caller caller = caller_of(author);
    struct reply reply = {0};
    struct reply *out = &reply;
    int err = service_session_land(front->service, &caller, &front->project, sid, records,
                                   bytes_of(NULL, 0), 30000, reply_landed, out, &reply.problem);
    if (err != OK) {
        reply.err = err;
        return reply;
    }
    front_settle(front);
    ck_assert_uint_eq(reply.calls, 1);
    return reply;
}
