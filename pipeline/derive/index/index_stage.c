#include "pipeline/derive/index/index_stage.h"

#include <stdlib.h>

#include "pipeline/sys/must_alloc.h"

#define SLOTS_FIRST 256u

void index_stage_release(struct index_stage *stage)
{
    arena_release(&stage->arena);
    free(stage->items);
    free(stage->slots);
    *stage = (struct index_stage){0};
}

size_t index_stage_bytes(const struct index_stage *stage)
{
    return stage->arena.used + stage->cap * sizeof(*stage->items) +
           stage->n_slots * sizeof(*stage->slots);
}

struct quarantine index_quarantine_of(const struct memo *first, const struct memo *second)
{
    return (struct quarantine){
        .function = first->function,
        .version = first->version,
        .implementation = first->implementation,
        .key = first->key,
        .first = first->output,
        .second = second->output,
    };
}

struct quarantine index_quarantine_copy(struct arena *arena, const struct quarantine *from)
{
    struct quarantine copy = *from;
    copy.function = arena_copy(arena, from->function);
    copy.version = arena_copy(arena, from->version);
    return copy;
}

/* ---- the table ---- */

/* Keys are hashes, so some of their bytes are as good as a hash of them. */
static struct stage_slot *slot_of(const struct index_stage *stage, enum stage_kind kind,
                                  const struct hash *key)
{
    uint64_t at;
    memcpy(&at, key->b, sizeof(at));
    for (at += (uint64_t)kind;; at++) {
        struct stage_slot *slot = &stage->slots[at & (stage->n_slots - 1)];
        if ((int)slot->kind == 0 || (slot->kind == kind && hash_equal(&slot->key, key)))
            return slot;
    }
}

static void grow(struct index_stage *stage)
{
    struct index_stage old = *stage;
    stage->n_slots = old.n_slots == 0 ? SLOTS_FIRST : 2 * old.n_slots;
    stage->slots = must_alloc(stage->n_slots, sizeof(*stage->slots));
    for (size_t i = 0; i < old.n_slots; i++) {
        const struct stage_slot *slot = &old.slots[i];
        if ((int)slot->kind != 0)
            *slot_of(stage, slot->kind, &slot->key) = *slot;
    }
    free(old.slots);
}

const struct staged *index_stage_find(const struct index_stage *stage, enum stage_kind kind,
                                      const struct hash *key)
{
    if (stage->n_slots == 0)
        return NULL;
    const struct stage_slot *slot = slot_of(stage, kind, key);
    if ((int)slot->kind == 0)
        return NULL;
    const struct staged *found = &stage->items[slot->at];
    /* The memo that had this output has made room for one told before it. */
    if (kind == STAGE_OUTPUT && !hash_equal(&found->memo->output, key))
        return NULL;
    return found;
}

/* Points the key at the item. */
static void set(struct index_stage *stage, enum stage_kind kind, const struct hash *key,
                uint32_t at)
{
    if (2 * stage->used >= stage->n_slots)
        grow(stage);
    struct stage_slot *slot = slot_of(stage, kind, key);
    stage->used += (int)slot->kind == 0;
    *slot = (struct stage_slot){.kind = kind, .at = at, .key = *key};
}

static struct staged *push(struct index_stage *stage)
{
    if (stage->n == stage->cap) {
        stage->cap = stage->cap == 0 ? SLOTS_FIRST : 2 * stage->cap;
        stage->items = realloc(stage->items, stage->cap * sizeof(*stage->items));
        if (stage->items == NULL)
            abort();
    }
    return &stage->items[stage->n++];
}

/* The item of the key, or a new one. */
static struct staged *place_of(struct index_stage *stage, enum stage_kind kind,
                               const struct hash *key, bool *made)
{
    const struct stage_slot *slot = stage->n_slots > 0 ? slot_of(stage, kind, key) : NULL;
    *made = slot == NULL || (int)slot->kind == 0;
    if (!*made)
        return &stage->items[slot->at];
    struct staged *at = push(stage);
    set(stage, kind, key, (uint32_t)(at - stage->items));
    return at;
}

/* ---- what comes in ---- */

static enum stage_kind kind_of(enum derive_kind kind)
{
    switch (kind) {
    case DERIVE_RECIPE:
        return STAGE_RECIPE;
    case DERIVE_LEAF:
    case DERIVE_UPLOAD:
        return STAGE_LEAF;
    case DERIVE_MEMO:
        return STAGE_MEMO;
    case DERIVE_TREE:
        return STAGE_TREE;
    case DERIVE_PIN:
    case DERIVE_UNPIN:
        return STAGE_PIN;
    case DERIVE_CHUNKS:
        return STAGE_CHUNK;
    case DERIVE_QUARANTINE:
        break;
    }
    return (enum stage_kind)0;
}

