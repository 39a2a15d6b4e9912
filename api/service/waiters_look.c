/* Whose time has come: those who have waited long enough are told `pending`, and the chain is
 * looked through for the others. The request of one who asks again may have been answered
 * before: then no new batch brings the answer. */
#include <stdlib.h>

#include "api/service/waiters_inside.h"
#include "pipeline/repo/history/landlog.h"

/* Batches that are walked for each session that is looked for: what asking the log about it may
 * cost. */
#define BATCHES_A_SESSION 64u
/* Sessions of one waiter that the log is asked about in one round. */
#define LOOKS_MAX 64u

/* One walk of a project's chain, for all its waiters who are looked up in this round. */
struct look {
    struct look *next;
    struct visit visit;
    struct waiter **waiters;
    size_t n;
    size_t cap;
    size_t left;   /* sessions that are looked for and not found yet */
    uint64_t base; /* the lowest of these */
    bool verify;   /* whether the project can be read at all */
    /* All answers to sessions with a base above this position have been walked by; when it is
     * done, all that there are to anybody. */
    uint64_t walked_to;
    bool done;
};

/* --- whom to look for --- */

static struct look *look_of(struct round *round, struct look **looks,
                            const struct id16 *project)
{
    struct look *look = *looks;
    while (look != NULL && !id16_equal(&look->visit.project, project))
        look = look->next;
    if (look == NULL) {
        look = arena_new(&round->arena, struct look);
        look->visit.project = *project;
        look->base = UINT64_MAX;
        look->next = *looks;
        *looks = look;
    }
    return look;
}

/* Under the lock. */
static void look_join(struct round *round, struct look **looks, struct waiter *waiter)
{
    struct watch *watch = waiter->watch;
    struct look *look = look_of(round, looks, &watch->project);
    void *items = look->waiters;
    struct waiter **slot =
        arena_push(&round->arena, &items, &look->n, &look->cap, sizeof(*slot));
    look->waiters = items;
    *slot = waiter;
    waiter->look = look;
    for (uint32_t i = 0; i < waiter->n; i++) {
        uint64_t base = session_id_base(&waiter->sessions[i]);
        if (waiter->answered[i])
            continue;
        look->left++;
        look->base = base < look->base ? base : look->base;
    }
    if (watch->well_us + WAITERS_LOOK_US <= round->now_us) {
        look->verify = true;
        watch->well_us = round->now_us;
    }
}

/* --- the walk --- */

/* As this round has read it, if it has. */
static int head_get(struct round *round, const struct id16 *project, struct head *out)
{
    for (size_t i = 0; i < round->n_visits; i++) {
        const struct visit *visit = &round->visits[i];
        if (!id16_equal(&visit->project, project))
            continue;
        if (visit->err == OK)
            *out = visit->head;
        return visit->err;
    }
    return chain_head(round->waiters->repo, project, out, NULL);
}

/* Gives whether the batch is needed further: it has answers that somebody waits for. */
static bool batch_look(struct round *round, struct look *look, const struct batch *batch)
{
    struct waiters *w = round->waiters;
    size_t before = round->n_hits;
    (void)pthread_mutex_lock(&w->lock);
    waiters_match(round, &look->visit.project, batch);
    (void)pthread_mutex_unlock(&w->lock);
    for (size_t i = before; i < round->n_hits; i++)
        look->left -= round->hits[i].waiter->look == look;
    return round->n_hits > before;
}

static void look_walk(struct round *round, struct look *look, const struct head *head)
{
    struct repo *repo = round->waiters->repo;
    struct visit *visit = &look->visit;
    const struct batch *batch;
    visit->err = chain_tip(repo, &visit->project, head, &batch);
    size_t max = look->left < WAITERS_BATCHES_MAX / BATCHES_A_SESSION
                     ? look->left * BATCHES_A_SESSION
                     : WAITERS_BATCHES_MAX;
    for (size_t walked = 1; visit->err == OK; walked++) {
        struct hash prev = batch->footer.prev;
        look->walked_to = batch->footer.first;
        if (batch_look(round, look, batch))
            visit_add(round, visit, batch);
        else
            chain_drop(repo, batch);
        /* What was answered before this batch was answered at its first position or earlier. */
        look->done = look->left == 0 || hash_is_zero(&prev) || look->walked_to < look->base;
        /* What cannot be read now the log may know. */
        if (walked == max || look->done ||
            chain_batch(repo, &visit->project, &prev, &batch) != OK)
            return;
    }
}

