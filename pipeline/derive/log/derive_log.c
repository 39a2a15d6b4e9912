#include "pipeline/derive/log/derive_log.h"

#include <stdlib.h>

#include "formats/base/hash.h"
#include "formats/base/hex.h"
#include "formats/base/limits.h"
#include "pipeline/derive/log/derive_batch.h"
#include "pipeline/derive/log/derive_projects.h"
#include "pipeline/repo/intake/intake_window.h"
#include "pipeline/sys/bell.h"
#include "pipeline/sys/log.h"

/* How long an object is tried before those who told are answered that it was not put, or that
 * nobody knows. A put of which nothing is known is made once more all the same. */
#define PATIENCE_US 1000000u
#define PUTS_MAX    16u
/* Objects that are put side by side. */
#define PUTS_AT_ONCE 64u
/* One recipe or memo takes no more with what is around it. */
#define OBJECT_USUAL 512u

struct derive_log {
    struct repo *repo;
    struct derive_log_options options;
    struct bell bell; /* something waits, an object is full, or stop */

    pthread_mutex_t lock;
    struct derive_projects projects;
    size_t bytes; /* of items that wait, those being put included */
    size_t items;
    size_t tells;      /* that are not answered */
    size_t n_unknown;  /* projects with a put of which nothing is known */
    size_t gathered;   /* tells that no step has taken yet */
    size_t crowd;      /* tells that the last step which told anybody has answered */
    bool waiting;      /* there is something that no step has taken yet */
    uint64_t first_us; /* when the oldest of it came */
    bool full;         /* no more waiting for others: an object is full, or all are here */
    bool stopping;
    struct intake_window window;

    bool failing; /* of the thread that makes steps: the last object was not put */
    bool threaded;
    pthread_t thread;
};

struct derive_log *derive_log_open(struct repo *repo, const struct derive_log_options *options)
{
    struct derive_log *log = calloc(1, sizeof(*log));
    if (log == NULL)
        abort();
    log->repo = repo;
    log->options = *options;
    log->window.base_us = options->window_us;
    derive_projects_init(&log->projects);
    int err = pthread_mutex_init(&log->lock, NULL);
    assert(err == 0);
    bell_init(&log->bell);
    return log;
}

void derive_log_close(struct derive_log *log)
{
    if (log == NULL)
        return;
    assert(!log->threaded);
    derive_projects_release(&log->projects);
    bell_release(&log->bell);
    (void)pthread_mutex_destroy(&log->lock);
    free(log);
}

/* --- taking in --- */

/* The items as an object has them. One that no reader would take must not get in, for it would
 * spoil the object for all who share it. */
static int items_encode(const struct id16 *project, const struct derive_item *items, uint32_t n,
                        struct buf *object, struct bytes *out)
{
    AUTO(arena_release) struct arena arena = {0};
    struct derive_object decoded;
    (void)buf_reserve(object, OBJECT_USUAL);
    derive_object_begin(object, project, 1, 1, 1);
    size_t header = object->len;
    for (uint32_t i = 0; i < n; i++) {
        derive_item_write(object, &items[i]);
        if (object->len > DERIVE_OBJECT_MAX)
            return ERR_LIMIT;
    }
    derive_object_finish(object, n);
    int err = derive_object_decode(buf_bytes(object), &arena, &decoded);
    *out = bytes_of(object->data + header, object->len - header);
    return err == ERR_CORRUPT ? ERR_INVALID : err;
}

/* The batch that fills, with room for so much more. */
static struct derive_batch *batch_for(struct derive_log *log, struct derive_project *project,
                                      size_t len, uint32_t n)
{
    struct derive_batch *batch = project->open;
    if (batch != NULL && (batch->items.len + len > log->options.batch_max ||
                          n > DERIVE_ITEMS_MAX - batch->n_items)) {
        derive_project_seal(project);
        log->full = true;
        batch = NULL;
    }
    if (batch == NULL)
        batch = project->open = derive_batch_new();
    return batch;
}

