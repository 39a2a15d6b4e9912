/* What running recipes costs over a node as it is: the derive log and its index over a store in
 * memory, results in memory. For `make bench` part q, beside derive_run, which has a table in
 * their place. In process, without HTTP.
 *
 *   derive_node chain DIR N     a chain of N `slice` that give all of 64 bytes, each of which
 *                               runs: microseconds a recipe
 *   derive_node identity DIR N  a chain of N `identity` of 64 bytes, whose inputs are equal, so
 *                               that they share a run
 *   derive_node resolve DIR N   the root over N recipes, known and cached: microseconds
 *
 * Recipes are put through the node before; its index lies in DIR. Prints a line of JSON. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "formats/base/hash.h"
#include "pipeline/derive/derive.h"
#include "pipeline/derive/project_source.h"
#include "pipeline/repo/project.h"
#include "pipeline/store/mem.h"
#include "pipeline/sys/bell.h"

#define LEAF_SIZE 64u
#define SIDE      500u /* recipes that are put at once */
#define TIMES     1000000u

static struct {
    struct clock *clock;
    struct store *store;
    struct repo repo;
    struct derive derive;
    struct id16 project;
} node;

static void must(int err, const char *what)
{
    if (err == OK)
        return;
    (void)fprintf(stderr, "derive_node: %s: %s\n", what, err_name(err));
    exit(1);
}

static uint64_t now_us(void)
{
    return node.clock->mono_us(node.clock);
}

