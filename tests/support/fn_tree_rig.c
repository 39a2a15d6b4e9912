#include "tests/support/fn_tree_rig.h"

#include <check.h>
#include <stdlib.h>

#include "formats/base/hash.h"
#include "formats/page.h"
#include "formats/path.h"

struct rig_page {
    uint8_t level;
    struct fn_entry *items; /* `where` is the page below (level 1 and up, and directories), or
                               the file */
    size_t n;
};

struct rig_dir {
    struct fn_dir dir; /* first */
    unsigned depth;
    struct {
        const struct rig_page *page;
        size_t i;
    } at[PAGE_LEVELS_MAX];
};

struct rig_content {
    struct fn_bytes bytes; /* first */
    struct rig_tree *tree;
    struct bytes content;
};

/* ---- making ---- */

static struct hash items_hash(uint8_t level, const struct fn_entry *items, size_t n)
{
    struct entry *entries = calloc(n + 1, sizeof(*entries));
    ck_assert_ptr_nonnull(entries);
    for (size_t i = 0; i < n; i++)
        entries[i] = (struct entry){.name = items[i].name,
                                    .kind = items[i].kind,
                                    .mode = items[i].mode,
                                    .size = items[i].size,
                                    .hash = items[i].hash};
    struct hash hash = page_content_hash(level, entries, n);
    free(entries);
    return hash;
}

/* Puts a level of pages over the items, each of one item or more. */
static struct rig_page items_cut(struct rig_tree *t, struct rig_page below)
{
    struct rig_page above = {.level = (uint8_t)(below.level + 1)};
    size_t cap = 0;
    for (size_t i = 0; i < below.n;) {
        size_t n = 1 + (size_t)chance_below(t->chance, 4);
        n = n < below.n - i ? n : below.n - i;
        struct rig_page *page = arena_new(&t->arena, struct rig_page);
        *page = (struct rig_page){.level = below.level, .items = below.items + i, .n = n};
        struct fn_entry *item = arena_push(&t->arena, (void **)&above.items, &above.n, &cap,
                                           sizeof(struct fn_entry));
        *item = (struct fn_entry){.name = below.items[i].name,
                                  .kind = KIND_DIR,
                                  .hash = items_hash(below.level, below.items + i, n),
                                  .where = page};
        i += n;
    }
    return above;
}

/* The directory whose path takes `skip` bytes of its files' paths. */
static struct fn_entry dir_make(struct rig_tree *t, const struct rig_file *files, size_t n,
                                size_t skip)
{
    struct fn_entry dir = {.kind = KIND_DIR};
    struct rig_page *top = arena_new(&t->arena, struct rig_page);
    size_t cap = 0;
    for (size_t i = 0; i < n;) {
        struct bytes rest = bytes_of(files[i].path.data + skip, files[i].path.len - skip);
        struct bytes name = path_first(&rest);
        size_t len = skip + name.len;
        struct fn_entry entry = {.kind = files[i].kind,
                                 .mode = files[i].mode,
                                 .size = files[i].content.len,
                                 .hash = sha256(files[i].content),
                                 .where = &files[i]};
        size_t end = i + 1;
        if (rest.len > 0) {
            while (end < n && files[end].path.len > len &&
                   memcmp(files[end].path.data, files[i].path.data, len) == 0 &&
                   files[end].path.data[len] == '/')
                end++;
            entry = dir_make(t, files + i, end - i, len + 1);
        }
        entry.name = name;
        dir.files += entry.kind == KIND_DIR ? entry.files : 1;
        dir.size += entry.size;
        *(struct fn_entry *)arena_push(&t->arena, (void **)&top->items, &top->n, &cap,
                                       sizeof(entry)) = entry;
        i = end;
    }
    dir.hash = items_hash(0, top->items, top->n);
    while (t->chance != NULL && top->n > 1 && top->level + 1u < PAGE_LEVELS_MAX &&
           (top->n > 100 || chance_below(t->chance, 2) == 0))
        *top = items_cut(t, *top);
    dir.where = top;
    return dir;
}

/* ---- what functions call ---- */

