/* The landing log forwards, in blocks of batches. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "formats/base/limits.h"
#include "pipeline/repo/damage.h"
#include "pipeline/repo/replay/replay_inside.h"

/* As long as a block takes less, the next one may be of twice as many segments. */
#define BLOCK_BYTES  (16u * MIB)
#define SEGMENTS_MAX 8u
/* Positions that one walk of the chain gives. */
#define CHAIN_SPAN 1000u

int replay_say(struct replay_fault *fault, uint64_t position, const char *fmt, ...)
{
    if (fault->found && fault->first <= position)
        return ERR_CORRUPT;
    va_list args;
    va_start(args, fmt);
    fault->found = true;
    fault->first = position;
    (void)vsnprintf(fault->what, sizeof(fault->what), fmt, args);
    va_end(args);
    return ERR_CORRUPT;
}

/* ---- where reading begins ---- */

/* What is there up to the hole, said. */
static int hole_say(struct replay_source *s, struct replay_fault *fault)
{
    AUTO(arena_release) struct arena arena = {0};
    struct landlog_segment_ref *keys;
    size_t n;
    int err = landlog_keys(s->repo, &s->project, &arena, &keys, &n);
    if (err != OK)
        return err;
    uint64_t at = 1;
    for (size_t i = 0; i < n && keys[i].first <= at; i++)
        at = keys[i].end > at ? keys[i].end : at;
    return replay_say(fault, at, "the log has no segment from position %llu on, but later ones",
                      (unsigned long long)at);
}

static int segments_list(struct replay_source *s, struct replay_fault *fault)
{
    int err = landlog_segments(s->repo, &s->project, &s->arena, &s->segments, &s->n_segments);
    return err == ERR_CORRUPT ? hole_say(s, fault) : err;
}

int replay_source_open(struct replay_source *out, struct repo *repo, const struct id16 *project,
                       uint64_t from, struct replay_fault *fault)
{
    struct replay_source s = {
        .repo = repo, .project = *project, .to = UINT64_MAX, .next = from, .span = 1};
    /* Segments first: what is appended after the head was read would lie beyond it. */
    int err = segments_list(&s, fault);
    if (err == OK)
        err = chain_head(repo, project, &s.head, NULL);
    if (err == OK && s.n_segments > 0)
        s.chain_from = s.segments[s.n_segments - 1].end;
    if (err == OK && s.chain_from > s.head.position)
        err = replay_say(fault, s.head.position + 1,
                         "the log reaches to position %llu, the head only to %llu",
                         (unsigned long long)s.chain_from - 1,
                         (unsigned long long)s.head.position);
    if (err != OK) {
        arena_release(&s.arena);
        return err;
    }
    *out = s;
    return OK;
}

void replay_source_release(struct replay_source *s)
{
    arena_release(&s->held_arena);
    arena_release(&s->arena);
}

/* ---- entries ---- */

struct entry_list {
    void *items;
    size_t n;
    size_t cap;
};

static void entry_add(struct entry_list *list, struct arena *arena,
                      const struct log_entry *entry)
{
    struct log_entry *item =
        arena_push(arena, &list->items, &list->n, &list->cap, sizeof(*item));
    *item = *entry;
}

static int segment_take(struct replay_source *s, const struct landlog_segment_ref *ref,
                        struct bytes bytes, int got, struct replay_block *block,
                        struct entry_list *list)
{
    struct key key = key_log(&s->project, ref->first, ref->end);
    struct log_segment segment = {0};
    int err = got;
    if (err == OK)
        err = log_segment_decode(arena_copy(&block->arena, bytes), &block->arena, &segment);
    if (err == OK && (!id16_equal(&segment.project, &s->project) ||
                      segment.first != ref->first || segment.end != ref->end))
        err = ERR_CORRUPT;
    err = damage_of(s->repo, key.s, err);
    if (err == ERR_CORRUPT)
        return replay_say(&block->fault, ref->first, "the log segment %s is damaged", key.s);
    if (err != OK)
        return err;
    for (uint32_t i = 0; i < segment.n; i++) {
        if (segment.entries[i].position >= s->next)
            entry_add(list, &block->arena, &segment.entries[i]);
    }
    s->next = segment.end;
    return OK;
}

/* The next segments, side by side. ERR_NOT_FOUND: one has gone, for another has taken its
 * place. */
static int segments_get(struct replay_source *s, struct replay_block *block,
                        struct entry_list *list)
{
    struct landlog_segment_ref refs[SEGMENTS_MAX];
    struct key keys[SEGMENTS_MAX];
    struct buf bodies[SEGMENTS_MAX] = {0};
    struct store_op ops[SEGMENTS_MAX] = {0};
    size_t n = 0;
    for (size_t i = 0; i < s->n_segments && n < s->span; i++) {
        if (s->segments[i].end <= s->next)
            continue;
        refs[n] = s->segments[i];
        keys[n] = key_log(&s->project, refs[n].first, refs[n].end);
        ops[n] = (struct store_op){
            .verb = STORE_GET, .key = keys[n].s, .range = range_all(), .body = &bodies[n]};
        n++;
    }
    (void)!store_many(s->repo->store, ops, n); /* each has its own answer */
    int err = OK;
    for (size_t i = 0; i < n; i++) {
        if (err == OK && ops[i].err == ERR_NOT_FOUND)
            err = ERR_NOT_FOUND;
        if (err == OK)
            err = segment_take(s, &refs[i], buf_bytes(&bodies[i]), ops[i].err, block, list);
        buf_release(&bodies[i]);
    }
    return err;
}

