/* What the index of the derive log costs, for `make bench` part r: making it anew out of the
 * bucket, dependents, and finds. In process, without HTTP.
 *
 *   index_cost DIR RECIPES tree|chain|fan
 *
 * Puts RECIPES recipes of about 100 bytes that all depend on one leaf, and between them one for
 * each hundred that depend on another, as derive objects of 500 into a directory store, and
 * reads them into an index that is empty. In a tree each recipe names one before it, drawn by
 * chance; in a chain the last one; in a fan the leaf. Prints one line of JSON. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "formats/base/hash.h"
#include "formats/base/limits.h"
#include "formats/key.h"
#include "pipeline/derive/index/index_follow.h"
#include "pipeline/store/fs.h"

#define OBJECT  500u
#define SPARSE  101u /* every so many of the recipes belongs to the few */
#define FINDS   200000u
#define FRONTED 10000u
#define TURNS   20u
#define STARTS  5u
#define PAUSE   100000u /* microseconds */
#define SIDE    64u     /* objects that are put side by side */

enum group {
    MANY,
    FEW,
    GROUPS,
};

static struct {
    struct clock *clock;
    struct id16 project;
    struct store *store;
    struct repo repo;
    struct derive_index *index;
    char dir[512];
    const char *shape;
    struct rng_seeded rng;
    struct hash leaf[GROUPS];
    struct hash *recipes[GROUPS];
    uint64_t n[GROUPS];
} bench;

static void must(int err, const char *what)
{
    if (err == OK)
        return;
    (void)fprintf(stderr, "index_cost: %s: %s\n", what, err_name(err));
    exit(1);
}

static double seconds_since(uint64_t began_us)
{
    return (double)(bench.clock->mono_us(bench.clock) - began_us) / 1e6;
}

static uint64_t now_us(void)
{
    return bench.clock->mono_us(bench.clock);
}

/* ---- the log ---- */

static struct hash input_of(enum group group)
{
    uint64_t n = bench.n[group];
    if (n == 0 || strcmp(bench.shape, "fan") == 0)
        return bench.leaf[group];
    if (strcmp(bench.shape, "chain") == 0)
        return bench.recipes[group][n - 1];
    return bench.recipes[group][rng_below(&bench.rng.rng, n)];
}

static void recipe_add(struct buf *out, uint64_t number)
{
    enum group group = number % SPARSE == 0 ? FEW : MANY;
    char value[32];
    struct recipe_input input = {.kind = RECIPE_ADDRESS, .address = input_of(group)};
    (void)snprintf(value, sizeof(value), "%" PRIu64, number);
    struct parameter parameter = {.name = bytes_str("offset"), .value = bytes_str(value)};
    struct recipe recipe = {.function = bytes_str("slice"),
                            .version = bytes_str("1.0.0"),
                            .inputs = &input,
                            .n_inputs = 1,
                            .parameters = &parameter,
                            .n_parameters = 1};
    must(recipe_settle(&recipe, NULL), "a recipe");
    AUTO_BUF canonical = {0};
    recipe_encode(&recipe, &canonical);
    struct derive_item item = {.kind = DERIVE_RECIPE, .data = buf_bytes(&canonical)};
    bench.recipes[group][bench.n[group]++] = recipe_address(item.data);
    derive_item_write(out, &item);
}

static void log_put(uint64_t recipes)
{
    static struct key keys[SIDE];
    static struct buf bodies[SIDE];
    static struct store_op ops[SIDE];
    uint64_t seq = 1;
    for (uint64_t from = 0; from < recipes;) {
        size_t n = 0;
        for (; n < SIDE && from < recipes; n++) {
            uint64_t end = from + OBJECT < recipes ? from + OBJECT : recipes;
            buf_clear(&bodies[n]);
            derive_object_begin(&bodies[n], &bench.project, 1, seq, 1000 + seq);
            for (uint64_t i = from; i < end; i++)
                recipe_add(&bodies[n], i);
            derive_object_finish(&bodies[n], (uint32_t)(end - from));
            keys[n] = key_derive(&bench.project, 1, seq);
            ops[n] = (struct store_op){.verb = STORE_PUT,
                                       .key = keys[n].s,
                                       .data = buf_bytes(&bodies[n]),
                                       .condition = PUT_IF_ABSENT};
            seq++;
            from = end;
        }
        must(store_many(bench.store, ops, n), "putting the log");
    }
    for (size_t i = 0; i < SIDE; i++)
        buf_release(&bodies[i]);
}

/* ---- the index ---- */

static void index_open(void)
{
    char dir[600];
    (void)snprintf(dir, sizeof(dir), "%s/index", bench.dir);
    must(derive_index_open(
             &(struct derive_index_options){
                 .dir = dir, .clock = bench.clock, .follow = index_follow, .arg = &bench.repo},
             &bench.index),
         "the index");
    derive_index_start(bench.index);
}

static int each(void *arg, const struct hash *address, uint64_t distance UNUSED)
{
    *(uint64_t *)arg += address->b[0];
    return OK;
}

/* Seconds that finding and counting what depends on a leaf take, or its addresses, too. */
static double walk(enum group group, bool addresses)
{
    struct derive_root root = {.address = &bench.leaf[group]};
    struct derive_walk found;
    uint64_t sum = 0;
    uint64_t began = now_us();
    must(derive_index_walk(bench.index, &bench.project, &root, addresses ? each : NULL, &sum,
                           &found),
         "a walk");
    double took = seconds_since(began);
    must(found.count == bench.n[group] ? OK : ERR_CORRUPT, "what a walk has counted");
    return took;
}

