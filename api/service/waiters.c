#include <stdlib.h>

#include "api/service/waiters_inside.h"
#include "formats/base/hash.h"

#define PAUSE_FIRST_US 2000u

struct waiters *waiters_open(struct repo *repo, struct base_cache *bases,
                             const struct service_options *options)
{
    struct waiters *w = calloc(1, sizeof(*w));
    if (w == NULL)
        abort();
    w->repo = repo;
    w->bases = bases;
    w->options = *options;
    int err = pthread_mutex_init(&w->lock, NULL);
    assert(err == 0);
    bell_init(&w->bell);
    return w;
}

void waiters_close(struct waiters *w)
{
    if (w == NULL)
        return;
    assert(w->n == 0 && !w->threaded);
    id_map_release(&w->items);
    id_map_release(&w->watches);
    due_heap_release(&w->due);
    bell_release(&w->bell);
    (void)pthread_mutex_destroy(&w->lock);
    free(w);
}

uint64_t waiters_item_hash(const struct id16 *session, const struct id16 *request)
{
    struct id16 both[2] = {*session, *request};
    return xxh3_64(bytes_of(both, sizeof(both)));
}

/* --- watches --- */

struct watch *waiters_watch(struct waiters *w, const struct id16 *project)
{
    uint64_t hash = xxh3_64(bytes_of(project->b, sizeof(project->b)));
    struct id_link *link = id_map_first(&w->watches, hash);
    for (; link != NULL; link = id_map_next(link)) {
        struct watch *watch = (struct watch *)link;
        if (id16_equal(&watch->project, project))
            return watch;
    }
    return NULL;
}

static struct watch *watch_new(struct waiters *w, const struct id16 *project,
                               const struct head *tip)
{
    struct watch *watch = calloc(1, sizeof(*watch));
    if (watch == NULL)
        abort();
    watch->project = *project;
    watch->tip = tip->tree_hash;
    watch->tip_hlc = tip->hlc;
    watch->young = true;
    watch->well_us = w->repo->clock->mono_us(w->repo->clock);
    watch->next = w->all;
    if (w->all != NULL)
        w->all->prev = watch;
    w->all = watch;
    id_map_add(&w->watches, &watch->link, xxh3_64(bytes_of(project->b, sizeof(project->b))));
    return watch;
}

static void watch_drop(struct waiters *w, struct watch *watch)
{
    if (watch->prev != NULL)
        watch->prev->next = watch->next;
    else
        w->all = watch->next;
    if (watch->next != NULL)
        watch->next->prev = watch->prev;
    id_map_remove(&w->watches, &watch->link);
    free(watch);
}

/* --- one waiter --- */

static void waiter_free(struct waiter *waiter)
{
    struct arena arena = waiter->arena; /* holds the waiter itself */
    arena_release(&arena);
}

/* Under the lock: whether nobody will come back to it. */
static bool waiter_unused(const struct waiter *waiter)
{
    return waiter->finished && waiter->told && waiter->taken && !waiter->in_ready;
}

static struct waiter *waiter_new(struct waiters *w, const struct wait_request *request)
{
    struct arena arena = {0};
    size_t n = request->n;
    struct waiter *waiter = arena_new(&arena, struct waiter);
    waiter->waiters = w;
    waiter->request = request->request;
    waiter->owner = request->owner;
    waiter->n = (uint32_t)n;
    waiter->sessions = arena_array(&arena, n, struct id16);
    waiter->items = arena_array(&arena, n, struct wait_item);
    waiter->landings = arena_array(&arena, n, struct landing);
    waiter->answered = arena_array(&arena, n, bool);
    memcpy(waiter->sessions, request->sessions, n * sizeof(struct id16));
    uint64_t wait_ms = request->wait_ms;
    if (wait_ms > w->options.wait_max_ms)
        wait_ms = w->options.wait_max_ms;
    waiter->deadline_us = w->repo->clock->mono_us(w->repo->clock) + wait_ms * 1000;
    waiter->landed = request->landed;
    waiter->arg = request->arg;
    waiter->arena = arena;
    return waiter;
}

/* Under the lock. */
static void waiter_attach(struct waiters *w, struct waiter *waiter,
                          const struct wait_request *request, const struct head *tip)
{
    struct watch *watch = waiters_watch(w, &request->project);
    if (watch == NULL)
        watch = watch_new(w, &request->project, tip);
    waiter->watch = watch;
    waiter->next = watch->first;
    if (watch->first != NULL)
        watch->first->prev = waiter;
    watch->first = waiter;
    for (uint32_t i = 0; i < waiter->n; i++) {
        waiter->items[i].waiter = waiter;
        waiter->items[i].index = i;
        id_map_add(&w->items, &waiter->items[i].link,
                   waiters_item_hash(&waiter->sessions[i], &waiter->request));
    }
    w->n++;
}

