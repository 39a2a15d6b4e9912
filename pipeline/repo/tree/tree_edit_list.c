#include "pipeline/repo/tree/dir_cursor.h"
#include "pipeline/repo/tree/edit_node.h"
#include "pipeline/repo/tree/tree_rechunk.h"

/* A directory's pages and its changes, side by side. */
struct merge {
    struct dir_cursor cursor;
    const struct dir_change *changes;
    size_t n;
};

/* What comes first by name, of the pages or of the changes, which hide an entry of the same
 * name; NULL for a name that is gone. `order` says which sides to move on: the pages when it is
 * 0 or less, the changes when it is 0 or more. ERR_NOT_FOUND at the end. */
static int merge_peek(struct merge *m, const struct entry **out, int *order)
{
    const struct entry *page = NULL;
    int err = dir_cursor_entry(&m->cursor, &page);
    if (err != 0 && (err != ERR_NOT_FOUND || m->n == 0)) {
        return err;
    }
    if (m->n == 0) {
        *order = -1;
    } else {
        *order = page == NULL ? 1 : bytes_compare(page->name, m->changes->name);
    }
    *out = *order < 0 ? page : m->changes->entry;
    return 0;
}

static int merge_list(struct merge *m, size_t max, struct arena *arena,
                      struct tree_listing *out)
{
    struct tree_listing listing = {0};
    size_t cap = 0;
    const struct entry *e;
    int order;
    int err;
    while ((err = merge_peek(m, &e, &order)) == 0) {
        if (e != NULL) {
            if (listing.n == max) {
                listing.more = true;
                break;
            }
            struct entry *entry =
                arena_push(arena, (void **)&listing.entries, &listing.n, &cap, sizeof(*entry));
            *entry = *e;
            entry->name = arena_copy(arena, e->name);
        }
        if (order <= 0) {
            dir_cursor_pass(&m->cursor);
        }
        if (order >= 0) {
            m->changes++;
            m->n--;
        }
    }
    if (err != 0 && err != ERR_NOT_FOUND) {
        return err;
    }
    *out = listing;
    return 0;
}

/* Directories that were changed get their hash, so that the changes have it. */
static int hashes_below(struct tree_edit *edit, struct edit_node *dir)
{
    int err = 0;
    for (const struct edit_slot *s = dir->changed_slots; err == 0 && s != NULL;
         s = s->next_changed) {
        if (s->child != NULL && edit_node_there(s->child)) {
            err = edit_node_hash(edit, s->child);
        }
    }
    return err;
}

static int dir_list(struct tree_edit *edit, struct edit_node *dir, struct bytes after,
                    size_t max, struct arena *arena, struct tree_listing *out)
{
    int err = hashes_below(edit, dir);
    if (err != 0) {
        return err;
    }
    AUTO(arena_release) struct arena scratch = {0};
    struct merge m;
    m.changes = edit_node_changes(edit, dir, &scratch, &m.n);
    for (; m.n > 0 && bytes_compare(m.changes->name, after) <= 0; m.n--) {
        m.changes++;
    }
    dir_cursor_none(&m.cursor);
    if (dir->base.where.place != PLACE_NONE) {
        err = dir_cursor_open(&m.cursor, edit->base.repo, &edit->base.project, &dir->base.where,
                              NULL);
        err = err != 0 ? err : dir_cursor_seek(&m.cursor, after);
    }
    err = err != 0 ? err : merge_list(&m, max, arena, out);
    dir_cursor_close(&m.cursor);
    return err;
}

int tree_edit_list(struct tree_edit *edit, struct bytes path, struct bytes after, size_t max,
                   struct arena *arena, struct tree_listing *out)
{
    struct edit_spot s;
    int err = edit_spot_find(edit, path, &s);
    if (err != 0) {
        return err;
    }
    if (s.rest.len > 0 || s.entry.kind == KIND_NONE) {
        return ERR_NOT_FOUND;
    }
    if (s.node == NULL) {
        return ERR_INVALID;
    }
    return dir_list(edit, s.node, after, max, arena, out);
}
