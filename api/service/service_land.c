/* Requests that get an answer: landing whole sessions, landing or abandoning an open one. */
#include <stdlib.h>

#include "api/service/parts.h"
#include "api/service/seen_fill.h"

/* Registers the waiter, then hands the groups to the intake as one; so no answer can be
 * missed. */
static int request_send(struct service *service, const struct wait_request *request,
                        const struct queue_group *groups, size_t n, struct problem *problem)
{
    struct waiter *waiter;
    int err = waiters_add(service->waiters, request, &waiter);
    if (err == ERR_AGAIN)
        return problem_set(problem, err, "too_many_waiters", NULL,
                           "too many requests wait; try again later");
    if (err != OK)
        return service_problem(problem, err, "the project");
    err = intake_add(service->intake, groups, n, waiters_taken, waiter);
    if (err == OK) {
        atomic_fetch_add(&service->groups_accepted, n);
        return OK;
    }
    atomic_fetch_add(&service->groups_refused, n);
    /* Another copy of the request may have been answered meanwhile. */
    return waiters_cancel(waiter) ? service_intake_problem(problem, err) : OK;
}

/* --- whole sessions --- */

struct land {
    struct service *service;
    const struct caller *caller;
    struct id16 project;
    struct session *sessions;
    size_t n;
    struct arena *arena;
    struct problem *problem;
    bool named; /* contents may be named without their bytes */
    uint64_t
        head; /* the position that "the head" means in this request; UINT64_MAX: not read yet */
};

static int base_settle(struct land *land, uint64_t *base, uint64_t otherwise)
{
    if (*base == UINT64_MAX)
        *base = otherwise;
    if (*base == otherwise && otherwise != UINT64_MAX)
        return OK; /* the start's, which has been looked at */
    if (*base == UINT64_MAX)
        *base = land->head;
    int err = service_base(land->service, &land->project, *base, base, land->problem);
    if (err == OK && otherwise == UINT64_MAX && land->head == UINT64_MAX)
        land->head = *base;
    return err;
}

static int start_find(struct land *land, const struct session *session, struct record **out)
{
    struct record *start = NULL;
    for (size_t i = 0; i < session->n_records; i++) {
        struct record *record = &session->records[i];
        if (record->kind == RECORD_LAND || record->kind == RECORD_ABANDON)
            return problem_set(land->problem, ERR_INVALID, "kind_invalid", "kind",
                               "a whole session holds no request");
        if (record->kind != RECORD_START)
            continue;
        if (start != NULL)
            return problem_set(land->problem, ERR_INVALID, "start_twice", NULL,
                               "a session starts once");
        start = record;
    }
    if (start == NULL)
        return problem_set(land->problem, ERR_INVALID, "start_missing", NULL,
                           "a session begins with its start");
    *out = start;
    return OK;
}

/* Bases, checks and ids: all that does not need the tree. */
static int session_settle(struct land *land, struct session *session)
{
    struct record *start = NULL;
    session->project = land->project;
    session->owner = land->caller->owner;
    session->state = SESSION_OPEN;
    if (session->n_records > SESSION_RECORDS_MAX)
        return problem_set(land->problem, ERR_LIMIT, "session_full", NULL,
                           "a session has at most %u records", SESSION_RECORDS_MAX);
    int err = start_find(land, session, &start);
    if (err != OK)
        return err;
    assert(start != NULL);
    err = base_settle(land, &start->start.base, UINT64_MAX);
    if (err != OK)
        return err;
    start->start.author = land->caller->author;
    start->start.key = service_key(land->service, start->start.key, land->arena);
    for (size_t i = 0; i < session->n_records && err == OK; i++) {
        struct record *record = &session->records[i];
        if (record->kind == RECORD_OPERATION)
            err = base_settle(land, &record->operation.base, start->start.base);
        else if (record->kind == RECORD_GUARD)
            err = base_settle(land, &record->guard.base, start->start.base);
        else if (record->kind == RECORD_REBASE)
            err = base_settle(land, &record->rebase, start->start.base);
        if (err == OK)
            err = service_record_check(record, land->problem);
    }
    if (err != OK)
        return err;
    /* Before anything is filled in: so client and front come to the same ids. */
    session_assign_ids(session);
    for (size_t i = 0; i < session->n_records; i++)
        session->records[i].hlc = repo_hlc(land->service->repo);
    return OK;
}

static int sessions_fill(struct land *land)
{
    struct seen_fill fill;
    seen_fill_init(&fill, land->service, &land->project, land->arena);
    fill.named = land->named;
    int err = OK;
    for (size_t i = 0; i < land->n && err == OK; i++) {
        struct session *session = &land->sessions[i];
        struct session_view view;
        err = seen_fill_records(&fill, session->records, session->n_records, land->problem);
        if (err != OK)
            break;
        session_view(session, land->arena, &view);
        err = seen_fill_clash(&fill, &view, land->problem);
        if (err == OK && i + 1 < land->n)
            seen_fill_next(&fill, &view);
    }
    seen_fill_release(&fill);
    return err;
}

