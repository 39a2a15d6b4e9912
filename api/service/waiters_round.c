/* The round that fetches answers for all who wait. One thread; the lock is not held while the
 * store is asked or a callback runs. Only this thread finishes waiters, so what it points to
 * stays. */
#include <stdlib.h>

#include "api/service/waiters_inside.h"
#include "formats/base/hex.h"
#include "pipeline/repo/landlog.h"
#include "pipeline/sys/log.h"

/* Batches that are looked through at once, back from the head. A project that nobody waited for
 * begins anywhere, and what is older than its waiters does not concern them. */
#define BATCHES_MAX       4096u
#define BATCHES_MAX_YOUNG 16u
#define PAUSE_FIRST_US    2000u
#define LOOK_SOON_US      100000u
#define LOOKS_MAX         64u /* sessions of one waiter that are looked up in one round */

/* What one round has of one project. */
struct visit {
    struct id16 project;
    struct hash tip;
    bool young;
    int err;
    struct hash new_tip;
    const struct batch **batches; /* newest first */
    size_t n;
};

/* One answer that somebody waits for. */
struct hit {
    struct waiter *waiter;
    uint32_t item;
    const struct batch *batch;
    uint32_t record;
    uint64_t position; /* landed: its own, when it can be told without reading the record */
    struct id16 project;
};

struct round {
    struct waiters *waiters;
    struct arena arena;
    uint64_t now_us;
    struct visit *visits;
    size_t n_visits;
    struct hit *hits;
    size_t n_hits;
    size_t cap_hits;
    int answered;
};

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
        round->visits[round->n_visits++] =
            (struct visit){.project = watch->project, .tip = watch->tip, .young = watch->young};
        watch->hinted = false;
    }
}

/* --- asking --- */

static void visit_add(struct round *round, struct visit *visit, const struct batch *batch,
                      size_t *cap)
{
    void *items = visit->batches;
    const struct batch **slot =
        arena_push(&round->arena, &items, &visit->n, cap, sizeof(*slot));
    visit->batches = items;
    *slot = batch;
}

static void visit_run(struct round *round, struct visit *visit)
{
    struct waiters *w = round->waiters;
    struct head head;
    visit->err = chain_head(w->repo, &visit->project, &head, NULL);
    if (visit->err != OK || hash_equal(&head.tree_hash, &visit->tip)) {
        visit->new_tip = visit->tip;
        return;
    }
    const struct batch *batch;
    visit->err = chain_tip(w->repo, &visit->project, &head, &batch);
    if (visit->err != OK)
        return;
    base_head_seen(w->bases, &visit->project, &head);
    visit->new_tip = head.tree_hash;
    size_t cap = 0;
    size_t max = visit->young ? BATCHES_MAX_YOUNG : BATCHES_MAX;
    for (;;) {
        visit_add(round, visit, batch, &cap);
        struct hash prev = batch->footer.prev;
        if (visit->n == max || hash_is_zero(&prev) || hash_equal(&prev, &visit->tip))
            return;
        /* What cannot be read now is found by looking up the waiters that are left. */
        if (chain_batch(w->repo, &visit->project, &prev, &batch) != OK)
            return;
    }
}

/* --- finding who asked --- */

static void hit_add(struct round *round, const struct hit *hit)
{
    void *items = round->hits;
    struct hit *slot =
        arena_push(&round->arena, &items, &round->n_hits, &round->cap_hits, sizeof(*slot));
    round->hits = items;
    *slot = *hit;
}

/* Positions count up in the order of the ids, so that of a landing needs no read; zero where
 * the numbers do not say so. */
static bool positions_told(const struct batch *batch)
{
    uint64_t landed = 0;
    for (uint32_t i = 0; i < batch->footer.n_records; i++)
        landed += batch->ids[i].verdict == VERDICT_LANDED;
    return batch->footer.position - batch->footer.first == landed;
}

/* Under the lock. */
static void batch_match(struct round *round, const struct visit *visit,
                        const struct batch *batch)
{
    struct waiters *w = round->waiters;
    bool told = positions_told(batch);
    uint64_t position = batch->footer.first;
    for (uint32_t i = 0; i < batch->footer.n_records; i++) {
        const struct tree_id *id = &batch->ids[i];
        position += id->verdict == VERDICT_LANDED;
        struct id_link *link =
            id_map_first(&w->items, waiters_item_hash(&id->session, &id->request));
        for (; link != NULL; link = id_map_next(link)) {
            const struct wait_item *item = (const struct wait_item *)link;
            struct waiter *waiter = item->waiter;
            if (!id16_equal(&waiter->request, &id->request) ||
                !id16_equal(&waiter->sessions[item->index], &id->session))
                continue;
            hit_add(round, &(struct hit){
                               .waiter = waiter,
                               .item = item->index,
                               .batch = batch,
                               .record = i,
                               .position = told && id->verdict == VERDICT_LANDED ? position : 0,
                               .project = visit->project});
        }
    }
}

