/* A store that has one object of its own over another store: how a tree that was made in memory
 * is read with the same code as one that lies in the bucket. Reads only: puts, deletes and
 * lists are refused with ERR_DENIED. */
#ifndef PIPELINE_REPO_TREE_OVERLAY_STORE_H
#define PIPELINE_REPO_TREE_OVERLAY_STORE_H

#include "formats/key.h"
#include "pipeline/store/store.h"

struct overlay_store {
    struct store store; /* first: what store_get takes */
    struct store *below;
    struct key key;
    struct bytes object;
};

/* Owns nothing; `below` and `object` must outlive it. There is nothing to close. */
void overlay_store_init(struct overlay_store *, struct store *below, const struct key *,
                        struct bytes object);

#endif
