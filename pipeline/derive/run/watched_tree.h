/* A tree as a run sees it: before each read its owner says whether to go on, and of each read
 * that failed he is told. One thread. */
#ifndef PIPELINE_DERIVE_RUN_WATCHED_TREE_H
#define PIPELINE_DERIVE_RUN_WATCHED_TREE_H

#include "pipeline/derive/function.h"

struct watched_tree {
    struct fn_tree tree; /* first: what the function gets */
    struct fn_tree *of;
    /* An error is what the read comes to. */
    int (*before)(void *arg);
    /* Gives the error that the function gets. */
    int (*failed)(void *arg, int err);
    void *arg;
};

/* Owns nothing; `of` must outlive it. */
void watched_tree_init(struct watched_tree *, struct fn_tree *of, int (*before)(void *arg),
                       int (*failed)(void *arg, int err), void *arg);

#endif