static int id_order(const void *a, const void *b)
{
    const struct id16 *left = a;
    const struct id16 *right = b;
    return id16_compare(left, right);
}

static int sessions_differ(struct land *land)
{
    AUTO(arena_release) struct arena scratch = {0};
    struct id16 *sorted = arena_array(&scratch, land->n, struct id16);
    for (size_t i = 0; i < land->n; i++)
        sorted[i] = land->sessions[i].id;
    qsort(sorted, land->n, sizeof(*sorted), id_order);
    for (size_t i = 1; i < land->n; i++) {
        if (id16_equal(&sorted[i - 1], &sorted[i]))
            return problem_set(land->problem, ERR_INVALID, "session_twice", "key",
                               "two sessions of the series have one key and one base");
    }
    return OK;
}

static struct queue_group group_of(const struct session *session)
{
    return (struct queue_group){.project = session->project,
                                .session = session->id,
                                .owner = session->owner,
                                .records = session->records,
                                .n = (uint32_t)session->n_records};
}

/* Puts the land behind the first session's records. */
static void group_append(struct queue_group *group, const struct record *record,
                         struct arena *arena)
{
    struct record *all = arena_array(arena, group->n + 1u, struct record);
    memcpy(all, group->records, group->n * sizeof(*all));
    all[group->n++] = *record;
    group->records = all;
}

static int land_send(struct land *land, uint64_t wait_ms, landed_fn landed, void *arg)
{
    size_t n = land->n;
    struct arena *arena = land->arena;
    struct id16 *ids = arena_array(arena, n, struct id16);
    struct hash *hashes = arena_array(arena, n, struct hash);
    struct queue_group *groups = arena_array(arena, n, struct queue_group);
    struct record record = {.kind = RECORD_LAND, .land = {.whole = true, .n = (uint32_t)n}};
    record.land.items = arena_array(arena, n, struct record_land_item);
    for (size_t i = 0; i < n; i++) {
        const struct session *session = &land->sessions[i];
        struct record_land_item *item = &record.land.items[i];
        ids[i] = session->id;
        hashes[i] = records_hash(session->records, session->n_records, arena);
        item->session = session->id;
        item->records = arena_array(arena, session->n_records, struct id16);
        item->n = (uint32_t)records_ids(session->records, session->n_records, item->records);
        groups[i] = group_of(session);
    }
    /* The sessions' ids have their keys in them: a plain retry is the same request. */
    const struct id16 *owner = &land->caller->owner;
    record.id = service_request_id(owner, bytes_str("whole"), true, ids, hashes, n);
    record.hlc = repo_hlc(land->service->repo);
    int err = service_record_check(&record, land->problem);
    if (err != OK)
        return err;
    group_append(&groups[0], &record, arena);
    struct wait_request request = {.project = land->project,
                                   .request = record.id,
                                   .owner = *owner,
                                   .sessions = ids,
                                   .n = n,
                                   .wait_ms = wait_ms,
                                   .landed = landed,
                                   .arg = arg};
    return request_send(land->service, &request, groups, n, land->problem);
}

/* Completes all of them. */
static int land_settle(struct land *land)
{
    int err = OK;
    if (land->n == 0)
        err = problem_set(land->problem, ERR_INVALID, "sessions_empty", "sessions",
                          "there is no session");
    if (land->n > SERIES_MAX)
        err = problem_set(land->problem, ERR_LIMIT, "series_too_long", "sessions",
                          "a series has at most %u sessions", SERIES_MAX);
    for (size_t i = 0; i < land->n && err == OK; i++)
        err = session_settle(land, &land->sessions[i]);
    if (err == OK)
        err = sessions_differ(land);
    return err == OK ? sessions_fill(land) : err;
}

int service_sessions_settle(struct service *service, const struct caller *caller,
                            const struct id16 *project, struct session *sessions, size_t n,
                            struct arena *arena, struct problem *problem)
{
    struct land land = {.service = service,
                        .caller = caller,
                        .project = *project,
                        .sessions = sessions,
                        .n = n,
                        .arena = arena,
                        .problem = problem,
                        .named = true,
                        .head = UINT64_MAX};
    return land_settle(&land);
}

int service_land(struct service *service, const struct caller *caller,
                 const struct id16 *project, struct session *sessions, size_t n,
                 struct arena *arena, uint64_t wait_ms, landed_fn landed, void *arg,
                 struct problem *problem)
{
    struct land land = {.service = service,
                        .caller = caller,
                        .project = *project,
                        .sessions = sessions,
                        .n = n,
                        .arena = arena,
                        .problem = problem,
                        .head = UINT64_MAX};
    int err = service_admit(service, caller, problem);
    if (err == OK)
        err = land_settle(&land);
    return err == OK ? land_send(&land, wait_ms, landed, arg) : err;
}

