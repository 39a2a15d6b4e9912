/* A node that tells of derivation, and what lies in the bucket afterwards: for tests of the
 * derive log. Whatever is not as expected fails the test. */
#ifndef TESTS_SUPPORT_DERIVE_RIG_H
#define TESTS_SUPPORT_DERIVE_RIG_H

#include "formats/derive_object.h"
#include "pipeline/derive/log/derive_log.h"
#include "pipeline/repo/repo.h"
#include "tests/support/forge.h"

/* One process: an agent of its own on the rig's bucket. */
struct derive_node {
    struct store *faulty; /* over the trace */
    struct repo repo;
    struct derive_log *log;
    unsigned durables; /* objects of which it was told that they are durable */
};

struct derive_rig {
    struct store *mem;
    struct store *trace;
    struct clock_manual clock;
    struct arena arena;
};

void derive_rig_open(struct derive_rig *);
void derive_rig_close(struct derive_rig *);

/* `clock` NULL: the rig's. */
void derive_node_open(struct derive_node *, struct derive_rig *, struct clock *clock,
                      size_t batch_max, size_t queue_max);
void derive_node_close(struct derive_node *);

struct id16 derive_project(uint8_t n);
/* A leaf whose bytes say `n`, in the arena. */
struct derive_item derive_leaf_item(struct arena *, uint64_t n);
/* The number that such a leaf says. */
uint64_t derive_leaf_number(const struct derive_item *);

struct derive_outcome {
    int err;
    unsigned told;
    uint64_t hlc;
};
void derive_outcome_told(void *arg, int err, uint64_t hlc);

/* Tells of one leaf. */
int derive_node_tell(struct derive_node *, uint8_t project, uint64_t n,
                     struct derive_outcome *) MUST_USE;
/* Steps, and lets the time pass that it wants to wait, until all is answered. */
void derive_node_settle(struct derive_node *, struct derive_rig *);
/* Tells of one leaf and settles: it becomes durable, in an object of its own. */
void derive_node_put(struct derive_node *, struct derive_rig *, uint8_t project, uint64_t n);

/* The objects of an agent as they lie there, which are numbered from 1 without a gap, with
 * growing stamps. Gives how many. In the rig's arena. */
size_t derive_rig_objects(struct derive_rig *, uint8_t project, uint64_t agent,
                          struct derive_object **out);
/* What a list of the prefix gives, in the rig's arena. */
size_t derive_rig_keys(struct derive_rig *, const char *prefix, struct store_key **out);

#endif
