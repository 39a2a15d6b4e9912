#include "pipeline/repo/check/fsck_chain.h"

#include <inttypes.h>
#include <stdlib.h>

#include "pipeline/repo/check/fsck_log.h"

/* Batches of a block. A power of 16, so that what lies at its floor is an ancestor of all. */
#define BLOCK       4096u
#define BLOCK_LEVEL 3u /* 16 to this power */

enum link_state {
    LINK_UNKNOWN,
    LINK_NAMED,
    LINK_READ,
    LINK_LOST,
    LINK_PASSED, /* lost, and the log has been asked for the one before it */
};

/* What is kept of one batch of a block. */
struct link {
    enum link_state state;
    struct hash tree;
    struct hash by; /* the batch that named it first; zero: the head */
    uint64_t by_batch;
    uint64_t claimed; /* the position that it was said to have */
    uint64_t first;
    uint64_t position;
    uint64_t hlc;
    struct hash prev;
};

struct walk {
    struct fsck_project *p;
    const struct fsck_visit *visit;
    struct link *links; /* of batches floor to floor + BLOCK */
    uint32_t *named;    /* to be read: indexes of links */
    size_t n_named;
    size_t at;
    uint64_t floor;
    uint64_t top;
    bool fresh;        /* `below` is of this block */
    struct link above; /* of the links that were read and compared, the last */
    bool has_above;    /* it is the one right above */
    /* Answers filed under positions over this have been visited, or told to be unknown. */
    uint64_t done;
    /* What this block's footers name at its floor and below, by level. */
    struct ancestor below[ANCESTORS_MAX];
    struct hash below_by;
    uint64_t below_by_batch;
};

static struct fsck *fsck_of(const struct walk *walk)
{
    return walk->p->fsck;
}

static struct key by_key(const struct walk *walk, const struct link *link)
{
    return hash_is_zero(&link->by) ? key_head(&walk->p->id) : key_tree(&walk->p->id, &link->by);
}

/* --- names --- */

static void ancestor_conflict(struct walk *walk, const struct fsck_batch *by, uint64_t batch)
{
    if (!walk->visit->ids_only)
        fsck_damage(fsck_of(walk), "named", "chain_broken", by->key.s,
                    "what it names as batch %" PRIu64 " is not what others name so", batch);
}

static void name_in_block(struct walk *walk, const struct fsck_batch *by,
                          const struct ancestor *a)
{
    uint32_t i = (uint32_t)(a->batch - walk->floor);
    struct link *link = &walk->links[i];
    if (link->state == LINK_UNKNOWN) {
        *link = (struct link){.state = LINK_NAMED,
                              .tree = a->tree,
                              .by = by->tree,
                              .by_batch = by->footer.batch,
                              .claimed = a->position};
        walk->named[walk->n_named++] = i;
    } else if (!hash_equal(&link->tree, &a->tree)) {
        ancestor_conflict(walk, by, a->batch);
    }
}

/* All batches of a block have the same ancestors from its floor down. */
static void name_below(struct walk *walk, const struct fsck_batch *by, unsigned k,
                       const struct ancestor *a)
{
    if (!walk->fresh)
        walk->below[k] = *a;
    else if (k >= BLOCK_LEVEL && !hash_equal(&walk->below[k].tree, &a->tree))
        ancestor_conflict(walk, by, a->batch);
}

static void names_take(struct walk *walk, const struct fsck_batch *batch)
{
    const struct footer *f = &batch->footer;
    if (!walk->fresh)
        memset(walk->below, 0, sizeof(walk->below));
    for (unsigned k = 0; k < f->n_ancestors; k++) {
        const struct ancestor *a = &f->ancestors[k];
        if (a->batch > walk->floor || walk->floor == 0)
            name_in_block(walk, batch, a);
        else
            name_below(walk, batch, k, a);
    }
    if (!walk->fresh) {
        walk->below_by = batch->tree;
        walk->below_by_batch = f->batch;
    }
    walk->fresh = true;
}

/* --- one batch --- */

