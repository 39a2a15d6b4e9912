#include "tests/sim/profile.h"

#include "tests/sim/sim_world.h"

#define ONE_OF(items) ((items)[world_below(ARRAY_LEN(items))])

static void line_draw(struct profile *p)
{
    static const uint64_t latencies_us[] = {2000, 20000, 20000, 100000};
    static const unsigned slows[] = {0, 20, 100};
    static const unsigned read_odds[] = {0, 50, 300};
    static const unsigned outages[] = {0, 0, 5, 15};
    p->latency_us = ONE_OF(latencies_us);
    p->slow = ONE_OF(slows);
    p->read_odds = ONE_OF(read_odds);
    p->outage = ONE_OF(outages);
    for (enum trouble t = TROUBLE_AGAIN; t < TROUBLES; t++)
        p->odds[t] = world_chance(6000) ? (unsigned)world_between(50, 500) : 0;
    p->lag_us = world_chance(2000) ? world_between(100000, 5000000) : 0;
}

static void fates_draw(struct profile *p)
{
    static const unsigned crashes[] = {0, 5, 20, 60};
    static const unsigned holds[] = {0, 5, 20, 60};
    static const unsigned stops[] = {0, 0, 3, 20};
    static const uint64_t skews_ms[] = {0, 200, 5000, 14000, 14000, 29000};
    p->crash = ONE_OF(crashes);
    p->hold = ONE_OF(holds);
    p->stop = ONE_OF(stops);
    p->skew_ms = ONE_OF(skews_ms);
    p->clock_off = world_chance(1500);
}

static void stages_draw(struct profile *p)
{
    static const uint64_t folds_ms[] = {200, 3000, 30000};
    static const uint32_t batches[] = {1, 3, 1000, 1000};
    p->fold_after_ms = ONE_OF(folds_ms);
    p->missing_after_ms = 60000;
    p->batch_max = ONE_OF(batches);
}

static void work_draw(struct profile *p)
{
    static const unsigned thinks_ms[] = {10, 100, 1000};
    static const unsigned series[] = {2, 5, 12};
    static const unsigned wholes[] = {10, 40, 70};
    p->calls_min = world_between(1000, 1500);
    p->acts_min = world_between(50, 150);
    p->whole = ONE_OF(wholes);
    p->think_ms = ONE_OF(thinks_ms);
    p->paths = (unsigned)world_between(3, 14);
    p->series_max = ONE_OF(series);
    p->strangers = world_chance(1500);
}

/* Many short landings by few: long logs. */
static void make_import(struct profile *p)
{
    p->import = true;
    p->clients = 1;
    p->nodes = 0;
    p->derives = 0;
    p->projects = 1;
    p->shards = 1;
    p->appends = 1;
    p->rollups = (unsigned)world_between(1, 2);
    p->series_max = 300;
    p->batch_max = 1000;
    p->think_ms = 10;
    p->fold_after_ms = 30000;
}

/* Many who write to open sessions that nobody folds yet: a long queue. */
static void make_crowd(struct profile *p)
{
    p->clients = 8;
    p->shards = 1;
    p->think_ms = 10;
    p->whole = 5;
    p->acts_min = 250;
    p->fold_after_ms = 30000;
}

/* Many at one front who began at the same time, inside a batch, and work on as many paths as
 * there are: so several ask at once what a directory was there. */
static void make_gathering(struct profile *p)
{
    p->gather = true;
    p->clients = 8;
    p->projects = 1;
    p->shards = 1;
    p->fronts = 1;
    p->whole = 70;
    p->paths = UINT32_MAX;
    p->series_max = 5;
    p->batch_max = 1000;
    p->think_ms = 10;
    p->acts_min = 250;
}

/* A collector relies on lists that are as they say, as store.h has it: it has no other way to
 * know what is in the queue. */
static void make_collected(struct profile *p)
{
    static const uint64_t graces_ms[] = {1000, 3000, 30000};
    static const unsigned hoards[] = {0, 30, 70, 70};
    p->collectors = 1 + (unsigned)(p->calls_min % 2);
    p->grace_ms = graces_ms[p->calls_min % 3];
    p->hoard = hoards[p->calls_min / 3 % 4];
    p->lag_us = 0;
}

/* Most of what clients do is to put what is derived and to ask for it; mostly beside a
 * collector, which merges what is old of the log. */
static void make_derived(struct profile *p)
{
    p->nodes = 2 + (unsigned)(p->acts_min % 2);
    p->acts_min += 96;
    p->derives = 40 + 40 * (unsigned)(p->acts_min / 2 % 2);
    if (p->collectors == 0 && p->calls_min / 4 % 3 > 0) {
        make_collected(p);
        p->collectors = 1 + (unsigned)(p->acts_min / 4 % 2);
    }
}

void profile_draw(struct profile *p)
{
    *p = (struct profile){0};
    p->projects = (unsigned)world_between(1, 3);
    p->shards = (unsigned)world_between(1, p->projects);
    p->fronts = (unsigned)world_between(1, 3);
    p->drains = (unsigned)world_between(0, 3);
    p->appends = (unsigned)world_between(0, 2);
    p->rollups = (unsigned)world_between(0, 1);
    p->clients = (unsigned)world_between(2, 8);
    line_draw(p);
    fates_draw(p);
    stages_draw(p);
    work_draw(p);
    p->put_interval_ms = world_chance(2000) ? 1000 : 0;
    /* By what has been drawn: a world without packs and collectors is the same as without these
     * lines. */
    p->packs = p->calls_min % 10 < 3 ? 1 + (unsigned)(p->acts_min % 2) : 0;
    if (p->acts_min % 4 == 0)
        make_collected(p);
    if (p->calls_min % 4 == 1)
        make_derived(p);
    if (world_chance(600))
        make_import(p);
    else if (world_chance(800))
        make_crowd(p);
    else if (p->acts_min % 12 == 3)
        make_gathering(p);
}

void profile_calm(struct profile *p)
{
    *p = (struct profile){.projects = 1,
                          .shards = 1,
                          .fronts = 2,
                          .drains = 2,
                          .clients = 3,
                          .latency_us = 2000,
                          .fold_after_ms = 30000,
                          .missing_after_ms = 60000,
                          .batch_max = 1000,
                          .think_ms = 10,
                          .paths = 8,
                          .series_max = 2};
}
