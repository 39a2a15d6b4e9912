#include "api/service/seen_fill.h"

#include "formats/base/hex.h"
#include "formats/path.h"

#define SHOWN(path) (int)((path).len < 200 ? (path).len : 200), (const char *)(path).data

void seen_fill_init(struct seen_fill *fill, struct service *service, const struct id16 *project,
                    struct arena *arena)
{
    *fill = (struct seen_fill){.service = service, .project = *project, .arena = arena};
    fill->own.arena = arena;
}

static void base_release(struct seen_fill *fill)
{
    if (fill->base != NULL)
        base_drop(fill->service->bases, fill->base);
    fill->base = NULL;
}

void seen_fill_release(struct seen_fill *fill)
{
    base_release(fill);
    condemned_drop(fill->condemned);
    fill->condemned = NULL;
}

/* --- looking up --- */

static int base_use(struct seen_fill *fill, uint64_t position, struct problem *problem)
{
    if (fill->base != NULL && base_position(fill->base) == position)
        return OK;
    struct base_tree *base;
    int err = base_open(fill->service->bases, &fill->project, position, &base);
    if (err == ERR_INVALID)
        return problem_set(problem, err, "base_ahead", "base",
                           "the base is above the project's head");
    if (err != OK)
        return service_problem(problem, err, "the tree at the base");
    base_release(fill);
    fill->base = base;
    return OK;
}

/* What earlier sessions of the series did to `path`. Where they have not changed it, the base
 * is open after this. */
static int look_earlier(struct seen_fill *fill, uint64_t position, struct bytes path,
                        const struct path_item **out, struct problem *problem)
{
    static const struct path_item nothing;
    const struct path_item *item =
        fill->earlier == NULL ? NULL : path_map_find(fill->earlier, path);
    *out = item != NULL ? item : &nothing;
    return (*out)->changed ? OK : base_use(fill, position, problem);
}

/* What the client saw at `path`: the base, and what earlier sessions of the series did.
 * `below`: they changed something below it, so that a directory's hash is not known. Absent is
 * OK and KIND_NONE. */
static int look(struct seen_fill *fill, uint64_t position, struct bytes path, struct entry *out,
                bool *below, struct problem *problem)
{
    const struct path_item *item;
    int err = look_earlier(fill, position, path, &item, problem);
    if (err != OK)
        return err;
    *below = item->below;
    if (item->changed) {
        *out = item->there;
        return OK;
    }
    err = base_find(fill->base, path, out);
    if (err == ERR_NOT_FOUND) {
        *out = (struct entry){.kind = KIND_NONE};
        return OK;
    }
    return err == OK ? OK : service_problem(problem, err, "the tree at the base");
}

/* Only what it is. */
static int look_kind(struct seen_fill *fill, uint64_t position, struct bytes path,
                     enum kind *out, struct problem *problem)
{
    const struct path_item *item;
    int err = look_earlier(fill, position, path, &item, problem);
    if (err != OK)
        return err;
    if (item->changed) {
        *out = item->there.kind;
        return OK;
    }
    err = base_kind(fill->base, path, out);
    return err == OK ? OK : service_problem(problem, err, "the tree at the base");
}

/* What the session has made of `path` so far: false when it has done nothing to it. */
static bool look_own(const struct seen_fill *fill, struct bytes path, struct entry *out)
{
    const struct path_item *item = path_map_find(&fill->own, path);
    if (item != NULL && item->changed) {
        *out = item->there;
        return true;
    }
    size_t low = 0;
    size_t high = fill->view == NULL ? 0 : fill->view->n_effects;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct effect *effect = &fill->view->effects[middle];
        int order = bytes_compare(effect->path, path);
        if (order == 0) {
            *out = (struct entry){.kind = KIND_NONE};
            if (effect->kind == EFFECT_WRITE)
                *out = (struct entry){.kind = effect->content.kind,
                                      .mode = effect->content.mode,
                                      .size = effect->content.size,
                                      .hash = effect->content.hash};
            return true;
        }
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return false;
}

/* For an operation a directory counts as absent. */
static struct seen seen_for_operation(const struct entry *there)
{
    return seen_of(there->kind == KIND_NONE || there->kind == KIND_DIR ? NULL : there);
}

/* --- one record --- */

static int target_fill(struct seen_fill *fill, uint64_t base, struct bytes path,
                       struct seen *seen, struct problem *problem)
{
    if (seen->said)
        return OK;
    struct entry there;
    bool below;
    int err = look(fill, base, path, &there, &below, problem);
    if (err == OK)
        *seen = seen_for_operation(&there);
    return err;
}

/* What a delete or a rename takes away: it must have been there, or come by the session
 * itself. */
