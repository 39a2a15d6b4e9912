/* The service with its threads, a drain beside it, and clients that wait: everybody is answered
 * once. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

#include "api/service/service.h"
#include "formats/base/limits.h"
#include "pipeline/stages/stages.h"
#include "pipeline/store/mem.h"
#include "tests/support/faulty.h"
#include "tests/support/suite.h"

#define CLIENTS  6u
#define LANDINGS 15u

struct rig {
    struct store *mem;
    struct store *faulty;
    struct repo repo;
    struct id16 project;
    struct service *service;
    struct stage *land;
    atomic_bool stop;
};

struct client {
    struct rig *rig;
    pthread_t thread;
    unsigned number;
    pthread_mutex_t lock;
    pthread_cond_t told;
    unsigned calls;
    struct land_result result;
    struct landing landing;
    unsigned landed;
};

static void told(void *arg, const struct land_result *result)
{
    struct client *client = arg;
    (void)pthread_mutex_lock(&client->lock);
    client->calls++;
    client->result = *result;
    if (result->err == OK && !result->pending)
        client->landing = result->landings[0];
    (void)pthread_cond_signal(&client->told);
    (void)pthread_mutex_unlock(&client->lock);
}

/* Lands one file of the client's own, and tries again with the same key until it has the
 * answer. */
static void land_one(struct client *client, unsigned n)
{
    struct caller caller = {.author = bytes_str("ann"), .owner = owner_of(bytes_str("ann"))};
    for (unsigned tries = 0; tries < 100; tries++) {
        struct arena arena = {0};
        struct problem problem;
        struct record records[2] = {0};
        char *key = arena_printf(&arena, "%u-%u", client->number, n);
        char *path = arena_printf(&arena, "c%u/f%u", client->number, n);
        records[0].kind = RECORD_START;
        records[0].start = (struct record_start){.key = bytes_str(key), .goal = bytes_str(key)};
        records[1].kind = RECORD_OPERATION;
        records[1].operation.op = OP_WRITE;
        records[1].operation.base = UINT64_MAX;
        records[1].operation.path = bytes_str(path);
        records[1].operation.content =
            content_inline(&arena, KIND_FILE, MODE_PLAIN, bytes_str(key));
        struct session session = {.records = records, .n_records = 2};
        (void)pthread_mutex_lock(&client->lock);
        unsigned calls = client->calls;
        (void)pthread_mutex_unlock(&client->lock);
        int err = service_land(client->rig->service, &caller, &client->rig->project, &session,
                               1, &arena, 10000, told, client, &problem);
        (void)pthread_mutex_lock(&client->lock);
        while (err == OK && client->calls == calls)
            (void)pthread_cond_wait(&client->told, &client->lock);
        bool done = err == OK && client->result.err == OK && !client->result.pending;
        if (done) {
            ck_assert_int_eq(client->landing.verdict, VERDICT_LANDED);
            client->landed++;
        }
        (void)pthread_mutex_unlock(&client->lock);
        arena_release(&arena);
        if (done)
            return;
    }
}

static void *land_all(void *arg)
{
    struct client *client = arg;
    for (unsigned n = 0; n < LANDINGS; n++)
        land_one(client, n);
    return NULL;
}

static void *drain(void *arg)
{
    struct rig *rig = arg;
    while (!atomic_load(&rig->stop)) {
        if (rig->land->run(rig->land) <= 0)
            clock_system()->sleep_us(clock_system(), 500);
    }
    return NULL;
}

static void landed(void *arg, const struct id16 *project)
{
    struct rig *rig = arg;
    service_landed(rig->service, project);
}

static void rig_open(struct rig *rig, bool hints)
{
    *rig = (struct rig){.mem = mem_store_open()};
    rig->faulty = faulty_store_open(rig->mem);
    static const struct repo_options options = {
        .page_cache_bytes = MIB, .shards = 2, .chunk_size = CHUNK_SIZE_DEFAULT};
    ck_assert_int_eq(repo_open(&rig->repo, rig->faulty, clock_system(), rng_system(), &options),
                     OK);
    ck_assert_int_eq(project_create(&rig->repo, bytes_str("demo"), &rig->project), OK);
    struct service_options service = {
        .intake = {.window_us = 300, .batch_max = MIB, .queue_max = 8 * MIB},
        .wait_max_ms = 30000,
        .poll_ms = 20,
        .waiters_max = 100};
    ck_assert_int_eq(service_open(&rig->repo, &service, &rig->service), OK);
    struct land_options land = {.shard_end = 2,
                                .batch_max = 100,
                                .fold_after_ms = 30000,
                                .missing_after_ms = 60000,
                                .landed = hints ? landed : NULL,
                                .landed_arg = rig};
    rig->land = stage_land_open(&rig->repo, &land);
}

static void rig_close(struct rig *rig)
{
    service_close(rig->service);
    rig->land->close(rig->land);
    repo_close(&rig->repo);
    store_close(rig->faulty);
    store_close(rig->mem);
}

static void run_clients(struct rig *rig)
{
    pthread_t drainer;
    struct client clients[CLIENTS] = {0};
    service_start(rig->service);
    ck_assert_int_eq(pthread_create(&drainer, NULL, drain, rig), 0);
    for (unsigned i = 0; i < CLIENTS; i++) {
        clients[i].rig = rig;
        clients[i].number = i;
        (void)pthread_mutex_init(&clients[i].lock, NULL);
        (void)pthread_cond_init(&clients[i].told, NULL);
        ck_assert_int_eq(pthread_create(&clients[i].thread, NULL, land_all, &clients[i]), 0);
    }
    for (unsigned i = 0; i < CLIENTS; i++)
        ck_assert_int_eq(pthread_join(clients[i].thread, NULL), 0);
    atomic_store(&rig->stop, true);
    ck_assert_int_eq(pthread_join(drainer, NULL), 0);
    service_stop(rig->service);
    for (unsigned i = 0; i < CLIENTS; i++) {
        ck_assert_uint_eq(clients[i].landed, LANDINGS);
        (void)pthread_mutex_destroy(&clients[i].lock);
        (void)pthread_cond_destroy(&clients[i].told);
    }
    faulty_reset(rig->faulty);
    struct head_info head;
    struct problem problem;
    ck_assert_int_eq(service_head(rig->service, &rig->project, &head, &problem), OK);
    ck_assert_uint_eq(head.head.position, CLIENTS * LANDINGS);
    ck_assert_uint_eq(head.files, CLIENTS * LANDINGS);
}

START_TEST(everybody_is_answered)
{
    struct rig rig;
    rig_open(&rig, true);
    run_clients(&rig);
    rig_close(&rig);
}
END_TEST

START_TEST(hints_are_not_needed)
{
    struct rig rig;
    rig_open(&rig, false);
    run_clients(&rig);
    rig_close(&rig);
}
END_TEST

START_TEST(a_store_that_fails_now_and_then)
{
    struct rig rig;
    rig_open(&rig, true);
    unsigned odds[FAULTS] = {0};
    odds[FAULT_AGAIN] = 30;
    odds[FAULT_UNKNOWN_DONE] = 20;
    odds[FAULT_UNKNOWN_LOST] = 20;
    faulty_chance(rig.faulty, 11, odds);
    run_clients(&rig);
    rig_close(&rig);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        everybody_is_answered,
        hints_are_not_needed,
        a_store_that_fails_now_and_then,
    };
    return suite_run("service_threads", tests, ARRAY_LEN(tests));
}
