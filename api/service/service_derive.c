/* Derivation: putting and getting, pins, and how much there is of everything. */
#include "api/service/service_derive.h"

#include <stdlib.h>

#include "api/service/derive_gets.h"
#include "api/service/derive_parts.h"
#include "formats/base/hex.h"
#include "pipeline/sys/log.h"

int service_derive_on(struct service *service, struct problem *problem)
{
    if (service->derive != NULL)
        return OK;
    return problem_set(problem, ERR_AGAIN, "derive_off", NULL,
                       "this server derives nothing: derive_dir is not set, or cannot be used");
}

int service_derive_failed(struct problem *problem, int err, const struct hash *address)
{
    if (err != ERR_NOT_FOUND)
        return service_problem(problem, err, "the address");
    struct hash_hex hex = hash_hex(address);
    return problem_set(problem, err, "not_found", hex.s,
                       "%s is not a leaf, a recipe or a tree of this project", hex.s);
}

/* --- putting --- */

int service_derive_recipe(struct recipe *recipe, struct arena *arena, struct derive_item *out,
                          struct problem *problem)
{
    const char *why = "";
    struct fn_problem wrong = {0};
    int err = recipe_settle(recipe, &why);
    if (err != OK)
        return problem_set(problem, err, "recipe_invalid", NULL, "the recipe %s", why);
    const struct function *function = function_find(recipe->function, recipe->version);
    if (function == NULL)
        return problem_set(problem, ERR_INVALID, "unknown_function", "function",
                           "there is no function %.*s %.*s", (int)recipe->function.len,
                           recipe->function.data, (int)recipe->version.len,
                           recipe->version.data);
    err = function_check(function, recipe, &wrong);
    if (err != OK)
        return problem_set(problem, err, "parameter_invalid", wrong.parameter, "%s",
                           wrong.message);
    AUTO_BUF canonical = {0};
    recipe_encode(recipe, &canonical);
    *out = (struct derive_item){.kind = DERIVE_RECIPE,
                                .data = arena_copy(arena, buf_bytes(&canonical))};
    out->address = recipe_address(out->data);
    return OK;
}

static int put_refused(struct problem *problem, int err)
{
    if (err == ERR_AGAIN)
        return problem_set(problem, err, "queue_full", NULL,
                           "too much waits to be written; try again later");
    return service_problem(problem, err, "the derive log");
}

struct put {
    derive_written_fn written;
    void *arg;
};

static void pin_log(const struct id16 *id, const struct hash *about, bool pin)
{
    struct id16_hex project = id16_hex(id);
    struct hash_hex address = hash_hex(about);
    log_info(pin ? "derive_pinned" : "derive_unpinned", LOG_STR("project", project.s),
             LOG_STR("address", address.s));
}

static void collected_log(const struct id16 *id, const struct result_collected *collected)
{
    struct id16_hex project = id16_hex(id);
    log_info("derive_collected", LOG_STR("project", project.s),
             LOG_U64("results", collected->entries), LOG_U64("bytes", collected->bytes));
    for (size_t i = 0; i < collected->n_sample; i++)
        log_debug("derive_result_collected", LOG_STR("project", project.s),
                  LOG_STR("address", hash_hex(&collected->sample[i]).s));
}

static void put_told(void *arg, int err, uint64_t hlc)
{
    struct put *put = arg;
    struct problem problem = {0};
    if (err != OK)
        (void)service_problem(&problem, err, "the derive log");
    put->written(put->arg, &problem, hlc);
    free(put);
}

int service_derive_tell(struct service *service, const struct id16 *project,
                        const struct derive_item *items, uint32_t n, derive_written_fn written,
                        void *arg, struct problem *problem)
{
    struct put *put = calloc(1, sizeof(*put));
    if (put == NULL)
        abort();
    *put = (struct put){.written = written, .arg = arg};
    int err = derive_put(service->derive, project, items, n, put_told, put);
    if (err == OK)
        return OK;
    free(put);
    return put_refused(problem, err);
}

int service_derive_put(struct service *service, const struct caller *caller,
                       const struct id16 *project, const struct derive_item *items, uint32_t n,
                       derive_written_fn written, void *arg, struct problem *problem)
{
    int err = service_derive_on(service, problem);
    if (err == OK)
        err = service_admit(service, caller, problem);
    if (err != OK)
        return err;
    return service_derive_tell(service, project, items, n, written, arg, problem);
}

int service_derive_upload(struct service *service, const struct caller *caller,
                          const struct id16 *project, const struct content *content,
                          struct problem *problem)
{
    int err = service_derive_on(service, problem);
    if (err == OK)
        err = service_admit(service, caller, problem);
    if (err != OK)
        return err;
    err = derive_put_upload(service->derive, project, content);
    if (err == ERR_CONFLICT)
        return problem_set(problem, ERR_AGAIN, "collecting", NULL,
                           "content that nothing named is being collected, and this was a part "
                           "of it; upload it again when that is over");
    return err == OK ? OK : put_refused(problem, err);
}

struct show {
    struct id16 project;
    struct hash content;
    derive_shown_fn shown;
    void *arg;
};

static void show_told(void *arg, int err, uint64_t hlc UNUSED)
{
    struct show *show = arg;
    if (err != OK)
        log_warn("derive_tree_not_told", LOG_STR("project", id16_hex(&show->project).s),
                 LOG_STR("address", hash_hex(&show->content).s), LOG_ERR(err));
    show->shown(show->arg);
    free(show);
}

