#include "formats/key.h"
#include "formats/path.h"
#include "pipeline/repo/damage.h"
#include "pipeline/repo/tree/dir_cursor.h"
#include "pipeline/repo/tree/dir_pages.h"
#include "pipeline/repo/tree/tree.h"

/* Reads the page's bytes from the store and adds them to the cache. What the parent says is
 * there and is not, or is other bytes than it says, is corrupt. */
static int page_read(struct repo *repo, const struct id16 *project,
                     const struct location *where, const struct page_held **out)
{
    struct key key = key_tree(project, &where->tree);
    AUTO_BUF body = {0};
    int err =
        store_get(repo->store, key.s, range_of(where->offset, where->len), &body, NULL, NULL);
    if (err == 0) {
        err = page_cache_add(repo->pages, project, where, buf_bytes(&body), out);
    }
    return damage_of(repo, key.s, err);
}

int tree_page(struct repo *repo, const struct id16 *project, const struct location *where,
              const struct page_held **out)
{
    if (where->place != PLACE_PAGE || where->len > PAGE_BYTES_MAX) {
        return ERR_CORRUPT;
    }
    const struct page_held *held = page_cache_find(repo->pages, project, where);
    if (held != NULL) {
        *out = held;
        return 0;
    }
    return page_read(repo, project, where, out);
}

static struct entry root_entry(const struct tree *t)
{
    return (struct entry){
        .kind = KIND_DIR,
        .size = t->bytes,
        .files = t->files,
        .hash = t->content,
        .stamp = t->position,
        .where = t->root,
    };
}

/* The entry `name` of the directory `dir`, without its name. */
static int child_find(const struct tree *t, const struct entry *dir, struct bytes name,
                      struct entry *out)
{
    const struct page_held *top = NULL;
    int err = tree_page(t->repo, &t->project, &dir->where, &top);
    if (err == 0) {
        err = dir_find(t->repo, &t->project, top, name, out);
        page_cache_drop(t->repo->pages, top);
    }
    return err;
}

int tree_find(const struct tree *t, struct bytes path, struct arena *arena, struct entry *out)
{
    struct entry entry = root_entry(t);
    struct bytes rest = path;
    struct bytes name = {0};
    while (rest.len > 0) {
        if (entry.kind != KIND_DIR || entry.where.place == PLACE_NONE) {
            return ERR_NOT_FOUND;
        }
        name = path_first(&rest);
        int err = child_find(t, &entry, name, &entry);
        if (err != 0) {
            return err;
        }
    }
    entry.name = arena_copy(arena, name);
    *out = entry;
    return 0;
}

static int listing_fill(struct dir_cursor *c, size_t max, struct arena *arena,
                        struct tree_listing *out)
{
    struct tree_listing listing = {0};
    size_t cap = 0;
    const struct entry *e;
    int err;
    while ((err = dir_cursor_entry(c, &e)) == 0) {
        if (listing.n == max) {
            listing.more = true;
            break;
        }
        struct entry *entry =
            arena_push(arena, (void **)&listing.entries, &listing.n, &cap, sizeof(*entry));
        *entry = *e;
        entry->name = arena_copy(arena, e->name);
        dir_cursor_pass(c);
    }
    if (err != 0 && err != ERR_NOT_FOUND) {
        return err;
    }
    *out = listing;
    return 0;
}

int tree_list(const struct tree *t, struct bytes path, struct bytes after, size_t max,
              struct arena *arena, struct tree_listing *out)
{
    struct entry dir;
    int err = tree_find(t, path, arena, &dir);
    if (err != 0) {
        return err;
    }
    if (dir.kind != KIND_DIR) {
        return ERR_INVALID;
    }
    if (dir.where.place == PLACE_NONE) {
        *out = (struct tree_listing){0};
        return 0;
    }
    AUTO(dir_cursor_close) struct dir_cursor cursor;
    dir_cursor_none(&cursor);
    err = dir_cursor_open(&cursor, t->repo, &t->project, &dir.where, NULL);
    if (err == 0) {
        err = dir_cursor_seek(&cursor, after);
    }
    return err != 0 ? err : listing_fill(&cursor, max, arena, out);
}
