/* What the log says of a landing record. */
#include "formats/log_segment.h"

static int location_of(const struct content *content, const struct hash *tree,
                       struct location *out)
{
    switch (content->carrier) {
    case CARRIER_TREE_RAW:
    case CARRIER_TREE_ZSTD:
        *out = (struct location){
            .place = content->carrier == CARRIER_TREE_RAW ? PLACE_RAW : PLACE_ZSTD,
            .tree = *tree,
            .offset = content->offset,
            .len = content->len,
        };
        return OK;
    case CARRIER_BLOB:
        *out = (struct location){.place = PLACE_BLOB};
        return OK;
    case CARRIER_MANIFEST:
        *out = (struct location){.place = PLACE_MANIFEST, .check = content->manifest};
        return OK;
    case CARRIER_SOURCE:
        *out = (struct location){.place = PLACE_NONE};
        return OK;
    case CARRIER_INLINE_RAW:
    case CARRIER_INLINE_ZSTD:
        break;
    }
    return ERR_CORRUPT; /* a landed session has no bytes of its own */
}

static int effects_of(const struct session_view *view, const struct hash *tree,
                      struct arena *arena, struct log_entry *entry)
{
    if (view->n_effects > UINT32_MAX)
        return ERR_LIMIT;
    entry->effects = arena_array(arena, view->n_effects, struct log_effect);
    entry->n_effects = (uint32_t)view->n_effects;
    for (size_t i = 0; i < view->n_effects; i++) {
        const struct effect *from = &view->effects[i];
        struct log_effect *effect = &entry->effects[i];
        *effect = (struct log_effect){.kind = from->kind, .path = from->path};
        if (from->kind != EFFECT_WRITE)
            continue;
        effect->file_kind = from->content.kind;
        effect->mode = from->content.mode;
        effect->size = from->content.size;
        effect->hash = from->content.hash;
        int err = location_of(&from->content, tree, &effect->where);
        if (err != OK)
            return err;
    }
    return OK;
}

int log_entry_of(const struct landing *landing, const struct hash *tree, struct arena *arena,
                 struct log_entry *out)
{
    struct log_entry entry = {
        .verdict = landing->verdict,
        .closes = landing->closes,
        .position = landing->position,
        .tree = *tree,
        .request = landing->request,
        .session = landing->session,
        .owner = landing->owner,
        .hlc = landing->hlc,
        .reason = landing->reason,
    };
    if (landing->verdict == VERDICT_LANDED && !landing->has_session)
        return ERR_CORRUPT;
    if (landing->has_session) {
        struct session_view view;
        session_view(&landing->landed, arena, &view);
        if (view.start != NULL) {
            entry.author = view.start->start.author;
            entry.goal = view.start->start.goal;
        }
        int err = effects_of(&view, tree, arena, &entry);
        if (err != OK)
            return err;
    }
    *out = entry;
    return OK;
}
