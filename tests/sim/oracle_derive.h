/* The oracle of what is derived. From the objects of derive logs as they come into the bucket
 * it knows what each project's log says: that is held against what nodes answer.
 *
 * - durable: what was put and answered every node finds after a look; an uploaded leaf that was
 *   answered stays; number n + 1 never comes before n; nothing of a log is deleted that no
 *   segment has.
 * - named: an object lies under its own name, and in a segment as its agent put it; nobody
 *   finds what was never put.
 * - final: an object is never put again as another, and lies in one segment at most; what was
 *   answered as not taken never comes; the first memo of a key stays.
 * - causal: the stamp of an answer is greater than what its client had seen.
 * - rebuild: what an index has is what the log says, followed or made anew.
 * - pure: what a recipe comes to is what it says, whoever computes it. */
#ifndef TESTS_SIM_ORACLE_DERIVE_H
#define TESTS_SIM_ORACLE_DERIVE_H

#include "tests/sim/derived_things.h"
#include "tests/sim/far_store.h"

struct oracle;
struct process;
struct sim;

/* When something was told: of two, the earlier memo and the later pin count. */
struct told_when {
    uint64_t hlc;
    uint64_t agent;
    uint64_t seq;
    uint32_t item;
};

/* What the log says of one address, or key. */
struct derived_row {
    struct derived_row *next; /* of its project and class */
    struct hash address;
    uint64_t durable_us; /* when it came into the bucket first */
    /* A client was told: when, by which life of which node. */
    uint64_t told_us;
    const struct process *by;
    uint64_t by_life;
    struct bytes canonical; /* recipe */
    uint64_t size;          /* leaf */
    bool uploaded;          /* some object says so */
    struct told_when when;  /* memo, pin */
    struct bytes memo;      /* as memo_write has it */
    bool differs;           /* another memo of the key has another output */
    bool pinned;
    uint64_t changes; /* of a pin */
};

enum derived_class {
    DERIVED_RECIPES,
    DERIVED_LEAVES,
    DERIVED_MEMOS,
    DERIVED_PINS,
    DERIVED_CLASSES,
};

/* NULL: nothing of that kind was ever put. */
struct derived_row *derived_row_find(enum derived_class, const struct id16 *project,
                                     const struct hash *address);
struct derived_row *derived_rows(enum derived_class, const struct id16 *project);
enum derived_class derived_class_of(enum derive_kind);
/* a is before b: below 0. */
int told_when_compare(const struct told_when *a, const struct told_when *b);
/* Calls `each` with every agent of the project, and how many objects it has put. */
void derived_agents(const struct id16 *project,
                    void (*each)(void *arg, uint64_t agent, uint64_t seq), void *arg);
/* Whether the object was merged. */
bool derived_merged(const struct id16 *project, uint64_t agent, uint64_t seq);

/* Effects. */
void oracle_derive_put(struct oracle *, const struct id16 *project, const char *key,
                       enum key_kind, struct bytes old, struct bytes data);
void oracle_derive_deleting(const struct id16 *project, const char *key);
/* A client was told by the node that the item is put. */
void oracle_derive_told(struct oracle *, const struct id16 *project, const struct derive_item *,
                        const struct process *node);

/* A client was told by the node that the item was not taken, and gave up this one: of a memo,
 * it never comes. */
void oracle_derive_refused(const struct derive_item *, const struct process *node);

/* When nothing goes wrong any more: every node has what the log says, and so has an index that
 * is made anew. Of a task. */
void oracle_derive_final(struct sim *);
/* Whether it is an uploaded leaf that the log names and that need not be there: nobody was told
 * of it. */
bool oracle_derive_may_lack(const char *key);

#endif
