/* Reading pages ahead, for walks: who asks for pages that lie beside each other in one tree
 * object, one after the other, gets longer and longer ranges, in the direction in which it
 * goes. A page that lies elsewhere costs a read of itself, as without. Each page is checked by
 * its hash when it is asked for, and goes into the page cache then. One thread. */
#ifndef PIPELINE_REPO_TREE_PAGE_AHEAD_H
#define PIPELINE_REPO_TREE_PAGE_AHEAD_H

#include "formats/base/buf.h"
#include "pipeline/repo/tree/tree.h"

/* All zero is ready for use. */
struct page_ahead {
    struct hash tree; /* what was read last: bytes of this tree object, from `from` on */
    uint64_t from;
    uint64_t window; /* bytes that the next read takes, if it is beside this one */
    struct buf bytes;
};

void page_ahead_release(struct page_ahead *);

/* As tree_page. `ahead` may be NULL. */
int page_ahead_get(struct page_ahead *, struct repo *, const struct id16 *project,
                   const struct location *where, const struct page_held **out) MUST_USE;

#endif
