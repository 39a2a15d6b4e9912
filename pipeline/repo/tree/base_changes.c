#include "pipeline/repo/tree/base_changes.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "formats/path.h"

struct base_changes {
    struct id16 project;
    struct hash tree;
    atomic_uint refs;
    struct arena arena;
    struct base_change *items; /* sorted by path and position */
    size_t n;
    size_t cap;
};

static int change_order(const void *a, const void *b)
{
    const struct base_change *left = a;
    const struct base_change *right = b;
    int order = bytes_compare(left->path, right->path);
    return order != 0 ? order
                      : (left->position > right->position) - (left->position < right->position);
}

static void changes_add(struct base_changes *changes, const struct effect *effect,
                        uint64_t position)
{
    void *items = changes->items;
    struct base_change *item =
        arena_push(&changes->arena, &items, &changes->n, &changes->cap, sizeof(*item));
    changes->items = items;
    item->path = effect->path;
    item->position = position;
    if (effect->kind != EFFECT_WRITE)
        return;
    item->there = (struct entry){.kind = effect->content.kind,
                                 .mode = effect->content.mode,
                                 .size = effect->content.size,
                                 .hash = effect->content.hash};
}

int base_changes_read(struct repo *repo, const struct id16 *project, const struct batch *batch,
                      struct base_changes **out)
{
    struct base_changes *changes = calloc(1, sizeof(*changes));
    if (changes == NULL)
        abort();
    changes->project = *project;
    changes->tree = batch->tree_hash;
    atomic_init(&changes->refs, 1);
    struct landing *landings;
    int err = chain_records(repo, project, batch, &changes->arena, &landings);
    for (uint32_t i = 0; err == OK && i < batch->footer.n_records; i++) {
        const struct landing *landing = &landings[i];
        if (landing->verdict != VERDICT_LANDED)
            continue;
        if (!landing->has_session) {
            err = ERR_CORRUPT;
            break;
        }
        struct session_view view;
        session_view(&landing->landed, &changes->arena, &view);
        for (size_t k = 0; k < view.n_effects; k++)
            changes_add(changes, &view.effects[k], landing->position);
    }
    if (err != OK) {
        base_changes_drop(changes);
        return err;
    }
    if (changes->n > 0)
        qsort(changes->items, changes->n, sizeof(*changes->items), change_order);
    *out = changes;
    return OK;
}

struct base_changes *base_changes_hold(struct base_changes *changes)
{
    atomic_fetch_add(&changes->refs, 1);
    return changes;
}

void base_changes_drop(struct base_changes *changes)
{
    if (changes == NULL || atomic_fetch_sub(&changes->refs, 1) > 1)
        return;
    arena_release(&changes->arena);
    free(changes);
}

bool base_changes_are(const struct base_changes *changes, const struct id16 *project,
                      const struct hash *tree)
{
    return hash_equal(&changes->tree, tree) && id16_equal(&changes->project, project);
}

/* Index of the first item that is not less than (path, position). */
static size_t first_from(const struct base_changes *changes, struct bytes path,
                         uint64_t position)
{
    struct base_change key = {.path = path, .position = position};
    size_t low = 0;
    size_t high = changes->n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (change_order(&changes->items[middle], &key) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

const struct base_change *base_changes_at(const struct base_changes *changes, struct bytes path,
                                          uint64_t position)
{
    size_t i = first_from(changes, path, position + 1);
    if (i == 0 || !bytes_equal(changes->items[i - 1].path, path))
        return NULL;
    return &changes->items[i - 1];
}

/* The first change of something below `path`. */
static size_t first_below(const struct base_changes *changes, struct bytes path)
{
    if (path.len == 0)
        return 0;
    AUTO_BUF below = {0};
    buf_append_bytes(&below, path);
    buf_append(&below, "/", 1);
    return first_from(changes, buf_bytes(&below), 0);
}

bool base_changes_below(const struct base_changes *changes, struct bytes path,
                        uint64_t position)
{
    for (size_t i = first_below(changes, path);
         i < changes->n && path_below(changes->items[i].path, path); i++) {
        if (changes->items[i].position <= position)
            return true;
    }
    return false;
}

bool base_changes_stand_below(const struct base_changes *changes, struct bytes path,
                              uint64_t position)
{
    bool stands = false; /* the path at hand, after what was looked at */
    for (size_t i = first_below(changes, path);
         i < changes->n && path_below(changes->items[i].path, path); i++) {
        const struct base_change *change = &changes->items[i];
        if (stands && !bytes_equal(change->path, changes->items[i - 1].path))
            return true;
        if (change->position <= position)
            stands = change->there.kind != KIND_NONE;
    }
    return stands;
}
