#include "tests/sim/sim_process.h"

#include <stdio.h>
#include <stdlib.h>

#include "formats/base/limits.h"
#include "tests/sim/counts.h"
#include "tests/sim/sim.h"
#include "tests/sim/sim_collect.h"
#include "tests/sim/sim_front.h"
#include "tests/sim/sim_node.h"
#include "tests/sim/sim_pack.h"

#define DOWN_MAX_US      20000000u
#define NODE_DOWN_MAX_US 3000000u

/* --- clocks --- */

static uint64_t clock_wall(struct clock *clock)
{
    const struct process *p = ((struct process_clock *)clock)->process;
    return (uint64_t)((int64_t)sim_date_ms() + p->skew_ms);
}

static uint64_t clock_mono(struct clock *clock)
{
    return ((struct process_clock *)clock)->process->mono_us + world_now_us();
}

static void clock_sleep(struct clock *clock, uint64_t us)
{
    (void)clock;
    task_pause(us);
}

void process_clock_step(struct process *p)
{
    int64_t old = p->skew_ms;
    uint64_t skew = p->profile->skew_ms;
    p->skew_ms = (int64_t)world_below(2 * skew + 1) - (int64_t)skew;
    if (p->profile->clock_off && !p->calm && world_chance(2000)) {
        p->skew_ms = (int64_t)world_between(31000, 90000) * (world_chance(5000) ? 1 : -1);
        count(COUNT_CLOCK_OFF);
    }
    if (p->skew_ms < old)
        count(COUNT_CLOCK_STEP);
}

/* --- life --- */

static void die(void *process)
{
    process_die(process);
}

static void hold(void *process, uint64_t us)
{
    struct process *p = process;
    if (us > 60000000)
        count(COUNT_HELD);
    trace("%s is stopped for %.3f s", p->name, (double)us / 1e6);
    p->held_until_us = world_now_us() + us;
    task_hold_all(p, p->held_until_us);
}

void process_open(struct process *p, enum process_kind kind, unsigned number,
                  struct far_end *end, const struct profile *profile)
{
    static const char *const names[] = {"front", "drain",     "append", "rollup",
                                        "pack",  "collector", "node"};
    *p = (struct process){.kind = kind, .profile = profile};
    (void)snprintf(p->name, sizeof(p->name), "%s %u", names[kind], number);
    p->clock = (struct process_clock){
        .clock = {.wall_ms = clock_wall, .mono_us = clock_mono, .sleep_us = clock_sleep},
        .process = p};
    far_line_open(&p->line, end, p);
    p->line.die = die;
    p->line.hold = hold;
    p->mono_us = world_below(1000000000);
    process_clock_step(p);
}

static bool boot(struct process *p)
{
    static const struct repo_options options = {
        .page_cache_bytes = MIB, .shards = 1, .chunk_size = SIM_CHUNK_SIZE};
    rng_seeded_init(&p->rng, world_u64());
    p->repo = calloc(1, sizeof(*p->repo));
    if (p->repo == NULL)
        abort();
    int err = repo_open(p->repo, &p->line.store, &p->clock.clock, &p->rng.rng, &options);
    if (err != OK && err != ERR_AGAIN)
        broken("durable", "%s cannot open the bucket: %s", p->name, err_name(err));
    if (err != OK)
        free(p->repo);
    return err == OK;
}

static void start_again(void *process)
{
    process_start(process);
}

static void process_end(struct process *p, uint64_t down_us)
{
    repo_close(p->repo);
    free(p->repo);
    p->repo = NULL;
    far_line_cut(&p->line);
    trace("%s has ended", p->name);
    world_at(world_now_us() + down_us, start_again, p);
}

/* --- a stage on its own --- */

static int stage_round(struct process *p)
{
    int did = p->stage->run(p->stage);
    if (p->stage->again_ms > 0)
        count(COUNT_RESTED);
    p->runs++;
    p->last = did;
    p->idle = did <= 0 ? p->idle + 1 : 0;
    trace("%s: %d done", p->name, did);
    return did;
}

/* What it waits after a round: nothing while there is work, then longer and longer. */
static uint64_t pause_after(const struct process *p, int did)
{
    if (did > 0 && p->kind == PROCESS_COLLECT) /* it waits for others, or for a time */
        return world_between(1000, 20000000);
    if (did > 0)
        return world_below(5000);
    bool follows = p->kind == PROCESS_APPEND || p->kind == PROCESS_ROLLUP ||
                   p->kind == PROCESS_PACK || p->kind == PROCESS_COLLECT;
    uint64_t most = follows ? 4000000 : 50000u << (p->idle < 5 ? p->idle : 5);
    return world_between(1000, most);
}

