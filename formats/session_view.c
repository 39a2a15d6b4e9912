/* What a session comes to: one effect per path. */
#include <stdlib.h>

#include "formats/session.h"

/* What one operation does to one path. */
struct part {
    struct bytes path;
    const struct record *by;
    enum effect_kind kind;
    bool is_target; /* of a rename */
};

static int part_order(const void *a, const void *b)
{
    const struct part *left = a;
    const struct part *right = b;
    int order = bytes_compare(left->path, right->path);
    if (order == 0)
        order = record_time_compare(left->by, right->by);
    return order != 0 ? order : (int)left->is_target - (int)right->is_target;
}

static int guard_order(const void *a, const void *b)
{
    const struct record *const *left = a;
    const struct record *const *right = b;
    int order = bytes_compare((*left)->guard.path, (*right)->guard.path);
    return order != 0 ? order : record_time_compare(*left, *right);
}

static int time_order(const void *a, const void *b)
{
    const struct record *const *left = a;
    const struct record *const *right = b;
    return record_time_compare(*left, *right);
}

/* Somewhere in the session where a content is brought, or was seen. */
struct origin {
    const struct content *content;
    const struct record *by;
    struct bytes path; /* CARRIER_SOURCE: where the record saw it in the tree */
};

/* Where to take a content from when there is a choice: where it lies already, then what is at
 * hand, then what was uploaded, then what the tree had. */
static int carrier_rank(enum carrier carrier)
{
    switch (carrier) {
    case CARRIER_TREE_RAW:
    case CARRIER_TREE_ZSTD:
        return 0;
    case CARRIER_INLINE_RAW:
    case CARRIER_INLINE_ZSTD:
        return 1;
    case CARRIER_BLOB:
    case CARRIER_MANIFEST:
        return 2;
    case CARRIER_SOURCE:
        return 3;
    }
    return 3;
}

static int origin_order(const void *a, const void *b)
{
    const struct origin *left = a;
    const struct origin *right = b;
    int order = hash_compare(&left->content->hash, &right->content->hash);
    if (order == 0)
        order = carrier_rank(left->content->carrier) - carrier_rank(right->content->carrier);
    return order != 0 ? order : record_time_compare(left->by, right->by);
}

/* Whether the operation's own path held the content that it names, as far as the client saw. */
static bool source_seen(const struct record_operation *operation)
{
    const struct seen *seen = &operation->seen;
    return seen->said && (seen->kind == KIND_FILE || seen->kind == KIND_LINK) &&
           hash_equal(&seen->hash, &operation->content.hash);
}

/* All that brings content, one of each hash, sorted by hash. */
static struct origin *origins_collect(const struct part *parts, size_t n, struct arena *arena,
                                      size_t *out_n)
{
    struct origin *origins = arena_array(arena, n, struct origin);
    size_t count = 0;
    for (size_t i = 0; i < n; i++) {
        if (parts[i].kind != EFFECT_WRITE)
            continue;
        const struct record_operation *operation = &parts[i].by->operation;
        if (operation->content.carrier == CARRIER_SOURCE && !source_seen(operation))
            continue;
        origins[count++] = (struct origin){
            .content = &operation->content, .by = parts[i].by, .path = operation->path};
    }
    qsort(origins, count, sizeof(*origins), origin_order);
    size_t unique = 0;
    for (size_t i = 0; i < count; i++) {
        if (unique == 0 ||
            !hash_equal(&origins[unique - 1].content->hash, &origins[i].content->hash))
            origins[unique++] = origins[i];
    }
    *out_n = unique;
    return origins;
}

static int origin_find(const void *key, const void *item)
{
    const struct hash *hash = key;
    const struct origin *origin = item;
    return hash_compare(hash, &origin->content->hash);
}

static void effect_resolve(struct effect *effect, const struct origin *origins, size_t n)
{
    struct content *content = &effect->content;
    const struct origin *origin =
        bsearch(&content->hash, origins, n, sizeof(*origins), origin_find);
    if (origin == NULL)
        return;
    if (origin->content->carrier == CARRIER_SOURCE) {
        if (!source_seen(&effect->by->operation))
            effect->source = origin->path;
        return;
    }
    enum kind kind = content->kind;
    uint16_t mode = content->mode;
    *content = *origin->content;
    content->kind = kind;
    content->mode = mode;
}

