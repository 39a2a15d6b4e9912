/* What running recipes costs beside the functions themselves. For `make bench` part q.
 *
 *   derive_run chain N        a chain of N `slice` that give all of 64 bytes: microseconds a
 * recipe derive_run resolve N      the root over N recipes, known and cached: microseconds
 *   derive_run fan N SLOTS    N functions that wait 10 ms, on SLOTS slots: milliseconds
 *
 * Prints a line of JSON. Recipes lie in a table, results in memory; there is no store. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "formats/base/hash.h"
#include "ops/bench/shared/recipe_table.h"
#include "pipeline/derive/run/executor.h"
#include "pipeline/sys/bell.h"

#define WAIT_US   10000u
#define LEAF_SIZE 64u

static uint64_t now_us(void)
{
    struct clock *clock = clock_system();
    return clock->mono_us(clock);
}

/* Of all threads. */
static uint64_t cpu_us(void)
{
    struct timespec ts;
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
    return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

static int wait_run(struct fn_run *run)
{
    struct clock *clock = clock_system();
    clock->sleep_us(clock, WAIT_US);
    return fn_put(run->out, bytes_str("waited"));
}

static const struct function waits = {
    .name = "bench.wait",
    .version = "1.0.0",
    .revision = "1",
    .inputs_least = 1,
    .inputs_most = 1,
    .run = wait_run,
};

static const struct function *find(struct bytes name, struct bytes version)
{
    if (bytes_equal(name, bytes_str(waits.name)))
        return &waits;
    return function_find(name, version);
}

/* ---- a get ---- */

struct waiter {
    struct bell bell;
    struct derived *derived;
};

static void done(void *arg, struct derived *derived, const struct derive_problem *problem)
{
    struct waiter *waiter = arg;
    if (problem != NULL) {
        (void)fprintf(stderr, "derive_run: %s\n", derive_fault_name(problem->fault));
        exit(1);
    }
    waiter->derived = derived;
    bell_ring(&waiter->bell);
}

/* How long it took. */
static uint64_t get(struct executor *ex, struct recipe_table *table, const struct hash *address)
{
    const struct id16 project = {.b = {1}};
    struct waiter waiter = {0};
    bell_init(&waiter.bell);
    const struct get_options options = {.want = GET_BYTES, .done = done, .arg = &waiter};
    uint64_t began = now_us();
    executor_get(ex, &project, recipe_table_source(table), address, &options, NULL);
    (void)bell_wait(&waiter.bell, BELL_FOR_EVER);
    uint64_t took = now_us() - began;
    derived_close(waiter.derived);
    bell_release(&waiter.bell);
    return took;
}

/* ---- what is measured ---- */

struct rig {
    struct result_cache *cache;
    struct executor *ex;
    struct recipe_table *table;
};

static void rig_open(struct rig *rig, uint32_t slots)
{
    const struct result_cache_options results = {.ram_bytes = 256u * MIB,
                                                 .chunk_size = CHUNK_SIZE_DEFAULT};
    if (result_cache_open(&results, &rig->cache) != OK)
        exit(1);
    const struct executor_options options = {.slots = slots,
                                             .planners = 1,
                                             .in_flight_max = 256u * MIB,
                                             .result_max = RESULT_SIZE_MAX,
                                             .known_max = 16u * MIB,
                                             .function = find,
                                             .cache = rig->cache,
                                             .clock = clock_system(),
                                             .rng = rng_system()};
    rig->ex = executor_open(&options);
    rig->table = recipe_table_open();
}

static void rig_close(struct rig *rig)
{
    executor_close(rig->ex);
    recipe_table_close(rig->table);
    result_cache_close(rig->cache);
}

/* Leaves of their own: no two recipes have equal inputs. */
static struct hash leaf(struct recipe_table *table, uint32_t i)
{
    char text[LEAF_SIZE + 1];
    (void)snprintf(text, sizeof(text), "%064" PRIu32, i);
    return recipe_table_leaf(table, bytes_of(text, LEAF_SIZE));
}

/* Each recipe of the chain has a parameter of its own, or equal inputs would share a run. */
static struct hash chain(struct recipe_table *table, uint32_t first, uint32_t n)
{
    struct hash at = leaf(table, first);
    for (uint32_t i = 0; i < n; i++) {
        char end[16];
        (void)snprintf(end, sizeof(end), "%" PRIu32, LEAF_SIZE + i);
        const struct parameter parameter = {.name = bytes_str("end"), .value = bytes_str(end)};
        at = recipe_table_recipe(table, "slice", &at, 1, &parameter, 1);
    }
    return at;
}

static void chain_measure(uint32_t n)
{
    struct rig rig;
    rig_open(&rig, 2);
    /* Another one first: memory is then there. */
    struct hash root = chain(rig.table, 1, n);
    (void)get(rig.ex, rig.table, &root);
    root = chain(rig.table, 0, n);
    uint64_t runs = executor_stats(rig.ex).runs;
    uint64_t cpu = cpu_us();
    uint64_t took = get(rig.ex, rig.table, &root);
    cpu = cpu_us() - cpu;
    (void)printf("{\"us\": %.3f, \"cpu_us\": %.3f, \"runs\": %" PRIu64 "}\n", (double)took / n,
                 (double)cpu / n, executor_stats(rig.ex).runs - runs);
    rig_close(&rig);
}

static void resolve_measure(uint32_t n)
{
    struct rig rig;
    rig_open(&rig, 2);
    struct hash root = chain(rig.table, 0, n);
    (void)get(rig.ex, rig.table, &root);
    const struct id16 project = {.b = {1}};
    const unsigned times = 1000000;
    uint64_t began = now_us();
    for (unsigned i = 0; i < times; i++) {
        struct derived *derived;
        if (executor_known(rig.ex, &project, &root, &derived) != OK)
            exit(1);
        derived_close(derived);
    }
    (void)printf("{\"us\": %.3f}\n", (double)(now_us() - began) / times);
    rig_close(&rig);
}

static void fan_measure(uint32_t n, uint32_t slots)
{
    struct rig rig;
    rig_open(&rig, slots);
    struct hash *inputs = calloc(n, sizeof(*inputs));
    if (inputs == NULL)
        exit(1);
    for (uint32_t i = 0; i < n; i++) {
        struct hash at = leaf(rig.table, i);
        inputs[i] = recipe_table_recipe(rig.table, waits.name, &at, 1, NULL, 0);
    }
    struct hash root = recipe_table_recipe(rig.table, "concat", inputs, n, NULL, 0);
    uint64_t took = get(rig.ex, rig.table, &root);
    uint64_t ideal = (n + slots - 1) / slots * WAIT_US;
    (void)printf("{\"ms\": %.3f, \"ideal_ms\": %.3f, \"serial_ms\": %.3f, \"ratio\": %.3f}\n",
                 (double)took / 1000, (double)ideal / 1000, (double)n * WAIT_US / 1000,
                 (double)took / (double)ideal);
    free(inputs);
    rig_close(&rig);
}

int main(int argc, char **argv)
{
    uint32_t n = argc > 2 ? (uint32_t)strtoul(argv[2], NULL, 10) : 0;
    uint32_t slots = argc > 3 ? (uint32_t)strtoul(argv[3], NULL, 10) : 0;
    if (argc == 3 && n > 0 && strcmp(argv[1], "chain") == 0) {
        chain_measure(n);
    } else if (argc == 3 && n > 0 && strcmp(argv[1], "resolve") == 0) {
        resolve_measure(n);
    } else if (argc == 4 && n > 0 && slots > 0 && strcmp(argv[1], "fan") == 0) {
        fan_measure(n, slots);
    } else {
        (void)fputs("usage: derive_run chain N | resolve N | fan N SLOTS\n", stderr);
        return 2;
    }
    return 0;
}
