/* The derive log as a node writes it: what many tell becomes few objects, each is answered when
 * its own is durable, and no number is ever put before the one below it is. */
#include "pipeline/derive/log/derive_log.h"

#include <pthread.h>
#include <stdatomic.h>

#include "formats/base/limits.h"
#include "formats/key.h"
#include "tests/support/derive_rig.h"
#include "tests/support/faulty.h"
#include "tests/support/suite.h"

static struct derive_rig rig;
static struct derive_node node;
static struct derive_object *objects;

static void open_with(size_t batch_max, size_t queue_max)
{
    derive_rig_open(&rig);
    derive_node_open(&node, &rig, NULL, batch_max, queue_max);
    (void)trace_store_counts(rig.trace, true);
}

static void close_all(void)
{
    derive_node_close(&node);
    derive_rig_close(&rig);
}

static size_t objects_of(uint8_t project)
{
    return derive_rig_objects(&rig, project, node.repo.agent, &objects);
}

static void advance(void)
{
    uint64_t wait_us = derive_log_wait_us(node.log);
    ck_assert_uint_ne(wait_us, UINT64_MAX);
    rig.clock.us += wait_us;
}

/* --- many become one --- */

START_TEST(many_tells_become_one_object)
{
    struct derive_outcome outcomes[5] = {0};
    open_with(MIB, MIB);
    ck_assert_uint_eq(derive_log_wait_us(node.log), UINT64_MAX);
    ck_assert_int_eq(derive_log_step(node.log), 0);
    for (unsigned i = 0; i < 5; i++)
        ck_assert_int_eq(derive_node_tell(&node, 1, i, &outcomes[i]), OK);
    ck_assert_uint_eq(derive_log_load(node.log).items, 5);
    ck_assert_uint_eq(faulty_calls(node.faulty), 0);
    ck_assert_int_eq(derive_log_step(node.log), 5);
    ck_assert_uint_eq(faulty_calls(node.faulty), 1);
    ck_assert_uint_eq(trace_store_counts(rig.trace, false).puts[TRACE_DERIVE], 1);
    ck_assert_uint_eq(objects_of(1), 1);
    ck_assert_uint_eq(objects[0].n, 5);
    for (unsigned i = 0; i < 5; i++) {
        ck_assert_uint_eq(outcomes[i].told, 1);
        ck_assert_int_eq(outcomes[i].err, OK);
        ck_assert_uint_eq(outcomes[i].hlc, objects[0].hlc);
        ck_assert_uint_eq(derive_leaf_number(&objects[0].items[i]), i);
    }
    ck_assert_uint_eq(node.durables, 1);
    ck_assert_uint_eq(derive_log_load(node.log).bytes, 0);
    ck_assert_uint_eq(derive_log_load(node.log).items, 0);
    ck_assert_uint_eq(derive_log_wait_us(node.log), UINT64_MAX);
    close_all();
}
END_TEST

START_TEST(items_of_one_tell_stay_together)
{
    struct derive_outcome first = {0};
    struct derive_outcome many = {0};
    struct derive_item items[3];
    struct id16 project = derive_project(1);
    open_with(20, MIB);
    ck_assert_int_eq(derive_node_tell(&node, 1, 1, &first), OK);
    for (unsigned i = 0; i < 3; i++)
        items[i] = derive_leaf_item(&rig.arena, 10 + i);
    ck_assert_int_eq(derive_log_tell(node.log, &project, items, 3, derive_outcome_told, &many),
                     OK);
    /* One object at a time: the second has to wait for the first. */
    ck_assert_int_eq(derive_log_step(node.log), 1);
    ck_assert_uint_eq(many.told, 0);
    ck_assert_uint_eq(derive_log_wait_us(node.log), 0);
    ck_assert_int_eq(derive_log_step(node.log), 1);
    ck_assert_uint_eq(many.told, 1);
    ck_assert_uint_eq(objects_of(1), 2);
    ck_assert_uint_eq(objects[1].n, 3);
    ck_assert_uint_gt(many.hlc, first.hlc);
    close_all();
}
END_TEST

