/* An executor over a table in memory: leaves, recipes, memos and refs of one project, and
 * functions that do what functions should not do. What goes wrong fails the running test. */
#ifndef TESTS_SUPPORT_EXECUTOR_RIG_H
#define TESTS_SUPPORT_EXECUTOR_RIG_H

#include <pthread.h>
#include <stdatomic.h>

#include "pipeline/derive/run/executor.h"

#define RIG_SWOLLEN 500000u

struct rig_row; /* of the table */

struct executor_rig {
    struct executor_options options; /* may be changed before executor_rig_open */
    struct result_cache_options cache_options;
    struct result_cache *cache;
    struct executor *ex;
    struct rng_seeded rng;
    struct id16 project;

    pthread_mutex_t lock;
    struct rig_row **table;
    size_t n_table;
    size_t n_rows;
    struct arena arena;
    struct hash pinned; /* an address, or zero */
    int find_err;       /* what finds give, if it is not OK */
    int tell_err;       /* the same of what is told */
    uint64_t find_more; /* by how much finds say that leaves are longer than they are */

    /* Counts. */
    atomic_uint_least64_t finds;
    atomic_uint_least64_t memos_asked;
    atomic_uint_least64_t memos_told;
    atomic_uint_least64_t quarantines_told;
    atomic_uint_least64_t chunks_told;
    struct hash chunks_of;         /* the recipe of those that were told last; under lock */
    atomic_uint_least64_t opened;  /* leaves */
    atomic_uint_least64_t viewed;  /* bytes of leaves that were looked at */
    atomic_uint_least64_t sources; /* that are not released */
    atomic_bool forgets;           /* memos that are told are not kept */
    /* 1: the next find of a memo makes it 2, and has its answer when it is 0 again. */
    atomic_uint memo_stop;
};

/* Sets what options there are; then executor_rig_open. */
void executor_rig_init(struct executor_rig *);
void executor_rig_open(struct executor_rig *);
void executor_rig_close(struct executor_rig *);
/* Another executor and cache over the same table. */
void executor_rig_reopen(struct executor_rig *);

struct hash executor_rig_leaf(struct executor_rig *, struct bytes);
/* The tree stays the caller's; one run at a time uses it. */
struct hash executor_rig_tree(struct executor_rig *, struct fn_tree *);
/* `parameters`: name, value …, NULL; may be NULL. */
struct hash executor_rig_recipe(struct executor_rig *, const char *function,
                                const struct hash *inputs, uint32_t n,
                                const char *const *parameters);
/* Of one input. */
struct hash executor_rig_one(struct executor_rig *, const char *function, struct hash input,
                             const char *const *parameters);
/* What is found under `content`: a part of a recipe's result, which it is said to be. */
void executor_rig_part(struct executor_rig *, struct hash content, struct hash recipe,
                       uint64_t from, uint64_t end);
/* Over refs, by their names. */
struct hash executor_rig_over_ref(struct executor_rig *, const char *function, const char *ref);
void executor_rig_bind(struct executor_rig *, const char *ref, struct hash address);
/* A new address that nothing lies under. */
struct hash executor_rig_nothing(void);
/* Takes the result of a memo away from the cache; its memo stays. */
void executor_rig_evict(struct executor_rig *, const char *text);
/* For one get. */
struct derive_source *executor_rig_source(struct executor_rig *);

/* A get that was begun, and its end. */
struct one_get {
    struct executor_rig *rig;
    pthread_mutex_t lock;
    pthread_cond_t rings;
    uint64_t ticket;
    unsigned done; /* how often */
    struct derived *derived;
    struct derive_problem problem;
    unsigned progress; /* how often */
    struct get_progress last;
};
void one_get_begin(struct one_get *, struct executor_rig *, struct hash address,
                   const struct get_options *);
void one_get_wait(struct one_get *);
void one_get_close(struct one_get *);
/* Begins, waits, and gives the fault. */
enum derive_fault one_get(struct one_get *, struct executor_rig *, struct hash address,
                          const struct get_options *);

/* All of the bytes of an address, as a text. */
void executor_rig_gives(struct executor_rig *, struct hash address, const char *text);
/* A range of it, as a text. */
void executor_rig_range(struct executor_rig *, struct hash address, uint64_t from, uint64_t end,
                        const char *text);
/* What a get of all bytes fails with. */
struct derive_problem executor_rig_fails(struct executor_rig *, struct hash address,
                                         enum derive_fault);
/* Waits until nothing runs and nothing is in flight. */
void executor_rig_quiet(struct executor_rig *);
/* Runs so far. */
uint64_t executor_rig_runs(struct executor_rig *);

/* Functions, version 1.0.0, all of at least one input, which they give unchanged:
 *   test.wait     after `ms` milliseconds
 *   test.gate     when the gate is open; says that it waits there
 *   test.chance   with another number behind it at every run
 *   test.slip     with another number behind it at the runs that rig_slip asks for
 *   test.fail     never: it refuses
 *   test.note     at once; like test.wait it notes its parameter `n`, one letter
 *   test.swell    so often that it is RIG_SWOLLEN bytes, and then waits `ms` milliseconds
 *   test.forever  never: it writes until it is stopped
 *   test.pieces   at once, of one input; a range of it is a range of that */
void rig_gate(bool open);
void rig_gate_wait(unsigned runs); /* until so many runs wait there */
void rig_slip(bool);
const char *rig_notes(void);     /* in the order in which runs began; and begins anew */
unsigned rig_fails(void);        /* how often test.fail ran */
unsigned rig_taken_apart(void);  /* how often test.pieces was; and begins to count anew */
unsigned rig_most_at_once(void); /* runs of test.wait; and begins to count anew */

#endif
