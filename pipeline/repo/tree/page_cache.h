/* Decoded pages in memory. Keyed by project, tree object and page hash: pages of equal content
 * can differ in stamps, and equal bytes in two tree objects can point into different ones. */
#ifndef PIPELINE_REPO_TREE_PAGE_CACHE_H
#define PIPELINE_REPO_TREE_PAGE_CACHE_H

#include "formats/page.h"
#include "pipeline/repo/held_cache.h"

/* A page that stays in memory while it is held. Immutable. */
struct page_held {
    struct page page;
};

/* Close it with held_cache_close. */
struct held_cache *page_cache_open(size_t bytes_max) MUST_USE;

/* NULL when it is not there. */
const struct page_held *page_cache_find(struct held_cache *, const struct id16 *project,
                                        const struct location *where);
/* Decodes a copy of `encoded`, whose page hash must be where->check, else ERR_CORRUPT. A page
 * that is there already is given instead. */
int page_cache_add(struct held_cache *, const struct id16 *project,
                   const struct location *where, struct bytes encoded,
                   const struct page_held **out) MUST_USE;
/* The same for bytes that the caller encoded and hashed itself: they are not hashed again. */
int page_cache_add_made(struct held_cache *, const struct id16 *project,
                        const struct location *where, struct bytes encoded,
                        const struct page_held **out) MUST_USE;
/* NULL is fine. */
void page_cache_drop(struct held_cache *, const struct page_held *);

#endif
