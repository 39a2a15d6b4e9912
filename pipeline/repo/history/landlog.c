#include "formats/key.h"
#include "pipeline/repo/damage.h"
#include "pipeline/repo/history/landlog_segment.h"

struct landlog {
    struct arena arena; /* holds the reader itself, and the list of segments */
    struct repo *repo;
    struct id16 project;
    struct landlog_segment_ref *segments;
    size_t n_segments;
    uint64_t chain_from; /* the first position that is read from the chain */
    uint64_t upto;       /* the greatest position whose entries are still to be given */
    bool done;           /* what is in the block is the last */

    const struct batch
        *batch;         /* of the chain, to be read next; NULL: go on with the segments */
    struct arena block; /* holds the entries of the batch or segment at hand */
    struct log_entry *entries;
    size_t left;
    uint64_t block_first; /* entries under an earlier position are in another block, too */
    uint64_t block_upto;
};

/* ---- opening ---- */

static struct landlog *landlog_new(struct repo *repo, const struct id16 *project)
{
    struct arena arena = {0};
    struct landlog *log = arena_new(&arena, struct landlog);
    log->arena = arena;
    log->repo = repo;
    log->project = *project;
    return log;
}

void landlog_close(struct landlog *log)
{
    if (log == NULL)
        return;
    chain_drop(log->repo, log->batch);
    arena_release(&log->block);
    struct arena arena = log->arena;
    arena_release(&arena);
}

static int segments_list(struct landlog *log)
{
    return landlog_segments(log->repo, &log->project, &log->arena, &log->segments,
                            &log->n_segments);
}

/* The newest segment reaches over the head. A damaged head says of itself that it is. */
static int segments_over(struct landlog *log, const struct head *head)
{
    const struct batch *tip;
    int err = chain_tip(log->repo, &log->project, head, &tip);
    if (err != OK)
        return err;
    chain_drop(log->repo, tip);
    const struct landlog_segment_ref *last = &log->segments[log->n_segments - 1];
    struct key key = key_log(&log->project, last->first, last->end);
    return damage_of(log->repo, key.s, ERR_CORRUPT);
}

static int landlog_start(struct landlog *log, uint64_t before)
{
    /* Segments first: what is appended after the head was read would lie beyond it. */
    int err = segments_list(log);
    if (err != OK)
        return err;
    struct head head;
    err = chain_head(log->repo, &log->project, &head, NULL);
    if (err != OK)
        return err;
    uint64_t end = log->n_segments > 0 ? log->segments[log->n_segments - 1].end : 0;
    if (end > head.position)
        return segments_over(log, &head);
    log->chain_from = end;
    log->upto = before < head.position ? before : head.position;
    if (log->upto < end)
        return OK;
    /* The newest batch that files anything under `upto` or before. */
    if (log->upto == head.position)
        return chain_tip(log->repo, &log->project, &head, &log->batch);
    return chain_find(log->repo, &log->project, &head, log->upto + 1, &log->batch);
}

int landlog_open(struct repo *repo, const struct id16 *project, uint64_t before,
                 struct landlog **out)
{
    struct landlog *log = landlog_new(repo, project);
    int err = landlog_start(log, before);
    if (err != OK) {
        landlog_close(log);
        return err;
    }
    *out = log;
    return OK;
}

/* ---- the next block ---- */

static int batch_load(struct landlog *log)
{
    const struct batch *batch = log->batch;
    int err =
        landlog_batch_entries(log->repo, &log->project, batch, &log->block, &log->entries);
    if (err != OK)
        return err;
    log->left = batch->footer.n_records;
    log->block_first = log->chain_from;
    log->block_upto = log->upto;
    /* The batch before files nothing beyond this one's first position. */
    bool more = batch->footer.batch > 0 && batch->footer.first >= log->chain_from;
    const struct batch *before = NULL;
    if (more)
        err = chain_batch(log->repo, &log->project, &batch->footer.prev, &before);
    if (err != OK) {
        log->left = 0;
        return err;
    }
    log->batch = before;
    chain_drop(log->repo, batch);
    if (!more && log->chain_from == 0)
        log->done = true;
    if (!more && log->chain_from > 0 && log->upto >= log->chain_from)
        log->upto = log->chain_from - 1;
    return OK;
}