START_TEST(projects_are_put_side_by_side)
{
    struct derive_outcome outcomes[100] = {0};
    open_with(MIB, MIB);
    for (uint8_t i = 0; i < 100; i++)
        ck_assert_int_eq(derive_node_tell(&node, i, i, &outcomes[i]), OK);
    ck_assert_int_eq(derive_log_step(node.log), 64);
    ck_assert_uint_eq(derive_log_wait_us(node.log), 0);
    ck_assert_int_eq(derive_log_step(node.log), 36);
    for (uint8_t i = 0; i < 100; i++) {
        ck_assert_uint_eq(objects_of(i), 1);
        ck_assert_uint_eq(derive_leaf_number(&objects[0].items[0]), i);
    }
    ck_assert_uint_eq(trace_store_counts(rig.trace, false).puts[TRACE_DERIVE], 100);
    close_all();
}
END_TEST

/* After an object of several the next one waits a little for as many, and no longer. */
START_TEST(an_object_waits_until_all_are_here)
{
    struct derive_outcome outcomes[6] = {0};
    open_with(MIB, MIB);
    for (unsigned i = 0; i < 3; i++) {
        ck_assert_int_eq(derive_node_tell(&node, 1, i, &outcomes[i]), OK);
        ck_assert_uint_eq(derive_log_wait_us(node.log), 0);
    }
    ck_assert_int_eq(derive_log_step(node.log), 3);
    for (unsigned i = 3; i < 6; i++) {
        ck_assert_int_eq(derive_node_tell(&node, 1, i, &outcomes[i]), OK);
        ck_assert_int_eq(derive_log_wait_us(node.log) > 0, i < 5);
    }
    ck_assert_int_eq(derive_log_step(node.log), 3);
    ck_assert_int_eq(derive_node_tell(&node, 1, 7, &outcomes[0]), OK);
    ck_assert_uint_eq(derive_log_wait_us(node.log), 500);
    close_all();
}
END_TEST

/* --- durable before the answer --- */

struct order {
    unsigned told;
    bool there; /* when it was told */
};

static void told_looks(void *arg, int err, uint64_t hlc)
{
    struct order *order = arg;
    struct id16 project = derive_project(1);
    struct key key = key_derive(&project, node.repo.agent, 1);
    ck_assert_int_eq(err, OK);
    ck_assert_uint_gt(hlc, 0);
    ck_assert_uint_eq(node.durables, 1); /* the index has it first */
    order->there = store_get(rig.mem, key.s, range_none(), NULL, NULL, NULL) == OK;
    order->told++;
}

static struct derive_outcome later;

static void tell_more(void *arg UNUSED, uint64_t call, const struct store_op *op)
{
    if (call == 1 && op != NULL)
        ck_assert_int_eq(derive_node_tell(&node, 1, 2, &later), OK);
}

START_TEST(it_is_durable_before_the_answer_and_what_comes_meanwhile_goes_next)
{
    struct order order = {0};
    struct id16 project = derive_project(1);
    open_with(MIB, MIB);
    later = (struct derive_outcome){0};
    faulty_watch(node.faulty, tell_more, NULL);
    struct derive_item item = derive_leaf_item(&rig.arena, 1);
    ck_assert_int_eq(derive_log_tell(node.log, &project, &item, 1, told_looks, &order), OK);
    ck_assert_int_eq(derive_log_step(node.log), 1);
    ck_assert_uint_eq(order.told, 1);
    ck_assert(order.there);
    ck_assert_uint_eq(later.told, 0);
    ck_assert_int_eq(derive_log_step(node.log), 1);
    ck_assert_uint_eq(later.told, 1);
    ck_assert_uint_eq(objects_of(1), 2);
    ck_assert_uint_eq(derive_leaf_number(&objects[1].items[0]), 2);
    close_all();
}
END_TEST

