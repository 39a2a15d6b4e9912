#include "pipeline/repo/collect/collect.h"

#include <stdlib.h>

#include "formats/base/hex.h"
#include "formats/project_id.h"
#include "pipeline/repo/collect/fence.h"
#include "pipeline/repo/collect/garbage_list.h"
#include "pipeline/repo/collect/gc_put.h"
#include "pipeline/repo/project.h"
#include "pipeline/sys/log.h"

#define DELETES_AT_ONCE 64u
#define TRIES_MAX       64u
#define BACKOFF_US      20000u
#define BACKOFF_MAX_US  1000000u

struct collection {
    struct repo *repo;
    struct id16 project;
    const struct collect_options *options;
    struct collect_report *report;
    struct reach reach;
    struct gc_object object;
    uint64_t before_ms; /* what was put earlier is past its grace time */
    bool doubtful;      /* a process that died may have sent deletes that still take effect */
};

static void collection_init(struct collection *c, struct repo *repo, const struct id16 *project,
                            const struct collect_options *options,
                            struct collect_report *report)
{
    *c = (struct collection){
        .repo = repo, .project = *project, .options = options, .report = report};
    *report = (struct collect_report){0};
    reach_init(&c->reach, repo, project);
}

static void collection_release(struct collection *c)
{
    reach_release(&c->reach);
    gc_object_release(&c->object);
}

/* One that is being made, or made again by a replay, has objects that nothing names yet. */
static int named_check(struct collection *c)
{
    AUTO(arena_release) struct arena arena = {0};
    struct project_info info;
    struct id16 id;
    int err = project_info_get(c->repo, &c->project, &arena, &info);
    if (err == OK)
        err = project_find(c->repo, info.handle, &id);
    struct id16 plain = project_id_plain(&c->project);
    return err == OK && !id16_equal(&id, &plain) ? ERR_NOT_FOUND : err;
}

static int mark(struct collection *c)
{
    int err = reach_mark(&c->reach);
    c->report->damaged = c->reach.damaged;
    c->report->roots = c->reach.counts;
    return err;
}

/* The store's date, and from it the grace time. */
static int date_take(struct collection *c, uint64_t *now_ms)
{
    uint64_t grace_ms = c->options->grace_ms;
    *now_ms = store_date_ms(c->repo->store);
    c->before_ms = *now_ms > grace_ms ? *now_ms - grace_ms : 0;
    return *now_ms == 0 ? ERR_AGAIN : OK;
}

/* What another run means for this one. */
static void object_judge(struct collection *c, uint64_t now_ms)
{
    struct collect_report *report = c->report;
    const struct gc *gc = &c->object.gc;
    report->end = COLLECT_DONE;
    if (!c->object.there || gc->state == GC_CLOSED ||
        (gc->state == GC_COOLING && gc->until_ms <= now_ms))
        return;
    report->end = gc->state == GC_OPEN ? COLLECT_BUSY : COLLECT_COOLING;
    report->run = gc->run;
    report->opened_ms = gc->opened_ms;
    report->until_ms = gc->until_ms;
}

static int object_look(struct collection *c, uint64_t *now_ms)
{
    gc_object_release(&c->object);
    int err = gc_object_read(&c->object, c->repo, &c->project);
    if (err == OK)
        err = date_take(c, now_ms);
    if (err == OK)
        object_judge(c, *now_ms);
    return err;
}

int collect_look(struct repo *repo, const struct id16 *project,
                 const struct collect_options *options, struct collect_report *report)
{
    struct collection c;
    struct garbage_list list = {0};
    uint64_t now_ms;
    collection_init(&c, repo, project, options, report);
    int err = named_check(&c);
    if (err == OK)
        err = object_look(&c, &now_ms);
    if (err == OK)
        err = mark(&c);
    if (err == OK)
        err = garbage_list_make(&list, &c.reach, c.before_ms, NULL, options, report);
    garbage_list_release(&list);
    collection_release(&c);
    return err;
}

/* --- deleting --- */