static void lost(struct walk *walk, struct link *link, uint64_t batch,
                 const struct fsck_batch *read)
{
    link->state = LINK_LOST;
    walk->p->chain_whole = false;
    if (walk->visit->ids_only)
        return;
    if (read->wrong != NULL) {
        fsck_damage(fsck_of(walk), "named", read->wrong, read->key.s,
                    "batch %" PRIu64 " of the chain, named by %s", batch, by_key(walk, link).s);
        return;
    }
    fsck_damage(fsck_of(walk), "named", "chain_broken", by_key(walk, link).s,
                "what it names as batch %" PRIu64 " is batch %" PRIu64, batch,
                read->footer.batch);
}

/* The batch that was found in another's place goes on the chain by its own number. */
static void misplaced_take(struct walk *walk, const struct fsck_batch *batch, uint64_t named)
{
    const struct footer *f = &batch->footer;
    if (f->batch < named && (f->batch > walk->floor || walk->floor == 0)) {
        struct ancestor self = {
            .batch = f->batch, .position = f->position, .tree = batch->tree};
        name_in_block(walk, batch, &self);
    }
}

static int link_take(struct walk *walk, uint32_t i, struct fsck_batch *batch)
{
    struct link *link = &walk->links[i];
    uint64_t number = walk->floor + i;
    const struct footer *f = &batch->footer;
    if (batch->wrong != NULL || f->batch != number) {
        lost(walk, link, number, batch);
        if (batch->wrong == NULL)
            misplaced_take(walk, batch, number);
        return OK;
    }
    link->state = LINK_READ;
    link->first = f->first;
    link->position = f->position;
    link->hlc = f->hlc;
    link->prev = f->prev;
    /* What the next batch says of this one is compared with the rest of that one's links. */
    if (link->claimed != f->position && link->by_batch != number + 1 && !walk->visit->ids_only)
        fsck_damage(fsck_of(walk), "monotone", "chain_broken", by_key(walk, link).s,
                    "it says that batch %" PRIu64 " ends at position %" PRIu64
                    ", which ends at %" PRIu64,
                    number, link->claimed, f->position);
    names_take(walk, batch);
    return walk->visit->batch(walk->visit->arg, batch);
}

static int wave_run(struct walk *walk)
{
    struct fsck_batch batches[FSCK_AT_ONCE];
    uint32_t of[FSCK_AT_ONCE];
    size_t n = 0;
    for (; n < FSCK_AT_ONCE && walk->at < walk->n_named; n++) {
        of[n] = walk->named[walk->at++];
        batches[n] = (struct fsck_batch){.tree = walk->links[of[n]].tree};
    }
    int err =
        fsck_batches_read(walk->p, batches, n, walk->visit->ids_only, walk->visit->ids_only);
    for (size_t i = 0; i < n; i++) {
        if (err == OK)
            err = link_take(walk, of[i], &batches[i]);
        fsck_batch_release(&batches[i]);
    }
    return err;
}

/* --- behind one that is lost --- */

/* Tree objects of the log that are looked at for one that is lost: its own, what was answered
 * above it under its last position, and the one before it. */
#define BACK_MAX 300u

/* One that cannot be read, and that none but the log may have named. */
static void lost_tell(const struct walk *walk, const struct fsck_batch *batch)
{
    for (uint64_t i = 0; i <= walk->top - walk->floor; i++) {
        if (hash_equal(&walk->links[i].tree, &batch->tree))
            return; /* told, or soon to be */
    }
    if (!walk->visit->ids_only)
        fsck_damage(fsck_of(walk), "named", batch->wrong, batch->key.s,
                    "the landing log names it");
}

/* What only the lost one names can be out of reach: up to all of its block. The log names it,
 * too: from the first one before it that can be read the chain goes on. */
static int lost_pass(struct walk *walk, uint32_t i, struct fsck_log_back *back)
{
    uint64_t number = walk->floor + i;
    struct fsck_batch batch = {0};
    int err = OK;
    for (unsigned k = 0; k < BACK_MAX && err == OK; k++) {
        fsck_batch_release(&batch);
        batch = (struct fsck_batch){0};
        err = fsck_log_back_next(back, &batch.tree);
        if (err == OK)
            err = fsck_batches_read(walk->p, &batch, 1, true, true);
        if (err == OK && batch.wrong == NULL && batch.footer.batch < number)
            break;
        if (err == OK && batch.wrong != NULL)
            lost_tell(walk, &batch);
    }
    const struct footer *f = &batch.footer;
    if (err == OK && batch.wrong == NULL && f->batch < number &&
        (f->batch > walk->floor || walk->floor == 0) &&
        walk->links[f->batch - walk->floor].state == LINK_UNKNOWN) {
        struct ancestor self = {.batch = f->batch, .position = f->position, .tree = batch.tree};
        name_in_block(walk, &batch, &self);
    }
    fsck_batch_release(&batch);
    return err == ERR_NOT_FOUND ? OK : err;
}

