/* The processes of a simulated bucket: fronts (the service), drains (stage_land), appends
 * (stage_append), rollups (stage_rollup), packs, collectors and nodes that derive, each with a
 * clock, chance, caches and a line to the store of its own. A process that dies loses all its
 * memory and begins again from nothing some time later. */
#ifndef TESTS_SIM_SIM_PROCESS_H
#define TESTS_SIM_SIM_PROCESS_H

#include "api/service/service.h"
#include "pipeline/stages/stages.h"
#include "tests/sim/far_store.h"
#include "tests/sim/sim_world.h"

enum process_kind {
    PROCESS_FRONT,
    PROCESS_DRAIN,
    PROCESS_APPEND,
    PROCESS_ROLLUP,
    PROCESS_PACK,
    PROCESS_COLLECT,
    PROCESS_NODE,
};

#define OPENED_MAX 32u

struct derive;
struct oracle;
struct process;

struct process_clock {
    struct clock clock;
    struct process *process;
};

struct process {
    enum process_kind kind;
    char name[16];
    const struct profile *profile;
    struct far_line line;
    struct process_clock clock;
    int64_t skew_ms;
    uint64_t mono_us; /* where its monotonic clock began */
    struct rng_seeded rng;
    uint64_t held_until_us; /* it is stopped until then */
    bool calm;              /* it does not end by itself any more */
    bool up;                /* a front or node takes calls */
    bool ending;            /* a front takes none, and comes to its end in order */
    struct repo *repo;
    struct service *service;
    struct derive *derive; /* of a node */
    uint64_t folder;       /* that it has, by number; 0: it had none yet */
    bool crashed;          /* with its folder open */
    struct stage *stage;   /* also of a front that drains by itself, as mic-forge does */
    bool drains;
    struct oracle *oracle; /* asks rollups by the line of a process that makes them */
    struct task *flusher;
    struct task *fetcher;
    struct task *drainer;
    unsigned inside; /* handlers that run */
    struct call *calls;
    unsigned idle; /* rounds of a stage that had nothing to do, in a row */
    uint64_t runs;
    int last; /* what the last round of the stage gave */
    /* Runs that all lives of a collector have opened, the newest over the oldest. */
    struct id16 opened[OPENED_MAX];
    unsigned n_opened;
};

void process_open(struct process *, enum process_kind, unsigned number, struct far_end *,
                  const struct profile *);
/* Starts it; it boots in virtual time. */
void process_start(struct process *);
/* It dies on the spot, and starts again later. Not from one of its own tasks. */
void process_die(struct process *);
/* From here on it neither ends by itself nor has a clock that is off. */
void process_calm(struct process *);
/* Its clock is set anew. */
void process_clock_step(struct process *);

/* --- calls of clients to a front or node --- */

enum call_state {
    CALL_UNDER_WAY,
    CALL_DONE,
    CALL_LOST, /* the front died, or its answer was lost: nobody knows what came of it */
};

/* A client's call: its memory is the client's, for good, since a front may come back to it long
 * after the client has stopped waiting. */
struct call {
    struct call *next; /* of the process */
    struct process *process;
    struct task *client;
    enum call_state state;
    bool refused; /* the front was not there: it did not happen */
    /* Runs in the front, in a task of its own; it sees to it that call_done comes. */
    void (*run)(struct call *, struct process *front);
};

/* Sends the call and waits for its end, at most so long. */
void call_make(struct call *, struct process *front, uint64_t patience_us);
/* From the front: it has its answer. */
void call_done(struct call *);

#endif
