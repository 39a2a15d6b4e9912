#include "api/service/derive_gets.h"

#include <stddef.h>
#include <stdlib.h>

#include "api/service/due_heap.h"
#include "api/service/parts.h"
#include "formats/base/hex.h"
#include "pipeline/sys/bell.h"
#include "pipeline/sys/log.h"

/* How long a get goes on for nobody. */
#define LINGER_US    60000000u
#define STOP_LOOK_US 1000u

struct derive_gets {
    struct derive *derive;
    pthread_mutex_t lock; /* of all below, and of every get */
    struct due_heap due;
    size_t under_way;
    bool stopping;
    struct bell bell;
    pthread_t thread;
    bool started;
};

/* Freed when it is done and neither in the heap nor being begun. */
struct waiting_get {
    struct due due; /* first, for the heap */
    struct derive_gets *gets;
    struct id16 project;
    struct hash address;
    struct project_source *source;
    uint64_t ticket;
    derive_answer_fn answer; /* NULL: it was answered */
    bool (*progress)(void *arg, const struct get_progress *);
    void *arg;
    bool left; /* nobody listens any more */
    bool done;
    bool begun; /* executor_get has returned: the ticket is there */
};

static uint64_t now_us(const struct derive_gets *gets)
{
    return gets->derive->repo->clock->mono_us(gets->derive->repo->clock);
}

/* Under the lock. */
static void get_settle(struct waiting_get *get)
{
    if (!get->done || !get->begun)
        return;
    due_heap_remove(&get->gets->due, &get->due);
    get->gets->under_way--;
    project_source_drop(get->source);
    free(get);
}

static void answer_problem(struct derive_answer *answer, const struct derive_problem *problem)
{
    AUTO_BUF text = {0};
    struct hash_hex about = hash_hex(&problem->address);
    derive_problem_text(problem, &text);
    answer->err = problem->err;
    if (problem->fault == DERIVE_FAULT_STORE)
        (void)service_problem(&answer->problem, problem->err, "what it is computed from");
    else
        (void)problem_set(&answer->problem, problem->err, derive_fault_name(problem->fault),
                          about.s, "%.*s", (int)text.len, (const char *)text.data);
}

/* Both heads are in the snapshot already, or cost a read each; when one of them cannot be read,
 * the refs that were resolved say what they were all the same. */
static void answer_snapshot(struct derive_answer *answer, struct project_source *source)
{
    struct head refs;
    struct head head;
    answer->has_refs = project_source_heads(source, &refs, &head) == OK;
    if (answer->has_refs) {
        answer->refs_position = refs.position;
        answer->head_position = head.position;
    }
}

/* A line for each get that failed, or for which something ran. */
static void get_log(const struct waiting_get *get, const struct derived *derived,
                    const struct derive_problem *problem)
{
    struct id16_hex project = id16_hex(&get->project);
    struct hash_hex address = hash_hex(&get->address);
    if (derived == NULL)
        log_info("derive_failed", LOG_STR("project", project.s), LOG_STR("address", address.s),
                 LOG_STR("fault", derive_fault_name(problem->fault)),
                 LOG_STR("about", hash_hex(&problem->address).s));
    else if (derived->ran)
        log_info("derived", LOG_STR("project", project.s), LOG_STR("address", address.s),
                 LOG_STR("output", derived->hash_known ? hash_hex(&derived->hash).s : "-"),
                 LOG_U64("size", derived->size), LOG_U64("cost_us", derived->cost_us));
}

static void get_done(void *arg, struct derived *derived, const struct derive_problem *problem)
{
    struct waiting_get *get = arg;
    struct derive_gets *gets = get->gets;
    struct derive_answer answer = {.derived = derived};
    get_log(get, derived, problem);
    if (derived == NULL)
        answer_problem(&answer, problem);
    else if (derived->n_refs > 0)
        answer_snapshot(&answer, get->source);
    (void)pthread_mutex_lock(&gets->lock);
    derive_answer_fn tell = get->answer;
    void *whom = get->arg;
    get->answer = NULL;
    get->done = true;
    get_settle(get);
    (void)pthread_mutex_unlock(&gets->lock);
    if (tell != NULL)
        tell(whom, &answer);
    else
        derived_close(derived);
}

/* Under the lock, so that it is not answered meanwhile. */
static void get_progressed(void *arg, const struct get_progress *progress)
{
    struct waiting_get *get = arg;
    struct derive_gets *gets = get->gets;
    (void)pthread_mutex_lock(&gets->lock);
    bool left = get->answer != NULL && !get->left && !get->progress(get->arg, progress);
    if (left)
        get->left = true;
    if (left && get->begun && !get->done)
        due_heap_set(&gets->due, &get->due, now_us(gets));
    (void)pthread_mutex_unlock(&gets->lock);
    if (left)
        bell_ring(&gets->bell);
}

