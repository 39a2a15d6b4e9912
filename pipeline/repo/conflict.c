#include "pipeline/repo/conflict.h"

#include "formats/base/limits.h"
#include "formats/path.h"

struct check {
    struct tree_edit *edit;
    const struct session_view *view;
    struct arena *arena;
    struct conflict_list *out;
    size_t cap;
};

static void conflict_add(struct check *c, enum conflict_what what, struct bytes path,
                         const struct seen *seen, const struct seen *there, uint64_t by)
{
    struct conflict_list *out = c->out;
    out->n++;
    if (out->n_listed == CONFLICTS_LISTED_MAX)
        return;
    size_t n = out->n_listed;
    struct conflict *conflict =
        arena_push(c->arena, (void **)&out->conflicts, &n, &c->cap, sizeof(*conflict));
    out->n_listed = (uint16_t)n;
    *conflict =
        (struct conflict){.what = what, .path = path, .seen = *seen, .there = *there, .by = by};
}

/* The stamp of what is at `path`; of a path that is gone, that of its nearest directory. */
static int stamp_at(struct check *c, struct bytes path, uint64_t *stamp)
{
    struct entry entry;
    int err = tree_edit_find(c->edit, path, &entry);
    if (err == ERR_NOT_FOUND) {
        size_t len;
        err = tree_edit_nearest(c->edit, path, &len, &entry);
    }
    if (err == OK)
        *stamp = entry.stamp;
    return err;
}

static const struct effect *effect_find(const struct session_view *view, struct bytes path)
{
    size_t low = 0;
    size_t high = view->n_effects;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = bytes_compare(view->effects[middle].path, path);
        if (order == 0)
            return &view->effects[middle];
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

/* Index of the first effect whose path is at least `path`. */
static size_t effect_from(const struct session_view *view, struct bytes path)
{
    size_t low = 0;
    size_t high = view->n_effects;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (bytes_compare(view->effects[middle].path, path) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool effect_removes(const struct effect *e)
{
    return e != NULL && (e->kind == EFFECT_DELETE || e->kind == EFFECT_MOVED);
}

/* Whether the session's own deletes leave nothing of the directory at `path`, which has `files`
 * files. */
static int empties(struct check *c, struct bytes path, uint64_t files, bool *out)
{
    uint64_t gone = 0;
    char *prefix = arena_printf(c->arena, "%.*s/", (int)path.len, (const char *)path.data);
    size_t i = effect_from(c->view, bytes_str(prefix));
    for (; i < c->view->n_effects && path_below(c->view->effects[i].path, path); i++) {
        const struct effect *e = &c->view->effects[i];
        struct entry entry;
        if (!effect_removes(e))
            continue;
        int err = tree_edit_find(c->edit, e->path, &entry);
        if (err != OK && err != ERR_NOT_FOUND)
            return err;
        if (err == OK && entry.kind != KIND_DIR)
            gone++;
    }
    *out = gone == files;
    return OK;
}

/* Whether the session writes at a path above `path` as well: nothing can make both true. */
static bool clashes_with_own(const struct session_view *view, struct bytes path)
{
    for (struct bytes above = path_parent(path); above.len > 0; above = path_parent(above)) {
        const struct effect *e = effect_find(view, above);
        if (e != NULL && e->kind == EFFECT_WRITE)
            return true;
    }
    return false;
}

/* What stands where a written file is to go, after the session's deletes: a directory, or a
 * file above it. */
static int write_room(struct check *c, const struct effect *e, const struct entry *there)
{
    static const struct seen absent = {.said = true};
    if (there != NULL && there->kind == KIND_DIR) {
        bool gone;
        int err = empties(c, e->path, there->files, &gone);
        if (err != OK || gone)
            return err;
        struct seen dir;
        err = tree_edit_seen(c->edit, e->path, &dir);
        if (err == OK)
            conflict_add(c, CONFLICT_DIRECTORY, e->path, &e->seen, &dir, there->stamp);
        return err;
    }
    if (there != NULL)
        return OK;
    size_t len;
    struct entry nearest;
    int err = tree_edit_nearest(c->edit, e->path, &len, &nearest);
    if (err != OK || nearest.kind == KIND_DIR)
        return err;
    struct bytes in_the_way = bytes_of(e->path.data, len);
    if (effect_removes(effect_find(c->view, in_the_way)))
        return OK;
    struct seen file = seen_of(&nearest);
    conflict_add(c, CONFLICT_ANCESTOR, in_the_way, &absent, &file, nearest.stamp);
    return OK;
}

static bool wanted_already(const struct effect *e, const struct seen *there)
{
    switch (e->kind) {
    case EFFECT_WRITE:
        return there->kind == e->content.kind && there->mode == e->content.mode &&
               hash_equal(&there->hash, &e->content.hash);
    case EFFECT_DELETE:
        return there->kind == KIND_NONE;
    case EFFECT_MOVED:
        return false;
    }
    return false;
}

static int effect_check(struct check *c, const struct effect *e)
{
    if (e->kind == EFFECT_WRITE && clashes_with_own(c->view, e->path))
        return ERR_INVALID;
    struct entry entry;
    int err = tree_edit_find(c->edit, e->path, &entry);
    if (err != OK && err != ERR_NOT_FOUND)
        return err;
    const struct entry *at = err == OK ? &entry : NULL;
    /* For an operation a directory counts as absent. */
    struct seen there = seen_of(at != NULL && at->kind == KIND_DIR ? NULL : at);
    bool holds = e->seen.said && seen_equal(&e->seen, &there);
    if (!holds && !wanted_already(e, &there)) {
        uint64_t stamp;
        err = stamp_at(c, e->path, &stamp);
        if (err == OK)
            conflict_add(c, CONFLICT_OPERATION, e->path, &e->seen, &there, stamp);
        return err;
    }
    return e->kind == EFFECT_WRITE ? write_room(c, e, at) : OK;
}

static int guard_check(struct check *c, const struct record_guard *guard)
{
    struct seen there;
    int err = tree_edit_seen(c->edit, guard->path, &there);
    if (err != OK || (guard->seen.said && seen_equal(&guard->seen, &there)))
        return err;
    uint64_t stamp;
    err = stamp_at(c, guard->path, &stamp);
    if (err == OK)
        conflict_add(c, CONFLICT_GUARD, guard->path, &guard->seen, &there, stamp);
    return err;
}

int conflict_check(struct tree_edit *edit, const struct session_view *view, struct arena *arena,
                   struct conflict_list *out)
{
    struct conflict_list found = {0};
    struct check c = {.edit = edit, .view = view, .arena = arena, .out = &found};
    for (size_t i = 0; i < view->n_effects; i++) {
        int err = effect_check(&c, &view->effects[i]);
        if (err != OK)
            return err;
    }
    for (size_t i = 0; i < view->n_guards; i++) {
        int err = guard_check(&c, &view->guards[i]->guard);
        if (err != OK)
            return err;
    }
    *out = found;
    return OK;
}
