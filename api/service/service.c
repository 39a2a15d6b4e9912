#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "api/service/derive_gets.h"
#include "api/service/parts.h"
#include "formats/path.h"

int service_open(struct repo *repo, const struct service_options *options, struct service **out)
{
    struct service *service = calloc(1, sizeof(*service));
    if (service == NULL)
        abort();
    service->repo = repo;
    service->options = *options;
    service->intake = intake_open(repo, &options->intake);
    service->bases = base_cache_open(repo);
    service->waiters = waiters_open(repo, service->bases, options);
    if (options->pulse != NULL)
        service->look = store_look_open(repo, options->pulse);
    service->derive = options->derive;
    if (service->derive != NULL)
        service->gets = derive_gets_open(service->derive);
    atomic_init(&service->groups_accepted, 0);
    atomic_init(&service->groups_refused, 0);
    *out = service;
    return OK;
}

void service_start(struct service *service)
{
    waiters_start(service->waiters);
    intake_start(service->intake);
    if (service->look != NULL)
        store_look_start(service->look);
    if (service->gets != NULL)
        derive_gets_start(service->gets);
}

void service_stop(struct service *service)
{
    /* First what is in the intake, for its outcome goes to the waiters. */
    intake_stop(service->intake);
    while (intake_flush(service->intake) > 0) {
    }
    waiters_stop(service->waiters);
    if (service->gets != NULL)
        derive_gets_stop(service->gets);
    if (service->look != NULL)
        store_look_stop(service->look);
}

void service_close(struct service *service)
{
    if (service == NULL)
        return;
    intake_close(service->intake);
    waiters_close(service->waiters);
    base_cache_close(service->bases);
    store_look_close(service->look);
    derive_gets_close(service->gets);
    free(service);
}

int service_step(struct service *service)
{
    int settled = intake_flush(service->intake);
    return settled + waiters_step(service->waiters);
}

struct repo *service_repo(struct service *service)
{
    return service->repo;
}

void service_landed(struct service *service, const struct id16 *project,
                    const struct head *head)
{
    /* Before anybody is told an answer that is in it. */
    chain_head_told(service->repo, project, head);
    waiters_hint(service->waiters, project, head);
}

void service_stats(struct service *service, struct service_stats *out)
{
    struct waiters_stats waiters;
    waiters_stats(service->waiters, &waiters);
    struct intake_load load = intake_load(service->intake);
    *out = (struct service_stats){
        .sessions_landed = waiters.landed,
        .sessions_conflicted = waiters.conflicted,
        .sessions_refused = waiters.refused,
        .groups_accepted = atomic_load(&service->groups_accepted),
        .groups_refused = atomic_load(&service->groups_refused),
        .waiters = waiters.waiting,
        .intake_bytes = load.bytes,
        .intake_window_us = load.window_us > load.pause_us ? load.window_us : load.pause_us,
        .store_ok = !service_store_away(service),
    };
}

static struct pulse pulse_now(struct service *service)
{
    return service->look != NULL ? store_look_pulse(service->look) : (struct pulse){0};
}

bool service_store_away(struct service *service)
{
    return pulse_now(service).away;
}

uint64_t service_retry_s(struct service *service)
{
    struct clock *clock = service->repo->clock;
    struct intake_load load = intake_load(service->intake);
    struct pulse pulse = pulse_now(service);
    uint64_t away_s = pulse.away ? away_retry_s(clock->mono_us(clock) - pulse.since_us) : 0;
    return away_s > load.retry_s ? away_s : load.retry_s;
}

uint64_t service_wait_us(struct service *service)
{
    return intake_wait_us(service->intake);
}

/* --- problems --- */

int problem_set(struct problem *problem, int err, const char *code, const char *field,
                const char *fmt, ...)
{
    *problem = (struct problem){.err = err, .code = code};
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(problem->message, sizeof(problem->message), fmt, args);
    va_end(args);
    if (field != NULL)
        (void)snprintf(problem->field, sizeof(problem->field), "%s", field);
    return err;
}

int service_problem(struct problem *problem, int err, const char *what)
{
    switch ((enum err)err) {
    case OK:
        break;
    case ERR_NOT_FOUND:
        return problem_set(problem, err, "not_found", NULL, "%s: not found", what);
    case ERR_CONFLICT:
        return problem_set(problem, err, "conflict", NULL, "%s: it is not as expected", what);
    case ERR_CORRUPT:
        return problem_set(problem, err, "project_damaged", NULL,
                           "%s: damaged; an operator has to look at it", what);
    case ERR_INVALID:
        return problem_set(problem, err, "invalid", NULL, "%s: invalid", what);
    case ERR_LIMIT:
        return problem_set(problem, err, "limit", NULL, "%s: over a limit", what);
    case ERR_DENIED:
        return problem_set(problem, err, "denied", NULL, "%s: not allowed", what);
    case ERR_AGAIN:
        return problem_set(problem, err, "again", NULL,
                           "%s: it did not happen; try again later", what);
    case ERR_UNKNOWN:
        return problem_set(problem, err, "unknown", NULL,
                           "%s: it may have happened; try again with the same key", what);
    }
    return problem_set(problem, err, "unknown", NULL, "%s: error %d", what, err);
}

