/* The pages of one directory as they lie in a tree, whole or in part: what an edit starts from.
 * One thread.
 *
 * A directory of one page is its top page. One that is split is a list of pages at each level:
 * at level 0 the leaves, which have the directory's entries, at the levels above the pages that
 * name those below. */
#ifndef PIPELINE_REPO_TREE_DIR_PAGES_H
#define PIPELINE_REPO_TREE_DIR_PAGES_H

#include "pipeline/repo/tree/page_ahead.h"
#include "pipeline/repo/tree/tree.h"

struct dir_page {
    const struct entry *says;     /* how the page above names it */
    const struct page_held *held; /* NULL until it is read */
};

struct dir_pages {
    struct repo *repo;
    struct id16 project;
    struct entry top_says;       /* the top page as a page above it would name it */
    const struct page_held *top; /* NULL: the directory is new and has no pages */
    bool flat;                   /* the lists below are filled in */
    struct dir_page *at[PAGE_LEVELS_MAX];
    size_t n[PAGE_LEVELS_MAX];
};

/* Reads the top page of the directory that `dir` names. ERR_CORRUPT also when its entries do
 * not come to the files and bytes that `dir` says. `dir->where` PLACE_NONE is a directory
 * without pages. */
int dir_pages_open(struct dir_pages *, struct repo *, const struct id16 *project,
                   const struct entry *dir) MUST_USE;
void dir_pages_release(struct dir_pages *);

/* The entry called `name`, without its name. ERR_NOT_FOUND. */
int dir_pages_find(struct dir_pages *, struct bytes name, struct entry *out) MUST_USE;

/* Fills in the lists, in the arena: reads all inner pages, which are few, and no leaf. */
int dir_pages_flatten(struct dir_pages *, struct arena *) MUST_USE;
/* The index of the page at `level` that has or would have `name`; there must be one. */
size_t dir_pages_index(const struct dir_pages *, unsigned level, struct bytes name);
/* The page at an index, read when it is not yet. */
int dir_pages_load(struct dir_pages *, unsigned level, size_t i,
                   const struct page **out) MUST_USE;

/* The page that `says`, an entry of an inner page of level `level`, stands for. ERR_CORRUPT
 * unless it is one level below and begins with the name that it should. `ahead` may be NULL. */
int dir_page_below(struct repo *, const struct id16 *project, uint8_t level,
                   const struct entry *says, struct page_ahead *ahead,
                   const struct page_held **out) MUST_USE;
/* The entry called `name` of the directory whose top page is `top`, without its name.
 * ERR_NOT_FOUND. */
int dir_find(struct repo *, const struct id16 *project, const struct page_held *top,
             struct bytes name, struct entry *out) MUST_USE;

#endif