/* Names what may be hidden behind lost ones of the block. */
static int lost_ones_pass(struct walk *walk)
{
    int err = OK;
    for (uint32_t i = (uint32_t)(walk->top - walk->floor); i > 0 && err == OK; i--) {
        struct link *link = &walk->links[i];
        if (link->state != LINK_LOST || walk->links[i - 1].state != LINK_UNKNOWN)
            continue;
        struct fsck_log_back back;
        fsck_log_back_init(&back, walk->p->log, link->claimed);
        link->state = LINK_PASSED;
        err = lost_pass(walk, i, &back);
        fsck_log_back_release(&back);
    }
    return err;
}

/* --- a block --- */

/* A batch and the one before it. */
static void neighbours_check(struct walk *walk, const struct link *link,
                             const struct link *before)
{
    struct key key = key_tree(&walk->p->id, &link->tree);
    if (link->first != before->position)
        fsck_damage(fsck_of(walk), "monotone", "position_gap", key.s,
                    "it begins at position %" PRIu64
                    ", and the batch before it ends at %" PRIu64,
                    link->first, before->position);
    if (link->hlc <= before->hlc)
        fsck_damage(fsck_of(walk), "monotone", "hlc_not_greater", key.s,
                    "its hlc %" PRIu64 " is not greater than that of the batch before it, "
                    "%" PRIu64,
                    link->hlc, before->hlc);
}

/* From the newest down: what was read must be a chain. */
static void links_check(struct walk *walk)
{
    uint64_t low = walk->floor > 0 ? 1 : 0;
    for (uint64_t i = walk->top - walk->floor + 1; i-- > low;) {
        const struct link *link = &walk->links[i];
        if (link->state != LINK_READ) {
            walk->has_above = false;
            continue;
        }
        if (walk->has_above && !walk->visit->ids_only)
            neighbours_check(walk, &walk->above, link);
        if (!walk->has_above && walk->visit->unknown != NULL && walk->done < UINT64_MAX)
            walk->visit->unknown(walk->visit->arg, link->position, walk->done + 1);
        walk->above = *link;
        walk->has_above = true;
        walk->done = link->first;
    }
}

static void block_begin(struct walk *walk, const struct ancestor *top, const struct hash *by,
                        uint64_t by_batch)
{
    walk->top = top->batch;
    walk->floor = top->batch == 0 ? 0 : (top->batch - 1) / BLOCK * BLOCK;
    walk->fresh = false;
    memset(walk->links, 0, (BLOCK + 1) * sizeof(*walk->links));
    uint32_t i = (uint32_t)(walk->top - walk->floor);
    walk->links[i] = (struct link){.state = LINK_NAMED,
                                   .tree = top->tree,
                                   .by = *by,
                                   .by_batch = by_batch,
                                   .claimed = top->position};
    walk->named[0] = i;
    walk->n_named = 1;
    walk->at = 0;
}

/* Goes on at the floor of the last block; where that could not be read, at the next ancestor
 * below. */
static bool block_next(struct walk *walk)
{
    for (unsigned k = BLOCK_LEVEL; k < ANCESTORS_MAX; k++) {
        struct ancestor next = walk->below[k];
        if (hash_is_zero(&next.tree) || next.batch >= walk->top)
            continue;
        walk->has_above = walk->has_above && next.batch == walk->floor;
        struct hash by = walk->below_by;
        block_begin(walk, &next, &by, walk->below_by_batch);
        return true;
    }
    return false;
}