static void effects_resolve(struct session_view *view, const struct part *parts, size_t n,
                            struct arena *arena)
{
    struct origin *origins = NULL;
    size_t n_origins = 0;
    for (size_t i = 0; i < view->n_effects; i++) {
        struct effect *effect = &view->effects[i];
        if (effect->kind != EFFECT_WRITE || effect->content.carrier != CARRIER_SOURCE)
            continue;
        if (origins == NULL)
            origins = origins_collect(parts, n, arena, &n_origins);
        effect_resolve(effect, origins, n_origins);
    }
}

static struct effect effect_of(const struct part *part)
{
    const struct record_operation *operation = &part->by->operation;
    struct effect effect = {
        .path = part->path,
        .kind = part->kind,
        .seen = part->is_target ? operation->target_seen : operation->seen,
        .by = part->by,
    };
    if (part->kind == EFFECT_WRITE)
        effect.content = operation->content;
    if (part->is_target)
        effect.source = operation->path;
    return effect;
}

static size_t parts_add(struct part *parts, const struct record *record)
{
    const struct record_operation *operation = &record->operation;
    parts[0] = (struct part){.path = operation->path, .by = record};
    switch (operation->op) {
    case OP_WRITE:
        parts[0].kind = EFFECT_WRITE;
        return 1;
    case OP_DELETE:
        parts[0].kind = EFFECT_DELETE;
        return 1;
    case OP_RENAME:
        parts[0].kind = EFFECT_MOVED;
        parts[1] = (struct part){
            .path = operation->target, .by = record, .kind = EFFECT_WRITE, .is_target = true};
        return 2;
    }
    return 0;
}

/* Sorts what the operations do by path and time, and keeps the last of each path. */
static void effects_collect(struct session_view *view, struct part *parts, size_t n,
                            struct arena *arena)
{
    qsort(parts, n, sizeof(*parts), part_order);
    view->effects = arena_array(arena, n, struct effect);
    for (size_t i = 0; i < n; i++) {
        if (i + 1 == n || !bytes_equal(parts[i].path, parts[i + 1].path))
            view->effects[view->n_effects++] = effect_of(&parts[i]);
    }
    effects_resolve(view, parts, n, arena);
}

static void guards_settle(struct session_view *view)
{
    const struct record **guards = view->guards;
    qsort(guards, view->n_guards, sizeof(struct record *), guard_order);
    size_t kept = 0;
    for (size_t i = 0; i < view->n_guards; i++) {
        if (i + 1 == view->n_guards ||
            !bytes_equal(guards[i]->guard.path, guards[i + 1]->guard.path))
            guards[kept++] = guards[i];
    }
    view->n_guards = kept;
}

struct kind_counts {
    size_t operations;
    size_t guards;
    size_t decisions;
    size_t turns;
};

static struct kind_counts records_count(const struct session *session)
{
    struct kind_counts counts = {0};
    for (size_t i = 0; i < session->n_records; i++) {
        enum record_kind kind = session->records[i].kind;
        counts.operations += kind == RECORD_OPERATION;
        counts.guards += kind == RECORD_GUARD;
        counts.decisions += kind == RECORD_DECISION;
        counts.turns += kind == RECORD_CONVERSATION;
    }
    return counts;
}

void session_view(const struct session *session, struct arena *arena, struct session_view *out)
{
    struct kind_counts counts = records_count(session);
    struct session_view view = {
        .guards = arena_array(arena, counts.guards, const struct record *),
        .decisions = arena_array(arena, counts.decisions, const struct record *),
        .turns = arena_array(arena, counts.turns, const struct record *),
    };
    struct part *parts = arena_array(arena, 2 * counts.operations, struct part);
    size_t n_parts = 0;
    for (size_t i = 0; i < session->n_records; i++) {
        const struct record *record = &session->records[i];
        switch (record->kind) {
        case RECORD_START:
            if (view.start == NULL || record_time_compare(record, view.start) < 0)
                view.start = record;
            break;
        case RECORD_OPERATION:
            n_parts += parts_add(parts + n_parts, record);
            break;
        case RECORD_GUARD:
            view.guards[view.n_guards++] = record;
            break;
        case RECORD_DECISION:
            view.decisions[view.n_decisions++] = record;
            break;
        case RECORD_CONVERSATION:
            view.turns[view.n_turns++] = record;
            break;
        case RECORD_REBASE:
        case RECORD_ABANDON:
        case RECORD_LAND:
            break;
        }
    }
    effects_collect(&view, parts, n_parts, arena);
    guards_settle(&view);
    qsort(view.decisions, view.n_decisions, sizeof(struct record *), time_order);
    qsort(view.turns, view.n_turns, sizeof(struct record *), time_order);
    *out = view;
}