static void pause_set(struct round *round, struct watch *watch, bool moved)
{
    uint64_t max_us = round->waiters->options.poll_ms * 1000;
    uint64_t pause_us = watch->pause_us * 2;
    if (moved || pause_us == 0)
        pause_us = PAUSE_FIRST_US;
    watch->pause_us = pause_us < max_us ? pause_us : max_us;
    watch->poll_us = round->now_us + watch->pause_us;
}

/* Under the lock. */
static void visits_match(struct round *round)
{
    struct waiters *w = round->waiters;
    for (size_t i = 0; i < round->n_visits; i++) {
        const struct visit *visit = &round->visits[i];
        struct watch *watch = waiters_watch(w, &visit->project);
        if (watch != NULL)
            pause_set(round, watch, visit->n > 0);
        if (visit->err != OK)
            continue;
        if (watch != NULL) {
            watch->tip = visit->new_tip;
            watch->young = false;
        }
        for (size_t k = visit->n; k > 0; k--)
            batch_match(round, visit, visit->batches[k - 1]);
    }
}

/* --- handing out --- */

/* Under the lock. */
static void due_set(struct waiters *w, struct waiter *waiter)
{
    uint64_t at = waiter->deadline_us < waiter->look_us ? waiter->deadline_us : waiter->look_us;
    due_heap_set(&w->due, &waiter->due, at);
}

static void complete(struct round *round, struct waiter *waiter)
{
    struct waiters *w = round->waiters;
    (void)pthread_mutex_lock(&w->lock);
    waiters_detach(waiter);
    (void)pthread_mutex_unlock(&w->lock);
    waiters_finish(waiter, NULL, false);
    round->answered++;
}

static int hit_read(struct round *round, const struct hit *hit, struct arena *arena,
                    struct landing *out)
{
    const struct tree_id *id = &hit->batch->ids[hit->record];
    if (hit->position == 0)
        return chain_record(round->waiters->repo, &hit->project, hit->batch, hit->record, arena,
                            out);
    *out = (struct landing){.verdict = VERDICT_LANDED,
                            .closes = id->closes,
                            .request = id->request,
                            .session = id->session,
                            .owner = hit->waiter->owner,
                            .hlc = hit->waiter->hlc,
                            .position = hit->position};
    return OK;
}

/* Keeps the answer of one hit. True when its waiter has them all by that. */
static bool hit_keep(struct round *round, const struct hit *hit)
{
    struct waiters *w = round->waiters;
    struct waiter *waiter = hit->waiter;
    if (waiter->answered[hit->item])
        return false;
    AUTO(arena_release) struct arena arena = {0};
    struct landing landing;
    int err = hit_read(round, hit, &arena, &landing);
    (void)pthread_mutex_lock(&w->lock);
    if (err == OK) {
        waiter_keep(waiter, hit->item, &landing);
    } else {
        waiter->look_us = round->now_us + LOOK_SOON_US;
        if (waiter->due.index != 0)
            due_set(w, waiter);
    }
    (void)pthread_mutex_unlock(&w->lock);
    if (err != OK)
        log_warn("answer_unread", LOG_STR("project", id16_hex(&hit->project).s), LOG_ERR(err));
    return err == OK && waiter->n_answered == waiter->n;
}

/* All are kept before the first waiter is finished: several hits may be of one. */
static void hits_hand_out(struct round *round)
{
    struct waiter **whole = arena_array(&round->arena, round->n_hits, struct waiter *);
    size_t n = 0;
    for (size_t i = 0; i < round->n_hits; i++) {
        if (hit_keep(round, &round->hits[i]))
            whole[n++] = round->hits[i].waiter;
    }
    for (size_t i = 0; i < n; i++)
        complete(round, whole[i]);
}