int service_intake_problem(struct problem *problem, int err)
{
    if (err == ERR_AGAIN)
        return problem_set(problem, err, "queue_full", NULL,
                           "the queue is full; try again later");
    if (err == ERR_LIMIT)
        return problem_set(problem, err, "request_too_large", NULL,
                           "one request can not have so much; upload the contents first");
    return service_problem(problem, err, "the queue");
}

int service_record_check(const struct record *record, struct problem *problem)
{
    const char *field = NULL;
    int err = record_check(record, &field);
    if (err == OK)
        return OK;
    if (err == ERR_LIMIT && strcmp(field, "content") == 0)
        return problem_set(problem, ERR_INVALID, "content_too_large", field,
                           "content over %u bytes is uploaded first", INLINE_CONTENT_MAX);
    if (err == ERR_LIMIT)
        return problem_set(problem, ERR_INVALID, "field_too_large", field,
                           "%s is over its limit", field);
    if (strcmp(field, "path") == 0 || strcmp(field, "target") == 0)
        return problem_set(problem, ERR_INVALID, "path_invalid", field,
                           "%s is not a path that a project can have", field);
    return problem_set(problem, ERR_INVALID, "field_invalid", field, "%s is not valid", field);
}

/* --- what every write does --- */

int service_admit(struct service *service, const struct caller *caller, struct problem *problem)
{
    struct repo *repo = service->repo;
    if (caller->author.len == 0 || caller->author.len > AUTHOR_LEN_MAX ||
        !utf8_ok(caller->author))
        return problem_set(problem, ERR_INVALID, "author_invalid", "author",
                           "an author has 1 to %u bytes of UTF-8", AUTHOR_LEN_MAX);
    if (repo_clock_ok(repo) != OK)
        return problem_set(problem, ERR_AGAIN, "clock_off", NULL,
                           "this server's clock is off; it accepts no writes");
    if (hlc_too_far(caller->hlc, repo->clock->wall_ms(repo->clock), CLOCK_SKEW_MAX_MS))
        return problem_set(problem, ERR_INVALID, "hlc_ahead", "hlc",
                           "the stamp that was sent is too far in the future");
    repo_hlc_seen(repo, caller->hlc);
    return OK;
}

int service_base(struct service *service, const struct id16 *project, uint64_t base,
                 uint64_t *out, struct problem *problem)
{
    struct head head = base_head(service->bases, project);
    /* A head that was seen once is good for every base below it; for "the head" only one that
     * is read now is. */
    if (base == UINT64_MAX || hash_is_zero(&head.tree_hash) || base > head.position) {
        int err = base_head_read(service->bases, project, &head);
        if (err != OK)
            return service_problem(problem, err, "the project");
    }
    if (base != UINT64_MAX && base > head.position)
        return problem_set(problem, ERR_INVALID, "base_ahead", "base",
                           "the base is above the project's head");
    *out = base == UINT64_MAX ? head.position : base;
    return OK;
}

struct bytes service_key(struct service *service, struct bytes key, struct arena *arena)
{
    if (key.len > 0)
        return key;
    uint64_t drawn[2] = {rng_u64(service->repo->rng), rng_u64(service->repo->rng)};
    const char *text = arena_printf(arena, "%016llx%016llx", (unsigned long long)drawn[0],
                                    (unsigned long long)drawn[1]);
    return bytes_str(text);
}

struct id16 service_request_id(const struct id16 *owner, struct bytes key, bool whole,
                               const struct id16 *sessions, const struct hash *records,
                               size_t n)
{
    AUTO_BUF payload = {0};
    wr_u8(&payload, RECORD_LAND);
    wr_u8(&payload, whole);
    for (size_t i = 0; i < n; i++) {
        wr_id16(&payload, &sessions[i]);
        wr_hash(&payload, &records[i]);
    }
    return record_id(owner, &sessions[0], key, buf_bytes(&payload));
}

/* --- reads --- */

int service_head(struct service *service, const struct id16 *project, struct head_info *out,
                 struct problem *problem)
{
    struct head_info info = {0};
    const struct batch *batch;
    int err = chain_head(service->repo, project, &info.head, NULL);
    if (err == OK)
        err = chain_tip(service->repo, project, &info.head, &batch);
    if (err != OK)
        return service_problem(problem, err, "the project");
    base_head_seen(service->bases, project, &info.head);
    info.content = batch->footer.root_content;
    info.files = batch->footer.files;
    info.bytes = batch->footer.bytes;
    chain_drop(service->repo, batch);
    *out = info;
    return OK;
}