static int removed_fill(struct seen_fill *fill, struct record_operation *operation,
                        struct problem *problem)
{
    if (operation->seen.said)
        return OK;
    struct entry there;
    struct entry own;
    bool below;
    int err = look(fill, operation->base, operation->path, &there, &below, problem);
    if (err != OK)
        return err;
    bool mine = look_own(fill, operation->path, &own);
    if (there.kind == KIND_DIR && !mine)
        return problem_set(problem, ERR_INVALID, "path_is_directory", "path",
                           "%.*s is a directory: name the files below it",
                           SHOWN(operation->path));
    if (there.kind == KIND_NONE && !mine)
        return problem_set(problem, ERR_INVALID, "path_absent", "path",
                           "there is no %.*s at the base", SHOWN(operation->path));
    operation->seen = seen_for_operation(&there);
    return OK;
}

/* Content that is kept: an all-zero hash means whatever the path has. */
static int kept_fill(struct seen_fill *fill, struct record_operation *operation,
                     struct problem *problem)
{
    struct content *content = &operation->content;
    struct entry there;
    bool below;
    if (!look_own(fill, operation->path, &there)) {
        int err = look(fill, operation->base, operation->path, &there, &below, problem);
        if (err != OK)
            return err;
    }
    bool file = there.kind == KIND_FILE || there.kind == KIND_LINK;
    if (!hash_is_zero(&content->hash)) {
        if (file && hash_equal(&there.hash, &content->hash))
            content->size = there.size;
        return OK; /* else the session brings it elsewhere, or is refused when it lands */
    }
    if (!file)
        return problem_set(problem, ERR_INVALID, "path_absent", "path",
                           "there is no file %.*s whose content could be kept",
                           SHOWN(operation->path));
    /* A rename keeps all of its source, a write only the bytes: that is how a mode is
     * changed. */
    if (operation->op == OP_RENAME || there.kind != content->kind) {
        content->kind = there.kind;
        content->mode = there.mode;
    }
    content->size = there.size;
    content->hash = there.hash;
    return OK;
}

static int blob_fill(struct seen_fill *fill, struct content *content, struct problem *problem)
{
    struct content there;
    struct repo *repo = fill->service->repo;
    int err = OK;
    if (fill->condemned == NULL)
        err = condemned_read(repo, &fill->project, &fill->condemned);
    if (err == OK)
        err = blob_describe(repo, &fill->project, fill->condemned, &content->hash, &there);
    if (err == ERR_NOT_FOUND)
        return problem_set(problem, ERR_INVALID, "blob_missing", "content",
                           "content %s has not been uploaded", hash_hex(&content->hash).s);
    if (err != OK)
        return service_problem(problem, err, "an uploaded content");
    content->size = there.size;
    content->carrier = there.carrier;
    content->manifest = there.manifest;
    return OK;
}

static int content_fill(struct seen_fill *fill, struct record_operation *operation,
                        struct problem *problem)
{
    struct content *content = &operation->content;
    switch (content->carrier) {
    case CARRIER_INLINE_RAW:
    case CARRIER_INLINE_ZSTD: {
        AUTO(arena_release) struct arena scratch = {0};
        struct bytes plain;
        if (content_plain(&scratch, content, &plain) == OK)
            return OK;
        return problem_set(problem, ERR_INVALID, "content_mismatch", "content",
                           "the content of %.*s is not what its size and hash say",
                           SHOWN(operation->path));
    }
    case CARRIER_BLOB:
    case CARRIER_MANIFEST:
        return blob_fill(fill, content, problem);
    case CARRIER_SOURCE:
        return kept_fill(fill, operation, problem);
    case CARRIER_TREE_RAW:
        if (fill->named)
            return OK;
        break;
    case CARRIER_TREE_ZSTD:
        break;
    }
    return problem_set(problem, ERR_INVALID, "content_invalid", "content",
                       "a request cannot place content in a tree object");
}

static void own_add(struct seen_fill *fill, const struct record_operation *operation)
{
    static const struct entry absent = {.kind = KIND_NONE};
    const struct content *content = &operation->content;
    struct entry there = {.kind = content->kind,
                          .mode = content->mode,
                          .size = content->size,
                          .hash = content->hash};
    bool write = operation->op == OP_WRITE;
    path_map_set(&fill->own, operation->path, write ? &there : &absent);
    if (operation->op == OP_RENAME)
        path_map_set(&fill->own, operation->target, &there);
}

static int operation_fill(struct seen_fill *fill, struct record_operation *operation,
                          struct problem *problem)
{
    int err = OK;
    switch (operation->op) {
    case OP_WRITE:
        err = content_fill(fill, operation, problem);
        if (err == OK)
            err =
                target_fill(fill, operation->base, operation->path, &operation->seen, problem);
        break;
    case OP_DELETE:
        err = removed_fill(fill, operation, problem);
        break;
    case OP_RENAME:
        err = removed_fill(fill, operation, problem);
        if (err == OK)
            err = content_fill(fill, operation, problem);
        if (err == OK)
            err = target_fill(fill, operation->base, operation->target, &operation->target_seen,
                              problem);
        break;
    }
    if (err == OK)
        own_add(fill, operation);
    return err;
}