void waiters_detach(struct waiter *waiter)
{
    struct waiters *w = waiter->waiters;
    struct watch *watch = waiter->watch;
    assert(!waiter->finished);
    waiter->finished = true;
    for (uint32_t i = 0; i < waiter->n; i++)
        id_map_remove(&w->items, &waiter->items[i].link);
    due_heap_remove(&w->due, &waiter->due);
    if (waiter->prev != NULL)
        waiter->prev->next = waiter->next;
    else
        watch->first = waiter->next;
    if (waiter->next != NULL)
        waiter->next->prev = waiter->prev;
    if (waiter->taken && waiter->taken_err == OK)
        watch->taken--;
    w->n--;
    waiter->watch = NULL;
    if (watch->first == NULL)
        watch_drop(w, watch);
}

void waiter_keep(struct waiter *waiter, uint32_t index, const struct landing *landing)
{
    if (waiter->answered[index])
        return;
    waiter->answered[index] = true;
    waiter->n_answered++;
    struct landing *kept = &waiter->landings[index];
    *kept = *landing;
    kept->hlc = 0;
    kept->has_session = false;
    kept->landed = (struct session){0};
    kept->reason = arena_copy(&waiter->arena, landing->reason);
    kept->detail = arena_copy(&waiter->arena, landing->detail);
    kept->conflicts = arena_array(&waiter->arena, landing->n_listed, struct conflict);
    for (uint16_t i = 0; i < landing->n_listed; i++) {
        kept->conflicts[i] = landing->conflicts[i];
        kept->conflicts[i].path = arena_copy(&waiter->arena, landing->conflicts[i].path);
    }
}

static void stats_count(struct waiters *w, const struct waiter *waiter)
{
    for (uint32_t i = 0; i < waiter->n; i++) {
        if (!waiter->answered[i])
            continue;
        switch (waiter->landings[i].verdict) {
        case VERDICT_LANDED:
            w->stats.landed++;
            break;
        case VERDICT_CONFLICTED:
            w->stats.conflicted++;
            break;
        case VERDICT_REFUSED:
            w->stats.refused++;
            break;
        case VERDICT_NOT_TRIED:
        case VERDICT_ABANDONED:
            break;
        }
    }
}

void waiters_finish(struct waiter *waiter, const struct problem *problem, bool pending)
{
    struct waiters *w = waiter->waiters;
    struct land_result result = {.request = waiter->request,
                                 .sessions = waiter->sessions,
                                 .n = waiter->n,
                                 .hlc = repo_hlc(w->repo)};
    if (problem != NULL) {
        result.err = problem->err;
        result.problem = *problem;
    } else if (pending) {
        result.pending = true;
    } else {
        result.landings = waiter->landings;
    }
    (void)pthread_mutex_lock(&w->lock);
    if (problem == NULL && !pending)
        stats_count(w, waiter);
    bool cancelled = waiter->cancelled;
    (void)pthread_mutex_unlock(&w->lock);
    if (!cancelled)
        waiter->landed(waiter->arg, &result);
    (void)pthread_mutex_lock(&w->lock);
    waiter->told = true;
    bool last = waiter_unused(waiter);
    (void)pthread_mutex_unlock(&w->lock);
    if (last)
        waiter_free(waiter);
}

void waiters_due_set(struct waiters *w, struct waiter *waiter)
{
    uint64_t at = waiter->deadline_us < waiter->look_us ? waiter->deadline_us : waiter->look_us;
    due_heap_set(&w->due, &waiter->due, at);
}

/* Under the lock. */
static void ready_add(struct waiters *w, struct waiter *waiter)
{
    waiter->in_ready = true;
    waiter->next_ready = w->ready;
    w->ready = waiter;
}

struct waiter *waiters_ready_take(struct waiters *w)
{
    for (;;) {
        (void)pthread_mutex_lock(&w->lock);
        struct waiter *waiter = w->ready;
        bool finished = false;
        bool last = false;
        if (waiter != NULL) {
            w->ready = waiter->next_ready;
            waiter->in_ready = false;
            finished = waiter->finished;
            last = waiter_unused(waiter);
        }
        (void)pthread_mutex_unlock(&w->lock);
        if (last)
            waiter_free(waiter);
        if (!finished)
            return waiter;
    }
}

/* --- coming and going --- */

/* From which batch on answers are new to this project's waiters: the newest that this process
 * knows. */
static int tip_of(struct waiters *w, const struct id16 *project, struct head *out)
{
    *out = base_head(w->bases, project);
    return hash_is_zero(&out->tree_hash) ? base_head_read(w->bases, project, out) : OK;
}

int waiters_add(struct waiters *w, const struct wait_request *request, struct waiter **out)
{
    struct head tip;
    int err = tip_of(w, &request->project, &tip);
    if (err != OK)
        return err;
    struct waiter *waiter = waiter_new(w, request);
    (void)pthread_mutex_lock(&w->lock);
    bool full = w->stopping || w->n >= w->options.waiters_max;
    if (!full)
        waiter_attach(w, waiter, request, &tip);
    (void)pthread_mutex_unlock(&w->lock);
    if (full) {
        waiter_free(waiter);
        return ERR_AGAIN;
    }
    *out = waiter;
    return OK;
}

