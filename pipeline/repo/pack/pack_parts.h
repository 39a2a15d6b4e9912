/* The tree objects that pages are packed into, one after the other: companions of the batch
 * that will name them. One is put when it is full; until then it is in memory. One thread. */
#ifndef PIPELINE_REPO_PACK_PACK_PARTS_H
#define PIPELINE_REPO_PACK_PACK_PARTS_H

#include "formats/page.h"
#include "pipeline/repo/chain.h"
#include "pipeline/repo/pack/page_memo.h"
#include "pipeline/repo/tree/tree_build.h"

struct pack_parts {
    struct repo *repo;
    struct id16 project;
    const struct batch *tip; /* what the batch will follow */
    size_t part_bytes;       /* a part that has so much is full */
    struct arena arena;
    struct hash *names; /* of those that were put */
    size_t n;
    size_t cap;
    /* The one under way. */
    struct tree_build build;
    struct footer footer; /* of a part that ends with `last` */
    struct buf last;      /* its last page, which becomes its root */
    struct buf before;    /* room for the page before that */
    bool has_pages;
    bool finished; /* its name is `name`, and it is only to be put */
    struct hash name;
    /* What was put and what was packed, in all. */
    uint64_t puts;
    uint64_t pages;
    uint64_t bytes;
};

void pack_parts_init(struct pack_parts *, struct repo *, const struct id16 *project,
                     size_t part_bytes);
void pack_parts_release(struct pack_parts *);
/* Begins anew: nothing that was put before is named any more. */
void pack_parts_drop(struct pack_parts *);

/* Appends the page, whose entries that are pages get their places by `spots`. Gives where it
 * is. ERR_LIMIT when there are more parts than a footer can name. */
int pack_parts_page(struct pack_parts *, struct page *, const struct page_spot *spots,
                    struct page_spot *out) MUST_USE;
/* Puts what is not put yet. After an error it is done again. */
int pack_parts_flush(struct pack_parts *) MUST_USE;
/* The places of the entries that are pages, as seen from outside of all parts, which are put.
 */
void pack_parts_places(const struct pack_parts *, struct page *, const struct page_spot *spots);

#endif
