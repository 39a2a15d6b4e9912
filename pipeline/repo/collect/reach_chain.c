#include "pipeline/repo/chain.h"
#include "pipeline/repo/check/fsck_chain.h"
#include "pipeline/repo/collect/reach.h"

static void footer_mark(struct reach *reach, const struct hash *tree, const struct footer *f)
{
    reach->counts.batches++;
    reach_tree(reach, tree);
    for (unsigned i = 0; i < f->n_companions; i++)
        reach_tree(reach, &f->companions[i]);
}

static void landing_mark(struct reach *reach, const struct landing *landing)
{
    if (landing->has_session)
        reach_records(reach, landing->landed.records, landing->landed.n_records);
}

/* --- all of it --- */

static int batch_visit(void *arg, struct fsck_batch *batch)
{
    struct reach *reach = arg;
    struct reader r;
    footer_mark(reach, &batch->tree, &batch->footer);
    if (!batch->records_ok)
        return reach_damaged(reach, batch->key.s);
    rd_init(&r, batch->records);
    for (uint32_t i = 0; i < batch->footer.n_records; i++) {
        AUTO(arena_release) struct arena arena = {0};
        struct landing landing;
        struct bytes bytes = rd_run32(&r, RECORDS_MAX);
        if (rd_error(&r) != OK || landing_decode(bytes, &arena, &landing) != OK)
            return reach_damaged(reach, batch->key.s);
        landing_mark(reach, &landing);
    }
    return OK;
}

static int chain_all(struct reach *reach)
{
    const struct fsck_visit visit = {.batch = batch_visit, .arg = reach};
    struct fsck_project project = {.fsck = &reach->fsck, .id = reach->project};
    struct key head = key_head(&reach->project);
    bool absent;
    int err = fsck_chain_tip(&project, &absent);
    if (err == OK && (absent || hash_is_zero(&project.tip)))
        return reach_damaged(reach, head.s);
    if (err == OK)
        err = fsck_chain_walk(&project, &visit);
    if (err == OK && (!project.chain_whole || reach->fsck.counts.damages > 0))
        err = ERR_CORRUPT;
    if (err == OK)
        reach->tip = project.tip;
    return err;
}

/* --- what came since --- */

static int batch_mark(struct reach *reach, const struct batch *batch)
{
    AUTO(arena_release) struct arena arena = {0};
    struct landing *landings;
    int err = chain_records(reach->repo, &reach->project, batch, &arena, &landings);
    if (err != OK)
        return err;
    footer_mark(reach, &batch->tree_hash, &batch->footer);
    for (uint32_t i = 0; i < batch->footer.n_records; i++)
        landing_mark(reach, &landings[i]);
    return OK;
}

static int chain_since(struct reach *reach)
{
    struct head head;
    struct etag etag;
    int err = chain_head(reach->repo, &reach->project, &head, &etag);
    if (err != OK)
        return err;
    struct hash at = head.tree_hash;
    while (err == OK && !hash_equal(&at, &reach->tip)) {
        const struct batch *batch;
        if (hash_is_zero(&at)) { /* the beginning: what was the tip is not in it */
            struct key key = key_head(&reach->project);
            return reach_damaged(reach, key.s);
        }
        err = chain_batch(reach->repo, &reach->project, &at, &batch);
        if (err != OK)
            return err;
        err = batch_mark(reach, batch);
        at = batch->footer.prev;
        chain_drop(reach->repo, batch);
    }
    if (err == OK)
        reach->tip = head.tree_hash;
    return err;
}

int reach_chain(struct reach *reach)
{
    int err = hash_is_zero(&reach->tip) ? chain_all(reach) : chain_since(reach);
    return err == ERR_NOT_FOUND || err == ERR_INVALID || err == ERR_LIMIT ? ERR_CORRUPT : err;
}