static struct stage *stage_open(struct process *p)
{
    if (p->kind == PROCESS_APPEND)
        return stage_append_open(p->repo);
    if (p->kind == PROCESS_ROLLUP) {
        const struct rollup_options options = {.rebuild = world_chance(2000)};
        return stage_rollup_open(p->repo, &options);
    }
    if (p->kind == PROCESS_PACK)
        return sim_pack_open(p->repo, &p->calm);
    if (p->kind == PROCESS_COLLECT)
        return sim_collect_open(p);
    const struct land_options options = {.shard_end = p->repo->bucket.shards,
                                         .batch_max = p->profile->batch_max,
                                         .fold_after_ms = p->profile->fold_after_ms,
                                         .missing_after_ms = p->profile->missing_after_ms,
                                         .delete_late = true,
                                         .landed = p->drains ? front_landed_hint : NULL,
                                         .landed_arg = p};
    return stage_land_open(p->repo, &options);
}

static void stage_life(void *arg)
{
    struct process *p = arg;
    while (!boot(p))
        task_pause(world_between(1000, 3000000));
    p->stage = stage_open(p);
    for (;;) {
        int did = stage_round(p);
        for (unsigned i = 0; i < 3 && p->kind == PROCESS_ROLLUP; i++)
            oracle_ask_rollups(p->oracle, p->repo);
        /* As a job that a timer runs: it ends when there is nothing to do. */
        if (did == 0 && !p->calm && world_below(100) < p->profile->stop)
            break;
        task_pause(pause_after(p, did));
    }
    p->stage->close(p->stage);
    p->stage = NULL;
    count(COUNT_STOP_DRAIN);
    process_end(p, world_between(1000, 5000000));
}

/* --- a front --- */

static void drain_life(void *arg)
{
    struct process *p = arg;
    while (!p->ending) {
        int did = stage_round(p);
        if (did > 0)
            task_pause(world_below(5000));
        else
            task_wait_for(pause_after(p, did));
    }
    p->drainer = NULL;
}

static void front_life(void *arg)
{
    struct process *p = arg;
    while (!boot(p))
        task_pause(world_between(1000, 3000000));
    if (p->drains)
        p->stage = stage_open(p);
    front_open(p);
    if (p->drains)
        p->drainer = task_start(p, drain_life, p);
    trace("%s is up", p->name);
    while (p->calm || world_below(100) >= p->profile->stop)
        task_pause(world_between(1000000, 20000000));
    front_end(p);
    if (p->stage != NULL)
        p->stage->close(p->stage);
    p->stage = NULL;
    count(COUNT_STOP_FRONT);
    process_end(p, world_between(1000, 2000000));
}

/* --- a node --- */

static void node_life(void *arg)
{
    struct process *p = arg;
    while (!boot(p))
        task_pause(world_between(1000, 3000000));
    sim_node_open(p);
    trace("%s is up", p->name);
    while (p->calm || world_below(100) >= p->profile->stop)
        task_pause(world_between(1000000, 20000000));
    sim_node_end(p);
    count(COUNT_STOP_NODE);
    process_end(p, world_between(1000, 2000000));
}

void process_start(struct process *p)
{
    (void)task_start(p,
                     p->kind == PROCESS_FRONT  ? front_life
                     : p->kind == PROCESS_NODE ? node_life
                                               : stage_life,
                     p);
}

void process_calm(struct process *p)
{
    p->calm = true;
    process_clock_step(p);
}

/* --- its end --- */

static void count_crash(const struct process *p)
{
    static const enum count counts_of[] = {
        COUNT_CRASH_FRONT, COUNT_CRASH_DRAIN,   COUNT_CRASH_APPEND, COUNT_CRASH_ROLLUP,
        COUNT_CRASH_PACK,  COUNT_CRASH_COLLECT, COUNT_CRASH_NODE};
    count(counts_of[p->kind]);
    if (p->line.flights == NULL)
        count(COUNT_CRASH_BETWEEN);
    far_line_count_crash(&p->line);
}

void process_die(struct process *p)
{
    count_crash(p);
    trace("%s dies", p->name);
    far_line_cut(&p->line);
    task_kill_all(p);
    front_calls_lose(p);
    sim_node_lost(p);
    p->up = false;
    p->ending = false;
    p->repo = NULL;
    p->service = NULL;
    p->stage = NULL;
    p->flusher = NULL;
    p->fetcher = NULL;
    p->drainer = NULL;
    p->inside = 0;
    p->idle = 0;
    p->held_until_us = 0;
    uint64_t most = p->kind == PROCESS_NODE ? NODE_DOWN_MAX_US : DOWN_MAX_US;
    world_at(world_now_us() + world_between(1000, most), start_again, p);
}