static int from_segments(struct replay_source *s, struct replay_block *block,
                         struct entry_list *list)
{
    int err = ERR_NOT_FOUND;
    for (unsigned i = 0; i < LANDLOG_LISTS_MAX && err == ERR_NOT_FOUND; i++) {
        int listed = i == 0 ? OK : segments_list(s, &block->fault);
        if (listed != OK)
            return listed;
        /* All that was there may have gone since the first list. */
        err = s->n_segments == 0 || s->segments[s->n_segments - 1].end < s->chain_from
                  ? ERR_NOT_FOUND
                  : segments_get(s, block, list);
    }
    s->span = block->arena.used > BLOCK_BYTES ? 1
              : s->span * 2 > SEGMENTS_MAX    ? SEGMENTS_MAX
                                              : s->span * 2;
    if (err == ERR_NOT_FOUND)
        return replay_say(&block->fault, s->next, "the log segment from position %llu is gone",
                          (unsigned long long)s->next);
    return err;
}

static int from_chain(struct replay_source *s, struct replay_block *block,
                      struct entry_list *list)
{
    uint64_t end = s->next + CHAIN_SPAN;
    struct log_entry *entries;
    uint32_t n;
    int err = landlog_collect(s->repo, &s->project, &s->head, s->next, end, &block->arena,
                              &entries, &n);
    if (err == ERR_CORRUPT)
        return replay_say(&block->fault, s->next,
                          "the chain cannot be read from position %llu on",
                          (unsigned long long)s->next);
    if (err != OK)
        return err;
    for (uint32_t i = 0; i < n; i++)
        entry_add(list, &block->arena, &entries[i]);
    s->next = end;
    s->all_read = end > s->head.position;
    return OK;
}

/* ---- batches ---- */

/* What the log says of one batch may go on in the next block. */
static void entries_hold(struct replay_source *s, const struct log_entry *entries, uint32_t n)
{
    s->held = arena_array(&s->held_arena, n, struct log_entry);
    for (uint32_t i = 0; i < n; i++)
        s->held[i] = log_entry_keep(&s->held_arena, &entries[i]);
    s->n_held = n;
}

/* Cuts entries into batches. */
static int batches_cut(struct replay_source *s, struct replay_block *block,
                       struct log_entry *entries, size_t n)
{
    size_t count = 0;
    size_t cap = 0;
    void *items = NULL;
    for (size_t i = 0; i < n; i++) {
        struct replay_batch *all = items;
        if (all != NULL && hash_equal(&all[count - 1].tree, &entries[i].tree)) {
            all[count - 1].n++;
            continue;
        }
        struct replay_batch *batch =
            arena_push(&block->arena, &items, &count, &cap, sizeof(*batch));
        *batch = (struct replay_batch){.tree = entries[i].tree, .entries = &entries[i], .n = 1};
    }
    block->batches = items;
    block->n = count;
    return replay_footers_read(s, block);
}

/* Leaves out what is not asked for, and what the next block will have whole. */
static void batches_choose(struct replay_source *s, struct replay_block *block)
{
    size_t n = 0;
    for (size_t i = 0; i < block->n; i++) {
        const struct replay_batch *batch = &block->batches[i];
        if (batch->footer.hlc <= s->after_hlc) {
            replay_place_move(&block->passed, batch);
            continue;
        }
        if (i + 1 == block->n && !s->all_read && batch->n < batch->footer.n_records) {
            entries_hold(s, batch->entries, batch->n);
            break;
        }
        block->batches[n++] = *batch;
        if (batch->footer.position >= s->to) {
            s->all_read = true;
            break;
        }
    }
    block->n = n;
}

static int block_fill(struct replay_source *s, struct replay_block *block)
{
    struct entry_list list = {0};
    for (uint32_t i = 0; i < s->n_held; i++) {
        struct log_entry entry = log_entry_keep(&block->arena, &s->held[i]);
        entry_add(&list, &block->arena, &entry);
    }
    s->n_held = 0;
    arena_release(&s->held_arena);
    int err =
        s->next < s->chain_from ? from_segments(s, block, &list) : from_chain(s, block, &list);
    if (err != OK && !block->fault.found)
        return err;
    /* What comes before the damage is looked at all the same: the first difference is wanted.
     */
    int cut = batches_cut(s, block, list.items, list.n);
    if (cut != OK && !block->fault.found)
        return cut;
    batches_choose(s, block);
    int checked = s->contents ? replay_contents_check(s, block) : OK;
    if (checked != OK && !block->fault.found)
        return checked;
    return block->fault.found ? ERR_CORRUPT : OK;
}

struct replay_block *replay_source_next(struct replay_source *s)
{
    struct replay_block *block = calloc(1, sizeof(*block));
    if (block == NULL)
        abort();
    block->err = s->all_read ? ERR_NOT_FOUND : block_fill(s, block);
    return block;
}

void replay_block_free(struct replay_block *block)
{
    if (block == NULL)
        return;
    arena_release(&block->arena);
    free(block);
}
