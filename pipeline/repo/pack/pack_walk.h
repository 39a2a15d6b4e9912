/* A walk over the pages of a tree, each after all that it names, the last names first: the
 * order of a walk over the tree, backwards. A page that is shared is met once, as far as the
 * memo remembers. No recursion; memory is that of one page and its entries a level, and of the
 * memo. One thread. */
#ifndef PIPELINE_REPO_PACK_PACK_WALK_H
#define PIPELINE_REPO_PACK_PACK_WALK_H

#include "formats/page.h"
#include "pipeline/repo/pack/page_memo.h"
#include "pipeline/repo/tree/tree.h"

/* Whoever takes the pages as they come. The page's entries are the visit's to change: those
 * that are pages lie at their old places still, and `spots` has, by the same index, where the
 * visit has put them. */
struct pack_visit {
    /* Takes a page but the root; `was` is where it lies. Gives where it goes. */
    int (*page)(void *arg, const struct location *was, struct page *,
                const struct page_spot *spots, struct page_spot *out);
    /* Takes the root page, last. */
    int (*root)(void *arg, const struct location *was, struct page *,
                const struct page_spot *spots);
    void *arg;
};

/* Fails with what tree_page and the visit give; what was taken by then is in the memo, and a
 * walk of the same tree goes on from there. ERR_CORRUPT also for pages that no tree has. */
int pack_walk(const struct tree *, struct page_memo *, const struct pack_visit *) MUST_USE;

#endif
