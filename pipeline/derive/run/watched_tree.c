#include "pipeline/derive/run/watched_tree.h"

#include "pipeline/sys/must_alloc.h"

struct watched_dir {
    struct fn_dir dir; /* first */
    struct fn_dir *of;
};

struct watched_file {
    struct fn_bytes bytes; /* first */
    struct fn_bytes *of;
    struct watched_tree *watched;
};

static int outcome(struct watched_tree *watched, int err)
{
    return err == OK ? OK : watched->failed(watched->arg, err);
}

static void item_show(struct watched_dir *at)
{
    at->dir.item = at->of->item;
    at->dir.level = at->of->level;
}

static int watched_open_dir(struct fn_tree *tree, const struct fn_entry *entry,
                            struct fn_dir **out)
{
    struct watched_tree *watched = (struct watched_tree *)(void *)tree;
    struct fn_dir *of;
    int err = watched->before(watched->arg);
    if (err != OK)
        return err;
    err = watched->of->open_dir(watched->of, entry, &of);
    if (err != OK)
        return outcome(watched, err);
    struct watched_dir *at = must_alloc(1, sizeof(*at));
    *at = (struct watched_dir){.dir = {.tree = tree}, .of = of};
    item_show(at);
    *out = &at->dir;
    return OK;
}

static void watched_close_dir(struct fn_dir *dir)
{
    struct watched_dir *at = (struct watched_dir *)(void *)dir;
    at->of->tree->close_dir(at->of);
    free(at);
}

static void watched_pass(struct fn_dir *dir)
{
    struct watched_dir *at = (struct watched_dir *)(void *)dir;
    at->of->tree->pass(at->of);
    item_show(at);
}

static int watched_expand(struct fn_dir *dir)
{
    struct watched_dir *at = (struct watched_dir *)(void *)dir;
    struct watched_tree *watched = (struct watched_tree *)(void *)dir->tree;
    int err = watched->before(watched->arg);
    if (err != OK)
        return err;
    err = at->of->tree->expand(at->of);
    if (err == OK)
        item_show(at);
    return outcome(watched, err);
}

static int watched_view(struct fn_bytes *in, uint64_t offset, struct bytes *out)
{
    struct watched_file *file = (struct watched_file *)(void *)in;
    int err = file->watched->before(file->watched->arg);
    return err != OK ? err : outcome(file->watched, file->of->view(file->of, offset, out));
}

static int watched_open_file(struct fn_tree *tree, const struct fn_entry *entry,
                             struct fn_bytes **out)
{
    struct watched_tree *watched = (struct watched_tree *)(void *)tree;
    struct fn_bytes *of;
    int err = watched->before(watched->arg);
    if (err != OK)
        return err;
    err = watched->of->open_file(watched->of, entry, &of);
    if (err != OK)
        return outcome(watched, err);
    struct watched_file *file = must_alloc(1, sizeof(*file));
    *file = (struct watched_file){
        .bytes = {.size = of->size, .view = watched_view}, .of = of, .watched = watched};
    *out = &file->bytes;
    return OK;
}

static void watched_close_file(struct fn_tree *tree UNUSED, struct fn_bytes *in)
{
    struct watched_file *file = (struct watched_file *)(void *)in;
    file->watched->of->close_file(file->watched->of, file->of);
    free(file);
}

void watched_tree_init(struct watched_tree *watched, struct fn_tree *of,
                       int (*before)(void *arg), int (*failed)(void *arg, int err), void *arg)
{
    *watched = (struct watched_tree){.tree = {.top = of->top,
                                              .open_dir = watched_open_dir,
                                              .close_dir = watched_close_dir,
                                              .pass = watched_pass,
                                              .expand = watched_expand,
                                              .open_file = watched_open_file,
                                              .close_file = watched_close_file},
                                     .of = of,
                                     .before = before,
                                     .failed = failed,
                                     .arg = arg};
}
