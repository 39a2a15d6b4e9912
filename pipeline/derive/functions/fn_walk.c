#include "pipeline/derive/functions/fn_walk.h"

int fn_dir_entry(struct fn_dir *dir)
{
    int err = OK;
    while (err == OK && dir->item != NULL && dir->level > 0)
        err = dir->tree->expand(dir);
    return err;
}

int fn_path_step(struct buf *path, size_t len, struct bytes name)
{
    if (name.len >= PATH_LEN_MAX - len)
        return ERR_LIMIT;
    path->len = len;
    if (len > 0)
        buf_append(path, "/", 1);
    buf_append_bytes(path, name);
    return OK;
}

static int dir_push(struct fn_walk *walk, const struct fn_entry *entry)
{
    if (walk->depth > PATH_DEPTH_MAX)
        return ERR_LIMIT;
    size_t n = walk->depth;
    struct fn_walk_dir *at =
        arena_push(&walk->arena, (void **)&walk->dirs, &n, &walk->cap, sizeof(*at));
    int err = walk->tree->open_dir(walk->tree, entry, &at->dir);
    if (err != OK)
        return err;
    at->path_len = walk->path.len;
    walk->depth = n;
    return OK;
}

int fn_walk_open(struct fn_walk *walk, struct fn_tree *tree)
{
    *walk = (struct fn_walk){.tree = tree};
    int err = dir_push(walk, &tree->top);
    if (err != OK)
        fn_walk_release(walk);
    return err;
}

void fn_walk_release(struct fn_walk *walk)
{
    while (walk->depth > 0)
        walk->tree->close_dir(walk->dirs[--walk->depth].dir);
    buf_release(&walk->path);
    arena_release(&walk->arena);
}

/* Leaves what was given last: into it when it is a directory that was not skipped, else past
 * it. */
static int move_on(struct fn_walk *walk)
{
    if (!walk->given)
        return OK;
    struct fn_dir *dir = walk->dirs[walk->depth - 1].dir;
    if (walk->go_below) {
        int err = dir_push(walk, dir->item);
        if (err != OK)
            return err;
    }
    walk->tree->pass(dir);
    walk->given = false;
    return OK;
}

int fn_walk_next(struct fn_walk *walk, struct bytes *path, const struct fn_entry **out)
{
    int err = move_on(walk);
    while (err == OK && walk->depth > 0) {
        const struct fn_walk_dir *at = &walk->dirs[walk->depth - 1];
        err = fn_dir_entry(at->dir);
        if (err != OK)
            break;
        if (at->dir->item == NULL) {
            walk->tree->close_dir(at->dir);
            walk->depth--;
            continue;
        }
        err = fn_path_step(&walk->path, at->path_len, at->dir->item->name);
        if (err != OK)
            break;
        walk->given = true;
        walk->go_below = at->dir->item->kind == KIND_DIR;
        *path = buf_bytes(&walk->path);
        *out = at->dir->item;
        return OK;
    }
    *out = NULL;
    return err;
}

void fn_walk_skip(struct fn_walk *walk)
{
    walk->go_below = false;
}
