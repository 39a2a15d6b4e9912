/* The round that fetches answers for all who wait. One thread; the lock is not held while the
 * store is asked or a callback runs. Only this thread finishes waiters, so what it points to
 * stays. */
#include <stdlib.h>

#include "api/service/waiters_inside.h"
#include "formats/base/hex.h"
#include "pipeline/sys/log.h"

/* A project that nobody waited for begins anywhere, and what is older than its waiters does not
 * concern them. */
#define BATCHES_MAX_YOUNG 16u
#define PAUSE_FIRST_US    2000u

/* --- whom to ask about --- */

static bool is_due(const struct watch *watch, bool all, uint64_t now_us)
{
    return watch->taken > 0 && (all || watch->hinted || watch->poll_us <= now_us);
}

/* Under the lock. */
static void visits_choose(struct round *round, bool all)
{
    struct waiters *w = round->waiters;
    size_t n = 0;
    for (struct watch *watch = w->all; watch != NULL; watch = watch->next)
        n += is_due(watch, all, round->now_us);
    round->visits = arena_array(&round->arena, n, struct visit);
    for (struct watch *watch = w->all; watch != NULL; watch = watch->next) {
        if (!is_due(watch, all, round->now_us))
            continue;
        /* A look may have found a newer head meanwhile: back from an older one there is no way
         * to the tip. */
        bool hinted = watch->hinted && watch->hint.hlc > watch->tip_hlc;
        round->visits[round->n_visits++] = (struct visit){.project = watch->project,
                                                          .tip = watch->tip,
                                                          .young = watch->young,
                                                          .hinted = hinted,
                                                          .head = watch->hint};
        watch->hinted = false;
    }
}

/* --- asking --- */

void visit_add(struct round *round, struct visit *visit, const struct batch *batch)
{
    void *items = visit->batches;
    const struct batch **slot =
        arena_push(&round->arena, &items, &visit->n, &visit->cap, sizeof(*slot));
    visit->batches = items;
    *slot = batch;
}

void visit_drop(struct round *round, struct visit *visit)
{
    for (size_t i = 0; i < visit->n; i++)
        chain_drop(round->waiters->repo, visit->batches[i]);
    visit->n = 0;
}

static void visit_run(struct round *round, struct visit *visit)
{
    struct waiters *w = round->waiters;
    const struct head *head = &visit->head;
    if (!visit->hinted) {
        uint64_t began_us = w->repo->clock->mono_us(w->repo->clock);
        visit->err = chain_head(w->repo, &visit->project, &visit->head, NULL);
        visit->took_us = w->repo->clock->mono_us(w->repo->clock) - began_us;
    }
    if (visit->err != OK || hash_equal(&head->tree_hash, &visit->tip)) {
        visit->new_tip = visit->tip;
        return;
    }
    const struct batch *batch;
    visit->err = chain_tip(w->repo, &visit->project, head, &batch);
    if (visit->err != OK)
        return;
    base_head_seen(w->bases, &visit->project, head);
    visit->new_tip = head->tree_hash;
    size_t max = visit->young ? BATCHES_MAX_YOUNG : WAITERS_BATCHES_MAX;
    for (;;) {
        visit_add(round, visit, batch);
        struct hash prev = batch->footer.prev;
        if (visit->n == max || hash_is_zero(&prev) || hash_equal(&prev, &visit->tip))
            return;
        /* What cannot be read now is found by looking up the waiters that are left. */
        if (chain_batch(w->repo, &visit->project, &prev, &batch) != OK)
            return;
    }
}

/* Where a look takes long, at most half of the time goes into looks: a hint that comes
 * meanwhile waits for its end. */
static void pause_set(struct round *round, struct watch *watch, const struct visit *visit)
{
    struct clock *clock = round->waiters->repo->clock;
    uint64_t max_us = round->waiters->options.poll_ms * 1000;
    bool moved = visit->n > 0;
    uint64_t pause_us = watch->pause_us * 2;
    if (moved || pause_us == 0)
        pause_us = PAUSE_FIRST_US;
    watch->pause_us = pause_us < max_us ? pause_us : max_us;
    watch->poll_us = round->now_us + watch->pause_us;
    if (!visit->hinted)
        watch->rest_us = clock->mono_us(clock) + visit->took_us;
    if (watch->poll_us < watch->rest_us)
        watch->poll_us = watch->rest_us;
}

