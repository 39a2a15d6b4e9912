#include "pipeline/derive/invalidate.h"

#include <stdlib.h>

#include "formats/base/hex.h"
#include "pipeline/sys/bell.h"
#include "pipeline/sys/log.h"

/* The results of so many dependents are freed at once. */
#define FREE_AT_ONCE 1000u
#define TASKS_MAX    1000u

struct task {
    struct id16 project;
    struct hash address;           /* or: */
    struct bytes ref;              /* behind the task, and a NUL behind it */
    struct project_source *source; /* what results are looked for in; NULL: as it is now */
    bool pin;                      /* the address was pinned, or is not any more */
    struct task *next;
};

struct invalidator {
    struct derive *derive;
    pthread_mutex_t lock; /* of all below */
    struct task *first;
    struct task **last;
    size_t n;
    bool stopping;
    struct bell bell;
    pthread_t thread;
    bool started;
};

/* --- one result --- */

struct known {
    struct bell bell;
    bool found;
    enum derive_is is;
    struct hash hash;
};

static void known_done(void *arg, struct derived *derived, const struct derive_problem *problem)
{
    struct known *known = arg;
    (void)problem; /* what is not known has no result */
    if (derived != NULL) {
        known->found = derived->hash_known;
        known->is = derived->is;
        known->hash = derived->hash;
        derived_close(derived);
    }
    bell_ring(&known->bell);
}

/* What an address comes to, as far as memos tell; nothing runs. */
static struct known known_of(struct derive *derive, const struct id16 *project,
                             struct project_source *as_of, const struct hash *address)
{
    struct known known = {.found = false};
    bell_init(&known.bell);
    const struct get_options options = {.want = GET_KNOWN, .done = known_done, .arg = &known};
    struct project_source *own = as_of == NULL ? project_source_open(derive, project, 0) : NULL;
    executor_get(derive->executor, project, project_source_hold(own != NULL ? own : as_of),
                 address, &options, NULL);
    (void)bell_wait(&known.bell, BELL_FOR_EVER);
    project_source_drop(own);
    bell_release(&known.bell);
    return known;
}

struct sweep {
    struct derive *derive;
    struct id16 project;
    struct project_source *source; /* NULL: as it is now */
    bool dry_run;
    const bool *stopping; /* under the invalidator's lock; NULL: to the end */
    pthread_mutex_t *lock;
    uint64_t freed;
    uint64_t cached;      /* results that were there */
    struct hash *counted; /* of a dry run: results that several recipes share count once */
    size_t n_counted;
};

/* Bytes that dropping it would free. */
static uint64_t result_count(struct sweep *sweep, const struct hash *output)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < sweep->n_counted; i++) {
        if (hash_equal(&sweep->counted[i], output))
            return 0;
    }
    /* More may have come since they were counted. */
    if (sweep->n_counted > FREE_AT_ONCE)
        return 0;
    if (result_has(sweep->derive->results, &sweep->project, output, &bytes))
        sweep->counted[sweep->n_counted++] = *output;
    return bytes;
}

static int result_free(struct sweep *sweep, const struct hash *address)
{
    struct derive *derive = sweep->derive;
    struct known known = known_of(derive, &sweep->project, sweep->source, address);
    if (!known.found || known.is != DERIVE_IS_RECIPE)
        return OK;
    sweep->cached += result_has(derive->results, &sweep->project, &known.hash, NULL);
    sweep->freed += sweep->dry_run ? result_count(sweep, &known.hash)
                                   : result_drop(derive->results, &sweep->project, &known.hash);
    return OK;
}

static int sweep_each(void *arg, const struct hash *address, uint64_t distance)
{
    struct sweep *sweep = arg;
    (void)distance;
    if (sweep->stopping != NULL) {
        (void)pthread_mutex_lock(sweep->lock);
        bool stop = *sweep->stopping;
        (void)pthread_mutex_unlock(sweep->lock);
        if (stop)
            return ERR_AGAIN;
    }
    return result_free(sweep, address);
}

/* --- many --- */

static void task_drop(struct task *task)
{
    if (task != NULL)
        project_source_drop(task->source);
    free(task);
}

