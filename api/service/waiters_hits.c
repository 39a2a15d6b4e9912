/* The answers that batches hold: who asked for them, and what they say. */
#include <stdlib.h>

#include "api/service/waiters_inside.h"
#include "formats/base/hex.h"
#include "pipeline/sys/log.h"

#define LOOK_SOON_US 100000u

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

void waiters_match(struct round *round, const struct id16 *project, const struct batch *batch)
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
            if (waiter->answered[item->index] || !id16_equal(&waiter->request, &id->request) ||
                !id16_equal(&waiter->sessions[item->index], &id->session))
                continue;
            hit_add(round, &(struct hit){
                               .waiter = waiter,
                               .item = item->index,
                               .batch = batch,
                               .record = i,
                               .position = told && id->verdict == VERDICT_LANDED ? position : 0,
                               .project = *project});
        }
    }
}

/* --- reading them --- */

/* The records of one batch, as far as hits need them: the footer has one hash over all, so they
 * are read at once. */
struct records {
    const struct batch *batch;
    struct arena arena;
    struct landing *landings; /* by their number in the batch */
    int err;
};

static void records_release(struct records *records)
{
    arena_release(&records->arena);
}

/* Whether of the hit's batch another record is needed, too. */
static bool records_shared(const struct round *round, size_t i)
{
    const struct hit *hits = round->hits;
    for (size_t k = i + 1; k < round->n_hits && hits[k].batch == hits[i].batch; k++) {
        if (hits[k].position == 0)
            return true;
    }
    return false;
}

static void records_read(struct round *round, size_t i, struct records *records)
{
    struct repo *repo = round->waiters->repo;
    const struct hit *hit = &round->hits[i];
    arena_release(&records->arena);
    *records = (struct records){.batch = hit->batch};
    if (records_shared(round, i)) {
        records->err =
            chain_records(repo, &hit->project, hit->batch, &records->arena, &records->landings);
    } else {
        records->landings =
            arena_array(&records->arena, hit->batch->footer.n_records, struct landing);
        records->err = chain_record(repo, &hit->project, hit->batch, hit->record,
                                    &records->arena, &records->landings[hit->record]);
    }
    if (records->err != OK)
        log_warn("answer_unread", LOG_STR("project", id16_hex(&hit->project).s),
                 LOG_ERR(records->err));
}

static int hit_read(struct round *round, size_t i, struct records *records, struct landing *out)
{
    const struct hit *hit = &round->hits[i];
    const struct tree_id *id = &hit->batch->ids[hit->record];
    if (hit->position == 0) {
        if (records->batch != hit->batch)
            records_read(round, i, records);
        if (records->err == OK)
            *out = records->landings[hit->record];
        return records->err;
    }
    *out = (struct landing){.verdict = VERDICT_LANDED,
                            .closes = id->closes,
                            .request = id->request,
                            .session = id->session,
                            .owner = hit->waiter->owner,
                            .position = hit->position};
    return OK;
}

/* --- handing out --- */

void waiters_answer_keep(struct round *round, struct waiter *waiter, uint32_t index,
                         const struct landing *landing)
{
    struct waiters *w = round->waiters;
    (void)pthread_mutex_lock(&w->lock);
    bool kept = !waiter->answered[index];
    waiter_keep(waiter, index, landing);
    bool whole = kept && waiter->n_answered == waiter->n;
    (void)pthread_mutex_unlock(&w->lock);
    if (!whole)
        return;
    void *items = round->whole;
    struct waiter **slot =
        arena_push(&round->arena, &items, &round->n_whole, &round->cap_whole, sizeof(*slot));
    round->whole = items;
    *slot = waiter;
}

static void hit_keep(struct round *round, size_t i, struct records *records, bool soon)
{
    struct waiters *w = round->waiters;
    const struct hit *hit = &round->hits[i];
    struct waiter *waiter = hit->waiter;
    struct landing landing;
    if (hit_read(round, i, records, &landing) == OK) {
        waiters_answer_keep(round, waiter, hit->item, &landing);
        return;
    }
    if (!soon)
        return;
    (void)pthread_mutex_lock(&w->lock);
    waiter->look_us = round->now_us + LOOK_SOON_US;
    if (waiter->due.index != 0)
        waiters_due_set(w, waiter);
    (void)pthread_mutex_unlock(&w->lock);
}

void waiters_hits_keep(struct round *round, bool soon)
{
    AUTO(records_release) struct records records = {0};
    for (size_t i = 0; i < round->n_hits; i++)
        hit_keep(round, i, &records, soon);
    round->n_hits = 0;
}

void waiters_whole_finish(struct round *round)
{
    struct waiters *w = round->waiters;
    for (size_t i = 0; i < round->n_whole; i++) {
        struct waiter *waiter = round->whole[i];
        (void)pthread_mutex_lock(&w->lock);
        waiters_detach(waiter);
        (void)pthread_mutex_unlock(&w->lock);
        waiters_finish(waiter, NULL, false);
        round->answered++;
    }
    round->n_whole = 0;
}
