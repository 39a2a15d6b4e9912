/* The intake: what many threads hand in becomes few queue objects, and each is told what became
 * of its own. */
#include "pipeline/repo/intake/intake.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "formats/base/limits.h"
#include "formats/key.h"
#include "pipeline/store/mem.h"
#include "tests/support/faulty.h"
#include "tests/support/forge.h"
#include "tests/support/suite.h"

#define SHARDS 4u

struct rig {
    struct store *mem;
    struct store *faulty;
    struct clock_manual clock;
    struct repo repo;
    struct intake *intake;
    struct arena arena;
    unsigned hints;
};

static void hint(void *arg, uint32_t shard)
{
    struct rig *rig = arg;
    ck_assert_uint_lt(shard, SHARDS);
    rig->hints++;
}

static void rig_open(struct rig *rig, struct clock *clock, size_t batch_max, size_t queue_max)
{
    *rig = (struct rig){.mem = mem_store_open()};
    clock_manual_init(&rig->clock, 1800000000000u);
    rig->faulty = faulty_store_open(rig->mem);
    static const struct repo_options options = {
        .page_cache_bytes = MIB, .shards = SHARDS, .chunk_size = CHUNK_SIZE_DEFAULT};
    ck_assert_int_eq(repo_open(&rig->repo, rig->faulty,
                               clock != NULL ? clock : &rig->clock.clock, rng_system(),
                               &options),
                     OK);
    const struct intake_options intake = {.window_us = 500,
                                          .batch_max = batch_max,
                                          .queue_max = queue_max,
                                          .hint = hint,
                                          .hint_arg = rig};
    rig->intake = intake_open(&rig->repo, &intake);
    faulty_reset(rig->faulty);
}

static void rig_close(struct rig *rig)
{
    intake_close(rig->intake);
    repo_close(&rig->repo);
    store_close(rig->faulty);
    store_close(rig->mem);
    arena_release(&rig->arena);
}

static struct id16 project_of(uint8_t n)
{
    return (struct id16){.b = {n}};
}

/* A group of one decision, whose record id says `n`. */
static struct queue_group group_make(struct record *record, struct id16 project, uint64_t n,
                                     struct bytes text)
{
    *record = (struct record){.hlc = n, .kind = RECORD_DECISION, .decision = text};
    memcpy(record->id.b, &n, sizeof(n));
    struct queue_group group = {.project = project, .owner = project_of(9)};
    group.session = project_of(7);
    group.records = record;
    group.n = 1;
    return group;
}

struct outcome {
    int err;
    unsigned told;
};

static void told(void *arg, int err)
{
    struct outcome *outcome = arg;
    outcome->err = err;
    outcome->told++;
}

static int add_one(struct rig *rig, uint8_t project, uint64_t n, struct outcome *outcome)
{
    struct record record;
    struct queue_group group =
        group_make(&record, project_of(project), n, bytes_str("so be it"));
    return intake_add(rig->intake, &group, 1, told, outcome);
}

/* What lies in the queue of all shards. */
struct queue {
    size_t objects;
    size_t groups;
    struct queue_object last;
};

static struct queue queue_of(struct rig *rig)
{
    struct queue queue = {0};
    for (uint32_t shard = 0; shard < SHARDS; shard++) {
        struct store_list list;
        struct key prefix = key_queue_prefix(shard);
        ck_assert_int_eq(store_list(rig->mem, &rig->arena, prefix.s, "", STORE_LIST_MAX, &list),
                         OK);
        for (size_t i = 0; i < list.n; i++) {
            AUTO_BUF bytes = {0};
            uint32_t key_shard_number;
            uint64_t hlc, agent, seq;
            ck_assert_int_eq(
                store_get(rig->mem, list.keys[i].key, range_all(), &bytes, NULL, NULL), OK);
            ck_assert_int_eq(queue_object_decode(arena_copy(&rig->arena, buf_bytes(&bytes)),
                                                 &rig->arena, &queue.last),
                             OK);
            ck_assert_int_eq(
                key_queue_parse(list.keys[i].key, &key_shard_number, &hlc, &agent, &seq), OK);
            ck_assert_uint_eq(queue.last.hlc, hlc);
            ck_assert_uint_eq(queue.last.agent, agent);
            ck_assert_uint_eq(queue.last.seq, seq);
            queue.objects++;
            queue.groups += queue.last.n;
        }
    }
    return queue;
}

