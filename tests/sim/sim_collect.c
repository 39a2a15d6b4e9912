#include "tests/sim/sim_collect.h"

#include <stdlib.h>

#include "formats/base/hex.h"
#include "formats/project_id.h"
#include "pipeline/derive/log/derive_merge.h"
#include "pipeline/repo/collect/collect.h"
#include "pipeline/repo/project.h"
#include "tests/sim/counts.h"
#include "tests/sim/sim.h"

/* Longer than anything is late. */
#define COOL_MS 240000u

struct sim_collect {
    struct stage stage;
    struct process *process;
};

/* All lives of a process remember what they have opened: an operator reads their logs. */
static void opening(void *arg, const struct id16 *project, const struct id16 *run)
{
    struct process *p = arg;
    (void)project;
    trace("%s opens run %s", p->name, id16_hex(run).s);
    p->opened[p->n_opened++ % OPENED_MAX] = *run;
}

static bool is_mine(const struct process *p, const struct id16 *run)
{
    for (unsigned i = 0; i < OPENED_MAX; i++) {
        if (id16_equal(&p->opened[i], run))
            return true;
    }
    return false;
}

static int run_end(struct sim_collect *collect, const struct id16 *project,
                   const struct collect_options *options, struct collect_report *report)
{
    struct repo *repo = collect->process->repo;
    struct id16 run = report->run;
    int err = world_chance(7000) ? collect_resume(repo, project, &run, options, report)
                                 : collect_close(repo, project, &run, options, report);
    if (err == OK)
        count(COUNT_COLLECT_RESUMED);
    return err;
}

/* Gives 1 when there is something left to do there. */
static int collect_one(struct sim_collect *collect, const struct id16 *project)
{
    struct process *p = collect->process;
    const struct collect_options options = {.grace_ms = p->profile->grace_ms,
                                            .names_max = (uint32_t)world_between(1, 60),
                                            .cool_ms = COOL_MS,
                                            .opening = opening,
                                            .opening_arg = p};
    struct collect_report report;
    int err = collect_run(p->repo, project, &options, &report);
    if (report.deleted.n > 0)
        count(COUNT_COLLECTED);
    bool mine = !id16_is_zero(&report.run) && is_mine(p, &report.run);
    if (mine && (report.left_open || (err == OK && report.end == COLLECT_BUSY)))
        err = run_end(collect, project, &options, &report);
    trace("%s: %s, end %d, %lu of %lu deleted", p->name, err_name(err), (int)report.end,
          (unsigned long)report.deleted.n, (unsigned long)report.old.n);
    bool unmade = err == ERR_NOT_FOUND && project_id_is_refs(project);
    if (err != OK && !unmade && err != ERR_CONFLICT && err != ERR_AGAIN && err != ERR_UNKNOWN)
        broken("named", "a project cannot be collected: %s", err_name(err));
    if (report.end == COLLECT_COOLING)
        count(COUNT_COLLECT_COOLING);
    return err != OK ? err : report.end != COLLECT_DONE;
}

/* Merges what is old of the derive log, as mic-gc does with it. */
static void merge_one(struct process *p, const struct id16 *project)
{
    const struct derive_merge_options options = {
        .age_ms = world_chance(5000) ? 0 : world_below(p->profile->grace_ms),
        .objects_min = (uint32_t)world_between(1, 5),
        .bytes_max = world_between(1, 20000)};
    struct derive_merge_report report;
    int err = derive_merge(p->repo, project, &options, &report);
    trace("%s: merges %lu, %lu deleted: %s", p->name, (unsigned long)report.objects,
          (unsigned long)report.deleted, err_name(err));
    if (err != OK && err != ERR_AGAIN && err != ERR_UNKNOWN)
        broken("named", "a derive log cannot be merged: %s", err_name(err));
}

/* Where references are played, half of the time those of the project. */
static int collect_either(struct sim_collect *collect, const struct id16 *project)
{
    struct id16 refs;
    struct process *p = collect->process;
    if (p->profile->nodes > 0 && world_chance(5000))
        merge_one(p, project);
    if (!p->profile->refs || world_chance(5000))
        return collect_one(collect, project);
    int err = project_refs_find(p->repo, project, &refs);
    if (err != OK)
        return err == ERR_NOT_FOUND ? OK : err;
    err = collect_one(collect, &refs);
    /* Its making may not have come to its end. */
    return err == ERR_NOT_FOUND ? OK : err;
}

static int run(struct stage *stage)
{
    struct sim_collect *collect = (struct sim_collect *)stage;
    AUTO(arena_release) struct arena arena = {0};
    struct project_list list;
    struct process *p = collect->process;
    int err = project_list(p->repo, &arena, "", PROJECTS_MAX, &list);
    if (err != OK || list.n == 0)
        return err;
    if (!p->calm)
        return collect_either(collect, &list.projects[world_below(list.n)].id);
    int left = 0;
    for (size_t i = 0; i < list.n; i++) {
        int one = collect_either(collect, &list.projects[i].id);
        if (one < 0)
            return one;
        left += one;
    }
    return left;
}

static void close_stage(struct stage *stage)
{
    free(stage);
}

struct stage *sim_collect_open(struct process *p)
{
    struct sim_collect *collect = malloc(sizeof(*collect));
    if (collect == NULL)
        abort();
    *collect = (struct sim_collect){
        .stage = {.name = "collect", .run = run, .close = close_stage}, .process = p};
    return &collect->stage;
}
