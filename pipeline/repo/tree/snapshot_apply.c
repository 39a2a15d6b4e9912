#include "pipeline/repo/tree/snapshot.h"

/* Where a write that keeps its source takes its content from: looked up before anything
 * changes, because a rename's source is gone afterwards. */
static int source_find(struct tree_edit *edit, const struct effect *effect, struct entry *out)
{
    struct bytes path = effect->source.len > 0 ? effect->source : effect->path;
    struct entry found;
    int err = tree_edit_find(edit, path, &found);
    if (err == ERR_NOT_FOUND)
        return ERR_CORRUPT;
    if (err != OK)
        return err;
    if (found.kind == KIND_DIR || !hash_equal(&found.hash, &effect->content.hash))
        return ERR_CORRUPT;
    *out = found;
    return OK;
}

static int entry_of(struct tree_edit *edit, const struct effect *effect,
                    const struct hash *self, struct entry *out)
{
    const struct content *content = &effect->content;
    struct entry entry = {
        .kind = content->kind,
        .mode = content->mode,
        .size = content->size,
        .hash = content->hash,
    };
    switch (content->carrier) {
    case CARRIER_TREE_RAW:
    case CARRIER_TREE_ZSTD:
        entry.where = (struct location){
            .place = content->carrier == CARRIER_TREE_RAW ? PLACE_RAW : PLACE_ZSTD,
            .tree = *self,
            .offset = content->offset,
            .len = content->len,
        };
        break;
    case CARRIER_BLOB:
        entry.where = (struct location){.place = PLACE_BLOB};
        break;
    case CARRIER_MANIFEST:
        entry.where = (struct location){.place = PLACE_MANIFEST, .check = content->manifest};
        break;
    case CARRIER_SOURCE: {
        struct entry source;
        int err = source_find(edit, effect, &source);
        if (err != OK)
            return err;
        entry.size = source.size;
        entry.where = source.where;
        break;
    }
    case CARRIER_INLINE_RAW:
    case CARRIER_INLINE_ZSTD:
        return ERR_CORRUPT; /* what has landed has its contents in the tree object */
    }
    *out = entry;
    return OK;
}

/* A directory counts as absent for an operation, so removing one is as removing nothing. */
static int removes_apply(struct tree_edit *edit, const struct session_view *view,
                         uint64_t stamp)
{
    for (size_t i = 0; i < view->n_effects; i++) {
        const struct effect *effect = &view->effects[i];
        if (effect->kind == EFFECT_WRITE)
            continue;
        bool changed;
        int err = tree_edit_remove(edit, effect->path, stamp, &changed);
        if (err != OK && err != ERR_CONFLICT)
            return err;
    }
    return OK;
}

int snapshot_apply(struct tree_edit *edit, const struct session_view *view,
                   const struct hash *self, uint64_t stamp)
{
    AUTO(arena_release) struct arena arena = {0};
    struct entry *entries = arena_array(&arena, view->n_effects, struct entry);
    for (size_t i = 0; i < view->n_effects; i++) {
        if (view->effects[i].kind != EFFECT_WRITE)
            continue;
        int err = entry_of(edit, &view->effects[i], self, &entries[i]);
        if (err != OK)
            return err;
    }
    int err = removes_apply(edit, view, stamp);
    for (size_t i = 0; i < view->n_effects && err == OK; i++) {
        if (view->effects[i].kind != EFFECT_WRITE)
            continue;
        bool changed;
        err = tree_edit_put(edit, view->effects[i].path, &entries[i], stamp, &changed);
    }
    return err;
}
