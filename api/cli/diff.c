#include "api/cli/diff.h"

#include <stdlib.h>

#include "api/cli/patch.h"
#include "api/cli/renames.h"
#include "formats/path.h"

/* Patches in one JSON document; the files beyond are named without. */
#define JSON_TEXT_MAX (256u * MIB)

/* ---- the workspace's side ---------------------------------------------------------------- */

static int size_order(const void *a, const void *b)
{
    const uint64_t *left = a;
    const uint64_t *right = b;
    return (*left > *right) - (*left < *right);
}

/* Reads the files whose hash is needed: it decides whether a file of the same size differs, or
 * is one that went. */
static int hashes_fill(struct diff *diff, struct entry *const *locals)
{
    struct client_changes *all = &diff->changes;
    uint64_t *gone = arena_array(&diff->cli->arena, all->n, uint64_t);
    size_t n = 0;
    for (size_t i = 0; i < all->n; i++) {
        if (all->changes[i].b == NULL && all->changes[i].a != NULL)
            gone[n++] = all->changes[i].a->size;
    }
    if (n > 0)
        qsort(gone, n, sizeof(*gone), size_order);
    for (size_t i = 0; i < all->n; i++) {
        const struct client_change *change = &all->changes[i];
        struct entry *local = locals[i];
        if (local == NULL || !hash_is_zero(&local->hash))
            continue;
        bool alike = change->a != NULL && change->a->kind == local->kind &&
                     change->a->size == local->size;
        bool came = change->a == NULL && n > 0 &&
                    bsearch(&local->size, gone, n, sizeof(*gone), size_order) != NULL;
        struct stat st;
        if ((alike || came) &&
            worktree_hash(&diff->cli->ws.tree, change->path, &local->hash, &st) != OK)
            return cli_fail(diff->cli, "%s cannot be read",
                            arena_str(&diff->cli->arena, change->path));
    }
    return 0;
}

static struct entry *local_entry(const struct scan_item *item, struct arena *arena)
{
    if (item->state == SCAN_DELETED)
        return NULL;
    struct entry *entry = arena_new(arena, struct entry);
    *entry = (struct entry){.kind = item->kind, .mode = item->mode, .size = item->size};
    if (item->hashed)
        entry->hash = item->hash;
    return entry;
}

static const struct entry *base_entry(const struct index_entry *base, struct arena *arena)
{
    if (base == NULL || base->kind == KIND_NONE)
        return NULL;
    struct entry *entry = arena_new(arena, struct entry);
    *entry = (struct entry){
        .kind = base->kind, .mode = base->mode, .size = base->size, .hash = base->hash};
    return entry;
}

static bool entries_equal(const struct entry *a, const struct entry *b)
{
    if (a == NULL || b == NULL)
        return a == b;
    return a->kind == b->kind && a->mode == b->mode && hash_equal(&a->hash, &b->hash);
}

static int change_order(const void *a, const void *b)
{
    const struct client_change *left = a;
    const struct client_change *right = b;
    return path_compare(left->path, right->path);
}

int diff_add_scan(struct diff *diff, const struct scan *scan)
{
    struct arena *arena = &diff->cli->arena;
    struct client_changes base = diff->changes;
    if (base.n > 0)
        qsort(base.changes, base.n, sizeof(*base.changes), change_order);
    struct client_changes all = {
        .changes = arena_array(arena, base.n + scan->n, struct client_change)};
    struct entry **locals = arena_array(arena, base.n + scan->n, struct entry *);
    for (size_t i = 0, k = 0; i < base.n || k < scan->n;) {
        int order = i == base.n    ? 1
                    : k == scan->n ? -1
                                   : path_compare(base.changes[i].path, scan->items[k].path);
        struct client_change *change = &all.changes[all.n];
        if (order > 0)
            *change = (struct client_change){.path = scan->items[k].path,
                                             .a = base_entry(scan->items[k].base, arena)};
        else
            *change = base.changes[i];
        if (order >= 0)
            change->b = locals[all.n] = local_entry(&scan->items[k], arena);
        all.n++;
        i += order <= 0;
        k += order >= 0;
    }
    diff->changes = all;
    int status = hashes_fill(diff, locals);
    if (status != 0)
        return status;
    size_t kept = 0;
    for (size_t i = 0; i < all.n; i++) {
        if (!entries_equal(all.changes[i].a, all.changes[i].b))
            all.changes[kept++] = all.changes[i];
    }
    diff->changes.n = kept;
    return 0;
}