static int blocks_walk(struct walk *walk)
{
    int err = OK;
    do {
        while (err == OK && walk->at < walk->n_named) {
            while (err == OK && walk->at < walk->n_named)
                err = wave_run(walk);
            if (err == OK)
                err = lost_ones_pass(walk);
        }
        if (err != OK)
            return err;
        links_check(walk);
        if (walk->visit->block != NULL && walk->done < UINT64_MAX)
            err = walk->visit->block(walk->visit->arg, walk->done + 1);
    } while (err == OK && walk->floor > 0 && block_next(walk));
    return err;
}

int fsck_chain_walk(struct fsck_project *p, const struct fsck_visit *visit)
{
    AUTO(arena_release) struct arena arena = {0};
    struct walk walk = {.p = p, .visit = visit, .done = UINT64_MAX};
    static const struct hash head;
    walk.links = arena_array(&arena, BLOCK + 1, struct link);
    walk.named = arena_array(&arena, BLOCK + 1, uint32_t);
    struct ancestor top = {.batch = p->tip_batch, .position = p->tip_position, .tree = p->tip};
    if (hash_is_zero(&p->tip))
        return OK;
    block_begin(&walk, &top, &head, UINT64_MAX);
    int err = blocks_walk(&walk);
    if (err != OK)
        return err;
    bool whole = walk.floor == 0 && walk.links[0].state == LINK_READ;
    if (!whole && visit->unknown != NULL)
        visit->unknown(visit->arg, 0, walk.done < UINT64_MAX ? walk.done + 1 : UINT64_MAX);
    return visit->block != NULL ? visit->block(visit->arg, 0) : OK;
}

/* --- the head --- */

static int head_get(struct fsck_project *p, const struct key *key, bool *absent)
{
    AUTO_BUF bytes = {0};
    int err = store_get(p->fsck->store, key->s, range_all(), &bytes, NULL, NULL);
    *absent = err == ERR_NOT_FOUND;
    if (err == OK && head_decode(buf_bytes(&bytes), &p->head) != OK)
        err = ERR_CORRUPT;
    if (err == OK || err == ERR_NOT_FOUND || !fsck_is_damage(err))
        return err;
    fsck_damage(p->fsck, "named", "head_damaged", key->s, "it cannot be decoded");
    return ERR_CORRUPT;
}

/* The footer is known by its hash: where the two disagree it is the head that is wrong. */
static void tip_take(struct fsck_project *p, const struct key *key,
                     const struct fsck_batch *tip)
{
    const struct footer *f = &tip->footer;
    if (tip->wrong != NULL) {
        bool missing = strcmp(tip->wrong, "tree_missing") == 0;
        fsck_damage(p->fsck, "named", missing ? "head_dangling" : tip->wrong,
                    missing ? key->s : tip->key.s, "the head names %s", tip->key.s);
        p->chain_whole = false;
        return;
    }
    if (f->position != p->head.position || f->hlc != p->head.hlc)
        fsck_damage(p->fsck, "monotone", "head_differs", key->s,
                    "it says position %" PRIu64 " and hlc %" PRIu64 ", its footer %" PRIu64
                    " and %" PRIu64,
                    p->head.position, p->head.hlc, f->position, f->hlc);
    p->tip = tip->tree;
    p->tip_batch = f->batch;
    p->tip_position = f->position;
}

int fsck_chain_tip(struct fsck_project *p, bool *absent)
{
    struct key key = key_head(&p->id);
    int err = head_get(p, &key, absent);
    p->chain_whole = err == OK;
    if (err != OK)
        return err == ERR_CORRUPT || err == ERR_NOT_FOUND ? OK : err;
    struct fsck_batch tip = {.tree = p->head.tree_hash};
    err = fsck_batches_read(p, &tip, 1, true, true);
    if (err == OK)
        tip_take(p, &key, &tip);
    fsck_batch_release(&tip);
    return err;
}

int fsck_position_now(const struct fsck_project *p, uint64_t *out)
{
    AUTO_BUF bytes = {0};
    struct head now;
    struct key key = key_head(&p->id);
    int err = store_get(p->fsck->store, key.s, range_all(), &bytes, NULL, NULL);
    if (err == OK)
        err = head_decode(buf_bytes(&bytes), &now);
    if (err != OK && !fsck_is_damage(err))
        return err;
    *out = err == OK ? now.position : p->tip_position;
    return OK;
}
