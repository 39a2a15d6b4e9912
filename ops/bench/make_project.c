/* Makes a synthetic project in a directory bucket, with its log and rollups, in little time: a
 * million landings of history, or a tree of a billion files.
 *
 *   make_project DIR HANDLE [OPTION=N | OPTION]…
 *
 *   landings=0  files=10000  fan=100  batch=32  writes=3  seed=1
 *   rare=0      so many landings write the file in the middle, whose path is printed
 *   scattered   a landing's files lie in any directories, and not in one
 *   shared      equal directories are one page; the files come from no landing, so the deep
 *               check and a replay find that no record makes them
 *   no-log no-rollups
 *
 * synthetic.h says what they mean. The same options make the same bytes in a bucket that was
 * not there: the clock begins in 2024 and moves by a millisecond whenever it is looked at.
 * Prints one line of JSON. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "formats/base/hex.h"
#include "formats/base/limits.h"
#include "ops/bench/shared/synthetic.h"
#include "pipeline/stages/stages.h"
#include "pipeline/store/fs.h"

#define BEGUN_MS 1704067200000ull

static void must(int err, const char *what)
{
    if (err == OK)
        return;
    (void)fprintf(stderr, "make_project: %s: %s\n", what, err_name(err));
    exit(1);
}

/* --- a clock that depends on nothing --- */

struct made_clock {
    struct clock clock;
    uint64_t ms;
};

static uint64_t made_wall_ms(struct clock *clock)
{
    return ((struct made_clock *)clock)->ms++;
}

static uint64_t system_mono_us(struct clock *clock UNUSED)
{
    return clock_system()->mono_us(clock_system());
}

static void system_sleep_us(struct clock *clock UNUSED, uint64_t us)
{
    clock_system()->sleep_us(clock_system(), us);
}

/* --- options --- */

struct arguments {
    struct synthetic_options synthetic;
    bool no_log;
    bool no_rollups;
};

static bool is_flag(const char *arg, const char *name, bool *out)
{
    if (strcmp(arg, name) != 0)
        return false;
    *out = true;
    return true;
}

static bool is_number(const char *arg, const char *name, uint64_t *out)
{
    size_t len = strlen(name);
    char *end;
    if (strncmp(arg, name, len) != 0 || arg[len] != '=' || arg[len + 1] < '0' ||
        arg[len + 1] > '9')
        return false;
    *out = strtoull(arg + len + 1, &end, 10);
    return *end == '\0';
}

static bool is_small(const char *arg, const char *name, unsigned *out)
{
    uint64_t value;
    if (!is_number(arg, name, &value) || value > UINT32_MAX)
        return false;
    *out = (unsigned)value;
    return true;
}

static bool argument_take(struct arguments *a, const char *arg)
{
    struct synthetic_options *o = &a->synthetic;
    return is_number(arg, "seed", &o->seed) || is_number(arg, "files", &o->files) ||
           is_number(arg, "landings", &o->landings) || is_small(arg, "fan", &o->fan) ||
           is_small(arg, "batch", &o->batch) || is_small(arg, "writes", &o->writes) ||
           is_small(arg, "rare", &o->rare) || is_flag(arg, "scattered", &o->scattered) ||
           is_flag(arg, "shared", &o->shared) || is_flag(arg, "no-log", &a->no_log) ||
           is_flag(arg, "no-rollups", &a->no_rollups);
}

/* --- what is made --- */

static double stage_run_out(struct stage *stage)
{
    struct clock *clock = clock_system();
    uint64_t begun = clock->mono_us(clock);
    int did;
    while ((did = stage->run(stage)) > 0)
        continue;
    must(did, stage->name);
    stage->close(stage);
    return (double)(clock->mono_us(clock) - begun) / 1e6;
}

static void project_make(struct repo *repo, const char *handle, const struct arguments *a)
{
    struct clock *clock = clock_system();
    uint64_t begun = clock->mono_us(clock);
    struct synthetic made;
    must(synthetic_make(repo, bytes_str(handle), &a->synthetic, &made), handle);
    double seconds = (double)(clock->mono_us(clock) - begun) / 1e6;
    double log = a->no_log ? 0 : stage_run_out(stage_append_open(repo));
    const struct rollup_options rollups = {0};
    double filters =
        a->no_log || a->no_rollups ? 0 : stage_run_out(stage_rollup_open(repo, &rollups));
    printf("{\"project\": \"%s\", \"position\": %" PRIu64 ", \"batches\": %" PRIu64
           ", \"tree_bytes\": %" PRIu64 ", \"rare\": \"%s\", \"seconds\": %.2f, "
           "\"log_seconds\": %.2f, \"rollup_seconds\": %.2f}\n",
           id16_hex(&made.project).s, made.head.position, made.batches, made.tree_bytes,
           made.rare, seconds, log, filters);
}

int main(int argc, char **argv)
{
    struct arguments a = {
        .synthetic = {
            .seed = 1, .fan = SYNTHETIC_FAN_MAX, .files = 10000, .batch = 32, .writes = 3}};
    bool good = argc >= 3;
    for (int i = 3; i < argc && good; i++)
        good = argument_take(&a, argv[i]);
    const struct synthetic_options *o = &a.synthetic;
    if (!good || o->fan < 2 || o->fan > SYNTHETIC_FAN_MAX || o->batch == 0) {
        (void)fprintf(stderr,
                      "usage: make_project DIR HANDLE [landings=N] [files=N] [fan=2-100] "
                      "[batch=N] [writes=N] [seed=N] [rare=N] [scattered] [shared] "
                      "[no-log] [no-rollups]\n");
        return 2;
    }
    struct store *store;
    struct repo repo;
    struct rng_seeded rng;
    struct made_clock clock = {{made_wall_ms, system_mono_us, system_sleep_us}, BEGUN_MS};
    const struct repo_options options = {
        .page_cache_bytes = 512 * MIB, .shards = 1, .chunk_size = CHUNK_SIZE_DEFAULT};
    rng_seeded_init(&rng, o->seed);
    must(fs_store_open(argv[1], &store), argv[1]);
    must(repo_open(&repo, store, &clock.clock, &rng.rng, &options), "the bucket");
    project_make(&repo, argv[2], &a);
    repo_close(&repo);
    store_close(store);
    return 0;
}
