#include "jobs/shared/run_collect.h"

#include <inttypes.h>
#include <stdio.h>

#include "formats/base/hex.h"
#include "formats/project_id.h"
#include "jobs/shared/open_store.h"
#include "jobs/shared/print_collection.h"
#include "pipeline/derive/log/derive_merge.h"
#include "pipeline/repo/project.h"
#include "pipeline/sys/log.h"

enum {
    LEFT_OUT = 1,
    NOT_DONE = 2,
};

#define PROJECTS_AT_ONCE 100u
/* Of the derive log: fewer objects are left as they are, and a segment has no more bytes. */
#define MERGE_OBJECTS_MIN 16u
#define MERGE_BYTES_MAX   (64u * MIB)

struct work {
    const char *program;
    const struct settings *settings;
    const struct collect_args *args;
    struct repo repo;
    struct collection_printer printer;
    struct collect_options options;
    int code;
};

static void code_raise(struct work *work, int code)
{
    work->code = code > work->code ? code : work->code;
}

static int run_take(struct work *work, const struct id16 *project,
                    struct collect_report *report)
{
    const struct collect_args *args = work->args;
    const char *text = args->resume != NULL ? args->resume : args->close;
    struct id16 run;
    if (text == NULL)
        return args->act ? collect_run(&work->repo, project, &work->options, report)
                         : collect_look(&work->repo, project, &work->options, report);
    *report = (struct collect_report){0};
    if (id16_parse(bytes_str(text), &run) != OK)
        return ERR_CONFLICT;
    return args->resume != NULL
               ? collect_resume(&work->repo, project, &run, &work->options, report)
               : collect_close(&work->repo, project, &run, &work->options, report);
}

/* Merges what is as old as what is collected. Damage has been told where it was read as a
 * root. */
static int log_merge(struct work *work, const struct id16 *project)
{
    const struct derive_merge_options options = {.age_ms = work->settings->gc_grace_ms,
                                                 .objects_min = MERGE_OBJECTS_MIN,
                                                 .bytes_max = MERGE_BYTES_MAX};
    struct derive_merge_report report = {.more = true};
    int err = OK;
    while (err == OK && report.more) {
        err = derive_merge(&work->repo, project, &options, &report);
        work->printer.merged += report.objects;
    }
    if (err != OK)
        log_warn("derive_log_not_merged", LOG_STR("project", id16_hex(project).s),
                 LOG_ERR(err));
    return err;
}

static void tree_collect(struct work *work, const struct id16 *project, struct bytes handle)
{
    struct collect_report report;
    collection_begin(&work->printer, project, handle);
    int err = run_take(work, project, &report);
    bool wanted = work->args->act || work->args->resume != NULL || work->args->close != NULL;
    bool in_the_way = report.end != COLLECT_DONE && wanted && report.deleted.n == 0 &&
                      report.runs == 0 && work->args->close == NULL;
    if (err == ERR_CORRUPT || err == ERR_CONFLICT || in_the_way)
        code_raise(work, LEFT_OUT);
    else if (err != OK)
        code_raise(work, NOT_DONE);
    else if (work->args->act && log_merge(work, project) != OK)
        code_raise(work, LEFT_OUT);
    collection_end(&work->printer, &report, err);
}

/* The project, and the tree of its references. */
static int project_collect(struct work *work, const struct id16 *project, struct bytes handle)
{
    struct id16 refs;
    tree_collect(work, project, handle);
    int err = project_refs_find(&work->repo, project, &refs);
    if (err == OK)
        tree_collect(work, &refs, handle);
    return err == ERR_NOT_FOUND ? OK : err;
}

static int all_collect(struct work *work)
{
    char after[HANDLE_LEN_MAX + 1] = "";
    struct project_list list = {.more = true};
    while (list.more) {
        AUTO(arena_release) struct arena arena = {0};
        int err = project_list(&work->repo, &arena, after, PROJECTS_AT_ONCE, &list);
        if (err != OK)
            return err;
        for (size_t i = 0; i < list.n && err == OK; i++) {
            struct bytes handle = list.projects[i].handle;
            err = project_collect(work, &list.projects[i].id, handle);
            (void)snprintf(after, sizeof(after), "%.*s", (int)handle.len, handle.data);
        }
        if (err != OK)
            return err;
    }
    return OK;
}

static int one_collect(struct work *work, const char *name)
{
    struct id16 id;
    struct bytes handle = bytes_str(name);
    bool one_run = work->args->resume != NULL || work->args->close != NULL;
    int err = project_find_tree(&work->repo, handle, &id);
    if (err != OK)
        return err;
    /* A run is one tree's: NAME, or NAME/refs. */
    if (!one_run && !project_id_is_refs(&id))
        return project_collect(work, &id, handle);
    if (project_id_is_refs(&id))
        handle.len -= strlen("/refs");
    tree_collect(work, &id, handle);
    return OK;
}

static int not_done(const struct work *work, const char *why)
{
    (void)fprintf(stderr, "%s: %s is not collected: %s\n", work->program, work->settings->dir,
                  why);
    return NOT_DONE;
}

/* The bucket must be there: nothing is made here. */
static int bucket_find(struct store *store)
{
    struct key key = key_bucket();
    return store_get(store, key.s, range_none(), NULL, NULL, NULL);
}

static int repo_begin(struct work *work, struct store *store)
{
    const struct settings *s = work->settings;
    const struct repo_options options = {.page_cache_bytes = (size_t)s->page_cache_bytes,
                                         .content_cache_bytes = 0,
                                         .shards = (uint32_t)s->shards,
                                         .chunk_size = (uint32_t)s->chunk_size};
    int err = bucket_find(store);
    return err == OK ? repo_open(&work->repo, store, clock_system(), rng_system(), &options)
                     : err;
}

static int store_collect(struct work *work, struct store *store)
{
    struct probe_report probe;
    const char *name = work->settings->args_n > 0 ? work->settings->args[0] : NULL;
    bool writes = work->args->act || work->args->resume != NULL || work->args->close != NULL;
    if (writes && probe_opened_store(work->settings, store, &probe) != OK) {
        (void)fprintf(stderr, "%s: %s\n", work->program, probe.says);
        return NOT_DONE;
    }
    int err = repo_begin(work, store);
    if (err != OK)
        return not_done(work, err == ERR_NOT_FOUND ? "there is no bucket" : err_name(err));
    err = name != NULL ? one_collect(work, name) : all_collect(work);
    collection_sum(&work->printer);
    repo_close(&work->repo);
    if (err != OK)
        return not_done(work,
                        err == ERR_NOT_FOUND ? "there is no such project" : err_name(err));
    return work->code;
}

int collect_main(const char *program, const struct settings *settings,
                 const struct collect_args *args)
{
    struct store *store;
    struct work work = {.program = program, .settings = settings, .args = args};
    bool one_run = args->resume != NULL || args->close != NULL;
    if (one_run && (settings->args_n == 0 || (args->resume != NULL && args->close != NULL))) {
        (void)fprintf(stderr,
                      "%s: --resume or --close takes a run of one project: DIR PROJECT\n",
                      program);
        return NOT_DONE;
    }
    work.printer = (struct collection_printer){
        .program = program, .json = args->json, .acts = args->act || one_run};
    work.options = (struct collect_options){.grace_ms = settings->gc_grace_ms,
                                            .found = collection_object,
                                            .found_arg = &work.printer};
    log_setup((enum log_level)settings->log_level, settings->log_json);
    if (open_store_there(program, settings, &store) >= 0)
        return NOT_DONE;
    int code = store_collect(&work, store);
    store_close(store);
    return code;
}
