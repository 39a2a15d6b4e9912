#include "api/service/service_refs.h"

#include <stdio.h>

#include "api/service/parts.h"
#include "formats/base/hex.h"
#include "formats/base/limits.h"
#include "formats/path.h"
#include "formats/project_id.h"
#include "formats/ref.h"
#include "pipeline/derive/refs/refs_cycle.h"
#include "pipeline/sys/log.h"

#define SHOWN(name) (int)((name).len < 100 ? (name).len : 100), (const char *)(name).data

/* One bind or delete on its way. Lives in the caller's arena. */
struct change {
    struct service *service;
    const struct caller *caller;
    struct id16 project;
    struct id16 refs;
    struct bytes name;
    const struct hash *address; /* NULL: the name is deleted */
    struct ref_expected expected;
    struct arena *arena;
    struct refs_snapshot *snap;
    struct seen seen; /* what is there now */
    uint64_t base;
    ref_done_fn done;
    void *arg;
};

struct refs_snapshot *service_refs_snapshot(struct service *service,
                                            const struct caller *caller,
                                            const struct id16 *project)
{
    struct refs_source source = service->options.refs;
    source.since_us = caller->asked_us;
    return refs_snapshot_open(service->repo, project, &source);
}

/* ---- whether it may be ---- */

static int name_refuse(struct bytes name, struct problem *problem)
{
    const char *why = "is not a name";
    int err = ref_name_check(name, &why);
    if (err == OK)
        return OK;
    return problem_set(problem, ERR_INVALID, "ref_invalid", "name", "%.*s %s", SHOWN(name),
                       err == ERR_LIMIT ? "is too long" : why);
}

static int conflict_tell(const struct change *c, struct problem *problem)
{
    struct hash there;
    int err = refs_snapshot_bound(c->snap, c->name, &there);
    if (err != OK && err != ERR_NOT_FOUND)
        return service_problem(problem, err, "the references");
    if (err == ERR_NOT_FOUND)
        return problem_set(problem, ERR_CONFLICT, "ref_conflict", "expected",
                           "%.*s is not bound", SHOWN(c->name));
    return problem_set(problem, ERR_CONFLICT, "ref_conflict", "expected", "%.*s is bound to %s",
                       SHOWN(c->name), hash_hex(&there).s);
}

/* What is there against what is expected, and what is wanted: `done` when it is that already. A
 * change that was made and is asked for again finds it so. */
static int there_check(struct change *c, bool *done, struct problem *problem)
{
    struct seen wanted = ref_seen(c->address);
    *done = false;
    int err = refs_snapshot_seen(c->snap, c->name, &c->seen);
    if (err != OK)
        return service_problem(problem, err, "the references");
    if (c->seen.kind == KIND_DIR && c->address != NULL)
        return problem_set(problem, ERR_INVALID, "ref_clash", "name",
                           "there are refs whose names begin with %.*s/", SHOWN(c->name));
    if (c->address == NULL && c->seen.kind != KIND_FILE)
        return problem_set(problem, ERR_NOT_FOUND, "not_found", "name", "%.*s is not bound",
                           SHOWN(c->name));
    *done = seen_equal(&c->seen, &wanted);
    struct seen expected =
        ref_seen(c->expected.what == REF_BOUND ? &c->expected.address : NULL);
    if (*done || c->expected.what == REF_ANYTHING || seen_equal(&c->seen, &expected))
        return OK;
    return conflict_tell(c, problem);
}

static int cycle_tell(const struct refs_cycle *cycle, struct problem *problem)
{
    AUTO_BUF way = {0};
    for (size_t i = 0; i < cycle->n; i++)
        buf_printf(&way, "%.*s over ", SHOWN(cycle->names[i]));
    buf_printf(&way, "%.*s", SHOWN(cycle->names[0]));
    return problem_set(problem, ERR_CONFLICT, "ref_cycle", "address",
                       "it would be computed from itself: %.*s",
                       (int)(way.len < 250 ? way.len : 250), (const char *)way.data);
}

static int cycle_refuse(const struct change *c, struct problem *problem)
{
    AUTO(arena_release) struct arena arena = {0};
    struct refs_cycle cycle;
    struct refs_source source = c->service->options.refs;
    source.since_us = c->caller->asked_us;
    int err =
        refs_cycle_find(c->snap, &source, &c->project, c->name, c->address, &arena, &cycle);
    if (err == ERR_LIMIT)
        return problem_set(problem, err, "ref_too_much", "address",
                           "there are over %u addresses or %u refs below it", REF_WALK_MAX,
                           REF_READS_MAX);
    if (err != OK)
        return service_problem(problem, err, "what lies below the address");
    return cycle.n > 0 ? cycle_tell(&cycle, problem) : OK;
}

/* ---- the landing ---- */

static struct record operation_of(const struct change *c)
{
    struct record record = {
        .kind = RECORD_OPERATION,
        .operation = {.op = OP_DELETE, .base = c->base, .path = c->name, .seen = c->seen}};
    if (c->address != NULL) {
        AUTO_BUF bytes = {0};
        ref_encode(c->address, &bytes);
        record.operation.op = OP_WRITE;
        record.operation.content =
            content_inline(c->arena, KIND_FILE, MODE_PLAIN, buf_bytes(&bytes));
    }
    return record;
}

