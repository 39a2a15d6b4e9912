#include "formats/key.h"
#include "pipeline/repo/damage.h"
#include "pipeline/repo/history/landlog_ahead.h"
#include "pipeline/repo/history/landlog_segment.h"
#include "pipeline/repo/history/rollup_read.h"

struct landlog {
    struct arena arena; /* holds the reader itself, and the list of segments */
    struct repo *repo;
    struct id16 project;
    struct head head;
    struct landlog_segment_ref *newest; /* those that were listed, up to the last */
    size_t n_newest;
    uint64_t chain_from; /* the first position that is read from the chain */
    uint64_t from;       /* of the run */
    uint64_t upto;       /* the greatest position whose entries are still to be given */
    bool done;

    const struct batch *batch;  /* of the chain; NULL: go on with the segments */
    struct landlog_ahead ahead; /* the segments */
    struct bytes below;         /* entries that touch nothing there may be left out */
    struct arena block;         /* holds the entries of the batch, or of a run of the segment */
    bool loaded;                /* there is a block */
    struct log_entry *entries;
    size_t left;
    uint64_t block_low;   /* nothing in the block is filed under an earlier position, and */
    uint64_t block_first; /* what is filed under an earlier one is in another block, too */
};

/* ---- opening ---- */

static struct landlog *landlog_new(struct repo *repo, const struct id16 *project)
{
    struct arena arena = {0};
    struct landlog *log = arena_new(&arena, struct landlog);
    log->arena = arena;
    log->repo = log->ahead.repo = repo;
    log->project = log->ahead.project = *project;
    return log;
}

void landlog_close(struct landlog *log)
{
    if (log == NULL)
        return;
    chain_drop(log->repo, log->batch);
    arena_release(&log->block);
    landlog_ahead_release(&log->ahead);
    struct arena arena = log->arena;
    arena_release(&arena);
}

const struct head *landlog_head(const struct landlog *log)
{
    return &log->head;
}

uint64_t landlog_end(const struct landlog *log)
{
    return log->chain_from;
}

/* A damaged head says of itself that it is. */
static int head_verify(struct landlog *log)
{
    const struct batch *tip;
    int err = chain_tip(log->repo, &log->project, &log->head, &tip);
    if (err == OK)
        chain_drop(log->repo, tip);
    return err;
}

/* The newest segment reaches over the head. */
static int segments_over(struct landlog *log)
{
    int err = head_verify(log);
    if (err != OK)
        return err;
    const struct landlog_segment_ref *last = &log->newest[log->n_newest - 1];
    struct key key = key_log(&log->project, last->first, last->end);
    return damage_of(log->repo, key.s, ERR_CORRUPT);
}

static int segments_list(struct landlog *log)
{
    int err = landlog_newest(log->repo, &log->project, log->head.position, &log->arena,
                             &log->newest, &log->n_newest);
    log->chain_from = err == OK && log->n_newest > 0 ? log->newest[log->n_newest - 1].end : 0;
    log->ahead.listed = log->newest;
    log->ahead.n_listed = log->n_newest;
    return err;
}

/* The newest batch that files anything under `upto` or before. */
static int chain_start(struct landlog *log)
{
    if (log->upto < log->chain_from)
        return OK;
    if (log->upto >= log->head.position)
        return chain_tip(log->repo, &log->project, &log->head, &log->batch);
    return chain_find(log->repo, &log->project, &log->head, log->upto + 1, &log->batch);
}