/* Until each is known to be done. `doubt[i]` when one of its deletes may take effect later. */
static int wave_delete(struct collection *c, const struct garbage *items, size_t n, bool *doubt)
{
    struct key keys[DELETES_AT_ONCE];
    struct store_op ops[DELETES_AT_ONCE];
    size_t of[DELETES_AT_ONCE];
    bool done[DELETES_AT_ONCE] = {false};
    uint64_t pause_us = BACKOFF_US;
    int err = OK;
    for (unsigned tries = 0; tries < TRIES_MAX; tries++) {
        size_t n_ops = 0;
        for (size_t i = 0; i < n; i++) {
            if (done[i])
                continue;
            keys[n_ops] = garbage_key(&c->project, &items[i].name);
            ops[n_ops] = (struct store_op){.verb = STORE_DELETE, .key = keys[n_ops].s};
            of[n_ops++] = i;
        }
        if (n_ops == 0)
            return OK;
        (void)!store_many(c->repo->store, ops, n_ops); /* each has its own outcome */
        err = OK;
        for (size_t k = 0; k < n_ops; k++) {
            done[of[k]] = ops[k].err == OK;
            doubt[of[k]] |= ops[k].err == ERR_UNKNOWN;
            if (ops[k].err != OK && (err == OK || err == ERR_AGAIN || err == ERR_UNKNOWN))
                err = ops[k].err;
            if (ops[k].err == OK) {
                c->report->deleted.n++;
                c->report->deleted.bytes += items[of[k]].size;
            }
        }
        if (err != OK && err != ERR_AGAIN && err != ERR_UNKNOWN)
            return err;
        if (err != OK)
            c->repo->clock->sleep_us(c->repo->clock, pause_us);
        pause_us = 2 * pause_us < BACKOFF_MAX_US ? 2 * pause_us : BACKOFF_MAX_US;
    }
    return err;
}

/* Before each wave the run must still be there: who has closed it took this process for dead.
 */
static int garbage_delete(struct collection *c, const struct garbage_list *list, bool *doubt)
{
    int err = OK;
    for (size_t i = 0; i < list->n && err == OK; i += DELETES_AT_ONCE) {
        size_t n = list->n - i < DELETES_AT_ONCE ? list->n - i : DELETES_AT_ONCE;
        err = gc_object_check(&c->object);
        if (err == OK)
            err = wave_delete(c, list->items + i, n, doubt + i);
    }
    return err;
}

/* --- a run --- */

/* Closes it, or lets these names cool. */
static int run_close(struct collection *c, struct gc_name *names, uint32_t n)
{
    struct gc gc = {.run = c->object.gc.run,
                    .state = n > 0 ? GC_COOLING : GC_CLOSED,
                    .opened_ms = c->object.gc.opened_ms,
                    .names = names,
                    .n = n};
    uint64_t cool_ms = c->options->cool_ms > 0 ? c->options->cool_ms : COLLECT_COOL_MS;
    if (n > 0)
        gc.until_ms = store_date_ms(c->repo->store) + cool_ms;
    int err = gc_object_put(&c->object, &gc);
    c->report->left_open = err == ERR_AGAIN || err == ERR_UNKNOWN;
    if (err == OK && n > 0) {
        c->report->end = COLLECT_COOLING;
        c->report->until_ms = gc.until_ms;
    }
    return err;
}

/* What went wrong before anything was deleted. */
static int run_give_up(struct collection *c, int why)
{
    c->report->left_open = c->doubtful;
    if (!c->doubtful)
        (void)!run_close(c, NULL, 0);
    return why;
}

static int run_end(struct collection *c, const struct garbage_list *list, const bool *doubt)
{
    AUTO(arena_release) struct arena arena = {0};
    const struct gc *gc = &c->object.gc;
    struct gc_name *names = arena_array(&arena, gc->n, struct gc_name);
    uint32_t n = 0;
    for (size_t i = 0; i < list->n && !c->doubtful; i++) {
        if (doubt[i])
            names[n++] = list->items[i].name;
    }
    if (c->doubtful) {
        memcpy(names, gc->names, gc->n * sizeof(*names));
        n = gc->n;
    }
    return run_close(c, names, n);
}

/* The run is open. */
static int run_go(struct collection *c)
{
    struct garbage_list list = {0};
    struct collect_report unused = {0};
    int err = fence_put(c->repo, &c->project);
    if (err == OK)
        err = mark(c);
    if (err == OK)
        err = garbage_list_make(&list, &c->reach, c->before_ms, &c->object.gc, NULL, &unused);
    if (err != OK) {
        garbage_list_release(&list);
        return run_give_up(c, err);
    }
    bool *doubt = calloc(list.n + 1, sizeof(*doubt));
    if (doubt == NULL)
        abort();
    err = garbage_delete(c, &list, doubt);
    if (err == OK)
        err = run_end(c, &list, doubt);
    else
        c->report->left_open = true;
    free(doubt);
    garbage_list_release(&list);
    return err;
}

