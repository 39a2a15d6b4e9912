#include "formats/base/buf.h"
#include "pipeline/repo/tree/dir_cursor.h"

struct walk_dir {
    struct dir_cursor cursor;
    size_t path_len; /* of the directory itself */
};

struct tree_walk {
    struct repo *repo;
    struct id16 project;
    struct arena arena;
    struct buf path;
    struct page_ahead ahead;
    struct walk_dir
        *dirs; /* from the top down to where we are; at most PATH_DEPTH_MAX and a few */
    size_t depth;
    size_t cap;
    bool given;    /* the cursor still stands on what was given last */
    bool go_below; /* that is a directory, which comes next */
};

static int dir_push(struct tree_walk *w, const struct location *where)
{
    if (w->depth > PATH_DEPTH_MAX) {
        /* No path is so deep: somebody made the pages by hand. */
        return ERR_CORRUPT;
    }
    size_t n = w->depth;
    struct walk_dir *dir = arena_push(&w->arena, (void **)&w->dirs, &n, &w->cap, sizeof(*dir));
    int err = dir_cursor_open(&dir->cursor, w->repo, &w->project, where, &w->ahead);
    if (err != 0) {
        return err;
    }
    dir->path_len = w->path.len;
    w->depth = n;
    return 0;
}

int tree_walk_open(const struct tree *t, struct bytes path, struct tree_walk **out)
{
    AUTO(arena_release) struct arena scratch = {0};
    struct entry dir;
    int err = tree_find(t, path, &scratch, &dir);
    if (err != 0) {
        return err;
    }
    if (dir.kind != KIND_DIR) {
        return ERR_INVALID;
    }
    struct arena arena = {0};
    struct tree_walk *w = arena_new(&arena, struct tree_walk);
    *w = (struct tree_walk){.repo = t->repo, .project = t->project, .arena = arena};
    buf_append_bytes(&w->path, path);
    if (dir.where.place != PLACE_NONE) {
        err = dir_push(w, &dir.where);
    }
    if (err != 0) {
        tree_walk_close(w);
        return err;
    }
    *out = w;
    return 0;
}

/* Leaves what was given last: into it when it is a directory that was not skipped, else past
 * it. */
static int move_on(struct tree_walk *w)
{
    if (!w->given) {
        return 0;
    }
    struct dir_cursor *cursor = &w->dirs[w->depth - 1].cursor;
    if (w->go_below) {
        uint8_t level;
        const struct entry *e = dir_cursor_item(cursor, &level);
        int err = dir_push(w, &e->where);
        if (err != 0) {
            return err;
        }
        /* The array may have moved. */
        cursor = &w->dirs[w->depth - 2].cursor;
    }
    dir_cursor_pass(cursor);
    w->given = false;
    return 0;
}

int tree_walk_next(struct tree_walk *w, struct bytes *path, const struct entry **out)
{
    int err = move_on(w);
    while (err == 0 && w->depth > 0) {
        struct walk_dir *dir = &w->dirs[w->depth - 1];
        const struct entry *e;
        err = dir_cursor_entry(&dir->cursor, &e);
        if (err == ERR_NOT_FOUND) {
            dir_cursor_close(&dir->cursor);
            w->depth--;
            err = 0;
            continue;
        }
        if (err != 0) {
            return err;
        }
        w->path.len = dir->path_len;
        if (w->path.len > 0) {
            buf_append(&w->path, "/", 1);
        }
        buf_append_bytes(&w->path, e->name);
        w->given = true;
        w->go_below = e->kind == KIND_DIR;
        *path = buf_bytes(&w->path);
        *out = e;
        return 0;
    }
    return err != 0 ? err : ERR_NOT_FOUND;
}

void tree_walk_skip(struct tree_walk *w)
{
    w->go_below = false;
}

void tree_walk_close(struct tree_walk *w)
{
    if (w == NULL) {
        return;
    }
    while (w->depth > 0) {
        dir_cursor_close(&w->dirs[--w->depth].cursor);
    }
    buf_release(&w->path);
    page_ahead_release(&w->ahead);
    struct arena arena = w->arena;
    arena_release(&arena);
}