/* A project that cannot be read answers nobody: its requests wait with the dead letters. */
static void visits_fail(struct round *round)
{
    struct waiters *w = round->waiters;
    bool ok = true;
    for (size_t i = 0; i < round->n_visits; i++) {
        const struct visit *visit = &round->visits[i];
        ok = ok && visit->err == OK;
        if (visit->err != ERR_CORRUPT && visit->err != ERR_NOT_FOUND)
            continue;
        struct problem problem;
        (void)service_problem(&problem, visit->err, "the project");
        log_error("project_damaged", LOG_STR("project", id16_hex(&visit->project).s));
        for (;;) {
            (void)pthread_mutex_lock(&w->lock);
            struct watch *watch = waiters_watch(w, &visit->project);
            struct waiter *waiter = watch == NULL ? NULL : watch->first;
            if (waiter != NULL)
                waiters_detach(waiter);
            (void)pthread_mutex_unlock(&w->lock);
            if (waiter == NULL)
                break;
            waiters_finish(waiter, &problem, false);
            round->answered++;
        }
    }
    if (round->n_visits > 0) {
        (void)pthread_mutex_lock(&w->lock);
        w->stats.store_ok = ok;
        (void)pthread_mutex_unlock(&w->lock);
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
            due_set(w, waiter);
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

/* --- whose time has come --- */

/* The answer to exactly this request, batch by batch down to the session's base: a session that
 * stayed open may have newer ones, which is what the log gives. */
static int answer_walk(struct waiters *w, const struct id16 *project,
                       const struct id16 *session, const struct id16 *request,
                       struct arena *arena, struct landing *out)
{
    struct head head;
    const struct batch *batch;
    int err = chain_head(w->repo, project, &head, NULL);
    if (err == OK)
        err = chain_tip(w->repo, project, &head, &batch);
    for (unsigned i = 0; err == OK && i < BATCHES_MAX; i++) {
        for (uint32_t k = 0; k < batch->footer.n_records; k++) {
            const struct tree_id *id = &batch->ids[k];
            if (!id16_equal(&id->session, session) || !id16_equal(&id->request, request))
                continue;
            err = chain_record(w->repo, project, batch, k, arena, out);
            chain_drop(w->repo, batch);
            return err;
        }
        struct hash prev = batch->footer.prev;
        bool end = hash_is_zero(&prev) || batch->footer.first < session_id_base(session);
        chain_drop(w->repo, batch);
        err = end ? ERR_NOT_FOUND : chain_batch(w->repo, project, &prev, &batch);
        if (err == OK && i + 1 == BATCHES_MAX)
            chain_drop(w->repo, batch);
    }
    return err == OK ? ERR_NOT_FOUND : err;
}

static int answer_look(struct waiters *w, const struct id16 *project, struct waiter *waiter,
                       uint32_t index, struct arena *arena, struct landing *out)
{
    const struct id16 *session = &waiter->sessions[index];
    struct hash tree;
    int err = landlog_session(w->repo, project, session, arena, out, &tree);
    if (err == OK && !id16_equal(&out->request, &waiter->request))
        err = answer_walk(w, project, session, &waiter->request, arena, out);
    return err;
}

/* Looks up what the new batches do not bring: a request that was answered before it was asked
 * again. */
static void look_up(struct round *round, struct waiter *waiter, const struct id16 *project)
{
    struct waiters *w = round->waiters;
    unsigned looks = 0;
    for (uint32_t i = 0; i < waiter->n && looks < LOOKS_MAX; i++) {
        if (waiter->answered[i])
            continue;
        AUTO(arena_release) struct arena arena = {0};
        struct landing landing;
        looks++;
        /* What follows in a series has no answer before it has. */
        if (answer_look(w, project, waiter, i, &arena, &landing) != OK)
            return;
        (void)pthread_mutex_lock(&w->lock);
        waiter_keep(waiter, i, &landing);
        (void)pthread_mutex_unlock(&w->lock);
    }
}

static struct waiter *due_take(struct round *round, struct id16 *project)
{
    struct waiters *w = round->waiters;
    (void)pthread_mutex_lock(&w->lock);
    struct waiter *waiter = (struct waiter *)due_heap_top(&w->due);
    if (waiter != NULL && waiter->due.at_us > round->now_us)
        waiter = NULL;
    if (waiter != NULL)
        *project = waiter->watch->project;
    (void)pthread_mutex_unlock(&w->lock);
    return waiter;
}

static void due_run(struct round *round)
{
    struct waiters *w = round->waiters;
    struct waiter *waiter;
    struct id16 project;
    while ((waiter = due_take(round, &project)) != NULL) {
        bool over = waiter->deadline_us <= round->now_us;
        if (!over) {
            look_up(round, waiter, &project);
            waiter->look_us = round->now_us + waiter->look_delay_us;
            waiter->look_delay_us *= 2;
        }
        bool whole = waiter->n_answered == waiter->n;
        (void)pthread_mutex_lock(&w->lock);
        if (over || whole)
            waiters_detach(waiter);
        else
            due_set(w, waiter);
        (void)pthread_mutex_unlock(&w->lock);
        if (!over && !whole)
            continue;
        waiters_finish(waiter, NULL, !whole);
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
    hits_hand_out(&round);
    visits_fail(&round);
    for (size_t i = 0; i < round.n_visits; i++) {
        for (size_t k = 0; k < round.visits[i].n; k++)
            chain_drop(w->repo, round.visits[i].batches[k]);
    }
    due_run(&round);
    (void)pthread_mutex_lock(&w->lock);
    *pause_us = pause_until_next(&round);
    (void)pthread_mutex_unlock(&w->lock);
    arena_release(&round.arena);
    return round.answered;
}
