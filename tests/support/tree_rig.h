/* A project of trees in a memory store, without the landing of sessions: edits are sealed one
 * upon the other. */
#ifndef TESTS_SUPPORT_TREE_RIG_H
#define TESTS_SUPPORT_TREE_RIG_H

#include "pipeline/repo/tree/tree_edit.h"
#include "pipeline/store/trace.h"
#include "tests/support/tree_model.h"

struct tree_rig {
    struct store *mem;
    struct store *trace;
    struct clock clock;
    struct rng_seeded rng;
    struct repo repo;
    struct id16 project;
    struct footer footer; /* of the newest tree object */
    struct hash newest;
    struct tree tree; /* the newest; to begin with the empty one */
    bool publish;     /* pages that are sealed go into the page cache */
};

void tree_rig_init(struct tree_rig *, size_t cache_bytes);
void tree_rig_release(struct tree_rig *);
/* Forgets all pages in memory. */
void tree_rig_cold(struct tree_rig *);

/* Seals the edit as the next tree object, puts it and closes the edit. */
struct tree tree_rig_seal(struct tree_rig *, struct tree_edit *);
/* An edit that puts and removes; the running test fails on an error. */
void tree_rig_put(struct tree_edit *, const char *path, uint64_t number, uint64_t stamp);
void tree_rig_remove(struct tree_edit *, const char *path, uint64_t stamp);

/* Gets of tree objects since the last time that it was asked. */
uint64_t tree_rig_reads(struct tree_rig *);

/* The running test fails unless walking the tree gives exactly what the model has, stamps and
 * counts included. */
void tree_rig_same(const struct tree *, const struct tree_model *);

#endif