/* --- open sessions --- */

/* Why a request that has no answer yet is not taken. */
static int request_check(const struct session_current *current, bool differs,
                         struct problem *problem)
{
    if (current->session.state != SESSION_OPEN)
        return problem_set(problem, ERR_CONFLICT, "session_closed", NULL,
                           "the session has been answered for good");
    if (differs && current->partial)
        return problem_set(problem, ERR_CORRUPT, "project_damaged", "records",
                           "a part of the queue is damaged, and writes to the session may be "
                           "missing; name the records that are to land");
    if (differs)
        return problem_set(problem, ERR_CONFLICT, "records_differ", "records",
                           "the session's records are not those that the request names");
    return OK;
}

/* Gives a request the answer that it has; `otherwise` when it has none. */
static int answer_again(struct service *service, const struct session_current *current,
                        const struct wait_request *request, int otherwise,
                        struct problem *problem)
{
    AUTO(arena_release) struct arena arena = {0};
    struct landing landing = current->answer;
    int err = OK;
    if (!current->answered)
        return otherwise;
    if (!id16_equal(&landing.request, &request->request))
        err = landlog_request(service->repo, &request->project, request->sessions,
                              &request->request, &arena, &landing);
    if (err == ERR_NOT_FOUND)
        return otherwise;
    if (err == OK)
        err = waiters_answer(service->waiters, request, &landing);
    return err == OK ? OK : service_problem(problem, err, "the answer");
}

/* One request about one session of the caller's; `differs`: it does not name the records that
 * the session has. An answer that it has already is given again, whatever has become of the
 * session since. */
static int session_request(struct service *service, const struct session_current *current,
                           struct record *record, bool differs, uint64_t wait_ms,
                           landed_fn landed, void *arg, struct problem *problem)
{
    const struct session *session = &current->session;
    record->hlc = repo_hlc(service->repo);
    struct wait_request request = {.project = session->project,
                                   .request = record->id,
                                   .owner = session->owner,
                                   .sessions = &session->id,
                                   .n = 1,
                                   .wait_ms = wait_ms,
                                   .landed = landed,
                                   .arg = arg};
    bool again = current->answered && id16_equal(&current->answer.request, &record->id);
    int err = request_check(current, differs, problem);
    if (err != OK || again)
        return answer_again(service, current, &request, err, problem);
    err = service_record_check(record, problem);
    if (err != OK)
        return err;
    struct queue_group group = {.project = session->project,
                                .session = session->id,
                                .owner = session->owner,
                                .records = record,
                                .n = 1};
    return request_send(service, &request, &group, 1, problem);
}

int service_session_land(struct service *service, const struct caller *caller,
                         const struct id16 *project, const struct id16 *sid,
                         const struct hash *records, struct bytes key, uint64_t wait_ms,
                         landed_fn landed, void *arg, struct problem *problem)
{
    AUTO(arena_release) struct arena arena = {0};
    struct session_current current;
    int err = service_admit(service, caller, problem);
    if (err == OK)
        err = service_session_open(service, caller, project, sid, &arena, &current, problem);
    if (err != OK)
        return err;
    const struct session *session = &current.session;
    struct hash there = records_hash(session->records, session->n_records, &arena);
    struct hash asked = records == NULL ? there : *records;
    struct record_land_item item = {
        .session = *sid, .records = arena_array(&arena, session->n_records, struct id16)};
    item.n = (uint32_t)records_ids(session->records, session->n_records, item.records);
    struct record record = {.kind = RECORD_LAND, .land = {.items = &item, .n = 1}};
    if (key.len == 0)
        key = bytes_of(asked.b, sizeof(asked.b));
    record.id = service_request_id(&caller->owner, key, false, sid, &asked, 1);
    /* What nobody can read may be meant, too: nothing is left out that is not named. */
    bool differs = !hash_equal(&asked, &there) || (records == NULL && current.partial);
    return session_request(service, &current, &record, differs, wait_ms, landed, arg, problem);
}

int service_session_abandon(struct service *service, const struct caller *caller,
                            const struct id16 *project, const struct id16 *sid,
                            struct bytes reason, uint64_t wait_ms, landed_fn landed, void *arg,
                            struct problem *problem)
{
    AUTO(arena_release) struct arena arena = {0};
    struct session_current current;
    int err = service_admit(service, caller, problem);
    if (err == OK)
        err = service_session_open(service, caller, project, sid, &arena, &current, problem);
    if (err != OK)
        return err;
    struct record record = {.kind = RECORD_ABANDON, .abandon = reason};
    err = service_record_check(&record, problem);
    if (err != OK)
        return err;
    AUTO_BUF payload = {0};
    record_payload(&record, &payload);
    record.id = record_id(&caller->owner, sid, bytes_str("abandon"), buf_bytes(&payload));
    return session_request(service, &current, &record, false, wait_ms, landed, arg, problem);
}
