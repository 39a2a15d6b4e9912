/* The service with its threads, a drain beside it, and clients that wait: everybody is answered
 * once. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

#include "api/service/service.h"
#include "api/service/waiters.h"
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

static void landed(void *arg, const struct id16 *project, const struct head *head)
{
    struct rig *rig = arg;
    service_landed(rig->service, project, head);
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

/* --- an answer that is found twice --- */

#define MEETINGS 100u
#define GIVERS   4u
#define GIVEN    20u

/* Some who ask again for what was answered: threads that have the answer at hand give it, while
 * the round finds the same in a batch that is new to it. */
struct meeting {
    struct waiters *waiters;
    struct wait_request request;
    struct landing landing;
    atomic_bool go;
    atomic_uint calls;
    atomic_uint answered;
};

static void met(void *arg, const struct land_result *result)
{
    struct meeting *meeting = arg;
    atomic_fetch_add(&meeting->calls, 1);
    if (!result->pending)
        atomic_fetch_add(&meeting->answered, 1);
}

static void *answer_given(void *arg)
{
    struct meeting *meeting = arg;
    while (!atomic_load(&meeting->go)) {
    }
    for (unsigned i = 0; i < GIVEN; i++)
        ck_assert_int_eq(waiters_answer(meeting->waiters, &meeting->request, &meeting->landing),
                         OK);
    return NULL;
}

static void meet(struct rig *rig, const struct head *before, const struct landing *landing)
{
    static const struct id16 nobody = {{1}};
    static const struct service_options options = {
        .wait_max_ms = 30000, .poll_ms = 20, .waiters_max = 100};
    struct base_cache *bases = base_cache_open(&rig->repo);
    base_head_seen(bases, &rig->project, before);
    struct meeting meeting = {.waiters = waiters_open(&rig->repo, bases, &options),
                              .landing = *landing};
    meeting.request = (struct wait_request){.project = rig->project,
                                            .request = landing->request,
                                            .owner = landing->owner,
                                            .sessions = &landing->session,
                                            .n = 1,
                                            .wait_ms = 30000,
                                            .landed = met,
                                            .arg = &meeting};
    /* For whom the round asks about the project. */
    struct wait_request other = meeting.request;
    struct waiter *waiter;
    other.request = nobody;
    ck_assert_int_eq(waiters_add(meeting.waiters, &other, &waiter), OK);
    waiters_taken(waiter, OK);
    pthread_t threads[GIVERS];
    for (unsigned i = 0; i < GIVERS; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, answer_given, &meeting), 0);
    atomic_store(&meeting.go, true);
    for (unsigned i = 0; i < 20; i++)
        (void)waiters_step(meeting.waiters);
    for (unsigned i = 0; i < GIVERS; i++)
        ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
    waiters_stop(meeting.waiters);
    ck_assert_uint_eq(atomic_load(&meeting.calls), GIVERS * GIVEN + 1);
    ck_assert_uint_eq(atomic_load(&meeting.answered), GIVERS * GIVEN);
    waiters_close(meeting.waiters);
    base_cache_close(bases);
}

static void on_tree(void *arg UNUSED, uint64_t call UNUSED, const struct store_op *op)
{
    if (op != NULL && strstr(op->key, "/trees/") != NULL)
        clock_system()->sleep_us(clock_system(), 300);
}

static void on_conflict(void *arg, const struct land_result *result)
{
    struct landing *landing = arg;
    *landing = (struct landing){.verdict = result->landings[0].verdict,
                                .closes = result->landings[0].closes,
                                .request = result->landings[0].request,
                                .session = result->landings[0].session,
                                .owner = result->landings[0].owner};
}

/* One session that does not land, so that its answer has to be read, which takes a while. */
static struct landing conflicted(struct rig *rig)
{
    AUTO(arena_release) struct arena arena = {0};
    struct caller caller = {.author = bytes_str("ann"), .owner = owner_of(bytes_str("ann"))};
    struct record records[2] = {
        {.kind = RECORD_START, .start = {.key = bytes_str("key"), .goal = bytes_str("goal")}},
        {.kind = RECORD_OPERATION}};
    records[1].operation = (struct record_operation){
        .op = OP_WRITE,
        .base = UINT64_MAX,
        .path = bytes_str("path"),
        .seen = {.said = true, .kind = KIND_FILE, .mode = MODE_PLAIN}};
    records[1].operation.content =
        content_inline(&arena, KIND_FILE, MODE_PLAIN, bytes_str("text"));
    struct session session = {.records = records, .n_records = 2};
    struct landing landing = {0};
    struct problem problem;
    ck_assert_int_eq(service_land(rig->service, &caller, &rig->project, &session, 1, &arena,
                                  10000, on_conflict, &landing, &problem),
                     OK);
    (void)!service_step(rig->service);
    while (rig->land->run(rig->land) > 0) {
    }
    (void)!service_step(rig->service);
    ck_assert_int_eq(landing.verdict, VERDICT_CONFLICTED);
    return landing;
}

START_TEST(an_answer_from_two_sides_is_told_once)
{
    struct rig rig;
    rig_open(&rig, false);
    struct head before;
    ck_assert_int_eq(chain_head(&rig.repo, &rig.project, &before, NULL), OK);
    struct landing landing = conflicted(&rig);
    faulty_watch(rig.faulty, on_tree, NULL);
    for (unsigned i = 0; i < MEETINGS; i++)
        meet(&rig, &before, &landing);
    service_stop(rig.service);
    rig_close(&rig);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        everybody_is_answered,
        hints_are_not_needed,
        a_store_that_fails_now_and_then,
        an_answer_from_two_sides_is_told_once,
    };
    return suite_run("service_threads", tests, ARRAY_LEN(tests));
}