/* Microseconds of one find, over recipes drawn by chance out of the first `of`. */
static double find(uint64_t finds, uint64_t of)
{
    AUTO_BUF canonical = {0};
    uint64_t began = now_us();
    for (uint64_t i = 0; i < finds; i++) {
        const struct hash *address = &bench.recipes[MANY][rng_below(&bench.rng.rng, of)];
        buf_clear(&canonical);
        must(derive_index_recipe(bench.index, &bench.project, address, DERIVE_MISS_TELL,
                                 &canonical),
             "a find");
    }
    return seconds_since(began) * 1e6 / (double)finds;
}

/* Each once, so that all are in memory. */
static void front_warm(uint64_t n)
{
    AUTO_BUF canonical = {0};
    for (uint64_t i = 0; i < n; i++)
        must(derive_index_recipe(bench.index, &bench.project, &bench.recipes[MANY][i],
                                 DERIVE_MISS_TELL, &canonical),
             "a find");
}

static int compare_times(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

/* What the first walk over the few takes so long after the first question of a process that has
 * just opened the index: of several starts the middle one, and the longest. */
static void first_walks(uint64_t pause_us, double *middle, double *longest)
{
    double took[STARTS];
    struct derive_counts counts;
    for (unsigned i = 0; i < STARTS; i++) {
        index_open();
        must(derive_index_counts(bench.index, &bench.project, &counts), "a start");
        bench.clock->sleep_us(bench.clock, pause_us);
        took[i] = walk(FEW, false);
        derive_index_close(bench.index);
    }
    qsort(took, STARTS, sizeof(*took), compare_times);
    *middle = took[STARTS / 2];
    *longest = took[STARTS - 1];
}

static void measure(void)
{
    struct derive_counts counts;
    index_open();
    uint64_t began = now_us();
    must(derive_index_counts(bench.index, &bench.project, &counts), "the rebuild");
    double rebuild = seconds_since(began);
    must(counts.recipes == bench.n[MANY] + bench.n[FEW] ? OK : ERR_CORRUPT, "the rebuild");
    derive_index_close(bench.index);

    index_open();
    began = now_us();
    must(derive_index_counts(bench.index, &bench.project, &counts), "the restart");
    double restart = seconds_since(began);
    (void)walk(FEW, false);
    double few = walk(FEW, false);
    double few_named = walk(FEW, true);
    double many = walk(MANY, false);
    double many_named = walk(MANY, true);
    double found = find(FINDS, bench.n[MANY]);
    uint64_t fronted = bench.n[MANY] < FRONTED ? bench.n[MANY] : FRONTED;
    front_warm(fronted);
    double in_front = find(TURNS * fronted, fronted);
    derive_index_close(bench.index);
    double first;
    double first_most;
    double later;
    double later_most;
    first_walks(0, &first, &first_most);
    first_walks(PAUSE, &later, &later_most);
    (void)printf("{\"recipes\": %" PRIu64 ", \"rebuild_s\": %.3f, \"restart_ms\": %.3f, "
                 "\"few\": %" PRIu64 ", \"few_ms\": %.3f, \"few_named_ms\": %.3f, \"many_ms\": "
                 "%.3f, \"many_named_ms\": %.3f, "
                 "\"find_us\": %.3f, \"front_us\": %.4f, \"first_ms\": %.3f, "
                 "\"first_most_ms\": %.3f, \"later_ms\": %.3f, \"later_most_ms\": %.3f}\n",
                 counts.recipes, rebuild, restart * 1e3, bench.n[FEW], few * 1e3,
                 few_named * 1e3, many * 1e3, many_named * 1e3, found, in_front, first * 1e3,
                 first_most * 1e3, later * 1e3, later_most * 1e3);
}

int main(int argc, char **argv)
{
    if (argc != 4) {
        (void)fputs("usage: index_cost DIR RECIPES tree|chain|fan\n", stderr);
        return 2;
    }
    static const struct repo_options options = {
        .page_cache_bytes = MIB, .shards = 1, .chunk_size = CHUNK_SIZE_DEFAULT};
    uint64_t recipes = strtoull(argv[2], NULL, 10);
    recipes += recipes / (SPARSE - 1);
    bench.clock = clock_system();
    bench.shape = argv[3];
    bench.project = (struct id16){.b = {1}};
    rng_seeded_init(&bench.rng, 1);
    (void)snprintf(bench.dir, sizeof(bench.dir), "%s", argv[1]);
    char dir[600];
    (void)snprintf(dir, sizeof(dir), "%s/bucket", bench.dir);
    must(fs_store_open(dir, &bench.store), dir);
    must(repo_open(&bench.repo, bench.store, bench.clock, rng_system(), &options),
         "the bucket");
    for (int group = 0; group < GROUPS; group++) {
        bench.leaf[group] = sha256(bytes_of(&group, sizeof(group)));
        bench.recipes[group] = calloc(recipes + 1, sizeof(struct hash));
        if (bench.recipes[group] == NULL)
            abort();
    }
    log_put(recipes);
    measure();
    repo_close(&bench.repo);
    store_close(bench.store);
    for (int group = 0; group < GROUPS; group++)
        free(bench.recipes[group]);
    return 0;
}
