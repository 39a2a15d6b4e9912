#include "tests/sim/sim.h"

#include <stdio.h>

#include "formats/hlc.h"
#include "formats/key.h"
#include "pipeline/repo/project.h"
#include "tests/sim/oracle_derive.h"
#include "tests/sim/sim_refs.h"

#define START_MS 1800000000000u
/* Steps after which a seed is taken to run in circles. */
#define STEPS_MAX 3000000u
#define CLOCKS_US 20000000u
/* Where everybody dies all the time, nobody ever gets his work done. */
#define WORK_US_MAX 1200000000u
/* Positions after which an import has made a log segment of 1,000. */
#define IMPORTED 1120u

uint64_t sim_date_ms(void)
{
    return START_MS + world_now_us() / 1000;
}

double sim_stamp_s(uint64_t hlc)
{
    return (double)hlc_ms(hlc) / 1e3 - (double)START_MS / 1e3;
}

static uint64_t true_wall(struct clock *clock)
{
    (void)clock;
    return sim_date_ms();
}

static uint64_t true_mono(struct clock *clock)
{
    (void)clock;
    return world_now_us();
}

static void no_sleep(struct clock *clock, uint64_t us)
{
    (void)clock;
    (void)us;
}

struct clock *sim_true_clock(void)
{
    static struct clock clock = {
        .wall_ms = true_wall, .mono_us = true_mono, .sleep_us = no_sleep};
    return &clock;
}

/* --- making it --- */

static void process_add(struct sim *sim, enum process_kind kind, unsigned number, bool drains)
{
    struct process *p = &sim->processes[sim->n_processes++];
    assert(sim->n_processes <= PROCESSES_MAX);
    process_open(p, kind, number, sim->end, &sim->profile);
    p->drains = drains;
    p->oracle = &sim->oracle;
    process_start(p);
}

/* Every clock is set anew now and then. */
static void clocks_step(void *arg)
{
    struct sim *sim = arg;
    if (sim->calm)
        return;
    process_clock_step(&sim->processes[world_below(sim->n_processes)]);
    world_at(world_now_us() + world_between(1, CLOCKS_US), clocks_step, sim);
}

void sim_open(struct sim *sim)
{
    const struct profile *p = &sim->profile;
    struct effect_watch watch = oracle_watch(&sim->oracle);
    sim->end = far_end_open(p, &watch);
    oracle_open(&sim->oracle, sim->end, p, &sim->ledger);
    for (unsigned i = 0; i < p->projects; i++) {
        char handle[16];
        struct id16 id;
        (void)snprintf(handle, sizeof(handle), "p%u", i);
        if (project_create(&sim->oracle.repo, bytes_str(handle), &id) != OK)
            broken("durable", "a project cannot be made");
        oracle_project_add(&sim->oracle, &id);
    }
    sim->n_fronts = p->fronts;
    for (unsigned i = 0; i < p->fronts; i++)
        process_add(sim, PROCESS_FRONT, i, p->drains == 0);
    for (unsigned i = 0; i < p->drains; i++)
        process_add(sim, PROCESS_DRAIN, i, false);
    for (unsigned i = 0; i < p->appends; i++)
        process_add(sim, PROCESS_APPEND, i, false);
    for (unsigned i = 0; i < p->rollups; i++)
        process_add(sim, PROCESS_ROLLUP, i, false);
    for (unsigned i = 0; i < p->packs; i++)
        process_add(sim, PROCESS_PACK, i, false);
    for (unsigned i = 0; i < p->collectors; i++)
        process_add(sim, PROCESS_COLLECT, i, false);
    sim->n_nodes = p->nodes;
    for (unsigned i = 0; i < p->nodes; i++)
        process_add(sim, PROCESS_NODE, i, false);
    sim->n_clients = p->clients;
    for (unsigned i = 0; i < p->clients; i++)
        client_open(&sim->clients[i], sim, i);
    world_at(world_now_us() + CLOCKS_US, clocks_step, sim);
}

/* --- running it --- */

void sim_run_until(struct sim *sim, bool (*until)(struct sim *), uint64_t us, const char *what)
{
    uint64_t end = world_now_us() + us;
    while (!until(sim)) {
        if (!world_step() || world_now_us() > end)
            broken("durable", "it does not come to its end: %s", what);
        if (world_steps() > STEPS_MAX)
            broken("durable", "it runs in circles: %s", what);
    }
}