/* Of all threads. */
static uint64_t cpu_us(void)
{
    struct timespec ts;
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
    return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

/* With what a forge has by default. */
static void node_open(const char *dir)
{
    const struct repo_options repo = {.page_cache_bytes = MIB,
                                      .content_cache_bytes = MIB,
                                      .shards = 1,
                                      .chunk_size = CHUNK_SIZE_DEFAULT};
    const struct derive_options options = {.dir = dir,
                                           .window_us = 500,
                                           .batch_max = 16u * MIB,
                                           .queue_max = 256u * MIB,
                                           .slots = 2,
                                           .in_flight_max = 256u * MIB,
                                           .ram_bytes = 128u * MIB,
                                           .disk_bytes = 4096ull * MIB};
    node.clock = clock_system();
    node.store = mem_store_open();
    must(repo_open(&node.repo, node.store, node.clock, rng_system(), &repo), "the bucket");
    must(derive_open(&node.derive, &node.repo, &options), dir);
    derive_start(&node.derive);
    must(project_create(&node.repo, bytes_str("bench"), &node.project), "a project");
}

static void node_close(void)
{
    derive_stop(&node.derive);
    derive_close(&node.derive);
    repo_close(&node.repo);
    store_close(node.store);
}

/* ---- putting ---- */

static void put_told(void *arg, int err, uint64_t hlc UNUSED)
{
    must(err, "a put");
    bell_ring(arg);
}

static void put(const struct derive_item *items, uint32_t n)
{
    struct bell bell;
    bell_init(&bell);
    must(derive_put(&node.derive, &node.project, items, n, put_told, &bell), "a put");
    (void)bell_wait(&bell, BELL_FOR_EVER);
    bell_release(&bell);
}

/* A leaf of its own: no two chains have equal inputs. */
static struct hash leaf(uint32_t i)
{
    char text[LEAF_SIZE + 1];
    (void)snprintf(text, sizeof(text), "%064" PRIu32, i);
    struct bytes data = bytes_of(text, LEAF_SIZE);
    const struct derive_item item = {
        .kind = DERIVE_LEAF, .address = sha256(data), .data = data};
    put(&item, 1);
    return item.address;
}

static struct derive_item recipe_item(struct arena *arena, struct recipe *recipe)
{
    AUTO_BUF canonical = {0};
    must(recipe_settle(recipe, NULL), "a recipe");
    recipe_encode(recipe, &canonical);
    struct bytes data = arena_copy(arena, buf_bytes(&canonical));
    return (struct derive_item){
        .kind = DERIVE_RECIPE, .address = recipe_address(data), .data = data};
}

static struct derive_item identity(struct arena *arena, const struct hash *of)
{
    struct recipe_input input = {.kind = RECIPE_ADDRESS, .address = *of};
    struct recipe recipe = {.function = bytes_str("identity"),
                            .version = bytes_str("1.0.0"),
                            .inputs = &input,
                            .n_inputs = 1};
    return recipe_item(arena, &recipe);
}

/* Each recipe of the chain has a parameter of its own, or equal inputs would share a run. */
static struct derive_item slice(struct arena *arena, const struct hash *of, uint32_t i)
{
    char end[16];
    (void)snprintf(end, sizeof(end), "%" PRIu32, LEAF_SIZE + i);
    struct recipe_input input = {.kind = RECIPE_ADDRESS, .address = *of};
    struct parameter parameter = {.name = bytes_str("end"), .value = bytes_str(end)};
    struct recipe recipe = {.function = bytes_str("slice"),
                            .version = bytes_str("1.0.0"),
                            .inputs = &input,
                            .n_inputs = 1,
                            .parameters = &parameter,
                            .n_parameters = 1};
    return recipe_item(arena, &recipe);
}

static struct hash chain(uint32_t first, uint32_t n, bool runs)
{
    struct hash at = leaf(first);
    for (uint32_t from = 0; from < n; from += SIDE) {
        AUTO(arena_release) struct arena arena = {0};
        struct derive_item items[SIDE];
        uint32_t some = n - from < SIDE ? n - from : SIDE;
        for (uint32_t i = 0; i < some; i++) {
            items[i] = runs ? slice(&arena, &at, from + i) : identity(&arena, &at);
            at = items[i].address;
        }
        put(items, some);
    }
    return at;
}

/* ---- getting ---- */

struct waiter {
    struct bell bell;
    struct derived *derived;
};

static void done(void *arg, struct derived *derived, const struct derive_problem *problem)
{
    struct waiter *waiter = arg;
    if (problem != NULL) {
        (void)fprintf(stderr, "derive_node: %s\n", derive_fault_name(problem->fault));
        exit(1);
    }
    waiter->derived = derived;
    bell_ring(&waiter->bell);
}

/* How long it took. */
static uint64_t get(const struct hash *address)
{
    struct waiter waiter = {.derived = NULL};
    bell_init(&waiter.bell);
    const struct get_options options = {.want = GET_BYTES, .done = done, .arg = &waiter};
    uint64_t began = now_us();
    struct project_source *source = project_source_open(&node.derive, &node.project, 0);
    executor_get(node.derive.executor, &node.project, project_source_hold(source), address,
                 &options, NULL);
    (void)bell_wait(&waiter.bell, BELL_FOR_EVER);
    uint64_t took = now_us() - began;
    derived_close(waiter.derived);
    project_source_drop(source);
    bell_release(&waiter.bell);
    return took;
}

static void chain_measure(uint32_t n, bool run)
{
    /* Another one first: memory is then there. */
    struct hash root = chain(1, n, run);
    (void)get(&root);
    root = chain(0, n, run);
    /* What was told is taken into the index aside, within a second. */
    node.clock->sleep_us(node.clock, 2000000);
    uint64_t runs = executor_stats(node.derive.executor).runs;
    uint64_t cpu = cpu_us();
    uint64_t took = get(&root);
    cpu = cpu_us() - cpu;
    runs = executor_stats(node.derive.executor).runs - runs;
    (void)printf("{\"us\": %.3f, \"cpu_us\": %.3f, \"runs\": %" PRIu64 "}\n", (double)took / n,
                 (double)cpu / n, runs);
}

static void resolve_measure(uint32_t n)
{
    struct hash root = chain(0, n, true);
    (void)get(&root);
    uint64_t began = now_us();
    for (unsigned i = 0; i < TIMES; i++) {
        struct derived *derived;
        must(executor_known(node.derive.executor, &node.project, &root, &derived), "a get");
        derived_close(derived);
    }
    (void)printf("{\"us\": %.3f}\n", (double)(now_us() - began) / TIMES);
}

int main(int argc, char **argv)
{
    uint32_t n = argc == 4 ? (uint32_t)strtoul(argv[3], NULL, 10) : 0;
    const char *what = n > 0 ? argv[1] : "";
    bool run = strcmp(what, "chain") == 0;
    bool resolve = strcmp(what, "resolve") == 0;
    if (!run && !resolve && strcmp(what, "identity") != 0) {
        (void)fputs("usage: derive_node chain|identity|resolve DIR N\n", stderr);
        return 2;
    }
    node_open(argv[2]);
    if (resolve)
        resolve_measure(n);
    else
        chain_measure(n, run);
    node_close();
    return 0;
}