/* --- what is refused --- */

START_TEST(a_full_log_refuses_before_it_accepts)
{
    struct derive_outcome outcomes[3] = {0};
    open_with(MIB, 24);
    ck_assert_int_eq(derive_node_tell(&node, 1, 1, &outcomes[0]), OK);
    ck_assert_int_eq(derive_node_tell(&node, 2, 2, &outcomes[1]), OK);
    ck_assert_int_eq(derive_node_tell(&node, 1, 3, &outcomes[2]), ERR_AGAIN);
    ck_assert_int_eq(derive_log_step(node.log), 2);
    ck_assert_uint_eq(outcomes[2].told, 0);
    ck_assert_int_eq(derive_node_tell(&node, 1, 3, &outcomes[2]), OK);
    ck_assert_int_eq(derive_log_step(node.log), 1);
    ck_assert_uint_eq(outcomes[2].told, 1);
    ck_assert_uint_eq(objects_of(1), 2);
    close_all();
}
END_TEST

START_TEST(what_no_object_can_hold_or_no_reader_takes_is_refused)
{
    struct derive_outcome outcome = {0};
    struct id16 project = derive_project(1);
    open_with(MIB, MIB);
    static uint8_t large[INLINE_CONTENT_MAX + 1];
    uint32_t n = DERIVE_OBJECT_MAX / INLINE_CONTENT_MAX;
    struct derive_item *items = arena_array(&rig.arena, n, struct derive_item);
    for (uint32_t i = 0; i < n; i++)
        items[i] = (struct derive_item){.kind = DERIVE_LEAF,
                                        .data = bytes_of(large, INLINE_CONTENT_MAX)};
    ck_assert_int_eq(
        derive_log_tell(node.log, &project, items, n, derive_outcome_told, &outcome),
        ERR_LIMIT);
    items[0] = (struct derive_item){.kind = DERIVE_RECIPE, .data = bytes_str("none")};
    ck_assert_int_eq(
        derive_log_tell(node.log, &project, items, 1, derive_outcome_told, &outcome),
        ERR_INVALID);
    items[0] =
        (struct derive_item){.kind = DERIVE_LEAF, .data = bytes_of(large, sizeof(large))};
    ck_assert_int_ne(
        derive_log_tell(node.log, &project, items, 1, derive_outcome_told, &outcome), OK);
    /* More than may wait goes in when nothing waits: else it never could. */
    ck_assert_int_eq(
        derive_log_tell(node.log, &project, items + 1, 30, derive_outcome_told, &outcome), OK);
    ck_assert_int_eq(derive_log_step(node.log), 1);
    ck_assert_uint_eq(outcome.told, 1);
    ck_assert_uint_eq(objects_of(1), 1);
    close_all();
}
END_TEST

/* --- trouble --- */

static void check_fault(enum fault fault)
{
    struct derive_outcome outcome = {0};
    open_with(MIB, MIB);
    faulty_plan(node.faulty, 1, fault);
    ck_assert_int_eq(derive_node_tell(&node, 1, 1, &outcome), OK);
    ck_assert_int_eq(derive_log_step(node.log), 0);
    ck_assert_uint_eq(faulty_hits(node.faulty, fault), 1);
    ck_assert_uint_eq(outcome.told, 0);
    ck_assert_uint_gt(derive_log_wait_us(node.log), 0);
    derive_node_settle(&node, &rig);
    ck_assert_uint_eq(outcome.told, 1);
    ck_assert_int_eq(outcome.err, OK);
    ck_assert_uint_eq(node.durables, 1);
    faulty_flush(node.faulty);
    ck_assert_uint_eq(objects_of(1), 1);
    derive_node_put(&node, &rig, 1, 2);
    ck_assert_uint_eq(objects_of(1), 2);
    close_all();
}