START_TEST(many_writes_become_one_object)
{
    struct rig rig;
    struct outcome outcomes[5] = {0};
    rig_open(&rig, NULL, MIB, MIB);
    for (unsigned i = 0; i < ARRAY_LEN(outcomes); i++)
        ck_assert_int_eq(add_one(&rig, 1, i, &outcomes[i]), OK);
    struct intake_load load = intake_load(rig.intake);
    ck_assert_uint_eq(load.groups, 5);
    ck_assert_uint_gt(load.bytes, 5 * RECORD_LEN_MIN);
    ck_assert_uint_eq(faulty_calls(rig.faulty), 0);
    for (unsigned i = 0; i < ARRAY_LEN(outcomes); i++)
        ck_assert_uint_eq(outcomes[i].told, 0);
    ck_assert_int_eq(intake_flush(rig.intake), 5);
    ck_assert_uint_eq(faulty_calls(rig.faulty), 1);
    for (unsigned i = 0; i < ARRAY_LEN(outcomes); i++) {
        ck_assert_uint_eq(outcomes[i].told, 1);
        ck_assert_int_eq(outcomes[i].err, OK);
    }
    struct queue queue = queue_of(&rig);
    ck_assert_uint_eq(queue.objects, 1);
    ck_assert_uint_eq(queue.groups, 5);
    ck_assert_uint_eq(rig.hints, 1);
    load = intake_load(rig.intake);
    ck_assert_uint_eq(load.bytes, 0);
    ck_assert_uint_eq(load.groups, 0);
    ck_assert_int_eq(intake_flush(rig.intake), 0);
    rig_close(&rig);
}
END_TEST

START_TEST(groups_of_one_request_stay_together)
{
    struct rig rig;
    struct record records[3];
    struct queue_group groups[3];
    struct outcome first = {0};
    struct outcome series = {0};
    rig_open(&rig, NULL, 300, MIB);
    ck_assert_int_eq(add_one(&rig, 1, 1, &first), OK);
    for (unsigned i = 0; i < 3; i++)
        groups[i] = group_make(&records[i], project_of(1), 10 + i, bytes_str("together"));
    ck_assert_int_eq(intake_add(rig.intake, groups, 3, told, &series), OK);
    ck_assert_int_eq(intake_flush(rig.intake), 4);
    ck_assert_uint_eq(series.told, 1);
    struct queue queue = queue_of(&rig);
    ck_assert_uint_eq(queue.objects, 2);
    ck_assert_uint_eq(queue.last.n, 3);
    rig_close(&rig);
}
END_TEST

START_TEST(shards_are_put_side_by_side)
{
    struct rig rig;
    struct outcome outcomes[32] = {0};
    bool used[SHARDS] = {false};
    unsigned shards = 0;
    rig_open(&rig, NULL, MIB, MIB);
    for (uint8_t i = 0; i < 32; i++) {
        struct id16 project = project_of(i);
        uint32_t shard = key_shard(&project, SHARDS);
        shards += !used[shard];
        used[shard] = true;
        ck_assert_int_eq(add_one(&rig, i, i, &outcomes[i]), OK);
    }
    ck_assert_int_eq(intake_flush(rig.intake), 32);
    struct queue queue = queue_of(&rig);
    ck_assert_uint_eq(queue.objects, shards);
    ck_assert_uint_eq(queue.groups, 32);
    rig_close(&rig);
}
END_TEST

START_TEST(a_full_queue_refuses_before_it_accepts)
{
    struct rig rig;
    struct outcome outcomes[3] = {0};
    rig_open(&rig, NULL, MIB, 220);
    ck_assert_int_eq(add_one(&rig, 1, 1, &outcomes[0]), OK);
    ck_assert_int_eq(add_one(&rig, 1, 2, &outcomes[1]), OK);
    ck_assert_int_eq(add_one(&rig, 1, 3, &outcomes[2]), ERR_AGAIN);
    ck_assert_int_eq(intake_flush(rig.intake), 2);
    ck_assert_uint_eq(outcomes[2].told, 0);
    ck_assert_uint_eq(queue_of(&rig).groups, 2);
    ck_assert_int_eq(add_one(&rig, 1, 3, &outcomes[2]), OK);
    ck_assert_int_eq(intake_flush(rig.intake), 1);
    ck_assert_uint_eq(outcomes[2].told, 1);
    rig_close(&rig);
}
END_TEST