/* Under the lock. Whether somebody has to hear of it. */
static bool take_in(struct derive_log *log, struct derive_project *project, struct bytes items,
                    uint32_t n, derive_told_fn told, void *arg)
{
    struct clock *clock = log->repo->clock;
    bool first = !log->waiting;
    bool full = log->full;
    if (first)
        log->first_us = clock->mono_us(clock);
    log->waiting = true;
    struct derive_batch *batch = batch_for(log, project, items.len, n);
    derive_batch_add(batch, items, n, told, arg);
    log->bytes += items.len;
    log->items += n;
    log->tells++;
    log->gathered++;
    /* Those whom the last put answered come again right after it, and then it is time. */
    log->full =
        log->full || batch->items.len >= log->options.batch_max || log->gathered >= log->crowd;
    derive_projects_busy(&log->projects, project);
    return first || log->full != full;
}

int derive_log_tell(struct derive_log *log, const struct id16 *project,
                    const struct derive_item *items, uint32_t n, derive_told_fn told, void *arg)
{
    assert(n > 0);
    /* Before the lock is taken, so that many or large ones hold up nobody. */
    AUTO_BUF object = {0};
    struct bytes bytes;
    if (n > DERIVE_ITEMS_MAX)
        return ERR_LIMIT;
    int err = items_encode(project, items, n, &object, &bytes);
    if (err != OK)
        return err;
    bool ring = false;
    (void)pthread_mutex_lock(&log->lock);
    struct derive_project *p = derive_projects_get(&log->projects, project);
    if (log->stopping || p->unknown ||
        (log->tells > 0 && log->bytes + bytes.len > log->options.queue_max))
        err = ERR_AGAIN;
    else
        ring = take_in(log, p, bytes, n, told, arg);
    (void)pthread_mutex_unlock(&log->lock);
    if (ring)
        bell_ring(&log->bell);
    return err;
}

struct derive_log_load derive_log_load(struct derive_log *log)
{
    (void)pthread_mutex_lock(&log->lock);
    struct derive_log_load load = {.bytes = log->bytes,
                                   .items = log->items,
                                   .unknown = log->n_unknown,
                                   .window_us = intake_window_us(&log->window),
                                   .pause_us = log->window.pause_us,
                                   .retry_s = intake_window_retry_s(&log->window)};
    (void)pthread_mutex_unlock(&log->lock);
    return load;
}

/* --- one round --- */

struct round {
    struct derive_log *log;
    struct derive_project *projects[PUTS_AT_ONCE];
    struct store_op ops[PUTS_AT_ONCE];
    size_t n;
    bool crowd; /* an object was shared by several tells */
    size_t told;
};

/* Takes projects that have something to put, each with its next object. */
static void round_take(struct round *round, uint64_t now_us)
{
    struct derive_log *log = round->log;
    (void)pthread_mutex_lock(&log->lock);
    size_t n = log->projects.n_busy;
    log->waiting = false;
    log->full = false;
    log->gathered = 0;
    for (size_t i = 0; i < n; i++) {
        struct derive_project *project = derive_projects_next(&log->projects);
        if (round->n == PUTS_AT_ONCE || (project->unknown && project->again_us > now_us)) {
            log->waiting = log->waiting || !project->unknown;
            log->full = log->full || !project->unknown;
            derive_projects_busy(&log->projects, project);
            continue;
        }
        derive_project_step(project);
        if (project->under_way != NULL)
            round->projects[round->n++] = project;
    }
    (void)pthread_mutex_unlock(&log->lock);
}

static void round_put(struct round *round, uint64_t now_us)
{
    struct repo *repo = round->log->repo;
    for (size_t i = 0; i < round->n; i++) {
        struct derive_project *project = round->projects[i];
        struct derive_batch *batch = project->under_way;
        if (batch->seq == 0) {
            derive_batch_number(batch, repo, &project->id, project->durable + 1);
            batch->begun_us = now_us;
        }
        round->ops[i] = (struct store_op){.verb = STORE_PUT,
                                          .key = batch->key.s,
                                          .want_etag = ETAG_NEVER,
                                          .data = buf_bytes(&batch->bytes),
                                          .condition = PUT_IF_ABSENT};
    }
    (void)!store_many(repo->store, round->ops, round->n); /* each has its own outcome */
}