START_TEST(a_put_that_failed_once_is_made_good)
{
    check_fault(FAULT_AGAIN);
    check_fault(FAULT_UNKNOWN_DONE);
    check_fault(FAULT_UNKNOWN_LOST);
    check_fault(FAULT_UNKNOWN_LATE);
}
END_TEST

static void always(enum fault fault)
{
    unsigned odds[FAULTS] = {0};
    odds[fault] = 1000;
    faulty_chance(node.faulty, 1, odds);
}

START_TEST(a_store_that_takes_nothing_is_told_and_the_number_is_free)
{
    struct derive_outcome outcome = {0};
    open_with(MIB, MIB);
    always(FAULT_AGAIN);
    ck_assert_int_eq(derive_node_tell(&node, 1, 1, &outcome), OK);
    derive_node_settle(&node, &rig);
    ck_assert_uint_eq(outcome.told, 1);
    ck_assert_int_eq(outcome.err, ERR_AGAIN);
    ck_assert_uint_eq(node.durables, 0);
    ck_assert_uint_gt(derive_log_load(node.log).pause_us, 0);
    faulty_reset(node.faulty);
    derive_node_put(&node, &rig, 1, 2);
    ck_assert_uint_eq(objects_of(1), 1);
    ck_assert_uint_eq(derive_leaf_number(&objects[0].items[0]), 2);
    ck_assert_uint_eq(derive_log_load(node.log).pause_us, 0);
    close_all();
}
END_TEST

/* Steps until it has given up. */
static void give_up(const struct derive_outcome *outcome)
{
    for (unsigned i = 0; i < 100 && outcome->told == 0; i++) {
        advance();
        (void)!derive_log_step(node.log);
    }
    ck_assert_uint_eq(outcome->told, 1);
}

/* A put of which nothing is known: the next number is not put before it is, however long that
 * takes and whatever the clients were told. */
START_TEST(schedule_27_a_number_waits_for_the_one_below_it)
{
    struct derive_outcome first = {0};
    struct derive_outcome behind = {0};
    struct derive_outcome other = {0};
    open_with(MIB, MIB);
    always(FAULT_UNKNOWN_LOST);
    ck_assert_int_eq(derive_node_tell(&node, 1, 1, &first), OK);
    ck_assert_int_eq(derive_log_step(node.log), 0);
    ck_assert_int_eq(derive_node_tell(&node, 1, 2, &behind), OK);
    give_up(&first);
    ck_assert_int_eq(first.err, ERR_UNKNOWN);
    /* What came behind it was never put, so it can be told so. */
    ck_assert_uint_eq(behind.told, 1);
    ck_assert_int_eq(behind.err, ERR_AGAIN);
    ck_assert_int_eq(derive_node_tell(&node, 1, 3, &other), ERR_AGAIN);
    ck_assert_uint_eq(derive_log_load(node.log).unknown, 1);
    /* Other projects go on. */
    faulty_reset(node.faulty);
    ck_assert_int_eq(derive_node_tell(&node, 2, 3, &other), OK);
    ck_assert_int_eq(derive_log_step(node.log), 1);
    ck_assert_int_eq(other.err, OK);
    ck_assert_uint_eq(objects_of(1), 0);
    advance();
    ck_assert_int_eq(derive_log_step(node.log), 0);
    ck_assert_uint_eq(first.told, 1);
    ck_assert_uint_eq(derive_log_load(node.log).unknown, 0);
    ck_assert_uint_eq(derive_log_load(node.log).bytes, 0);
    ck_assert_uint_eq(objects_of(1), 1);
    ck_assert_uint_eq(derive_leaf_number(&objects[0].items[0]), 1);
    ck_assert_uint_eq(node.durables, 2);
    derive_node_put(&node, &rig, 1, 4);
    ck_assert_uint_eq(objects_of(1), 2);
    ck_assert_uint_eq(derive_leaf_number(&objects[1].items[0]), 4);
    close_all();
}
END_TEST

