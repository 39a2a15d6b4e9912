/* Bringing pages into the page cache, many at a time, neighbours in one read: for who knows
 * which ones it needs next. */
#ifndef PIPELINE_REPO_TREE_PAGE_FETCH_H
#define PIPELINE_REPO_TREE_PAGE_FETCH_H

#include "pipeline/repo/repo.h"
#include "pipeline/repo/tree/page_cache.h"

/* Pages that one fetch takes at most. */
#define PAGES_FETCH_MAX 256u

/* Reads those of the `n` pages, at most PAGES_FETCH_MAX, that are not in the cache, side by
 * side. One that could not be read, or is damaged, is not in the cache afterwards: tree_page
 * reads it again, and tells. */
void pages_fetch(struct repo *, const struct id16 *project, const struct location *pages,
                 size_t n);

#endif