static int segment_load(struct landlog *log)
{
    struct log_segment segment;
    int err = ERR_NOT_FOUND;
    const struct landlog_segment_ref *ref = NULL;
    for (unsigned i = 0; i < LANDLOG_LISTS_MAX && err == ERR_NOT_FOUND; i++) {
        if (i > 0) {
            int listed = segments_list(log);
            if (listed != OK)
                return listed;
        }
        ref = landlog_segment_at(log->segments, log->n_segments, log->upto);
        if (ref == NULL || (ref->end <= log->upto))
            return ERR_CORRUPT;
        err = landlog_segment_get(log->repo, &log->project, ref, &log->block, &segment);
    }
    if (err == ERR_NOT_FOUND) {
        struct key key = key_log(&log->project, ref->first, ref->end);
        err = damage_of(log->repo, key.s, err);
    }
    if (err != OK)
        return err;
    log->entries = segment.entries;
    log->left = segment.n;
    log->block_first = 0;
    log->block_upto = log->upto;
    log->done = segment.first <= 1;
    log->upto = segment.first - 1;
    return OK;
}

int landlog_next(struct landlog *log, const struct log_entry **out)
{
    for (;;) {
        while (log->left > 0) {
            const struct log_entry *entry = &log->entries[--log->left];
            if (entry->position < log->block_first)
                log->left = 0;
            else if (entry->position <= log->block_upto) {
                *out = entry;
                return OK;
            }
        }
        if (log->done)
            return ERR_NOT_FOUND;
        arena_release(&log->block);
        int err = log->batch != NULL ? batch_load(log) : segment_load(log);
        if (err != OK)
            return err;
    }
}

/* ---- single answers ---- */

int landlog_at(struct repo *repo, const struct id16 *project, uint64_t position,
               struct arena *arena, struct log_entry *out)
{
    if (position == 0)
        return ERR_NOT_FOUND;
    struct head head;
    int err = chain_head(repo, project, &head, NULL);
    if (err != OK)
        return err;
    /* The chain has it in O(log n) short reads; a segment is one long one. */
    const struct batch *batch;
    err = chain_find(repo, project, &head, position, &batch);
    if (err != OK)
        return err == ERR_INVALID ? ERR_NOT_FOUND : err;
    AUTO(arena_release) struct arena scratch = {0};
    struct landing *landings;
    err = chain_records(repo, project, batch, &scratch, &landings);
    struct log_entry entry = {0};
    for (uint32_t i = 0; err == OK && i < batch->footer.n_records; i++) {
        if (landings[i].verdict == VERDICT_LANDED && landings[i].position == position)
            err = log_entry_of(&landings[i], &batch->tree_hash, &scratch, &entry);
    }
    chain_drop(repo, batch);
    if (err != OK)
        return err;
    if (entry.position != position)
        return ERR_CORRUPT;
    *out = log_entry_keep(arena, &entry);
    return OK;
}

static const struct log_effect *effect_with(const struct log_entry *entry,
                                            const struct hash *hash)
{
    for (uint32_t i = 0; i < entry->n_effects; i++) {
        const struct log_effect *effect = &entry->effects[i];
        if (effect->kind == EFFECT_WRITE && effect->where.place != PLACE_NONE &&
            hash_equal(&effect->hash, hash))
            return effect;
    }
    return NULL;
}

int landlog_content(struct repo *repo, const struct id16 *project, const struct hash *hash,
                    struct arena *arena, struct log_effect *out)
{
    struct landlog *log;
    int err = landlog_open(repo, project, UINT64_MAX, &log);
    if (err != OK)
        return err;
    bool found = false;
    while (err == OK && !found) {
        const struct log_entry *entry;
        err = landlog_next(log, &entry);
        const struct log_effect *effect = err == OK ? effect_with(entry, hash) : NULL;
        if (effect != NULL) {
            *out = *effect;
            out->path = arena_copy(arena, effect->path);
            found = true;
        }
    }
    landlog_close(log);
    return err;
}
