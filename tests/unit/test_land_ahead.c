/* How few round trips a lander under load needs for a batch: settled queue objects are deleted,
 * and the head is read, side by side with the queue. Round trips are counted as the time that
 * goes by over a store where each of them takes as long. */
#include <check.h>

#include "pipeline/store/slow.h"
#include "tests/support/faulty.h"
#include "tests/support/forge.h"
#include "tests/support/oracle.h"
#include "tests/support/suite.h"

#define TRIP_US 1000000u
#define ASKED   20

static struct forge f;       /* the bucket, and whoever writes to the queue */
static struct forge drain;   /* over `slow` over `faulty` */
static struct forge another; /* another drain, without these */
static struct store *faulty;
static struct store *slow;
static struct oracle oracle;
static struct draft drafts[ASKED];
static struct id16 requests[ASKED];
static int asked;

static void setup(void)
{
    forge_init(&f);
    forge_land_text(&f, "base", "p", "0", NULL);
    faulty = faulty_store_open(f.trace);
    forge_join(&drain, &f, NULL);
    f.seq += 10;
    forge_join(&another, &f, NULL);
    const struct slow_options options = {.clock = &drain.clock.clock, .delay_us = TRIP_US};
    slow = slow_store_open(faulty, &options);
    drain.repo.store = slow;
    drain.land->close(drain.land);
    drain.land_options.delete_late = true;
    drain.land = stage_land_open(&drain.repo, &drain.land_options);
    asked = 0;
    (void)trace_store_counts(f.trace, true);
}

static void teardown(void)
{
    for (int i = 0; i < asked; i++)
        ck_assert_uint_eq(forge_answers(&f, &drafts[i].session.id, &requests[i]), 1);
    oracle_check(&oracle, &f.repo, &f.project);
    oracle_release(&oracle);
    forge_release(&another);
    forge_release(&drain);
    store_close(slow);
    store_close(faulty);
    forge_release(&f);
}

static void ask(void)
{
    struct draft *s = &drafts[asked];
    *s = draft_open(&f, "ann", arena_printf(&f.arena, "s%d", asked), 1);
    draft_write(s, arena_printf(&f.arena, "q/%d", asked), "1", NULL);
    requests[asked] = forge_submit(&f, s, 1);
    asked++;
}

/* Runs the stage once. Gives how many round trips that took. */
static unsigned trips(int did)
{
    uint64_t began_us = drain.clock.us;
    ck_assert_int_eq(drain.land->run(drain.land), did);
    return (unsigned)((drain.clock.us - began_us) / TRIP_US);
}

START_TEST(a_batch_under_load)
{
    setup();
    ask();
    ck_assert_uint_eq(trips(2), 6); /* list, queue, head, its batch, tree, head */
    for (int i = 0; i < 5; i++) {
        ask();
        ask();
        (void)trace_store_counts(f.trace, true);
        ck_assert_uint_eq(trips(4), 4); /* list, all else that is read, tree, head */
        struct trace_counts c = trace_store_counts(f.trace, true);
        ck_assert_uint_eq(c.lists, 1);
        ck_assert_uint_eq(c.gets[TRACE_QUEUE], 2);
        ck_assert_uint_eq(c.gets[TRACE_HEAD], 1);
        ck_assert_uint_eq(c.deletes[TRACE_QUEUE], i == 0 ? 1 : 2);
        ck_assert_uint_eq(c.puts[TRACE_TREE], 1);
        ck_assert_uint_eq(c.puts[TRACE_HEAD], 1);
        ck_assert_uint_eq(forge_count(&f, "queue/"), 2);
        (void)trace_store_counts(f.trace, true);
    }
    teardown();
}
END_TEST

/* When nothing more comes the rest is deleted, and no head is read for nothing. */
START_TEST(the_last_batch)
{
    setup();
    ask();
    (void)trips(2);
    (void)trace_store_counts(f.trace, true);
    ck_assert_uint_eq(trips(0), 2); /* list, delete */
    struct trace_counts c = trace_store_counts(f.trace, true);
    ck_assert_uint_eq(c.deletes[TRACE_QUEUE], 1);
    ck_assert_uint_eq(c.gets[TRACE_HEAD], 0);
    ck_assert_uint_eq(forge_count(&f, "queue/"), 0);
    ck_assert_uint_eq(trips(0), 1);
    (void)trace_store_counts(f.trace, true);
    ask();
    ck_assert_uint_eq(trips(2), 5);
    c = trace_store_counts(f.trace, true);
    ck_assert_uint_eq(c.gets[TRACE_HEAD], 1);
    drain.land->close(drain.land);
    ck_assert_uint_eq(forge_count(&f, "queue/"), 0);
    drain.land = stage_land_open(&drain.repo, &drain.land_options);
    teardown();
}
END_TEST

/* The head that was read ahead is not the head any more. */
static void on_call(void *arg, uint64_t call, const struct store_op *op)
{
    (void)arg;
    (void)call;
    if (op == NULL || op->verb != STORE_PUT || strstr(op->key, "/trees/") == NULL)
        return;
    faulty_watch(faulty, NULL, NULL);
    forge_land_text(&another, "between", "between", "1", NULL);
    ck_assert_int_eq(forge_drain(&another), 0);
}

START_TEST(another_drain_comes_between)
{
    setup();
    ask();
    (void)trips(2);
    ask();
    faulty_watch(faulty, on_call, NULL);
    ck_assert_int_ge(drain.land->run(drain.land), 0);
    ck_assert_int_eq(forge_drain(&drain), 0);
    ck_assert_uint_eq(forge_position(&f), 4);
    ck_assert_str_eq(forge_text(&f, "between"), "1");
    teardown();
}
END_TEST

/* What cannot be read ahead is read when it is needed, and what cannot be deleted is deleted
 * later; neither lands anything twice. */
static enum store_verb failing;

static void on_call_fail(void *arg, uint64_t call, const struct store_op *op)
{
    (void)arg;
    bool head = op != NULL && strstr(op->key, "/head") != NULL;
    if (op != NULL && op->verb == failing && (failing == STORE_DELETE || head))
        faulty_plan(faulty, call, FAULT_AGAIN);
    if (head && failing == STORE_GET)
        faulty_watch(faulty, NULL, NULL);
}

START_TEST(what_fails_is_done_later)
{
    setup();
    ask();
    (void)trips(2);
    ask();
    failing = STORE_GET;
    faulty_watch(faulty, on_call_fail, NULL);
    ck_assert_uint_eq(trips(2), 5); /* the head once more */
    failing = STORE_DELETE;
    faulty_watch(faulty, on_call_fail, NULL);
    (void)trips(ERR_AGAIN);
    ask();
    (void)trips(2);
    (void)trips(ERR_AGAIN);
    ck_assert_uint_eq(forge_count(&f, "queue/"), 2);
    faulty_watch(faulty, NULL, NULL);
    (void)trips(0);
    ck_assert_uint_eq(forge_count(&f, "queue/"), 0);
    ck_assert_uint_eq(forge_position(&f), 4);
    teardown();
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        a_batch_under_load,
        the_last_batch,
        another_drain_comes_between,
        what_fails_is_done_later,
    };
    return suite_run("land_ahead", tests, ARRAY_LEN(tests));
}