static void say(struct derive_log *log, const struct derive_project *project,
                const struct derive_batch *batch, int err)
{
    bool failing = err != OK;
    if (failing && !log->failing)
        log_warn("derive_object_not_put", LOG_STR("project", id16_hex(&project->id).s),
                 LOG_U64("items", batch->n_items), LOG_ERR(err));
    else if (!failing && log->failing)
        log_info("derive_object_put_again", LOG_STR("project", id16_hex(&project->id).s));
    log->failing = failing;
}

static void durable_call(struct derive_log *log, const struct derive_batch *batch)
{
    AUTO(arena_release) struct arena arena = {0};
    struct derive_object object;
    if (log->options.durable == NULL)
        return;
    int err = derive_object_decode(buf_bytes(&batch->bytes), &arena, &object);
    assert(err == OK); /* each tell was decoded when it came */
    log->options.durable(log->options.arg, &object, buf_bytes(&batch->bytes));
}

/* Answers all who told, and takes their share off what waits. `keep`: the object goes on. */
static void batch_answer(struct round *round, struct derive_batch *batch, int err, bool keep)
{
    struct derive_log *log = round->log;
    round->crowd = round->crowd || batch->n_tells > 1;
    size_t told = derive_batch_tell(batch, err);
    round->told += told;
    (void)pthread_mutex_lock(&log->lock);
    log->tells -= told;
    if (!keep) {
        log->bytes -= batch->items.len;
        log->items -= batch->n_items;
    }
    (void)pthread_mutex_unlock(&log->lock);
    if (!keep)
        derive_batch_free(batch);
}

/* Nobody knows what became of its object: nothing comes in until somebody does, and what waits
 * behind it was never put. */
static void project_unknown(struct round *round, struct derive_project *project)
{
    struct derive_log *log = round->log;
    (void)pthread_mutex_lock(&log->lock);
    project->unknown = true;
    log->n_unknown++;
    struct derive_batch *behind = derive_project_empty(project);
    (void)pthread_mutex_unlock(&log->lock);
    say(log, project, project->under_way, ERR_UNKNOWN);
    batch_answer(round, project->under_way, ERR_UNKNOWN, true);
    while (behind != NULL) {
        struct derive_batch *batch = behind;
        behind = batch->next;
        batch_answer(round, batch, ERR_AGAIN, false);
    }
}

static void project_settle(struct round *round, struct derive_project *project, int err)
{
    struct derive_log *log = round->log;
    struct derive_batch *batch = project->under_way;
    (void)pthread_mutex_lock(&log->lock);
    project->under_way = NULL;
    if (err == OK)
        project->durable = batch->seq;
    log->n_unknown -= project->unknown;
    project->unknown = false;
    project->pause_us = 0;
    (void)pthread_mutex_unlock(&log->lock);
    say(log, project, batch, err);
    if (err == OK)
        durable_call(log, batch);
    batch_answer(round, batch, err, false);
}

/* It is to be put again: is there still patience? */
static void project_waits(struct round *round, struct derive_project *project, uint64_t now_us)
{
    const struct derive_batch *batch = project->under_way;
    struct intake_window *window = &round->log->window;
    bool over =
        now_us - batch->begun_us + window->pause_us > PATIENCE_US || batch->puts >= PUTS_MAX;
    if (project->unknown || (over && batch->unknown && batch->puts > 1)) {
        if (!project->unknown)
            project_unknown(round, project);
        derive_project_pause(project, now_us);
    } else if (over && !batch->unknown) {
        project_settle(round, project, ERR_AGAIN);
    }
}

static void project_judge(struct round *round, size_t i, uint64_t now_us)
{
    struct derive_project *project = round->projects[i];
    struct derive_batch *batch = project->under_way;
    struct repo *repo = round->log->repo;
    int err = round->ops[i].err;
    switch (derive_batch_judge(batch, repo, err)) {
    case DERIVE_DURABLE:
        project_settle(round, project, OK);
        return;
    case DERIVE_REFUSED:
        project_settle(round, project, err);
        return;
    case DERIVE_TAKEN:
        /* A number is never without an object, whosever it is. */
        project->durable = batch->seq;
        derive_batch_number(batch, repo, &project->id, batch->seq + 1);
        project_waits(round, project, now_us);
        return;
    case DERIVE_WAITS:
        project_waits(round, project, now_us);
        return;
    }
}