START_TEST(what_no_object_can_hold_is_refused)
{
    struct rig rig;
    struct outcome outcome = {0};
    rig_open(&rig, NULL, MIB, MIB);
    static char text[TEXT_LEN_MAX];
    memset(text, 'x', sizeof(text));
    uint32_t n = QUEUE_OBJECT_MAX / TEXT_LEN_MAX;
    struct record *records = arena_array(&rig.arena, n, struct record);
    struct queue_group group = {.records = records, .n = n};
    for (uint32_t i = 0; i < n; i++)
        (void)group_make(&records[i], project_of(1), i, bytes_of(text, sizeof(text)));
    ck_assert_int_eq(intake_add(rig.intake, &group, 1, told, &outcome), ERR_LIMIT);
    /* More than may wait goes in when nothing waits: else it never could. */
    group.n = 2;
    ck_assert_int_eq(intake_add(rig.intake, &group, 1, told, &outcome), OK);
    ck_assert_int_eq(intake_flush(rig.intake), 1);
    ck_assert_uint_eq(outcome.told, 1);
    rig_close(&rig);
}
END_TEST

static void check_fault(enum fault fault)
{
    struct rig rig;
    struct outcome outcome = {0};
    rig_open(&rig, NULL, MIB, MIB);
    faulty_plan(rig.faulty, 1, fault);
    ck_assert_int_eq(add_one(&rig, 1, 1, &outcome), OK);
    ck_assert_int_eq(intake_flush(rig.intake), 1);
    ck_assert_uint_eq(faulty_hits(rig.faulty, fault), 1);
    ck_assert_uint_eq(outcome.told, 1);
    ck_assert_int_eq(outcome.err, OK);
    faulty_flush(rig.faulty);
    ck_assert_uint_eq(queue_of(&rig).objects, 1);
    rig_close(&rig);
}

START_TEST(a_put_that_failed_once_is_made_good)
{
    check_fault(FAULT_AGAIN);
    check_fault(FAULT_UNKNOWN_DONE);
    check_fault(FAULT_UNKNOWN_LOST);
    check_fault(FAULT_UNKNOWN_LATE);
}
END_TEST

static void check_always(enum fault fault, int expected)
{
    struct rig rig;
    struct outcome outcome = {0};
    rig_open(&rig, NULL, MIB, MIB);
    unsigned odds[FAULTS] = {0};
    odds[fault] = 1000;
    faulty_chance(rig.faulty, 1, odds);
    ck_assert_int_eq(add_one(&rig, 1, 1, &outcome), OK);
    ck_assert_int_eq(intake_flush(rig.intake), 1);
    ck_assert_uint_eq(outcome.told, 1);
    ck_assert_int_eq(outcome.err, expected);
    faulty_reset(rig.faulty);
    ck_assert_uint_eq(queue_of(&rig).objects, 0);
    /* And the next one goes in. */
    ck_assert_int_eq(add_one(&rig, 1, 1, &outcome), OK);
    ck_assert_int_eq(intake_flush(rig.intake), 1);
    ck_assert_int_eq(outcome.err, OK);
    rig_close(&rig);
}

START_TEST(a_store_that_never_answers_is_told)
{
    check_always(FAULT_AGAIN, ERR_AGAIN);
    check_always(FAULT_UNKNOWN_LOST, ERR_UNKNOWN);
}
END_TEST

/* A put of which nothing is known, and after it only refusals: the first may still have
 * happened. */
START_TEST(unknown_is_never_told_as_again)
{
    struct rig rig;
    struct outcome outcome = {0};
    rig_open(&rig, NULL, MIB, MIB);
    unsigned odds[FAULTS] = {0};
    odds[FAULT_AGAIN] = 1000;
    faulty_chance(rig.faulty, 1, odds);
    faulty_plan(rig.faulty, 1, FAULT_UNKNOWN_DONE);
    ck_assert_int_eq(add_one(&rig, 1, 1, &outcome), OK);
    ck_assert_int_eq(intake_flush(rig.intake), 1);
    ck_assert_int_eq(outcome.err, ERR_UNKNOWN);
    ck_assert_uint_eq(queue_of(&rig).objects, 1);
    rig_close(&rig);
}
END_TEST

static void take_key(void *arg, uint64_t call, const struct store_op *op)
{
    struct rig *rig = arg;
    if (call != 1 || op == NULL)
        return;
    ck_assert_int_eq(store_put(rig->mem, op->key, bytes_str("another's"), PUT_IF_ABSENT, NULL),
                     OK);
}

START_TEST(a_name_that_is_taken_is_not_ours)
{
    struct rig rig;
    struct outcome outcome = {0};
    rig_open(&rig, NULL, MIB, MIB);
    faulty_watch(rig.faulty, take_key, &rig);
    ck_assert_int_eq(add_one(&rig, 1, 77, &outcome), OK);
    ck_assert_int_eq(intake_flush(rig.intake), 1);
    ck_assert_int_eq(outcome.err, OK);
    struct store_list list;
    ck_assert_int_eq(store_list(rig.mem, &rig.arena, "queue/", "", 10, &list), OK);
    ck_assert_uint_eq(list.n, 2);
    AUTO_BUF bytes = {0};
    struct queue_object object;
    ck_assert_int_eq(store_get(rig.mem, list.keys[1].key, range_all(), &bytes, NULL, NULL), OK);
    ck_assert_int_eq(queue_object_decode(buf_bytes(&bytes), &rig.arena, &object), OK);
    ck_assert_uint_eq(object.groups[0].records[0].hlc, 77);
    rig_close(&rig);
}
END_TEST

