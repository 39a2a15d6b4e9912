/* Writes to open sessions. */
#include <stdlib.h>

#include "api/service/open_memory.h"
#include "api/service/parts.h"
#include "api/service/seen_fill.h"

/* What the service adds to a record, at most: stamp, id, and what its paths were seen as. */
#define RECORD_FILLED_MAX 256u

/* One write on its way through the intake. Lives in its own arena. */
struct write {
    struct arena arena;
    struct service *service;
    struct written result;
    written_fn done;
    void *arg;
};

static struct write *write_new(struct service *service, const struct id16 *session, size_t n,
                               written_fn done, void *arg)
{
    struct arena arena = {0};
    struct write *write = arena_new(&arena, struct write);
    write->service = service;
    write->result.session = *session;
    write->result.records = arena_array(&arena, n, struct id16);
    write->result.n = n;
    write->done = done;
    write->arg = arg;
    write->arena = arena;
    return write;
}

static void write_free(struct write *write)
{
    struct arena arena = write->arena;
    arena_release(&arena);
}

static void write_done(void *arg, int err)
{
    struct write *write = arg;
    write->result.err = err;
    if (err != OK)
        (void)service_problem(&write->result.problem, err, "the queue");
    write->result.hlc = repo_hlc(write->service->repo);
    write->done(write->arg, &write->result);
    write_free(write);
}

/* Stamps the records in their order and hands them to the intake. */
static int write_send(struct service *service, struct queue_group *group, written_fn done,
                      void *arg, struct problem *problem)
{
    struct write *write = write_new(service, &group->session, group->n, done, arg);
    for (uint32_t i = 0; i < group->n; i++) {
        group->records[i].hlc = repo_hlc(service->repo);
        write->result.records[i] = group->records[i].id;
    }
    int err = intake_add(service->intake, group, 1, write_done, write);
    if (err != OK) {
        write_free(write);
        atomic_fetch_add(&service->groups_refused, 1);
        return service_intake_problem(problem, err);
    }
    atomic_fetch_add(&service->groups_accepted, 1);
    return OK;
}

static struct id16 id_of(const struct record *record, const struct id16 *owner,
                         const struct id16 *session, struct bytes key)
{
    AUTO_BUF payload = {0};
    record_payload(record, &payload);
    return record_id(owner, session, key, buf_bytes(&payload));
}

static void load_add(struct session_load *load, const struct record *record,
                     struct buf *scratch)
{
    load->records++;
    if (record->kind == RECORD_OPERATION && record->operation.op != OP_DELETE)
        load->content += record->operation.content.data.len;
    scratch->len = 0;
    record_write(scratch, record);
    load->bytes += scratch->len;
}

/* At the most: with what is filled in of each. */
static struct session_load load_of(const struct record *records, size_t n)
{
    AUTO_BUF scratch = {0};
    struct session_load load = {.bytes = n * RECORD_FILLED_MAX};
    for (size_t i = 0; i < n; i++)
        load_add(&load, &records[i], &scratch);
    return load;
}

/* Under a key that was drawn just now nobody has begun it before. */
static void begun_remember(struct service *service, const struct caller *caller,
                           const struct queue_group *group)
{
    struct hash tip;
    if (chain_head_lately(service->repo, &group->project, caller->hlc, &tip) != OK)
        return;
    struct session_load load = load_of(group->records, group->n);
    open_remember(service->repo, &group->project, &group->session, &caller->owner, &tip, &load);
}

int service_session_start(struct service *service, const struct caller *caller,
                          const struct id16 *project, const struct session_start *start,
                          written_fn done, void *arg, struct problem *problem)
{
    AUTO(arena_release) struct arena arena = {0};
    int err = service_admit(service, caller, problem);
    if (err != OK)
        return err;
    struct record record = {.kind = RECORD_START};
    record.start = (struct record_start){.key = service_key(service, start->key, &arena),
                                         .author = caller->author,
                                         .goal = start->goal,
                                         .attributes = start->attributes,
                                         .n_attributes = start->n_attributes};
    err = service_base(service, project, start->base, &record.start.base, problem);
    if (err == OK)
        err = service_record_check(&record, problem);
    if (err != OK)
        return err;
    struct id16 sid = session_id(project, &caller->owner, record.start.key, record.start.base);
    record.id = id_of(&record, &caller->owner, &sid, bytes_str("start"));
    struct queue_group group = {.project = *project,
                                .session = sid,
                                .owner = caller->owner,
                                .records = &record,
                                .n = 1};
    if (start->key.len == 0)
        begun_remember(service, caller, &group);
    return write_send(service, &group, done, arg, problem);
}

/* --- adding to a session --- */

static uint64_t *base_of(struct record *record)
{
    switch (record->kind) {
    case RECORD_OPERATION:
        return &record->operation.base;
    case RECORD_GUARD:
        return &record->guard.base;
    case RECORD_START:
    case RECORD_DECISION:
    case RECORD_CONVERSATION:
    case RECORD_REBASE:
    case RECORD_ABANDON:
    case RECORD_LAND:
        break;
    }
    return NULL;
}

/* Says what the client left out of the bases, and that none is above the head. */
static int bases_settle(struct service *service, const struct session *session,
                        struct record *records, size_t n, struct problem *problem)
{
    uint64_t greatest = 0;
    for (size_t i = 0; i < n; i++) {
        uint64_t *base = base_of(&records[i]);
        if (records[i].kind == RECORD_REBASE) {
            int err = service_base(service, &session->project, records[i].rebase,
                                   &records[i].rebase, problem);
            if (err != OK)
                return err;
        }
        if (base == NULL)
            continue;
        if (*base == UINT64_MAX)
            *base = session->base;
        greatest = *base > greatest ? *base : greatest;
    }
    return greatest == 0
               ? OK
               : service_base(service, &session->project, greatest, &greatest, problem);
}