/* Under the lock. */
static void visits_match(struct round *round)
{
    struct waiters *w = round->waiters;
    for (size_t i = 0; i < round->n_visits; i++) {
        const struct visit *visit = &round->visits[i];
        struct watch *watch = waiters_watch(w, &visit->project);
        if (watch != NULL)
            pause_set(round, watch, visit);
        if (visit->err != OK)
            continue;
        if (watch != NULL) {
            watch->tip = visit->new_tip;
            watch->tip_hlc = visit->head.hlc;
            watch->young = false;
            watch->well_us = visit->n > 0 ? round->now_us : watch->well_us;
        }
        for (size_t k = visit->n; k > 0; k--)
            waiters_match(round, &visit->project, visit->batches[k - 1]);
    }
}

/* --- projects that cannot be read --- */

void waiters_fail(struct round *round, struct waiter *waiter)
{
    struct waiters *w = round->waiters;
    struct problem problem;
    (void)service_problem(&problem, ERR_CORRUPT, "the project");
    (void)pthread_mutex_lock(&w->lock);
    waiters_detach(waiter);
    (void)pthread_mutex_unlock(&w->lock);
    waiters_finish(waiter, &problem, false);
    round->answered++;
}

void waiters_project_fail(struct round *round, const struct id16 *project)
{
    struct waiters *w = round->waiters;
    log_error("project_damaged", LOG_STR("project", id16_hex(project).s));
    for (;;) {
        (void)pthread_mutex_lock(&w->lock);
        struct watch *watch = waiters_watch(w, project);
        struct waiter *waiter = watch == NULL ? NULL : watch->first;
        (void)pthread_mutex_unlock(&w->lock);
        if (waiter == NULL)
            return;
        waiters_fail(round, waiter);
    }
}

static void visits_fail(struct round *round)
{
    for (size_t i = 0; i < round->n_visits; i++) {
        const struct visit *visit = &round->visits[i];
        if (waiters_unreadable(visit->err))
            waiters_project_fail(round, &visit->project);
    }
}

/* --- what the intake told --- */

static void ready_run(struct round *round)
{
    struct waiters *w = round->waiters;
    struct waiter *waiter;
    while ((waiter = waiters_ready_take(w)) != NULL) {
        (void)pthread_mutex_lock(&w->lock);
        int err = waiter->taken_err;
        bool whole = waiter->n_answered == waiter->n;
        bool over = waiter->deadline_us <= round->now_us;
        if (err != OK || whole || over)
            waiters_detach(waiter);
        else
            waiters_due_set(w, waiter);
        (void)pthread_mutex_unlock(&w->lock);
        if (err == OK && !whole && !over)
            continue;
        struct problem problem;
        if (err != OK)
            (void)service_problem(&problem, err, "the queue");
        waiters_finish(waiter, err != OK ? &problem : NULL, !whole);
        round->answered++;
    }
}

/* --- the round --- */

/* Under the lock: how long nothing has to be done. */
static uint64_t pause_until_next(struct round *round)
{
    struct waiters *w = round->waiters;
    uint64_t next = BELL_FOR_EVER;
    for (struct watch *watch = w->all; watch != NULL; watch = watch->next) {
        if (watch->taken > 0 && watch->poll_us < next)
            next = watch->poll_us;
        if (watch->taken > 0 && watch->hinted)
            next = 0;
    }
    const struct due *due = due_heap_top(&w->due);
    if (due != NULL && due->at_us < next)
        next = due->at_us;
    if (w->ready != NULL)
        next = 0;
    if (next == BELL_FOR_EVER)
        return next;
    uint64_t now = w->repo->clock->mono_us(w->repo->clock);
    return next > now ? next - now : 0;
}

int waiters_round(struct waiters *w, bool all, uint64_t *pause_us)
{
    struct round round = {.waiters = w, .now_us = w->repo->clock->mono_us(w->repo->clock)};
    ready_run(&round);
    (void)pthread_mutex_lock(&w->lock);
    visits_choose(&round, all);
    (void)pthread_mutex_unlock(&w->lock);
    for (size_t i = 0; i < round.n_visits; i++)
        visit_run(&round, &round.visits[i]);
    (void)pthread_mutex_lock(&w->lock);
    visits_match(&round);
    (void)pthread_mutex_unlock(&w->lock);
    waiters_hits_keep(&round, true);
    waiters_whole_finish(&round);
    visits_fail(&round);
    for (size_t i = 0; i < round.n_visits; i++)
        visit_drop(&round, &round.visits[i]);
    waiters_due_run(&round);
    (void)pthread_mutex_lock(&w->lock);
    *pause_us = pause_until_next(&round);
    (void)pthread_mutex_unlock(&w->lock);
    arena_release(&round.arena);
    return round.answered;
}
