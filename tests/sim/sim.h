/* The simulator of a bucket with everybody who works on it: fronts, drains, appends, rollups,
 * packs, collectors, nodes that derive, and clients on one far store, under one seeded
 * scheduler with virtual time, and an oracle that looks at every effect. See world.h for how it
 * runs, profile.h for what goes wrong, oracle.h for what must hold. */
#ifndef TESTS_SIM_SIM_H
#define TESTS_SIM_SIM_H

#include "tests/sim/counts.h"
#include "tests/sim/profile.h"
#include "tests/sim/sim_client.h"
#include "tests/sim/sim_oracle.h"
#include "tests/sim/sim_process.h"
#include "tests/sim/sim_world.h"

#define PROCESSES_MAX 18u
#define CLIENTS_MAX   12u

struct sim {
    struct profile profile;
    struct far_end *end;
    struct ledger ledger;
    struct oracle oracle;
    struct process processes[PROCESSES_MAX]; /* the fronts first, the nodes last */
    unsigned n_processes;
    unsigned n_fronts;
    unsigned n_nodes;
    struct client clients[CLIENTS_MAX];
    unsigned n_clients;
    uint64_t acts; /* of clients */
    bool stopping; /* clients begin nothing new */
    bool calm;     /* nothing goes wrong any more */
};

/* The true time, which is also the store's. */
uint64_t sim_date_ms(void);
struct clock *sim_true_clock(void);
/* A stamp as the world's time in seconds, for messages. */
double sim_stamp_s(uint64_t hlc);

/* A world after profile_draw or profile_calm: the bucket and its projects are there, processes
 * are starting, no client has begun. */
void sim_open(struct sim *);
/* Lets clients work until they come to an end, then everything settle, and looks once more. */
void sim_finish(struct sim *);
/* Runs until `until` holds; what holds it up for longer than `us` is broken. */
void sim_run_until(struct sim *, bool (*until)(struct sim *), uint64_t us, const char *what);

bool sim_queue_empty(struct sim *);

/* One whole seed, in this process: ends it when something does not hold. */
void sim_seed(uint64_t seed, struct verdict_of_seed *);
/* The same with a profile that `tune` has changed. */
void sim_seed_with(uint64_t seed, void (*tune)(struct profile *), struct verdict_of_seed *);

#endif