void derive_gets_add(struct derive_gets *gets, const struct id16 *project,
                     const struct hash *address, const struct derive_ask *ask,
                     derive_answer_fn answer, void *arg)
{
    struct waiting_get *get = calloc(1, sizeof(*get));
    if (get == NULL)
        abort();
    get->gets = gets;
    get->project = *project;
    get->address = *address;
    get->source = project_source_open(gets->derive, project, 0);
    get->answer = answer;
    get->progress = ask->progress;
    get->arg = arg;
    const struct get_options options = {.want = ask->want,
                                        .from = ask->from,
                                        .end = ask->end,
                                        .again = ask->again,
                                        .verify = ask->verify,
                                        .done = get_done,
                                        .progress =
                                            ask->progress != NULL ? get_progressed : NULL,
                                        .arg = get};
    (void)pthread_mutex_lock(&gets->lock);
    gets->under_way++;
    (void)pthread_mutex_unlock(&gets->lock);
    uint64_t ticket = 0;
    executor_get(gets->derive->executor, project, project_source_hold(get->source), address,
                 &options, &ticket);
    (void)pthread_mutex_lock(&gets->lock);
    get->ticket = ticket;
    get->begun = true;
    if (!get->done)
        due_heap_set(&gets->due, &get->due,
                     gets->stopping || get->left ? 0 : now_us(gets) + ask->wait_ms * 1000);
    get_settle(get);
    (void)pthread_mutex_unlock(&gets->lock);
    bell_ring(&gets->bell);
}

/* The wait is over, or the time after it. */
static void get_due(struct derive_gets *gets, struct waiting_get *get)
{
    struct derive_answer answer = {.pending = true};
    derive_answer_fn tell = get->answer;
    void *whom = get->arg;
    uint64_t ticket = get->ticket;
    if (tell == NULL || gets->stopping) {
        due_heap_remove(&gets->due, &get->due);
        (void)pthread_mutex_unlock(&gets->lock);
        executor_cancel(gets->derive->executor, ticket);
        (void)pthread_mutex_lock(&gets->lock);
        return;
    }
    get->answer = NULL;
    due_heap_set(&gets->due, &get->due, now_us(gets) + LINGER_US);
    (void)pthread_mutex_unlock(&gets->lock);
    /* It may have ended at this moment: then asking again gives it at once. */
    if (executor_look(gets->derive->executor, ticket, &answer.progress) != OK)
        answer.progress = (struct get_progress){0};
    tell(whom, &answer);
    (void)pthread_mutex_lock(&gets->lock);
}

static void *gets_run(void *arg)
{
    struct derive_gets *gets = arg;
    (void)pthread_mutex_lock(&gets->lock);
    while (!gets->stopping || gets->under_way > 0) {
        struct due *top = due_heap_top(&gets->due);
        uint64_t now = now_us(gets);
        if (top != NULL && (gets->stopping || top->at_us <= now)) {
            get_due(gets,
                    (struct waiting_get *)((char *)top - offsetof(struct waiting_get, due)));
            continue;
        }
        /* While it stops, the last ones end by themselves, and ring nothing. */
        uint64_t wait_us = gets->stopping ? STOP_LOOK_US
                           : top != NULL  ? top->at_us - now
                                          : BELL_FOR_EVER;
        (void)pthread_mutex_unlock(&gets->lock);
        (void)bell_wait(&gets->bell, wait_us);
        (void)pthread_mutex_lock(&gets->lock);
    }
    (void)pthread_mutex_unlock(&gets->lock);
    return NULL;
}

struct derive_gets *derive_gets_open(struct derive *derive)
{
    struct derive_gets *gets = calloc(1, sizeof(*gets));
    if (gets == NULL)
        abort();
    gets->derive = derive;
    (void)pthread_mutex_init(&gets->lock, NULL);
    bell_init(&gets->bell);
    return gets;
}

void derive_gets_start(struct derive_gets *gets)
{
    gets->started = pthread_create(&gets->thread, NULL, gets_run, gets) == 0;
    if (!gets->started)
        abort();
}

void derive_gets_stop(struct derive_gets *gets)
{
    (void)pthread_mutex_lock(&gets->lock);
    gets->stopping = true;
    (void)pthread_mutex_unlock(&gets->lock);
    bell_ring(&gets->bell);
    if (gets->started)
        (void)pthread_join(gets->thread, NULL);
    gets->started = false;
}

void derive_gets_close(struct derive_gets *gets)
{
    if (gets == NULL)
        return;
    due_heap_release(&gets->due);
    bell_release(&gets->bell);
    (void)pthread_mutex_destroy(&gets->lock);
    free(gets);
}
