/* How fast recipes become durable, for `make bench` part o: the derive log alone, without HTTP.
 *
 *   derive_put DIR CLIENTS OUTSTANDING SECONDS DELAY_MS
 *
 * CLIENTS threads tell of one recipe of about 100 bytes at a time, all of one project; each has
 * OUTSTANDING of them under way and tells of the next when one is answered. The store is the
 * directory DIR; every request to it takes DELAY_MS at least. Counts for SECONDS after one of
 * warming up, and prints one line of JSON. In the end another node reads the log: it must find
 * every recipe that was answered. */
#include <inttypes.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "formats/base/limits.h"
#include "pipeline/derive/log/derive_follow.h"
#include "pipeline/derive/log/derive_log.h"
#include "pipeline/store/fs.h"
#include "pipeline/store/slow.h"
#include "pipeline/store/trace.h"

#define CLIENTS_MAX 1024u
#define WINDOW_US   500u /* as the intake's, unless told */
#define LATE_US     100u /* latencies are counted in steps of so much */
#define LATE_MAX    20000u

struct client {
    pthread_t thread;
    sem_t free; /* how many more it may have under way */
    uint32_t number;
};

/* One that is under way. */
struct put {
    struct client *client;
    uint64_t began_us;
};

static struct {
    struct clock *clock;
    struct derive_log *log;
    struct id16 project;
    uint32_t outstanding;
    atomic_bool counts;
    atomic_bool ends;
    atomic_uint_fast64_t answered; /* all */
    atomic_uint_fast64_t counted;  /* in the window */
    atomic_uint_fast64_t failed;
    atomic_uint_fast64_t again;
    atomic_uint_fast64_t late[LATE_MAX];
    uint64_t read;
    struct client clients[CLIENTS_MAX];
} bench;

static void must(int err, const char *what)
{
    if (err == OK)
        return;
    fprintf(stderr, "derive_put: %s: %s\n", what, err_name(err));
    exit(1);
}

static uint32_t number(const char *text)
{
    return (uint32_t)strtoul(text, NULL, 10);
}

static void told(void *arg, int err, uint64_t hlc UNUSED)
{
    struct put *put = arg;
    uint64_t step = (bench.clock->mono_us(bench.clock) - put->began_us) / LATE_US;
    if (err == OK)
        atomic_fetch_add(&bench.answered, 1);
    else
        atomic_fetch_add(&bench.failed, 1);
    if (err == OK && atomic_load(&bench.counts)) {
        atomic_fetch_add(&bench.counted, 1);
        atomic_fetch_add(&bench.late[step < LATE_MAX ? step : LATE_MAX - 1], 1);
    }
    struct client *client = put->client;
    free(put);
    (void)sem_post(&client->free);
}

static void recipe_make(struct buf *out, uint32_t client, uint64_t which)
{
    char value[64];
    struct recipe_input input = {.kind = RECIPE_ADDRESS};
    (void)snprintf(value, sizeof(value), "%u.%" PRIu64, client, which);
    memcpy(input.address.b, value, strnlen(value, sizeof(input.address.b)));
    struct parameter parameter = {.name = bytes_str("n"), .value = bytes_str(value)};
    struct recipe recipe = {.function = bytes_str("slice"),
                            .version = bytes_str("1.0.0"),
                            .inputs = &input,
                            .n_inputs = 1,
                            .parameters = &parameter,
                            .n_parameters = 1};
    must(recipe_settle(&recipe, NULL), "a recipe");
    buf_clear(out);
    recipe_encode(&recipe, out);
}

static void *client_run(void *arg)
{
    struct client *client = arg;
    AUTO_BUF recipe = {0};
    for (uint64_t i = 0; !atomic_load(&bench.ends); i++) {
        recipe_make(&recipe, client->number, i);
        struct derive_item item = {.kind = DERIVE_RECIPE, .data = buf_bytes(&recipe)};
        (void)sem_wait(&client->free);
        struct put *put = malloc(sizeof(*put));
        if (put == NULL)
            abort();
        *put = (struct put){.client = client, .began_us = bench.clock->mono_us(bench.clock)};
        int err = derive_log_tell(bench.log, &bench.project, &item, 1, told, put);
        if (err != OK) {
            must(err == ERR_AGAIN ? OK : err, "a tell");
            atomic_fetch_add(&bench.again, 1);
            free(put);
            (void)sem_post(&client->free);
            bench.clock->sleep_us(bench.clock, 1000);
        }
    }
    for (uint32_t i = 0; i < bench.outstanding; i++)
        (void)sem_wait(&client->free);
    return NULL;
}