static bool worked_enough(struct sim *sim)
{
    if (far_end_calls(sim->end) < sim->profile.calls_min)
        return false;
    if (world_now_us() > WORK_US_MAX)
        return true;
    return sim->profile.import ? sim->oracle.projects[0].position >= IMPORTED
                               : sim->acts >= sim->profile.acts_min;
}

static bool clients_ended(struct sim *sim)
{
    for (unsigned i = 0; i < sim->n_clients; i++) {
        if (sim->clients[i].task != NULL && !sim->clients[i].ended)
            return false;
    }
    return true;
}

static uint64_t stop_at_us;

static bool stopped_long_enough(struct sim *sim)
{
    return clients_ended(sim) || world_now_us() >= stop_at_us;
}

/* In a calm world a client expects its answer within so many tries. */
static bool nobody_is_held(struct sim *sim)
{
    for (unsigned i = 0; i < sim->n_processes; i++) {
        if (sim->processes[i].held_until_us > world_now_us())
            return false;
    }
    return true;
}

bool sim_queue_empty(struct sim *sim)
{
    AUTO(arena_release) struct arena arena = {0};
    struct store_list list;
    if (store_list(far_end_mem(sim->end), &arena, "queue/0", "", 1, &list) != OK)
        return false;
    return list.n == 0;
}

static bool settled(struct sim *sim)
{
    if (far_end_under_way(sim->end) > 0 || !sim_queue_empty(sim))
        return false;
    for (unsigned i = 0; i < sim->n_processes; i++) {
        const struct process *p = &sim->processes[i];
        bool serves = p->kind == PROCESS_FRONT || p->kind == PROCESS_NODE;
        if (serves ? !p->up : p->stage == NULL)
            return false;
        if (p->stage != NULL && (p->idle < 2 || p->last != 0))
            return false;
    }
    return true;
}

static void make_calm(struct sim *sim)
{
    trace("calm");
    sim->calm = true;
    far_end_calm(sim->end);
    for (unsigned i = 0; i < sim->n_processes; i++)
        process_calm(&sim->processes[i]);
}

static bool nodes_checked;

static void nodes_check(void *arg)
{
    oracle_derive_final(arg);
    nodes_checked = true;
}

static bool are_nodes_checked(struct sim *sim)
{
    (void)sim;
    return nodes_checked;
}

static void nodes_final(struct sim *sim)
{
    (void)task_start(NULL, nodes_check, sim);
    sim_run_until(sim, are_nodes_checked, 900000000, "nodes are asked for all they have");
}

void sim_finish(struct sim *sim)
{
    sim_run_until(sim, worked_enough, 7200000000u, "clients work");
    sim->stopping = true;
    stop_at_us = world_now_us() + 60000000;
    sim_run_until(sim, stopped_long_enough, UINT64_MAX / 2, "clients stop");
    sim_run_until(sim, nobody_is_held, UINT64_MAX / 2, "processes go on");
    make_calm(sim);
    sim_run_until(sim, clients_ended, 3600000000u, "a client waits for an answer");
    for (unsigned i = 0; i < sim->n_processes; i++)
        sim->processes[i].idle = 0;
    sim_run_until(sim, settled, 900000000, "the queue is drained");
    oracle_final(&sim->oracle);
    if (sim->n_nodes > 0)
        nodes_final(sim);
    if (sim->profile.refs)
        oracle_refs_final(&sim->oracle);
}

static void as_drawn(struct profile *profile)
{
    (void)profile;
}

void sim_seed(uint64_t seed, struct verdict_of_seed *verdict)
{
    sim_seed_with(seed, as_drawn, verdict);
}

void sim_seed_with(uint64_t seed, void (*tune)(struct profile *),
                   struct verdict_of_seed *verdict)
{
    static struct sim sim;
    verdict->seed = seed;
    verdict_to(verdict);
    world_open(seed);
    profile_draw(&sim.profile);
    tune(&sim.profile);
    sim_open(&sim);
    for (unsigned i = 0; i < sim.n_clients; i++)
        sim.clients[i].task = task_start(NULL, client_life, &sim.clients[i]);
    sim_finish(&sim);
    verdict->calls = far_end_calls(sim.end);
    verdict->steps = world_steps();
    verdict->digest = world_digest();
    verdict->virtual_ms = world_now_us() / 1000;
    verdict->ended = true;
}