/* A session of one operation, and a guard for each ref that was read besides. */
static struct session *session_of(const struct change *c)
{
    size_t n_reads;
    const struct ref_read *reads = refs_snapshot_reads(c->snap, &n_reads);
    struct session *session = arena_new(c->arena, struct session);
    struct record *records = arena_array(c->arena, n_reads + 2, struct record);
    size_t n = 0;
    records[n++] = (struct record){
        .kind = RECORD_START,
        .start = {.base = c->base,
                  .goal = bytes_str(arena_printf(c->arena, "%s %.*s",
                                                 c->address != NULL ? "bind" : "delete",
                                                 SHOWN(c->name)))}};
    records[n++] = operation_of(c);
    for (size_t i = 0; i < n_reads; i++) {
        if (bytes_equal(reads[i].name, c->name))
            continue;
        records[n++] = (struct record){.kind = RECORD_GUARD,
                                       .guard = {.base = c->base,
                                                 .path = arena_copy(c->arena, reads[i].name),
                                                 .seen = reads[i].seen}};
    }
    session->records = records;
    session->n_records = n;
    return session;
}

static void change_log(const struct change *c, uint64_t position)
{
    struct id16_hex project = id16_hex(&c->project);
    const char *name = arena_str(c->arena, c->name);
    if (c->address == NULL)
        log_info("ref_deleted", LOG_STR("project", project.s), LOG_STR("ref", name),
                 LOG_U64("position", position));
    else
        log_info(c->seen.kind == KIND_FILE ? "ref_rebound" : "ref_bound",
                 LOG_STR("project", project.s), LOG_STR("ref", name),
                 LOG_STR("address", hash_hex(c->address).s), LOG_U64("position", position));
}

static void landing_tell(const struct landing *landing, struct arena *arena,
                         struct ref_done *done)
{
    if (landing->verdict == VERDICT_LANDED) {
        done->position = landing->position;
        return;
    }
    if (landing->verdict == VERDICT_CONFLICTED) {
        done->err = problem_set(&done->problem, ERR_AGAIN, "ref_moved", NULL,
                                "a ref was bound anew meanwhile; try again");
        return;
    }
    done->err = problem_set(&done->problem, ERR_INVALID, arena_str(arena, landing->reason),
                            NULL, "%.*s", SHOWN(landing->detail));
}

static void on_landed(void *arg, const struct land_result *result)
{
    struct change *c = arg;
    struct ref_done done = {.err = result->err, .pending = result->pending, .hlc = result->hlc};
    if (result->err != OK)
        done.problem = result->problem;
    else if (!result->pending)
        landing_tell(&result->landings[0], c->arena, &done);
    if (done.err == OK && !done.pending)
        change_log(c, done.position);
    c->done(c->arg, &done);
}

static int change_land(struct change *c, uint64_t wait_ms, struct problem *problem)
{
    struct head head;
    int err = refs_snapshot_refs_head(c->snap, &head);
    if (err != OK)
        return service_problem(problem, err, "the references");
    c->base = head.position;
    struct session *session = session_of(c);
    err = service_land(c->service, c->caller, &c->refs, session, 1, c->arena, wait_ms,
                       on_landed, c, problem);
    if (err == ERR_INVALID && strcmp(problem->code, "path_clash") == 0)
        return problem_set(problem, err, "ref_clash", "name",
                           "%.*s begins with the name of a ref and a slash", SHOWN(c->name));
    return err;
}

/* ---- all of it ---- */

static int change_make(struct change *c, uint64_t wait_ms, struct problem *problem)
{
    bool there;
    int err = there_check(c, &there, problem);
    if (err != OK)
        return err;
    if (there) {
        size_t n;
        const struct ref_read *reads = refs_snapshot_reads(c->snap, &n);
        struct ref_done done = {.position = reads[0].stamp, .hlc = repo_hlc(c->service->repo)};
        c->done(c->arg, &done);
        return OK;
    }
    if (c->address != NULL)
        err = cycle_refuse(c, problem);
    return err == OK ? change_land(c, wait_ms, problem) : err;
}

static int change_run(const struct change *what, uint64_t wait_ms, struct problem *problem)
{
    struct change *c = arena_new(what->arena, struct change);
    *c = *what;
    c->refs = project_id_refs(&c->project);
    int err = service_admit(c->service, c->caller, problem);
    if (err == OK)
        err = name_refuse(c->name, problem);
    if (err == OK && c->address != NULL) {
        err = project_refs_make(c->service->repo, &c->project);
        if (err != OK)
            service_problem(problem, err, "the references");
    }
    if (err != OK)
        return err;
    /* The callback may have come by then, and the arena be gone. */
    struct refs_snapshot *snap = service_refs_snapshot(c->service, c->caller, &c->project);
    c->snap = snap;
    err = change_make(c, wait_ms, problem);
    refs_snapshot_close(snap);
    return err;
}

int service_ref_bind(struct service *service, const struct caller *caller,
                     const struct id16 *project, struct bytes name, const struct hash *address,
                     const struct ref_expected *expected, struct arena *arena, uint64_t wait_ms,
                     ref_done_fn done, void *arg, struct problem *problem)
{
    struct hash *copy = arena_new(arena, struct hash);
    *copy = *address;
    if (hash_is_zero(address))
        return problem_set(problem, ERR_INVALID, "field_invalid", "address",
                           "an address of zeros names nothing");
    struct change change = {.service = service,
                            .caller = caller,
                            .project = *project,
                            .name = name,
                            .address = copy,
                            .expected = *expected,
                            .arena = arena,
                            .done = done,
                            .arg = arg};
    return change_run(&change, wait_ms, problem);
}

int service_ref_delete(struct service *service, const struct caller *caller,
                       const struct id16 *project, struct bytes name,
                       const struct ref_expected *expected, struct arena *arena,
                       uint64_t wait_ms, ref_done_fn done, void *arg, struct problem *problem)
{
    struct change change = {.service = service,
                            .caller = caller,
                            .project = *project,
                            .name = name,
                            .expected = *expected,
                            .arena = arena,
                            .done = done,
                            .arg = arg};
    return change_run(&change, wait_ms, problem);
}