/* --- what the walk has not reached --- */

static bool next_unanswered(struct waiter *waiter, uint32_t *index)
{
    struct waiters *w = waiter->waiters;
    (void)pthread_mutex_lock(&w->lock);
    while (*index < waiter->n && waiter->answered[*index])
        (*index)++;
    (void)pthread_mutex_unlock(&w->lock);
    return *index < waiter->n;
}

/* A session of a series has no answer before all earlier ones have theirs: the first that has
 * none is the last to be asked about. */
static int rest_ask(struct round *round, const struct look *look, struct waiter *waiter)
{
    struct repo *repo = round->waiters->repo;
    uint32_t i = 0;
    for (unsigned looks = 0; looks < LOOKS_MAX && next_unanswered(waiter, &i); looks++) {
        const struct id16 *sid = &waiter->sessions[i];
        if (look->done || session_id_base(sid) > look->walked_to)
            return OK;
        AUTO(arena_release) struct arena arena = {0};
        struct landing landing;
        int err = landlog_request(repo, &look->visit.project, sid, &waiter->request, &arena,
                                  &landing);
        if (err != OK)
            return err == ERR_NOT_FOUND ? OK : err;
        waiters_answer_keep(round, waiter, i, &landing);
        i++;
    }
    return OK;
}

/* --- one look --- */

static void look_run(struct round *round, struct look *look)
{
    struct repo *repo = round->waiters->repo;
    struct visit *visit = &look->visit;
    struct head head;
    visit->err = head_get(round, &visit->project, &head);
    if (visit->err == OK && look->verify)
        visit->err = chain_verify(repo, &visit->project, &head);
    if (visit->err == OK)
        look_walk(round, look, &head);
    waiters_hits_keep(round, false);
    for (size_t i = 0; i < look->n; i++) {
        struct waiter *waiter = look->waiters[i];
        waiter->look = NULL;
        int err = visit->err == OK ? rest_ask(round, look, waiter) : visit->err;
        /* Where nobody can tell whether a request was answered, no drain answers it. */
        if (err == ERR_CORRUPT && visit->err == OK)
            waiters_fail(round, waiter);
    }
    waiters_whole_finish(round);
    if (waiters_unreadable(visit->err))
        waiters_project_fail(round, &visit->project);
    visit_drop(round, visit);
}

/* --- whose time has come --- */

/* Under the lock: puts those whose time is over into `over`, detached. */
static void due_take(struct round *round, struct look **looks, struct waiter ***over, size_t *n)
{
    struct waiters *w = round->waiters;
    void *items = NULL;
    size_t cap = 0;
    for (;;) {
        struct waiter *waiter = (struct waiter *)due_heap_top(&w->due);
        if (waiter == NULL || waiter->due.at_us > round->now_us)
            break;
        if (waiter->deadline_us <= round->now_us) {
            waiters_detach(waiter);
            struct waiter **slot = arena_push(&round->arena, &items, n, &cap, sizeof(*slot));
            *slot = waiter;
            continue;
        }
        waiter->look_us = round->now_us + waiter->look_delay_us;
        waiter->look_delay_us *= 2;
        waiters_due_set(w, waiter);
        look_join(round, looks, waiter);
    }
    *over = items;
}

void waiters_due_run(struct round *round)
{
    struct waiters *w = round->waiters;
    struct look *looks = NULL;
    struct waiter **over = NULL;
    size_t n = 0;
    (void)pthread_mutex_lock(&w->lock);
    due_take(round, &looks, &over, &n);
    (void)pthread_mutex_unlock(&w->lock);
    for (size_t i = 0; i < n; i++) {
        waiters_finish(over[i], NULL, over[i]->n_answered < over[i]->n);
        round->answered++;
    }
    for (; looks != NULL; looks = looks->next)
        look_run(round, looks);
}