static int may_fail(struct rig_tree *t)
{
    if (t->err_at == 0 && t->called == NULL)
        return OK;
    t->calls++;
    if (t->called != NULL)
        t->called(t);
    return t->err_at > 0 && t->calls >= t->err_at ? t->err : OK;
}

static void item_show(struct rig_dir *d)
{
    d->dir.item = NULL;
    if (d->depth == 0)
        return;
    const struct rig_page *page = d->at[d->depth - 1].page;
    d->dir.item = &page->items[d->at[d->depth - 1].i];
    d->dir.level = page->level;
}

static void page_push(struct rig_dir *d, const struct rig_page *page)
{
    if (page->n > 0) {
        d->at[d->depth].page = page;
        d->at[d->depth++].i = 0;
    }
    item_show(d);
}

static int rig_open_dir(struct fn_tree *tree, const struct fn_entry *entry, struct fn_dir **out)
{
    struct rig_tree *t = (struct rig_tree *)(void *)tree;
    ck_assert_int_eq(entry->kind, KIND_DIR);
    int err = may_fail(t);
    if (err != OK)
        return err;
    struct rig_dir *d = calloc(1, sizeof(*d));
    ck_assert_ptr_nonnull(d);
    d->dir.tree = tree;
    page_push(d, entry->where);
    t->open++;
    t->dirs++;
    *out = &d->dir;
    return OK;
}

static void rig_close_dir(struct fn_dir *dir)
{
    ((struct rig_tree *)(void *)dir->tree)->open--;
    free(dir);
}

static void rig_pass(struct fn_dir *dir)
{
    struct rig_dir *d = (struct rig_dir *)(void *)dir;
    ck_assert_ptr_nonnull(dir->item);
    while (d->depth > 0 && ++d->at[d->depth - 1].i == d->at[d->depth - 1].page->n)
        d->depth--;
    item_show(d);
}

static int rig_expand(struct fn_dir *dir)
{
    struct rig_tree *t = (struct rig_tree *)(void *)dir->tree;
    ck_assert_ptr_nonnull(dir->item);
    ck_assert_uint_gt(dir->level, 0);
    int err = may_fail(t);
    if (err != OK)
        return err;
    t->pages++;
    page_push((struct rig_dir *)(void *)dir, dir->item->where);
    return OK;
}

static int rig_view(struct fn_bytes *in, uint64_t offset, struct bytes *out)
{
    struct rig_content *c = (struct rig_content *)(void *)in;
    ck_assert_uint_lt(offset, c->content.len);
    int err = may_fail(c->tree);
    size_t len = c->content.len - (size_t)offset;
    if (c->tree->view_max > 0 && len > c->tree->view_max)
        len = c->tree->view_max;
    *out = bytes_of(c->content.data + offset, len);
    return err;
}

static int rig_open_file(struct fn_tree *tree, const struct fn_entry *entry,
                         struct fn_bytes **out)
{
    struct rig_tree *t = (struct rig_tree *)(void *)tree;
    ck_assert_int_ne(entry->kind, KIND_DIR);
    int err = may_fail(t);
    if (err != OK)
        return err;
    struct rig_content *c = calloc(1, sizeof(*c));
    ck_assert_ptr_nonnull(c);
    c->content = ((const struct rig_file *)entry->where)->content;
    c->bytes = (struct fn_bytes){.size = c->content.len, .view = rig_view};
    c->tree = t;
    t->open++;
    t->files++;
    *out = &c->bytes;
    return OK;
}

static void rig_close_file(struct fn_tree *tree, struct fn_bytes *in)
{
    ((struct rig_tree *)(void *)tree)->open--;
    free(in);
}

void rig_tree_init(struct rig_tree *t, const struct rig_file *files, size_t n,
                   struct chance *chance)
{
    *t = (struct rig_tree){.chance = chance};
    t->tree = (struct fn_tree){.open_dir = rig_open_dir,
                               .close_dir = rig_close_dir,
                               .pass = rig_pass,
                               .expand = rig_expand,
                               .open_file = rig_open_file,
                               .close_file = rig_close_file};
    t->tree.top = dir_make(t, files, n, 0);
}

void rig_tree_release(struct rig_tree *t)
{
    ck_assert_uint_eq(t->open, 0);
    arena_release(&t->arena);
}
