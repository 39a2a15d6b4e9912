/* A place in one directory that may be split into many pages: a stack of pages from its top
 * page down. What it stands on is an item: an entry of the directory (level 0), or a page below
 * that has not been read (level 1 and up), which can be passed over or expanded. One thread. */
#ifndef PIPELINE_REPO_TREE_DIR_CURSOR_H
#define PIPELINE_REPO_TREE_DIR_CURSOR_H

#include "pipeline/repo/tree/page_ahead.h"
#include "pipeline/repo/tree/tree.h"

struct dir_cursor {
    struct repo *repo;
    struct id16 project;
    struct page_ahead *ahead;
    unsigned depth; /* pages on the stack; 0: past the end */
    struct {
        const struct page_held *held;
        uint32_t i;
    } at[PAGE_LEVELS_MAX];
};

/* Reads the top page at `top` and stands on its first item. `ahead`, which outlives the cursor,
 * is for who goes through all of it; or NULL. */
int dir_cursor_open(struct dir_cursor *, struct repo *, const struct id16 *project,
                    const struct location *top, struct page_ahead *ahead) MUST_USE;
/* A cursor that is past its end; needs no close. */
void dir_cursor_none(struct dir_cursor *);
void dir_cursor_close(struct dir_cursor *);

/* The item, valid until the cursor moves, and its level; NULL at the end. */
const struct entry *dir_cursor_item(const struct dir_cursor *, uint8_t *level);
/* Goes on to the next item without reading what is below this one. */
void dir_cursor_pass(struct dir_cursor *);
/* Reads the page that the item stands for and stands on the first item in it. */
int dir_cursor_expand(struct dir_cursor *) MUST_USE;

/* Expands until the item is an entry of the directory. ERR_NOT_FOUND at the end. */
int dir_cursor_entry(struct dir_cursor *, const struct entry **out) MUST_USE;
/* From the start: goes to the first entry whose name is greater than `after`. */
int dir_cursor_seek(struct dir_cursor *, struct bytes after) MUST_USE;

#endif
