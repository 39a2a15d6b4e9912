/* Decoded pages in memory, bounded by bytes; the least recently used go first. Keyed by
 * project, tree object and page hash: pages of equal content can differ in stamps, and equal
 * bytes in two tree objects can point into different ones. Any thread. */
#ifndef PIPELINE_REPO_PAGE_CACHE_H
#define PIPELINE_REPO_PAGE_CACHE_H

#include "formats/page.h"

struct page_cache;

/* A page that stays in memory while it is held. Immutable. */
struct page_held {
    struct page page;
};

struct page_cache *page_cache_open(size_t bytes_max) MUST_USE;
void page_cache_close(struct page_cache *);

/* NULL when it is not there. */
const struct page_held *page_cache_find(struct page_cache *, const struct id16 *project,
                                        const struct location *where) MUST_USE;
/* Decodes a copy of `encoded`, whose page hash must be where->check, else ERR_CORRUPT. A page
 * that is there already is given instead. */
int page_cache_add(struct page_cache *, const struct id16 *project,
                   const struct location *where, struct bytes encoded,
                   const struct page_held **out) MUST_USE;
/* The same for bytes that the caller encoded and hashed itself: they are not hashed again. */
int page_cache_add_made(struct page_cache *, const struct id16 *project,
                        const struct location *where, struct bytes encoded,
                        const struct page_held **out) MUST_USE;
/* NULL is fine. */
void page_cache_drop(struct page_cache *, const struct page_held *);

struct page_cache_stats {
    uint64_t hits;
    uint64_t misses;
    size_t bytes;
};
struct page_cache_stats page_cache_stats(struct page_cache *);

#endif