static int landlog_start(struct landlog *log, uint64_t before)
{
    int err = chain_head(log->repo, &log->project, &log->head, NULL);
    if (err == OK)
        err = segments_list(log);
    /* What was appended after the head was read may lie beyond it, but not beyond the next. */
    if (err == OK && log->chain_from > log->head.position)
        err = chain_head(log->repo, &log->project, &log->head, NULL);
    if (err == OK && log->chain_from > log->head.position)
        err = segments_over(log);
    if (err != OK)
        return err;
    log->upto = before < log->head.position ? before : log->head.position;
    return chain_start(log);
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

int landlog_open_at(struct repo *repo, const struct id16 *project, const struct head *head,
                    uint64_t before, struct landlog **out)
{
    struct landlog *log = landlog_new(repo, project);
    log->head = *head;
    log->upto = before < head->position ? before : head->position;
    int err = segments_list(log);
    /* What was appended after the head was read, or the head is damaged. */
    if (err == OK && log->chain_from > head->position)
        err = head_verify(log);
    if (err == OK)
        err = chain_start(log);
    if (err != OK) {
        landlog_close(log);
        return err;
    }
    *out = log;
    return OK;
}

/* ---- the next block ---- */

static void upto_lower(struct landlog *log, uint64_t position)
{
    log->upto = position < log->upto ? position : log->upto;
}

static void block_drop(struct landlog *log)
{
    arena_release(&log->block);
    log->loaded = false;
    log->left = 0;
}

static void chain_leave(struct landlog *log)
{
    chain_drop(log->repo, log->batch);
    log->batch = NULL;
    log->done = log->chain_from == 0;
    if (!log->done)
        upto_lower(log, log->chain_from - 1);
}

/* The batch before files nothing beyond this one's first position. */
static int batch_pass(struct landlog *log)
{
    const struct batch *batch = log->batch;
    const struct batch *before;
    if (batch->footer.batch == 0 || batch->footer.first < log->chain_from) {
        chain_leave(log);
        return OK;
    }
    int err = chain_batch(log->repo, &log->project, &batch->footer.prev, &before);
    if (err != OK)
        return err;
    log->batch = before;
    chain_drop(log->repo, batch);
    return OK;
}

static int batch_load(struct landlog *log)
{
    const struct batch *batch = log->batch;
    int err =
        landlog_batch_entries(log->repo, &log->project, batch, &log->block, &log->entries);
    if (err != OK)
        return err;
    log->left = batch->footer.n_records;
    log->block_low = batch->footer.first;
    log->block_first = log->chain_from;
    return OK;
}

/* Of a segment only what belongs to the run. */
static int segment_load(struct landlog *log)
{
    struct log_segment segment;
    struct landlog_slot *slot;
    int err = landlog_ahead_get(&log->ahead, log->upto > 0 ? log->upto : 1, &slot);
    if (err != OK) {
        struct key key = key_log_prefix(&log->project);
        return err == ERR_NOT_FOUND ? damage_of(log->repo, key.s, err) : err;
    }
    uint64_t low = log->from > slot->ref.first ? log->from : slot->ref.first;
    /* The answers under position 0 are filed in the first segment. */
    if (low == 1)
        low = 0;
    err = landlog_bytes_decode(log->repo, &log->project, &slot->ref, buf_bytes(&slot->bytes),
                               low, log->upto + 1, log->below, &log->block, &segment);
    if (err != OK) {
        landlog_ahead_drop(slot);
        return err;
    }
    log->entries = segment.entries;
    log->left = segment.n;
    log->block_low = low;
    log->block_first = 0;
    return OK;
}

/* All of the block at hand was given. */
static int block_pass(struct landlog *log)
{
    if (log->batch != NULL) {
        int err = batch_pass(log);
        if (err != OK)
            return err;
    } else if (log->block_low == 0) {
        log->done = true;
    } else {
        upto_lower(log, log->block_low - 1);
    }
    block_drop(log);
    return OK;
}

/* What lies in older blocks is filed under this position or an earlier one. */
static uint64_t block_rest(const struct landlog *log)
{
    if (log->batch == NULL)
        return log->block_low > 0 ? log->block_low - 1 : 0;
    return log->block_low < log->chain_from ? log->chain_from - 1 : log->block_low;
}

/* ERR_NOT_FOUND when nothing of the run is left. */
static int block_next(struct landlog *log)
{
    if (log->loaded && block_rest(log) < log->from)
        return ERR_NOT_FOUND;
    if (log->loaded) {
        int err = block_pass(log);
        if (err != OK)
            return err;
    }
    if (log->done || log->upto < log->from)
        return ERR_NOT_FOUND;
    int err = log->batch != NULL ? batch_load(log) : segment_load(log);
    log->loaded = err == OK;
    return err;
}

int landlog_next(struct landlog *log, const struct log_entry **out)
{
    for (;;) {
        while (log->left > 0) {
            const struct log_entry *entry = &log->entries[log->left - 1];
            if (entry->position < log->block_first)
                log->left = 0;
            else if (entry->position < log->from)
                return ERR_NOT_FOUND;
            else if (log->left--, entry->position <= log->upto) {
                *out = entry;
                return OK;
            }
        }
        int err = block_next(log);
        if (err != OK)
            return err;
    }
}

/* ---- runs ---- */

/* To the newest batch that files anything under `upto` or before, where that is not this one.
 */
static int batch_seek(struct landlog *log)
{
    const struct batch *from = log->batch;
    if (log->upto < log->chain_from) {
        block_drop(log);
        chain_leave(log);
        return OK;
    }
    if (from->footer.first <= log->upto)
        return OK;
    block_drop(log);
    log->batch = NULL;
    int err = chain_find_from(log->repo, &log->project, from, log->upto + 1, &log->batch);
    log->done = err != OK;
    return err;
}

int landlog_run(struct landlog *log, uint64_t from, uint64_t end)
{
    log->from = end > from ? from : UINT64_MAX;
    if (end <= from || end > log->upto)
        return OK;
    log->upto = end - 1;
    return log->batch != NULL ? batch_seek(log) : OK;
}

void landlog_expect(struct landlog *log, const struct landlog_range *ranges, size_t n,
                    unsigned segments)
{
    assert(n <= LANDLOG_EXPECT_MAX);
    for (size_t i = 0; i < n; i++)
        log->ahead.ranges[i] = ranges[i];
    log->ahead.n_ranges = n;
    log->ahead.most = segments;
}

void landlog_below(struct landlog *log, struct bytes path)
{
    log->below = path;
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

/* In one run of the log. */
static int content_in(struct landlog *log, const struct rollup_range *range,
                      const struct hash *hash, struct arena *arena, struct log_effect *out)
{
    const struct log_entry *entry;
    int err = landlog_run(log, range->from, range->end);
    while (err == OK && (err = landlog_next(log, &entry)) == OK) {
        const struct log_effect *effect = effect_with(entry, hash);
        if (effect == NULL)
            continue;
        *out = *effect;
        out->path = arena_copy(arena, effect->path);
        return OK;
    }
    return err;
}

int landlog_content(struct repo *repo, const struct id16 *project, const struct hash *hash,
                    struct arena *arena, struct log_effect *out)
{
    struct landlog *log;
    struct rollup_range range;
    int err = landlog_open(repo, project, UINT64_MAX, &log);
    if (err != OK)
        return err;
    struct rollup_reader *rollups = rollup_reader_open(repo, project);
    rollup_reader_ask(rollups, rollup_key_content(hash), 1, log->head.position + 1);
    err = ERR_NOT_FOUND;
    while (err == ERR_NOT_FOUND && rollup_reader_next(rollups, &range))
        err = content_in(log, &range, hash, arena, out);
    rollup_reader_close(rollups);
    landlog_close(log);
    return err;
}