void service_derive_show(struct service *service, const struct id16 *project,
                         const struct hash *content, const struct location *where,
                         derive_shown_fn shown, void *arg)
{
    const struct derive_item item = {.kind = DERIVE_TREE, .address = *content, .where = *where};
    if (service->derive == NULL || where->place != PLACE_PAGE) {
        shown(arg);
        return;
    }
    struct show *show = malloc(sizeof(*show));
    if (show == NULL)
        abort();
    *show = (struct show){.project = *project, .content = *content, .shown = shown, .arg = arg};
    int err = derive_put(service->derive, project, &item, 1, show_told, show);
    if (err != OK)
        show_told(show, err, 0);
}

/* --- getting --- */

bool service_derive_known(struct service *service, const struct id16 *project,
                          const struct hash *address, struct derived **out)
{
    return service->derive != NULL &&
           executor_known(service->derive->executor, project, address, out) == OK;
}

void service_derive_get(struct service *service, const struct id16 *project,
                        const struct hash *address, const struct derive_ask *ask,
                        derive_answer_fn answer, void *arg)
{
    struct derive_answer off = {0};
    off.err = service_derive_on(service, &off.problem);
    if (off.err != OK)
        answer(arg, &off);
    else
        derive_gets_add(service->gets, project, address, ask, answer, arg);
}

int service_derive_find(struct service *service, const struct caller *caller,
                        const struct id16 *project, const struct hash *address,
                        struct arena *arena, struct derive_found *out, struct problem *problem)
{
    int err = service_derive_on(service, problem);
    if (err != OK)
        return err;
    struct project_source *source =
        project_source_open(service->derive, project, caller->asked_us);
    struct derive_source *sees = project_source_hold(source);
    err = sees->find(sees, address, arena, out);
    sees->release(sees);
    project_source_drop(source);
    return err == OK ? OK : service_derive_failed(problem, err, address);
}

/* --- pins and status --- */

int service_derive_pin(struct service *service, const struct caller *caller,
                       const struct id16 *project, const struct hash *address, bool pin,
                       bool *was, derive_written_fn written, void *arg, struct problem *problem)
{
    AUTO(arena_release) struct arena arena = {0};
    struct derived *derived;
    struct derive_found found;
    int err = service_derive_on(service, problem);
    if (err == OK && pin)
        err = service_derive_find(service, caller, project, address, &arena, &found, problem);
    if (err != OK)
        return err;
    struct derive *derive = service->derive;
    err = derive_index_pinned(derive->index, project, address, was);
    if (err != OK)
        return service_problem(problem, err, "the pins");
    if (service_derive_known(service, project, address, &derived)) {
        if (pin)
            result_pin(derive->results, project, &derived->hash);
        else
            result_unpin(derive->results, project, &derived->hash);
        derived_close(derived);
    }
    const struct derive_item item = {.kind = pin ? DERIVE_PIN : DERIVE_UNPIN,
                                     .address = *address};
    /* When it is written, which may be before this returns, nothing of the request is left. */
    const struct id16 of = *project;
    err = service_derive_put(service, caller, project, &item, 1, written, arg, problem);
    if (err == OK)
        pin_log(&of, &item.address, pin);
    return err;
}

int service_derive_pins(struct service *service, const struct id16 *project,
                        const struct hash *after, size_t max, struct arena *arena,
                        struct derive_page *out, struct problem *problem)
{
    int err = service_derive_on(service, problem);
    if (err != OK)
        return err;
    err = derive_index_pins(service->derive->index, project, after, max + 1, arena,
                            &out->addresses, &out->n);
    if (err != OK)
        return service_problem(problem, err, "the pins");
    out->more = out->n > max;
    if (out->more)
        out->n = max;
    return OK;
}

int service_derive_collect(struct service *service, const struct id16 *project,
                           uint64_t unused_us, uint64_t max, bool dry_run,
                           struct result_collected *out, struct problem *problem)
{
    int err = service_derive_on(service, problem);
    if (err != OK)
        return err;
    result_collect(service->derive->results, project, unused_us, max, dry_run, out);
    if (!dry_run)
        collected_log(project, out);
    return OK;
}

bool service_derive_stats(struct service *service, struct derive_status *out)
{
    struct derive *derive = service->derive;
    if (derive == NULL)
        return false;
    *out = (struct derive_status){.runs = executor_stats(derive->executor),
                                  .log = derive_log_load(derive->log)};
    result_cache_stats(derive->results, &out->results);
    return true;
}

void service_derive_latencies(struct service *service,
                              void (*take)(void *arg, const struct executor_latency *),
                              void *arg)
{
    if (service->derive != NULL)
        executor_latencies(service->derive->executor, take, arg);
}

int service_derive_status(struct service *service, const struct id16 *project,
                          struct arena *arena, struct derive_status *out,
                          struct problem *problem)
{
    int err = service_derive_on(service, problem);
    if (err != OK)
        return err;
    struct derive *derive = service->derive;
    AUTO_BUF verify = {0};
    (void)service_derive_stats(service, out);
    verify_text(&derive->verify, &verify);
    out->verify = arena_str(arena, buf_bytes(&verify));
    err = derive_index_counts(derive->index, project, &out->counts);
    return err == OK ? OK : service_problem(problem, err, "the index");
}