/* Something between us and the store makes every put twice, and the store does not let us look
 * whose object lies there. */
static void put_before(void *arg, uint64_t call, const struct store_op *op)
{
    struct rig *rig = arg;
    if (op != NULL && op->verb == STORE_PUT)
        (void)!store_put(rig->mem, op->key, op->data, PUT_IF_ABSENT, NULL);
    if (op != NULL && op->verb == STORE_GET)
        faulty_plan(rig->faulty, call, FAULT_AGAIN);
}

START_TEST(a_put_made_twice_is_never_told_as_again)
{
    struct rig rig;
    struct outcome outcome = {0};
    rig_open(&rig, NULL, MIB, MIB);
    faulty_watch(rig.faulty, put_before, &rig);
    ck_assert_int_eq(add_one(&rig, 1, 1, &outcome), OK);
    ck_assert_int_eq(intake_flush(rig.intake), 1);
    ck_assert_int_eq(outcome.err, ERR_UNKNOWN);
    ck_assert_uint_eq(queue_of(&rig).objects, 1);
    rig_close(&rig);
}
END_TEST

/* --- threads --- */

#define THREADS 8u
#define ADDS    100u

struct writer {
    struct rig *rig;
    pthread_t thread;
    uint8_t number;
    atomic_uint good;
    atomic_uint other;
};

static void counted(void *arg, int err)
{
    struct writer *writer = arg;
    atomic_fetch_add(err == OK ? &writer->good : &writer->other, 1);
}

static void *write_all(void *arg)
{
    struct writer *writer = arg;
    struct record record;
    for (unsigned i = 0; i < ADDS; i++) {
        struct queue_group group =
            group_make(&record, project_of(writer->number), i, bytes_str("by a thread"));
        int err = intake_add(writer->rig->intake, &group, 1, counted, writer);
        ck_assert_int_eq(err, OK);
    }
    return NULL;
}

START_TEST(threads_are_each_told_once)
{
    struct rig rig;
    struct writer writers[THREADS] = {0};
    rig_open(&rig, clock_system(), 4096, 64 * MIB);
    unsigned odds[FAULTS] = {0};
    odds[FAULT_AGAIN] = 30;
    odds[FAULT_UNKNOWN_DONE] = 30;
    odds[FAULT_UNKNOWN_LOST] = 30;
    faulty_chance(rig.faulty, 5, odds);
    intake_start(rig.intake);
    for (uint8_t i = 0; i < THREADS; i++) {
        writers[i].rig = &rig;
        writers[i].number = i;
        ck_assert_int_eq(pthread_create(&writers[i].thread, NULL, write_all, &writers[i]), 0);
    }
    for (unsigned i = 0; i < THREADS; i++)
        ck_assert_int_eq(pthread_join(writers[i].thread, NULL), 0);
    intake_stop(rig.intake);
    for (unsigned i = 0; i < THREADS; i++) {
        ck_assert_uint_eq(atomic_load(&writers[i].good), ADDS);
        ck_assert_uint_eq(atomic_load(&writers[i].other), 0);
    }
    struct queue queue = queue_of(&rig);
    ck_assert_uint_eq(queue.groups, THREADS * ADDS);
    ck_assert_uint_lt(queue.objects, THREADS * ADDS);
    struct outcome outcome = {0};
    ck_assert_int_eq(add_one(&rig, 1, 1, &outcome), ERR_AGAIN);
    intake_start(rig.intake);
    ck_assert_int_eq(add_one(&rig, 1, 1, &outcome), OK);
    intake_stop(rig.intake);
    ck_assert_uint_eq(outcome.told, 1);
    rig_close(&rig);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        many_writes_become_one_object,      groups_of_one_request_stay_together,
        shards_are_put_side_by_side,        a_full_queue_refuses_before_it_accepts,
        what_no_object_can_hold_is_refused, a_put_that_failed_once_is_made_good,
        a_store_that_never_answers_is_told, unknown_is_never_told_as_again,
        a_name_that_is_taken_is_not_ours,   a_put_made_twice_is_never_told_as_again,
        threads_are_each_told_once,
    };
    return suite_run("intake", tests, ARRAY_LEN(tests));
}
