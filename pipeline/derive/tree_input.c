#include "pipeline/derive/tree_input.h"

#include <stdio.h>
#include <stdlib.h>

#include "formats/key.h"
#include "pipeline/repo/content/content_read.h"
#include "pipeline/repo/damage.h"
#include "pipeline/repo/tree/dir_cursor.h"

/* Bytes of a file that are given at once. */
#define FILE_VIEW (256u * KIB)

struct tree_input {
    struct fn_tree tree; /* first: what functions know */
    struct repo *repo;
    struct id16 project;
    struct entry top;
    struct page_ahead pages;
    struct object_ahead contents;
};

struct input_dir {
    struct fn_dir dir; /* first */
    struct fn_entry item;
    struct dir_cursor cursor;
};

struct input_file {
    struct fn_bytes bytes;         /* first */
    struct content_reader *reader; /* NULL: there are no bytes */
    struct buf view;
};

static void *must_alloc(size_t size)
{
    void *memory = calloc(1, size);
    if (memory == NULL) {
        (void)fputs("out of memory\n", stderr);
        abort();
    }
    return memory;
}

static struct fn_entry entry_shown(const struct entry *e)
{
    return (struct fn_entry){.name = e->name,
                             .kind = e->kind,
                             .mode = e->mode,
                             .size = e->size,
                             .files = e->files,
                             .hash = e->hash,
                             .where = e};
}

/* ---- directories ---- */

static void item_show(struct input_dir *at)
{
    const struct entry *item = dir_cursor_item(&at->cursor, &at->dir.level);
    if (item != NULL)
        at->item = entry_shown(item);
    at->dir.item = item != NULL ? &at->item : NULL;
}

static int input_open_dir(struct fn_tree *tree, const struct fn_entry *entry,
                          struct fn_dir **out)
{
    struct tree_input *input = (struct tree_input *)(void *)tree;
    const struct entry *dir = entry->where;
    struct input_dir *at = must_alloc(sizeof(*at));
    at->dir.tree = tree;
    dir_cursor_none(&at->cursor);
    if (dir->where.place != PLACE_NONE) {
        int err = dir_cursor_open(&at->cursor, input->repo, &input->project, &dir->where,
                                  &input->pages);
        if (err != OK) {
            free(at);
            return err;
        }
    }
    item_show(at);
    *out = &at->dir;
    return OK;
}

static void input_close_dir(struct fn_dir *dir)
{
    struct input_dir *at = (struct input_dir *)(void *)dir;
    dir_cursor_close(&at->cursor);
    free(at);
}

static void input_pass(struct fn_dir *dir)
{
    struct input_dir *at = (struct input_dir *)(void *)dir;
    dir_cursor_pass(&at->cursor);
    item_show(at);
}

static int input_expand(struct fn_dir *dir)
{
    struct input_dir *at = (struct input_dir *)(void *)dir;
    int err = dir_cursor_expand(&at->cursor);
    if (err == OK)
        item_show(at);
    return err;
}

/* ---- files ---- */

static int input_view(struct fn_bytes *in, uint64_t offset, struct bytes *out)
{
    struct input_file *file = (struct input_file *)(void *)in;
    buf_clear(&file->view);
    int err = content_read_at(file->reader, offset, FILE_VIEW, &file->view);
    if (err == OK)
        *out = buf_bytes(&file->view);
    return err;
}

static int input_open_file(struct fn_tree *tree, const struct fn_entry *entry,
                           struct fn_bytes **out)
{
    struct tree_input *input = (struct tree_input *)(void *)tree;
    const struct entry *e = entry->where;
    struct content_reader *reader = NULL;
    if (e->where.place != PLACE_NONE) {
        int err = content_open_ahead(input->repo, &input->project, &e->where, e->size, &e->hash,
                                     &input->contents, &reader);
        if (err != OK)
            return err;
    }
    struct input_file *file = must_alloc(sizeof(*file));
    file->bytes = (struct fn_bytes){.size = e->size, .view = input_view};
    file->reader = reader;
    *out = &file->bytes;
    return OK;
}

static void input_close_file(struct fn_tree *tree UNUSED, struct fn_bytes *in)
{
    struct input_file *file = (struct input_file *)(void *)in;
    content_close(file->reader);
    buf_release(&file->view);
    free(file);
}

/* ---- the input ---- */

/* The top as a page above it would name it. */
static int top_read(struct tree_input *input, const struct location *where,
                    const struct hash *content)
{
    struct entry top = {.kind = KIND_DIR, .hash = *content, .where = *where};
    struct hash found = page_content_hash(0, NULL, 0);
    if (where->place != PLACE_NONE) {
        const struct page_held *held;
        int err = page_ahead_get(&input->pages, input->repo, &input->project, where, &held);
        if (err != OK)
            return err;
        const struct page *page = &held->page;
        for (uint32_t i = 0; i < page->n; i++) {
            const struct entry *e = &page->entries[i];
            top.files += e->kind == KIND_DIR ? e->files : 1;
            top.size += e->size;
        }
        found = page_content_hash(page->level, page->entries, page->n);
        page_cache_drop(input->repo->pages, held);
    }
    input->top = top;
    if (hash_equal(&found, content))
        return OK;
    if (where->place == PLACE_NONE)
        return ERR_CORRUPT;
    struct key key = key_tree(&input->project, &where->tree);
    return damage_of(input->repo, key.s, ERR_CORRUPT);
}

int tree_input_open(struct repo *repo, const struct id16 *project, const struct location *where,
                    const struct hash *content, struct tree_input **out)
{
    struct tree_input *input = must_alloc(sizeof(*input));
    input->repo = repo;
    input->project = *project;
    int err = top_read(input, where, content);
    if (err != OK) {
        tree_input_close(input);
        return err;
    }
    input->tree = (struct fn_tree){.top = entry_shown(&input->top),
                                   .open_dir = input_open_dir,
                                   .close_dir = input_close_dir,
                                   .pass = input_pass,
                                   .expand = input_expand,
                                   .open_file = input_open_file,
                                   .close_file = input_close_file};
    *out = input;
    return OK;
}

struct fn_tree *tree_input_tree(struct tree_input *input)
{
    return &input->tree;
}

void tree_input_close(struct tree_input *input)
{
    if (input == NULL)
        return;
    page_ahead_release(&input->pages);
    object_ahead_release(&input->contents);
    free(input);
}