/* ---- one file ---------------------------------------------------------------------------- */

static struct patch_side side_of(struct bytes path, const struct entry *e)
{
    struct patch_side side = {.path = path};
    if (e != NULL) {
        side.kind = e->kind;
        side.mode = e->mode;
        side.too_large = e->size > PATCH_TEXT_MAX;
    }
    return side;
}

static int local_read(const struct diff *diff, struct patch_side *side, struct buf *text)
{
    struct stat st;
    int err = worktree_read(&diff->cli->ws.tree, side->path, PATCH_TEXT_MAX, text, &st);
    if (err == ERR_LIMIT) {
        side->too_large = true;
        return 0;
    }
    if (err != OK)
        return cli_fail(diff->cli, "%s cannot be read (%s)",
                        arena_str(&diff->cli->arena, side->path), err_name(err));
    side->text = buf_bytes(text);
    return 0;
}

static int forge_read(const struct diff *diff, struct patch_side *side, const struct entry *e,
                      uint64_t position, struct buf *text)
{
    if (base_read(&diff->cli->client, diff->project, side->path, position, &e->hash, e->size,
                  text) != OK)
        return cli_client_failed(diff->cli, arena_str(&diff->cli->arena, side->path));
    side->text = buf_bytes(text);
    return 0;
}

/* `source`: what the file was called before; NULL: as it is. */
static int change_patch(const struct diff *diff, const struct client_change *source,
                        const struct client_change *change, struct buf *out)
{
    AUTO_BUF before = {0};
    AUTO_BUF after = {0};
    const struct entry *was = source != NULL ? source->a : change->a;
    struct patch_side a = side_of(source != NULL ? source->path : change->path, was);
    struct patch_side b = side_of(change->path, change->b);
    bool same = was != NULL && change->b != NULL && was->kind == change->b->kind &&
                hash_equal(&was->hash, &change->b->hash);
    bool shown = !same && !a.too_large && !b.too_large;
    int status = 0;
    if (shown && b.kind != KIND_NONE)
        status = diff->local ? local_read(diff, &b, &after)
                             : forge_read(diff, &b, change->b, diff->to, &after);
    if (status == 0 && shown && a.kind != KIND_NONE)
        status = forge_read(diff, &a, was, diff->from, &before);
    if (status == 0 && patch_write(&a, &b, same, out) != OK)
        status = cli_fail(diff->cli, "%s cannot be compared",
                          arena_str(&diff->cli->arena, change->path));
    return status;
}

/* ---- all of them ------------------------------------------------------------------------- */

static const char *change_name(const struct client_change *source,
                               const struct client_change *change)
{
    if (source != NULL)
        return "renamed";
    return change->a == NULL ? "added" : change->b == NULL ? "deleted" : "modified";
}

static int change_print(const struct diff *diff, const struct client_change *source,
                        const struct client_change *change, struct json_writer *w)
{
    AUTO_BUF text = {0};
    bool full = diff->cli->json && w->out->len > JSON_TEXT_MAX;
    int status = full ? 0 : change_patch(diff, source, change, &text);
    if (status != 0)
        return status;
    if (!diff->cli->json)
        return cli_print(buf_bytes(&text));
    jwr_object(w, NULL);
    jwr_text(w, "path", change->path);
    jwr_str(w, "state", change_name(source, change));
    if (source != NULL)
        jwr_text(w, "from", source->path);
    if (!full)
        jwr_text(w, "diff", buf_bytes(&text));
    jwr_object_end(w);
    return 0;
}

int diff_print(const struct diff *diff, size_t most, struct json_writer *w)
{
    const struct client_changes *all = &diff->changes;
    const struct client_change **from = renames_find(all, &diff->cli->arena);
    bool *moved = arena_array(&diff->cli->arena, all->n, bool);
    size_t files = all->n;
    for (size_t i = 0; i < all->n; i++) {
        if (from[i] != NULL) {
            moved[from[i] - all->changes] = true;
            files--;
        }
    }
    if (diff->cli->json)
        jwr_array(w, "changes");
    int status = 0;
    size_t printed = 0;
    for (size_t i = 0; i < all->n && status == 0 && printed < most; i++) {
        if (moved[i])
            continue;
        status = change_print(diff, from[i], &all->changes[i], w);
        printed++;
    }
    if (status == 0 && printed < files)
        cli_say(diff->cli, "%zu of %zu changed files are shown", printed, files);
    if (diff->cli->json)
        jwr_array_end(w);
    return status;
}
