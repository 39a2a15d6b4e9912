/* A bucket with something under every prefix that the forge knows, for tests that damage it:
 * two projects of the same shape, each with whole batches and single ones, a segment of the
 * log, contents in tree objects, a blob and a manifest, sessions in every state, and writes
 * that wait in the queue. */
#ifndef TESTS_SUPPORT_WORLD_H
#define TESTS_SUPPORT_WORLD_H

#include "tests/support/bucket_copy.h"
#include "tests/support/forge.h"

#define WORLD_POSITION 199u /* of both heads: two landings more fill a segment */

struct world_project {
    const char *handle;
    struct id16 id;
    /* Sessions: landed whole, abandoned, open with an object of their own (two), and one of
     * which nothing but the queue knows. */
    struct id16 landed;
    struct id16 gone;
    struct id16 open;
    struct id16 drop;
    struct id16 waiting;
    struct id16 open_ids[2];  /* of its records, sorted */
    struct hash open_records; /* and the hash over them */
    struct hash blob;         /* one object */
    struct hash large;        /* a manifest and two chunks */
    struct hash small;        /* in a tree object */
};

struct world {
    struct world_project projects[2];
    struct bucket_copy copy;
    uint64_t ms; /* what its clock showed last */
};

void world_build(struct world *);
void world_release(struct world *);

/* Another process on a store with a world in it: the forge is of the world's project `which`.
 */
void world_join(struct forge *, const struct world *, unsigned which, struct store *,
                uint64_t ms);

/* The bytes of `blob` and of `large`. */
struct bytes world_blob(struct arena *, unsigned which);
struct bytes world_large(struct arena *, unsigned which);

#endif