static int guard_fill(struct seen_fill *fill, struct record_guard *guard,
                      struct problem *problem)
{
    if (guard->seen.said)
        return OK;
    struct entry there;
    bool below;
    int err = look(fill, guard->base, guard->path, &there, &below, problem);
    if (err != OK)
        return err;
    if (below && there.kind != KIND_FILE && there.kind != KIND_LINK)
        return problem_set(problem, ERR_INVALID, "guard_seen_missing", "seen",
                           "earlier sessions of the series change %.*s: say what was seen",
                           SHOWN(guard->path));
    guard->seen = seen_of(there.kind == KIND_NONE ? NULL : &there);
    return OK;
}

int seen_fill_records(struct seen_fill *fill, struct record *records, size_t n,
                      struct problem *problem)
{
    for (size_t i = 0; i < n; i++) {
        int err = OK;
        if (records[i].kind == RECORD_OPERATION)
            err = operation_fill(fill, &records[i].operation, problem);
        else if (records[i].kind == RECORD_GUARD)
            err = guard_fill(fill, &records[i].guard, problem);
        if (err != OK)
            return err;
    }
    return OK;
}

/* --- a whole session against its own base --- */

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

static const struct effect *effect_at(const struct session_view *view, struct bytes path)
{
    size_t i = effect_from(view, path);
    return i < view->n_effects && bytes_equal(view->effects[i].path, path) ? &view->effects[i]
                                                                           : NULL;
}

static int clash(struct problem *problem, struct bytes path, const char *why)
{
    return problem_set(problem, ERR_INVALID, "path_clash", "path", "%.*s: %s", SHOWN(path),
                       why);
}

/* Whether the session deletes all of the `files` files below the directory at `path`. */
static int empties(struct seen_fill *fill, const struct session_view *view,
                   const struct effect *write, uint64_t files, bool *out,
                   struct problem *problem)
{
    AUTO_BUF prefix = {0};
    buf_append_bytes(&prefix, write->path);
    buf_append(&prefix, "/", 1);
    uint64_t gone = 0;
    size_t i = effect_from(view, buf_bytes(&prefix));
    for (; i < view->n_effects && path_below(view->effects[i].path, write->path); i++) {
        const struct effect *effect = &view->effects[i];
        struct entry there;
        bool below;
        if (effect->kind == EFFECT_WRITE)
            continue;
        int err = look(fill, write->by->operation.base, effect->path, &there, &below, problem);
        if (err != OK)
            return err;
        gone += there.kind == KIND_FILE || there.kind == KIND_LINK;
    }
    *out = gone == files;
    return OK;
}

/* A file that stands above the path, which the session leaves there or writes itself. */
static int above_check(struct seen_fill *fill, const struct session_view *view,
                       const struct effect *write, bool new, struct problem *problem)
{
    bool open = new; /* whether the base's directories above are still to be asked */
    for (struct bytes above = path_parent(write->path); above.len > 0;
         above = path_parent(above)) {
        const struct effect *effect = effect_at(view, above);
        if (effect != NULL && effect->kind == EFFECT_WRITE)
            return clash(problem, write->path, "the session writes a file above it as well");
        if (!open)
            continue;
        enum kind there;
        int err = look_kind(fill, write->by->operation.base, above, &there, problem);
        if (err != OK)
            return err;
        if ((there == KIND_FILE || there == KIND_LINK) && effect == NULL)
            return clash(problem, write->path, "a file stands above it at the base");
        open = there == KIND_NONE;
    }
    return OK;
}

int seen_fill_clash(struct seen_fill *fill, const struct session_view *view,
                    struct problem *problem)
{
    for (size_t i = 0; i < view->n_effects; i++) {
        const struct effect *effect = &view->effects[i];
        if (effect->kind != EFFECT_WRITE)
            continue;
        struct entry there;
        bool below;
        int err = look(fill, effect->by->operation.base, effect->path, &there, &below, problem);
        if (err != OK)
            return err;
        bool emptied = true;
        /* One that earlier sessions of the series changed is left to the landing: it knows what
         * is left of it. */
        if (there.kind == KIND_DIR && !below)
            err = empties(fill, view, effect, there.files, &emptied, problem);
        if (err == OK && !emptied)
            err = clash(problem, effect->path, "a directory stands there at the base");
        if (err == OK)
            err = above_check(fill, view, effect, there.kind == KIND_NONE, problem);
        if (err != OK)
            return err;
    }
    return OK;
}

void seen_fill_next(struct seen_fill *fill, const struct session_view *view)
{
    if (fill->earlier == NULL) {
        fill->earlier = arena_new(fill->arena, struct path_map);
        fill->earlier->arena = fill->arena;
    }
    for (size_t i = 0; i < view->n_effects; i++) {
        const struct effect *effect = &view->effects[i];
        struct entry there = {.kind = KIND_NONE};
        if (effect->kind == EFFECT_WRITE)
            there = (struct entry){.kind = effect->content.kind,
                                   .mode = effect->content.mode,
                                   .size = effect->content.size,
                                   .hash = effect->content.hash};
        path_map_set(fill->earlier, effect->path, &there);
    }
    fill->own = (struct path_map){.arena = fill->arena};
}