static int task_queue(struct invalidator *inv, struct task *task)
{
    (void)pthread_mutex_lock(&inv->lock);
    bool room = inv->n < TASKS_MAX && !inv->stopping;
    if (room) {
        *inv->last = task;
        inv->last = &task->next;
        inv->n++;
    }
    (void)pthread_mutex_unlock(&inv->lock);
    if (!room)
        task_drop(task);
    bell_ring(&inv->bell);
    return room ? OK : ERR_LIMIT;
}

/* Takes the source over. */
static int task_add(struct invalidator *inv, const struct id16 *project,
                    const struct derive_root *root, struct project_source *source)
{
    struct task *task = calloc(1, sizeof(*task) + root->ref.len + 1);
    if (task == NULL)
        abort();
    task->project = *project;
    task->source = source;
    if (root->address != NULL)
        task->address = *root->address;
    if (root->ref.len > 0) {
        memcpy(task + 1, root->ref.data, root->ref.len);
        task->ref = bytes_of(task + 1, root->ref.len);
    }
    return task_queue(inv, task);
}

void invalidator_pin(struct invalidator *inv, const struct id16 *project,
                     const struct hash *address)
{
    struct task *task = calloc(1, sizeof(*task));
    if (task == NULL)
        abort();
    task->project = *project;
    task->address = *address;
    task->pin = true;
    if (task_queue(inv, task) != OK)
        log_warn("derive_pin_later", LOG_STR("project", id16_hex(project).s),
                 LOG_STR("address", hash_hex(address).s),
                 LOG_STR("why", "too much waits; its result is pinned when it is made again"));
}

static void pin_run(struct invalidator *inv, const struct task *task)
{
    struct derive *derive = inv->derive;
    struct known known = known_of(derive, &task->project, NULL, &task->address);
    if (!known.found || known.is != DERIVE_IS_RECIPE)
        return;
    if (derive_index_keeps(derive->index, &task->project, &task->address))
        result_pin(derive->results, &task->project, &known.hash);
    else
        result_unpin(derive->results, &task->project, &known.hash);
}

static void task_run(struct invalidator *inv, const struct task *task)
{
    const struct derive_root root = {.address = task->ref.len > 0 ? NULL : &task->address,
                                     .ref = task->ref};
    struct sweep sweep = {.derive = inv->derive,
                          .project = task->project,
                          .source = task->source,
                          .stopping = &inv->stopping,
                          .lock = &inv->lock};
    struct derive_walk walk;
    int err =
        derive_index_walk(inv->derive->index, &task->project, &root, sweep_each, &sweep, &walk);
    struct id16_hex project = id16_hex(&task->project);
    struct hash_hex address = hash_hex(&task->address);
    const struct log_field below = task->ref.len > 0
                                       ? LOG_STR("ref", (const char *)task->ref.data)
                                       : LOG_STR("address", address.s);
    if (err == OK)
        log_info("derive_freed", LOG_STR("project", project.s), below,
                 LOG_U64("results", sweep.cached), LOG_U64("bytes", sweep.freed));
    else
        log_warn("derive_not_freed", LOG_STR("project", project.s), below,
                 LOG_U64("results", sweep.cached), LOG_ERR(err));
}

static struct task *task_take(struct invalidator *inv, bool *stopping)
{
    (void)pthread_mutex_lock(&inv->lock);
    struct task *task = inv->first;
    if (task != NULL) {
        inv->first = task->next;
        if (inv->first == NULL)
            inv->last = &inv->first;
        inv->n--;
    }
    *stopping = inv->stopping;
    (void)pthread_mutex_unlock(&inv->lock);
    return task;
}

static void *invalidator_run(void *arg)
{
    struct invalidator *inv = arg;
    for (;;) {
        bool stopping;
        struct task *task = task_take(inv, &stopping);
        if (task != NULL && !stopping && task->pin)
            pin_run(inv, task);
        else if (task != NULL && !stopping)
            task_run(inv, task);
        bool none = task == NULL;
        task_drop(task);
        if (none && stopping)
            return NULL;
        if (none)
            (void)bell_wait(&inv->bell, BELL_FOR_EVER);
    }
}

