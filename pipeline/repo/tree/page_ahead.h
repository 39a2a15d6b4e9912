/* Reading pages ahead, for walks (object_ahead.h). Each page is checked by its hash when it is
 * asked for, and goes into the page cache then. One thread. */
#ifndef PIPELINE_REPO_TREE_PAGE_AHEAD_H
#define PIPELINE_REPO_TREE_PAGE_AHEAD_H

#include "pipeline/repo/object_ahead.h"
#include "pipeline/repo/tree/tree.h"

/* All zero is ready for use. */
struct page_ahead {
    struct object_ahead bytes;
};

void page_ahead_release(struct page_ahead *);

/* As tree_page. `ahead` may be NULL. */
int page_ahead_get(struct page_ahead *, struct repo *, const struct id16 *project,
                   const struct location *where, const struct page_held **out) MUST_USE;

#endif
