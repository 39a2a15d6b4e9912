#include "pipeline/repo/history/batch_at.h"

#include "formats/base/limits.h"
#include "formats/key.h"
#include "formats/log_segment.h"
#include "pipeline/repo/chain_cache.h"

/* Steps along the chain before the log is asked for what is not in memory: what is no further
 * back costs no more than with it. */
#define STEPS_FIRST 6u

#define SEGMENT_MAX (2u * MIB)

/* Of a segment of these positions what is filed under one of them, without its texts. ERR_LIMIT
 * for a long one: the chain is less to read. */
static int segment_get(struct repo *repo, const struct id16 *project, uint64_t first,
                       uint64_t end, uint64_t position, struct arena *arena,
                       struct log_segment *out)
{
    AUTO_BUF bytes = {0};
    uint64_t size;
    struct key key = key_log(project, first, end);
    int err = store_get(repo->store, key.s, range_of(0, SEGMENT_MAX), &bytes, NULL, &size);
    if (err == OK && size > SEGMENT_MAX)
        err = ERR_LIMIT;
    if (err == OK)
        err = log_segment_decode_run(buf_bytes(&bytes), position, position + 1, arena, out);
    bool good = err != OK ||
                (id16_equal(&out->project, project) && out->first == first && out->end == end);
    return good ? err : ERR_CORRUPT;
}

/* The tree hash that the log has of the batch of this position. What goes wrong here is no
 * error: the chain knows it, too. */
static bool in_log(struct repo *repo, const struct id16 *project, uint64_t position,
                   struct hash *out)
{
    const uint64_t spans[] = {LOG_SPAN_LARGE, LOG_SPAN_SMALL};
    for (size_t i = 0; i < ARRAY_LEN(spans) && position > 0; i++) {
        AUTO(arena_release) struct arena arena = {0};
        struct log_segment segment;
        uint64_t first = position - (position - 1) % spans[i];
        int err =
            segment_get(repo, project, first, first + spans[i], position, &arena, &segment);
        for (uint32_t k = 0; err == OK && k < segment.n; k++) {
            const struct log_entry *entry = &segment.entries[k];
            if (entry->position == position && entry->verdict == VERDICT_LANDED) {
                *out = entry->tree;
                return true;
            }
        }
        if (err != ERR_NOT_FOUND)
            return false;
    }
    return false;
}

/* The batch that the log says, where it can be: one before `batch` in which the position was
 * landed. */
static const struct batch *by_log(struct repo *repo, const struct id16 *project,
                                  const struct batch *batch, uint64_t position)
{
    const struct batch *found;
    struct hash tree;
    if (!in_log(repo, project, position, &tree) ||
        chain_batch(repo, project, &tree, &found) != OK)
        return NULL;
    const struct footer *f = &found->footer;
    if (f->batch < batch->footer.batch && f->first < position && f->position >= position)
        return found;
    chain_drop(repo, found);
    return NULL;
}

static bool next_is_cached(struct repo *repo, const struct id16 *project,
                           const struct batch *batch, uint64_t position)
{
    const struct ancestor *next = footer_toward(&batch->footer, position);
    const struct batch *cached =
        next == NULL ? NULL : chain_cache_find(repo->chain, project, &next->tree);
    chain_cache_drop(repo->chain, cached);
    return next == NULL || cached != NULL;
}

int batch_at(struct repo *repo, const struct id16 *project, const struct head *head,
             uint64_t position, const struct batch **out)
{
    const struct batch *batch;
    int err = chain_tip(repo, project, head, &batch);
    if (err != OK)
        return err;
    if (position > head->position) {
        chain_drop(repo, batch);
        return ERR_INVALID;
    }
    bool asked = false;
    for (unsigned steps = 0; err == OK; steps++) {
        const struct batch *older = NULL;
        if (steps >= STEPS_FIRST && !asked && !next_is_cached(repo, project, batch, position)) {
            older = by_log(repo, project, batch, position);
            asked = true;
        }
        if (older == NULL)
            err = chain_step(repo, project, batch, position, &older);
        if (err == OK) {
            chain_drop(repo, batch);
            batch = older;
        }
    }
    if (err != ERR_NOT_FOUND) {
        chain_drop(repo, batch);
        return err;
    }
    *out = batch;
    return OK;
}