bool waiters_cancel(struct waiter *waiter)
{
    struct waiters *w = waiter->waiters;
    (void)pthread_mutex_lock(&w->lock);
    bool finished = waiter->finished;
    waiter->taken = true;
    waiter->taken_err = ERR_AGAIN;
    bool last = waiter_unused(waiter);
    if (!finished) {
        waiter->cancelled = true;
        ready_add(w, waiter);
    }
    (void)pthread_mutex_unlock(&w->lock);
    if (last)
        waiter_free(waiter);
    if (!finished)
        bell_ring(&w->bell);
    return !finished;
}

void waiters_taken(void *arg, int err)
{
    struct waiter *waiter = arg;
    struct waiters *w = waiter->waiters;
    uint64_t now = w->repo->clock->mono_us(w->repo->clock);
    (void)pthread_mutex_lock(&w->lock);
    bool finished = waiter->finished;
    waiter->taken = true;
    waiter->taken_err = err;
    waiter->look_delay_us = WAITERS_LOOK_US;
    waiter->look_us = now + WAITERS_LOOK_US;
    if (!finished) {
        ready_add(w, waiter);
        if (err == OK) {
            waiter->watch->taken++;
            waiter->watch->pause_us = PAUSE_FIRST_US;
            waiter->watch->poll_us = now + PAUSE_FIRST_US;
            if (waiter->watch->poll_us < waiter->watch->rest_us)
                waiter->watch->poll_us = waiter->watch->rest_us;
        }
    }
    bool last = waiter_unused(waiter);
    (void)pthread_mutex_unlock(&w->lock);
    if (last)
        waiter_free(waiter);
    if (!finished)
        bell_ring(&w->bell);
}

int waiters_answer(struct waiters *w, const struct wait_request *request,
                   const struct landing *landing)
{
    assert(request->n == 1);
    struct waiter *waiter;
    int err = waiters_add(w, request, &waiter);
    if (err != OK)
        return err;
    (void)pthread_mutex_lock(&w->lock);
    if (!waiter->finished)
        waiter_keep(waiter, 0, landing);
    (void)pthread_mutex_unlock(&w->lock);
    waiters_taken(waiter, OK);
    return OK;
}

void waiters_hint(struct waiters *w, const struct id16 *project, const struct head *head)
{
    (void)pthread_mutex_lock(&w->lock);
    struct watch *watch = waiters_watch(w, project);
    if (watch != NULL && (!watch->hinted || head->hlc > watch->hint.hlc))
        watch->hint = *head;
    if (watch != NULL)
        watch->hinted = true;
    (void)pthread_mutex_unlock(&w->lock);
    if (watch != NULL)
        bell_ring(&w->bell);
}

void waiters_stats(struct waiters *w, struct waiters_stats *out)
{
    (void)pthread_mutex_lock(&w->lock);
    *out = w->stats;
    out->waiting = w->n;
    (void)pthread_mutex_unlock(&w->lock);
}

/* --- the thread --- */

static void *run(void *arg)
{
    struct waiters *w = arg;
    for (;;) {
        uint64_t pause_us;
        (void)waiters_round(w, false, &pause_us);
        (void)pthread_mutex_lock(&w->lock);
        bool stopping = w->stopping;
        (void)pthread_mutex_unlock(&w->lock);
        if (stopping)
            return NULL;
        (void)bell_wait(&w->bell, pause_us);
    }
}

void waiters_start(struct waiters *w)
{
    assert(!w->threaded);
    (void)pthread_mutex_lock(&w->lock);
    w->stopping = false;
    (void)pthread_mutex_unlock(&w->lock);
    int err = pthread_create(&w->thread, NULL, run, w);
    assert(err == 0);
    w->threaded = true;
}

static struct waiter *waiters_any(struct waiters *w)
{
    (void)pthread_mutex_lock(&w->lock);
    struct waiter *waiter = w->all == NULL ? NULL : w->all->first;
    if (waiter != NULL)
        waiters_detach(waiter);
    (void)pthread_mutex_unlock(&w->lock);
    return waiter;
}

void waiters_stop(struct waiters *w)
{
    (void)pthread_mutex_lock(&w->lock);
    w->stopping = true;
    (void)pthread_mutex_unlock(&w->lock);
    if (w->threaded) {
        bell_ring(&w->bell);
        (void)pthread_join(w->thread, NULL);
        w->threaded = false;
    }
    uint64_t pause_us;
    (void)waiters_round(w, true, &pause_us); /* with what it was told */
    (void)waiters_round(w, true, &pause_us); /* and what is there now */
    struct waiter *waiter;
    while ((waiter = waiters_any(w)) != NULL)
        waiters_finish(waiter, NULL, true);
}

int waiters_step(struct waiters *w)
{
    uint64_t pause_us;
    return waiters_round(w, true, &pause_us);
}