static void opening_tell(struct collection *c)
{
    const struct collect_options *options = c->options;
    log_info("collecting", LOG_STR("project", id16_hex(&c->project).s),
             LOG_STR("run", id16_hex(&c->report->run).s));
    if (options->opening != NULL)
        options->opening(options->opening_arg, &c->project, &c->report->run);
}

static int run_open(struct collection *c, const struct garbage_list *list, uint64_t now_ms,
                    struct arena *arena)
{
    struct gc gc = {.state = GC_OPEN,
                    .opened_ms = now_ms,
                    .names = arena_array(arena, list->n, struct gc_name),
                    .n = (uint32_t)list->n};
    c->repo->rng->fill(c->repo->rng, &gc.run, sizeof(gc.run));
    gc.run.b[0] |= 1; /* never all zero */
    for (size_t i = 0; i < list->n; i++)
        gc.names[i] = list->items[i].name;
    c->report->run = gc.run;
    opening_tell(c);
    int err = gc_object_put(&c->object, &gc);
    c->report->opened_ms = now_ms;
    c->report->left_open = err == ERR_UNKNOWN;
    c->report->runs += err == OK;
    return err;
}

static int run_once(struct collection *c, bool *more)
{
    AUTO(arena_release) struct arena arena = {0};
    struct garbage_list list = {.max = c->options->names_max};
    uint64_t now_ms;
    if (list.max == 0 || list.max > GC_NAMES_MAX)
        list.max = GC_NAMES_MAX;
    *more = false;
    int err = object_look(c, &now_ms);
    if (err != OK || c->report->end != COLLECT_DONE)
        return err;
    err = mark(c);
    if (err == OK)
        err = garbage_list_make(&list, &c->reach, c->before_ms, NULL, c->options, c->report);
    bool cool = c->object.there && c->object.gc.state == GC_COOLING;
    if (err == OK && list.n == 0 && cool)
        err = run_close(c, NULL, 0);
    if (err == OK && list.n > 0) {
        *more = list.more;
        err = run_open(c, &list, now_ms, &arena);
        if (err == ERR_CONFLICT) { /* somebody else was first */
            *more = false;
            err = object_look(c, &now_ms);
        } else if (err == OK) {
            err = run_go(c);
        }
    }
    garbage_list_release(&list);
    /* The names of the run lie in the arena. */
    c->object.gc.names = NULL;
    c->object.gc.n = 0;
    return err;
}

int collect_run(struct repo *repo, const struct id16 *project,
                const struct collect_options *options, struct collect_report *report)
{
    struct collection c;
    bool more = true;
    collection_init(&c, repo, project, options, report);
    int err = named_check(&c);
    if (err == OK)
        err = repo_clock_ok(repo);
    while (err == OK && more && report->end == COLLECT_DONE) {
        report->all = report->old = report->young = report->undated = (struct collect_sum){0};
        err = run_once(&c, &more);
    }
    collection_release(&c);
    return err;
}

/* --- for an operator --- */

static int open_take(struct collection *c, const struct id16 *run)
{
    uint64_t now_ms;
    int err = object_look(c, &now_ms);
    if (err != OK)
        return err;
    c->report->end = COLLECT_DONE;
    c->doubtful = true;
    bool open = c->object.there && c->object.gc.state == GC_OPEN;
    return open && id16_equal(&c->object.gc.run, run) ? OK : ERR_CONFLICT;
}

int collect_resume(struct repo *repo, const struct id16 *project, const struct id16 *run,
                   const struct collect_options *options, struct collect_report *report)
{
    struct collection c;
    collection_init(&c, repo, project, options, report);
    int err = repo_clock_ok(repo);
    if (err == OK)
        err = open_take(&c, run);
    if (err == OK) {
        report->runs = 1;
        opening_tell(&c);
        err = run_go(&c);
    }
    collection_release(&c);
    return err;
}

int collect_close(struct repo *repo, const struct id16 *project, const struct id16 *run,
                  const struct collect_options *options, struct collect_report *report)
{
    struct collection c;
    struct garbage_list none = {0};
    collection_init(&c, repo, project, options, report);
    int err = open_take(&c, run);
    if (err == OK)
        err = run_end(&c, &none, NULL);
    collection_release(&c);
    return err;
}