static const struct memo *memo_copy(struct arena *arena, const struct memo *from)
{
    struct memo *copy = arena_new(arena, struct memo);
    *copy = *from;
    copy->function = arena_copy(arena, from->function);
    copy->version = arena_copy(arena, from->version);
    return copy;
}

static struct derive_leaf leaf_of(const struct derive_item *item, const struct told *told,
                                  uint32_t offset)
{
    if (item->kind == DERIVE_UPLOAD)
        return (struct derive_leaf){.uploaded = true, .size = item->size};
    return (struct derive_leaf){
        .size = item->data.len,
        .agent = told->agent,
        .seq = told->seq,
        .offset = offset,
    };
}

static struct staged staged_of(struct arena *arena, const struct derive_item *item,
                               const struct told *told, uint32_t offset)
{
    struct staged staged = {.kind = item->kind, .address = item->address, .told = *told};
    switch (item->kind) {
    case DERIVE_RECIPE:
        staged.recipe = arena_copy(arena, item->data);
        break;
    case DERIVE_LEAF:
    case DERIVE_UPLOAD:
        staged.leaf = leaf_of(item, told, offset);
        break;
    case DERIVE_MEMO:
        staged.memo = memo_copy(arena, &item->memo);
        break;
    case DERIVE_TREE: {
        struct location *where = arena_new(arena, struct location);
        *where = item->where;
        staged.where = where;
        break;
    }
    case DERIVE_QUARANTINE: {
        struct quarantine *quarantine = arena_new(arena, struct quarantine);
        *quarantine = index_quarantine_copy(arena, &item->quarantine);
        staged.quarantine = quarantine;
        break;
    }
    case DERIVE_PIN:
    case DERIVE_UNPIN:
    case DERIVE_CHUNKS: /* chunk_add */
        break;
    }
    return staged;
}

/* Whether what is told now takes the place of what is there. */
static bool replaces(const struct staged *there, const struct told *told)
{
    switch (there->kind) {
    case DERIVE_RECIPE: /* the address says it all */
    case DERIVE_QUARANTINE:
        return false;
    case DERIVE_LEAF:
    case DERIVE_UPLOAD:
    case DERIVE_TREE: /* where it was put again, it surely lies */
        return true;
    case DERIVE_MEMO:
    case DERIVE_CHUNKS: /* what came later may have been computed from this chunk */
        return told_compare(told, &there->told) < 0;
    case DERIVE_PIN:
    case DERIVE_UNPIN:
        return told_compare(told, &there->told) > 0;
    }
    return false;
}

/* What of the recipe's output has the hash. */
static void chunk_add(struct index_stage *stage, const struct derive_chunks *chunks,
                      const struct hash *hash, uint64_t from, uint64_t end,
                      const struct told *told)
{
    bool made;
    struct staged *at = place_of(stage, STAGE_CHUNK, hash, &made);
    if (!made && !replaces(at, told))
        return;
    struct derive_chunk *chunk = arena_new(&stage->arena, struct derive_chunk);
    *chunk = (struct derive_chunk){.recipe = chunks->recipe, .from = from, .end = end};
    *at =
        (struct staged){.kind = DERIVE_CHUNKS, .address = *hash, .told = *told, .chunk = chunk};
}

static void chunks_add(struct index_stage *stage, const struct derive_chunks *chunks,
                       const struct told *told)
{
    /* All of it is a part, too. */
    if (chunks->first == 0)
        chunk_add(stage, chunks, &chunks->output, 0, chunks->size, told);
    for (uint32_t i = 0; i < chunks->n; i++) {
        uint64_t from = ((uint64_t)chunks->first + i) * chunks->chunk_size;
        uint64_t left = chunks->size - from;
        chunk_add(stage, chunks, &chunks->hashes[i], from,
                  from + (left < chunks->chunk_size ? left : chunks->chunk_size), told);
    }
}

void index_stage_add(struct index_stage *stage, const struct derive_item *item,
                     const struct told *told, uint32_t offset, struct quarantine *twice)
{
    bool made = true;
    struct staged *at;
    if (item->kind == DERIVE_CHUNKS) {
        chunks_add(stage, &item->chunks, told);
        return;
    }
    if (item->kind == DERIVE_QUARANTINE)
        at = push(stage);
    else
        at = place_of(stage, kind_of(item->kind), &item->address, &made);
    if (!made && item->kind == DERIVE_MEMO &&
        !hash_equal(&item->memo.output, &at->memo->output))
        *twice = index_quarantine_of(at->memo, &item->memo);
    if (!made && !replaces(at, told))
        return;
    *at = staged_of(&stage->arena, item, told, offset);
    if (item->kind == DERIVE_MEMO)
        set(stage, STAGE_OUTPUT, &item->memo.output, (uint32_t)(at - stage->items));
}