/* What the round says about the store: of a name that another has it says nothing. */
static void round_made(struct round *round, uint64_t begun_us, uint64_t now_us)
{
    struct derive_log *log = round->log;
    bool asked = false;
    bool taken = true;
    for (size_t i = 0; i < round->n; i++) {
        int err = round->ops[i].err;
        asked = asked || !round->projects[i]->unknown;
        taken = taken && (round->projects[i]->unknown || err == OK || err == ERR_CONFLICT);
    }
    (void)pthread_mutex_lock(&log->lock);
    if (asked && taken)
        intake_window_taken(&log->window, now_us, now_us - begun_us);
    else if (asked)
        intake_window_refused(&log->window, now_us);
    (void)pthread_mutex_unlock(&log->lock);
}

/* Projects with more to put come again. */
static void round_end(struct round *round)
{
    struct derive_log *log = round->log;
    (void)pthread_mutex_lock(&log->lock);
    log->window.crowd = round->crowd;
    log->crowd = round->told > 0 ? round->told : log->crowd;
    for (size_t i = 0; i < round->n; i++) {
        struct derive_project *project = round->projects[i];
        if (!derive_project_has(project))
            continue;
        derive_projects_busy(&log->projects, project);
        log->waiting = log->waiting || !project->unknown;
        log->full = log->full || project->sealed != NULL || project->under_way != NULL;
    }
    (void)pthread_mutex_unlock(&log->lock);
}

int derive_log_step(struct derive_log *log)
{
    struct clock *clock = log->repo->clock;
    struct round round = {.log = log};
    uint64_t begun_us = clock->mono_us(clock);
    round_take(&round, begun_us);
    if (round.n == 0)
        return 0;
    round_put(&round, begun_us);
    uint64_t now_us = clock->mono_us(clock);
    round_made(&round, begun_us, now_us);
    for (size_t i = 0; i < round.n; i++)
        project_judge(&round, i, now_us);
    round_end(&round);
    return (int)round.told;
}

uint64_t derive_log_wait_us(struct derive_log *log)
{
    struct clock *clock = log->repo->clock;
    uint64_t now_us = clock->mono_us(clock);
    uint64_t due_us = UINT64_MAX;
    (void)pthread_mutex_lock(&log->lock);
    if (log->waiting)
        due_us = intake_window_due_us(&log->window, log->first_us, log->full || log->stopping);
    if (log->n_unknown > 0) {
        uint64_t again_us = derive_projects_again_us(&log->projects);
        due_us = again_us < due_us ? again_us : due_us;
    }
    (void)pthread_mutex_unlock(&log->lock);
    if (due_us == UINT64_MAX)
        return UINT64_MAX;
    return due_us > now_us ? due_us - now_us : 0;
}

/* --- the thread --- */

static void *run(void *arg)
{
    struct derive_log *log = arg;
    for (;;) {
        (void)pthread_mutex_lock(&log->lock);
        bool done = log->stopping && log->tells == 0;
        uint64_t pause_us = log->window.pause_us;
        (void)pthread_mutex_unlock(&log->lock);
        if (done)
            return NULL;
        uint64_t wait_us = derive_log_wait_us(log);
        if (wait_us == 0) {
            (void)!derive_log_step(log);
            continue;
        }
        /* Many processes may have been refused at the same moment. */
        if (wait_us != UINT64_MAX && pause_us > 0)
            wait_us += rng_below(log->repo->rng, pause_us);
        (void)bell_wait(&log->bell, wait_us == UINT64_MAX ? BELL_FOR_EVER : wait_us);
    }
}

void derive_log_start(struct derive_log *log)
{
    assert(!log->threaded);
    (void)pthread_mutex_lock(&log->lock);
    log->stopping = false;
    (void)pthread_mutex_unlock(&log->lock);
    int err = pthread_create(&log->thread, NULL, run, log);
    assert(err == 0);
    log->threaded = true;
}

void derive_log_stop(struct derive_log *log)
{
    if (!log->threaded)
        return;
    (void)pthread_mutex_lock(&log->lock);
    log->stopping = true;
    (void)pthread_mutex_unlock(&log->lock);
    bell_ring(&log->bell);
    (void)pthread_join(log->thread, NULL);
    log->threaded = false;
}