/* The put took effect, but after it the store only refuses: it may have happened. */
START_TEST(unknown_is_never_told_as_again)
{
    struct derive_outcome outcome = {0};
    open_with(MIB, MIB);
    always(FAULT_AGAIN);
    faulty_plan(node.faulty, 1, FAULT_UNKNOWN_DONE);
    ck_assert_int_eq(derive_node_tell(&node, 1, 1, &outcome), OK);
    ck_assert_int_eq(derive_log_step(node.log), 0);
    give_up(&outcome);
    ck_assert_int_eq(outcome.err, ERR_UNKNOWN);
    ck_assert_uint_eq(derive_log_load(node.log).unknown, 1);
    faulty_reset(node.faulty);
    derive_node_settle(&node, &rig);
    ck_assert_uint_eq(derive_log_load(node.log).unknown, 0);
    ck_assert_uint_eq(objects_of(1), 1);
    close_all();
}
END_TEST

static void take_key(void *arg UNUSED, uint64_t call, const struct store_op *op)
{
    if (call == 1 && op != NULL)
        ck_assert_int_eq(
            store_put(rig.mem, op->key, bytes_str("another's"), PUT_IF_ABSENT, NULL), OK);
}

START_TEST(a_number_that_is_taken_is_not_ours)
{
    struct derive_outcome outcome = {0};
    struct id16 project = derive_project(1);
    open_with(MIB, MIB);
    faulty_watch(node.faulty, take_key, NULL);
    ck_assert_int_eq(derive_node_tell(&node, 1, 1, &outcome), OK);
    derive_node_settle(&node, &rig);
    ck_assert_int_eq(outcome.err, OK);
    struct key key = key_derive(&project, node.repo.agent, 2);
    ck_assert_int_eq(store_get(rig.mem, key.s, range_none(), NULL, NULL, NULL), OK);
    close_all();
}
END_TEST

/* --- several --- */

START_TEST(agents_have_numbers_of_their_own)
{
    struct derive_node second;
    open_with(MIB, MIB);
    derive_node_open(&second, &rig, NULL, MIB, MIB);
    for (unsigned i = 0; i < 3; i++) {
        derive_node_put(&node, &rig, 1, i);
        derive_node_put(&second, &rig, 1, 10 + i);
    }
    ck_assert_uint_ne(node.repo.agent, second.repo.agent);
    ck_assert_uint_eq(objects_of(1), 3);
    ck_assert_uint_eq(derive_leaf_number(&objects[2].items[0]), 2);
    ck_assert_uint_eq(derive_rig_objects(&rig, 1, second.repo.agent, &objects), 3);
    ck_assert_uint_eq(derive_leaf_number(&objects[2].items[0]), 12);
    derive_node_close(&second);
    close_all();
}
END_TEST

#define THREADS  8u
#define TELLS    200u
#define PROJECTS 3u

struct teller {
    pthread_t thread;
    uint8_t number;
    atomic_uint good;
    atomic_uint other;
};

static void counted(void *arg, int err, uint64_t hlc UNUSED)
{
    struct teller *teller = arg;
    atomic_fetch_add(err == OK ? &teller->good : &teller->other, 1);
}

static void *tell_all(void *arg)
{
    struct teller *teller = arg;
    struct id16 project = derive_project(teller->number % PROJECTS);
    for (unsigned i = 0; i < TELLS; i++) {
        AUTO(arena_release) struct arena arena = {0};
        struct derive_item item = derive_leaf_item(&arena, teller->number * 1000u + i);
        ck_assert_int_eq(derive_log_tell(node.log, &project, &item, 1, counted, teller), OK);
    }
    return NULL;
}