static double clients_run(uint32_t n, unsigned seconds, struct store *trace,
                          struct trace_counts *counts)
{
    struct clock *clock = bench.clock;
    for (uint32_t i = 0; i < n; i++) {
        struct client *client = &bench.clients[i];
        client->number = i;
        (void)sem_init(&client->free, 0, bench.outstanding);
        if (pthread_create(&client->thread, NULL, client_run, client) != 0)
            abort();
    }
    clock->sleep_us(clock, 1000000);
    (void)trace_store_counts(trace, true);
    uint64_t began_us = clock->mono_us(clock);
    atomic_store(&bench.counts, true);
    clock->sleep_us(clock, seconds * 1000000ull);
    atomic_store(&bench.counts, false);
    uint64_t took_us = clock->mono_us(clock) - began_us;
    *counts = trace_store_counts(trace, false);
    atomic_store(&bench.ends, true);
    for (uint32_t i = 0; i < n; i++)
        (void)pthread_join(bench.clients[i].thread, NULL);
    return (double)took_us / 1e6;
}

static double late_ms(unsigned percent)
{
    uint64_t all = atomic_load(&bench.counted);
    uint64_t sum = 0;
    for (unsigned i = 0; i < LATE_MAX; i++) {
        sum += atomic_load(&bench.late[i]);
        if (sum * 100 >= all * percent)
            return (double)(i + 1) * LATE_US / 1000;
    }
    return 0;
}

static int take(void *arg UNUSED, const struct derive_object *object,
                struct bytes encoded UNUSED)
{
    bench.read += object->n;
    return OK;
}

static void repo_make(struct repo *repo, struct store *store)
{
    static const struct repo_options options = {
        .page_cache_bytes = MIB, .shards = 1, .chunk_size = CHUNK_SIZE_DEFAULT};
    must(repo_open(repo, store, bench.clock, rng_system(), &options), "the bucket");
}

/* Another node finds all that was answered. `*look_ms`: a look that finds nothing new. */
static double log_read(struct store *store, double *look_ms)
{
    struct repo repo;
    AUTO(derive_cursor_release) struct derive_cursor cursor = {0};
    repo_make(&repo, store);
    uint64_t began_us = bench.clock->mono_us(bench.clock);
    must(derive_follow(&repo, &bench.project, &cursor, take, NULL), "reading the log");
    uint64_t took_us = bench.clock->mono_us(bench.clock) - began_us;
    began_us = bench.clock->mono_us(bench.clock);
    must(derive_follow(&repo, &bench.project, &cursor, take, NULL), "looking again");
    *look_ms = (double)(bench.clock->mono_us(bench.clock) - began_us) / 1000;
    if (bench.read < atomic_load(&bench.answered)) {
        fprintf(stderr, "derive_put: %" PRIu64 " recipes are lost\n",
                (uint64_t)atomic_load(&bench.answered) - bench.read);
        exit(1);
    }
    repo_close(&repo);
    return (double)took_us / 1e6;
}

int main(int argc, char **argv)
{
    if (argc != 6) {
        fprintf(stderr, "usage: derive_put DIR CLIENTS OUTSTANDING SECONDS DELAY_MS\n");
        return 2;
    }
    struct store *disk;
    struct repo repo;
    struct trace_counts counts;
    uint32_t clients = number(argv[2]);
    bench.outstanding = number(argv[3]);
    bench.clock = clock_system();
    bench.project = (struct id16){{0x3e}};
    must(clients > 0 && clients <= CLIENTS_MAX ? OK : ERR_LIMIT, "CLIENTS");
    must(fs_store_open(argv[1], &disk), argv[1]);
    const struct slow_options slow = {.clock = bench.clock,
                                      .delay_us = number(argv[5]) * 1000ull};
    struct store *far = slow_store_open(disk, &slow);
    struct store *trace = trace_store_open(far);
    repo_make(&repo, trace);
    bench.log = derive_log_open(&repo, &(struct derive_log_options){.window_us = WINDOW_US,
                                                                    .batch_max = 16 * MIB,
                                                                    .queue_max = 256 * MIB});
    derive_log_start(bench.log);
    double seconds = clients_run(clients, number(argv[4]), trace, &counts);
    derive_log_stop(bench.log);
    derive_log_close(bench.log);
    double look_ms;
    double read_s = log_read(disk, &look_ms);
    double counted = (double)atomic_load(&bench.counted);
    printf(
        "{\"rate\":%.0f,\"puts\":%.0f,\"p50_ms\":%.1f,\"p99_ms\":%.1f,\"failed\":%" PRIu64
        ",\"again\":%" PRIu64 ",\"recipes\":%" PRIu64 ",\"read_rate\":%.0f,\"look_ms\":%.2f}\n",
        counted / seconds, (double)counts.puts[TRACE_DERIVE] / seconds, late_ms(50),
        late_ms(99), (uint64_t)atomic_load(&bench.failed), (uint64_t)atomic_load(&bench.again),
        bench.read, (double)bench.read / read_s, look_ms);
    repo_close(&repo);
    store_close(trace);
    store_close(far);
    store_close(disk);
    return 0;
}