struct invalidator *invalidator_open(struct derive *derive)
{
    struct invalidator *inv = calloc(1, sizeof(*inv));
    if (inv == NULL)
        abort();
    inv->derive = derive;
    inv->last = &inv->first;
    (void)pthread_mutex_init(&inv->lock, NULL);
    bell_init(&inv->bell);
    return inv;
}

void invalidator_start(struct invalidator *inv)
{
    inv->started = pthread_create(&inv->thread, NULL, invalidator_run, inv) == 0;
    if (!inv->started)
        abort();
}

void invalidator_stop(struct invalidator *inv)
{
    (void)pthread_mutex_lock(&inv->lock);
    inv->stopping = true;
    (void)pthread_mutex_unlock(&inv->lock);
    bell_ring(&inv->bell);
    if (inv->started)
        (void)pthread_join(inv->thread, NULL);
    inv->started = false;
}

void invalidator_close(struct invalidator *inv)
{
    if (inv == NULL)
        return;
    bell_release(&inv->bell);
    (void)pthread_mutex_destroy(&inv->lock);
    free(inv);
}

/* --- the whole --- */

static void invalidated_log(const struct id16 *id, const struct derive_root *root,
                            const struct invalidated *done)
{
    AUTO(arena_release) struct arena arena = {0};
    struct id16_hex project = id16_hex(id);
    struct hash_hex address = {0};
    if (root->address != NULL)
        address = hash_hex(root->address);
    const struct log_field of = root->address != NULL
                                    ? LOG_STR("address", address.s)
                                    : LOG_STR("ref", arena_str(&arena, root->ref));
    log_info("derive_invalidated", LOG_STR("project", project.s), of,
             LOG_U64("dependents", done->of.count), LOG_U64("bytes", done->freed));
}

int derive_invalidate(struct derive *derive, const struct id16 *project,
                      const struct derive_root *root, const struct invalidation *what,
                      struct invalidated *out)
{
    struct invalidated done = {0};
    AUTO(arena_release) struct arena arena = {0};
    struct sweep sweep = {.derive = derive, .project = *project, .dry_run = what->dry_run};
    sweep.counted = arena_array(&arena, FREE_AT_ONCE + 1, struct hash);
    int err = OK;
    if (root->address != NULL) {
        err = result_free(&sweep, root->address);
        done.was_cached = sweep.cached > 0;
    }
    if (err == OK && what->cascade)
        err = derive_index_walk(derive->index, project, root, NULL, NULL, &done.of);
    if (err == OK && done.of.count > FREE_AT_ONCE) {
        done.goes_on = true;
        if (!what->dry_run)
            err = task_add(derive->invalidator, project, root, NULL);
    } else if (err == OK && done.of.count > 0) {
        struct derive_walk walk;
        err = derive_index_walk(derive->index, project, root, sweep_each, &sweep, &walk);
    }
    done.freed = sweep.freed;
    if (err == OK && !what->dry_run)
        invalidated_log(project, root, &done);
    if (err == OK)
        *out = done;
    return err;
}

/* Whether the ref meant other content before than now. What is not known yet may turn out to be
 * the same, and then nothing above it is computed again: so its results are not freed. */
static bool content_differs(struct derive *derive, const struct id16 *project, struct bytes ref,
                            const struct hash *now, struct project_source *before)
{
    struct derive_source *sees = project_source_hold(before);
    struct hash then;
    int err = sees->ref(sees, ref, bytes_of(NULL, 0), &then);
    sees->release(sees);
    if (err != OK)
        return false; /* it was not bound: there were no results */
    if (now == NULL)
        return true;
    if (hash_equal(&then, now))
        return false;
    struct known old = known_of(derive, project, before, &then);
    struct known fresh = known_of(derive, project, NULL, now);
    return old.found && fresh.found && !hash_equal(&old.hash, &fresh.hash);
}

void derive_rebound(struct derive *derive, const struct id16 *project, struct bytes ref,
                    const struct hash *now, struct project_source *before)
{
    const struct derive_root root = {.ref = ref};
    if (!content_differs(derive, project, ref, now, before))
        return;
    (void)project_source_hold(before);
    if (task_add(derive->invalidator, project, &root, before) != OK)
        log_debug("derive_not_freed", LOG_STR("project", id16_hex(project).s),
                  LOG_STR("why", "too many cascades wait"));
}
