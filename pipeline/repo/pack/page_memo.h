/* Where pages were put that were met before, in bounded memory. When it is full it forgets the
 * pages with the fewest files below: what they cost is done again, and costs least. One thread.
 *
 * A page is known by the tree object that it lies in and its page hash, as in the page cache:
 * equal bytes in two tree objects can point into different ones. */
#ifndef PIPELINE_REPO_PACK_PAGE_MEMO_H
#define PIPELINE_REPO_PACK_PAGE_MEMO_H

#include "formats/entry.h"

/* A page's new place. */
struct page_spot {
    struct hash check; /* its page hash there */
    uint32_t part;     /* the caller's number of a tree object */
    uint32_t offset;
    uint32_t len;
};

struct page_memo;

/* Room for about `pages` pages, PAGE_MEMO_BYTES each, taken as it is used. */
struct page_memo *page_memo_open(size_t pages) MUST_USE;
void page_memo_close(struct page_memo *);

#define PAGE_MEMO_BYTES 120u

/* False when it is not known, or not any more. */
bool page_memo_find(const struct page_memo *, const struct location *where,
                    struct page_spot *out) MUST_USE;
/* Remembers where the page at `where` went, which has `files` files below. */
void page_memo_add(struct page_memo *, const struct location *where, uint64_t files,
                   const struct page_spot *);
void page_memo_clear(struct page_memo *);

#endif