/* What threads told is there once, each one's in its order. */
static void check_threads(void)
{
    unsigned next[THREADS] = {0};
    unsigned n_objects = 0;
    for (uint8_t project = 0; project < PROJECTS; project++) {
        size_t n = objects_of(project);
        n_objects += (unsigned)n;
        for (size_t i = 0; i < n; i++) {
            for (uint32_t k = 0; k < objects[i].n; k++) {
                uint64_t number = derive_leaf_number(&objects[i].items[k]);
                ck_assert_uint_lt(number / 1000, THREADS);
                ck_assert_uint_eq(number % 1000, next[number / 1000]++);
            }
        }
    }
    for (unsigned i = 0; i < THREADS; i++)
        ck_assert_uint_eq(next[i], TELLS);
    ck_assert_uint_lt(n_objects, THREADS * TELLS);
}

START_TEST(threads_are_each_told_once_and_nothing_is_lost)
{
    struct teller tellers[THREADS] = {0};
    struct derive_outcome outcome = {0};
    derive_rig_open(&rig);
    derive_node_open(&node, &rig, clock_system(), 1024, 64 * MIB);
    unsigned odds[FAULTS] = {0};
    odds[FAULT_AGAIN] = 30;
    odds[FAULT_UNKNOWN_DONE] = 30;
    odds[FAULT_UNKNOWN_LOST] = 30;
    odds[FAULT_UNKNOWN_LATE] = 30;
    faulty_chance(node.faulty, 5, odds);
    derive_log_start(node.log);
    for (uint8_t i = 0; i < THREADS; i++) {
        tellers[i].number = i;
        ck_assert_int_eq(pthread_create(&tellers[i].thread, NULL, tell_all, &tellers[i]), 0);
    }
    for (unsigned i = 0; i < THREADS; i++)
        ck_assert_int_eq(pthread_join(tellers[i].thread, NULL), 0);
    derive_log_stop(node.log);
    for (unsigned i = 0; i < THREADS; i++) {
        ck_assert_uint_eq(atomic_load(&tellers[i].good), TELLS);
        ck_assert_uint_eq(atomic_load(&tellers[i].other), 0);
    }
    check_threads();
    ck_assert_int_eq(derive_node_tell(&node, 1, 1, &outcome), ERR_AGAIN);
    derive_log_start(node.log);
    ck_assert_int_eq(derive_node_tell(&node, 1, 1, &outcome), OK);
    derive_log_stop(node.log);
    ck_assert_uint_eq(outcome.told, 1);
    close_all();
}
END_TEST

/* It stops although a put is in doubt: nobody waits for it any more. */
START_TEST(it_stops_with_a_put_in_doubt)
{
    struct derive_outcome outcome = {0};
    derive_rig_open(&rig);
    derive_node_open(&node, &rig, clock_system(), MIB, MIB);
    always(FAULT_UNKNOWN_LOST);
    derive_log_start(node.log);
    ck_assert_int_eq(derive_node_tell(&node, 1, 1, &outcome), OK);
    derive_log_stop(node.log);
    ck_assert_uint_eq(outcome.told, 1);
    ck_assert_int_eq(outcome.err, ERR_UNKNOWN);
    close_all();
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        many_tells_become_one_object,
        items_of_one_tell_stay_together,
        projects_are_put_side_by_side,
        an_object_waits_until_all_are_here,
        it_is_durable_before_the_answer_and_what_comes_meanwhile_goes_next,
        a_full_log_refuses_before_it_accepts,
        what_no_object_can_hold_or_no_reader_takes_is_refused,
        a_put_that_failed_once_is_made_good,
        a_store_that_takes_nothing_is_told_and_the_number_is_free,
        schedule_27_a_number_waits_for_the_one_below_it,
        unknown_is_never_told_as_again,
        a_number_that_is_taken_is_not_ours,
        agents_have_numbers_of_their_own,
        threads_are_each_told_once_and_nothing_is_lost,
        it_stops_with_a_put_in_doubt,
    };
    return suite_run("derive_log", tests, ARRAY_LEN(tests));
}