/* As they came: a base that is left to the front is filled in later. */
static int records_check(const struct record *records, size_t n, struct problem *problem)
{
    for (size_t i = 0; i < n; i++) {
        if (records[i].kind == RECORD_START || records[i].kind == RECORD_LAND)
            return problem_set(problem, ERR_INVALID, "kind_invalid", "kind",
                               "a session is not started or landed by a record in it");
        struct record record = records[i];
        uint64_t *base = record.kind == RECORD_REBASE ? &record.rebase : base_of(&record);
        if (base != NULL && *base == UINT64_MAX)
            *base = 0;
        int err = service_record_check(&record, problem);
        if (err != OK)
            return err;
    }
    return OK;
}

static int record_order(const void *a, const void *b)
{
    const struct record *left = a;
    const struct record *right = b;
    return id16_compare(&left->id, &right->id);
}

/* Whether the session has room for the records, and what it has with them. One that it has
 * already, sent again, takes none. */
static int room_check(const struct session *session, const struct record *records, size_t n,
                      struct session_load *out, struct problem *problem)
{
    AUTO_BUF scratch = {0};
    struct session_load load = {0};
    for (size_t i = 0; i < session->n_records; i++)
        load_add(&load, &session->records[i], &scratch);
    for (size_t i = 0; i < n; i++) {
        if (session->n_records == 0 ||
            bsearch(&records[i], session->records, session->n_records, sizeof(*records),
                    record_order) == NULL)
            load_add(&load, &records[i], &scratch);
    }
    if (load.records > SESSION_RECORDS_MAX)
        return problem_set(problem, ERR_LIMIT, "session_full", NULL,
                           "a session has at most %u records", SESSION_RECORDS_MAX);
    if (load.content > SESSION_INLINE_MAX)
        return problem_set(problem, ERR_LIMIT, "session_full", "content",
                           "an open session holds at most %u bytes of content inline; upload "
                           "the rest",
                           SESSION_INLINE_MAX);
    if (load.bytes > SESSION_OPEN_MAX)
        return problem_set(problem, ERR_LIMIT, "session_full", NULL,
                           "the records of an open session have at most %u bytes",
                           SESSION_OPEN_MAX);
    *out = load;
    return OK;
}

/* The caller's session, which has no answer for good. */
static int session_open_read(struct service *service, const struct caller *caller,
                             const struct id16 *project, const struct id16 *sid,
                             struct arena *arena, struct session_current *out,
                             struct problem *problem)
{
    int err = service_session_open(service, caller, project, sid, arena, out, problem);
    if (err == OK && out->session.state != SESSION_OPEN)
        err = problem_set(problem, ERR_CONFLICT, "session_closed", NULL,
                          "the session has its answer; it takes nothing more");
    return err;
}

int service_session_write(struct service *service, const struct caller *caller,
                          const struct id16 *project, const struct id16 *sid,
                          struct record *records, const struct bytes *keys, size_t n,
                          written_fn done, void *arg, struct problem *problem)
{
    AUTO(arena_release) struct arena arena = {0};
    struct session_current current = {.session = {.project = *project}};
    int err = service_admit(service, caller, problem);
    if (err == OK && n == 0)
        err = problem_set(problem, ERR_INVALID, "records_empty", NULL, "nothing to write");
    /* What is over a limit must not be encoded, not even to see how long that is. */
    if (err == OK)
        err = records_check(records, n, problem);
    if (err != OK)
        return err;
    struct session_load load = load_of(records, n);
    bool known = open_stand_alone(records, n) &&
                 open_admits(service->repo, project, sid, &caller->owner, caller->hlc, &load);
    if (!known)
        err = session_open_read(service, caller, project, sid, &arena, &current, problem);
    if (err == OK)
        err = bases_settle(service, &current.session, records, n, problem);
    if (err != OK)
        return err;
    /* Before anything is filled in: an id is of what the client sent. */
    for (size_t i = 0; i < n; i++)
        records[i].id =
            id_of(&records[i], &caller->owner, sid, service_key(service, keys[i], &arena));
    if (!known)
        err = room_check(&current.session, records, n, &load, problem);
    if (err != OK)
        return err;
    if (!known && !current.answered && !current.partial)
        open_remember(service->repo, project, sid, &caller->owner, &current.tip, &load);
    struct seen_fill fill;
    seen_fill_init(&fill, service, project, &arena);
    fill.view = known ? NULL : &current.view;
    err = seen_fill_records(&fill, records, n, problem);
    seen_fill_release(&fill);
    if (err != OK)
        return err;
    struct queue_group group = {.project = *project,
                                .session = *sid,
                                .owner = caller->owner,
                                .records = records,
                                .n = (uint32_t)n};
    return write_send(service, &group, done, arg, problem);
}

int service_session_open(struct service *service, const struct caller *caller,
                         const struct id16 *project, const struct id16 *sid,
                         struct arena *arena, struct session_current *out,
                         struct problem *problem)
{
    int err = session_read(service->repo, project, sid, arena, out);
    if (err != OK)
        return service_problem(problem, err, "the session");
    if (!id16_equal(&out->session.owner, &caller->owner))
        return problem_set(problem, ERR_DENIED, "not_owner", NULL,
                           "the session is somebody else's");
    return OK;
}
