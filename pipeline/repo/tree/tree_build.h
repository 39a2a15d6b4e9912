/* One tree object under construction: bytes are appended in the order of its format. */
#ifndef PIPELINE_REPO_TREE_TREE_BUILD_H
#define PIPELINE_REPO_TREE_TREE_BUILD_H

#include "formats/base/buf.h"
#include "formats/tree_object.h"

struct tree_build {
    struct buf bytes;
    struct buf records;
    struct buf ids;
    uint32_t n_records;
};

void tree_build_init(struct tree_build *);
void tree_build_release(struct tree_build *);
/* Appends stored content or a page; gives its offset. ERR_LIMIT when the object would be over
 * TREE_OBJECT_MAX. */
int tree_build_add(struct tree_build *, struct bytes, uint32_t *offset) MUST_USE;
/* Keeps a record for the records section. */
int tree_build_record(struct tree_build *, struct landing *) MUST_USE;
/* Appends records, ids, the root page, footer and trailer. Fills in the sections of `footer`;
 * all else in it is the caller's. Gives the tree hash; the object is in `bytes`. */
int tree_build_finish(struct tree_build *, struct bytes root_page, struct footer *footer,
                      struct hash *tree) MUST_USE;

#endif
