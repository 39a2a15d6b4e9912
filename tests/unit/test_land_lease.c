/* Drains that share a shard by its lease: one of them works, the others cost a list and now and
 * then a look; and what comes of it is right when the lease is not. */
#include <check.h>
#include <stdlib.h>

#include "formats/key.h"
#include "formats/lease.h"
#include "pipeline/repo/project.h"
#include "tests/support/faulty.h"
#include "tests/support/forge.h"
#include "tests/support/oracle.h"

#define LENGTH_MS 9000u
#define RENEW_MS  3000u

static struct forge f;      /* the bucket, and whoever writes to the queue */
static struct forge first;  /* a drain over `faulty` */
static struct forge second; /* another one */
static struct store *faulty;
static struct oracle oracle;

/* What happens when `first` is about to put a head: once. */
static void (*meanwhile)(void);

static void on_call(void *arg, uint64_t call, const struct store_op *op)
{
    (void)arg;
    (void)call;
    if (op == NULL || op->verb != STORE_PUT || op->condition != PUT_IF_MATCH ||
        meanwhile == NULL || strstr(op->key, "/head") == NULL)
        return;
    void (*now)(void) = meanwhile;
    meanwhile = NULL;
    now();
}

static void reopen(struct forge *drain)
{
    drain->land->close(drain->land);
    drain->land_options.lease_ms = LENGTH_MS;
    drain->land = stage_land_open(&drain->repo, &drain->land_options);
}

static void setup(void)
{
    forge_init(&f);
    forge_land_text(&f, "base", "p", "0", NULL);
    faulty = faulty_store_open(f.trace);
    forge_join(&first, &f, faulty);
    f.seq += 10;
    forge_join(&second, &f, NULL);
    reopen(&first);
    reopen(&second);
    faulty_watch(faulty, on_call, NULL);
    meanwhile = NULL;
    (void)trace_store_counts(f.trace, true);
}

static void teardown(void)
{
    oracle_check(&oracle, &f.repo, &f.project);
    oracle_release(&oracle);
    forge_release(&second);
    forge_release(&first);
    store_close(faulty);
    forge_release(&f);
}

static void pass(uint64_t ms)
{
    struct forge *all[] = {&f, &first, &second};
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        all[i]->clock.clock.sleep_us(&all[i]->clock.clock, ms * 1000);
}

static struct trace_counts counts(void)
{
    return trace_store_counts(f.trace, true);
}

static uint64_t requests(const struct trace_counts *c)
{
    uint64_t n = c->lists;
    for (unsigned kind = 0; kind < TRACE_KINDS; kind++)
        n += c->gets[kind] + c->puts[kind] + c->deletes[kind];
    return n;
}

static struct draft s;
static struct id16 s_request;
static int asked;

static void ask(void)
{
    s = draft_open(&f, "ann", arena_printf(&f.arena, "s%d", asked), 1);
    draft_write(&s, arena_printf(&f.arena, "q/%d", asked), "1", NULL);
    s_request = forge_submit(&f, &s, 1);
    asked++;
}

static bool is_answered(void)
{
    return forge_answers(&f, &s.session.id, &s_request) == 1;
}

/* --- what it costs --- */

/* The lease is put when the first work comes, and then by time, not by the round. */
START_TEST(test_holder_pays_by_time)
{
    for (int i = 0; i < 100; i++) {
        ask();
        ck_assert_int_gt(first.land->run(first.land), 0);
        ck_assert(is_answered());
        pass(RENEW_MS / 10);
    }
    struct trace_counts c = counts();
    ck_assert_uint_eq(c.gets[TRACE_LEASE], 1);
    ck_assert_uint_eq(c.puts[TRACE_LEASE], 10);
}
END_TEST

/* One list a shard and poll, whoever has landed before; the lease is released on the way. */
START_TEST(test_idle_shard_costs_a_list)
{
    ask();
    ck_assert_int_eq(forge_drain(&first), 0);
    (void)counts();
    for (int i = 0; i < 100; i++) {
        ck_assert_int_eq(first.land->run(first.land), 0);
        ck_assert_int_eq(second.land->run(second.land), 0);
        ck_assert(!second.land->waits);
        pass(100);
    }
    struct trace_counts c = counts();
    ck_assert_uint_eq(c.lists, 200);
    ck_assert_uint_eq(c.puts[TRACE_LEASE], 1);
    ck_assert_uint_eq(requests(&c), 201);
}
END_TEST

/* Who is not the holder lists, looks at the lease ten times a length, and reads nothing of the
 * queue. */
START_TEST(test_other_drain_does_nothing)
{
    ask();
    ck_assert_int_gt(first.land->run(first.land), 0);
    ask();
    (void)counts();
    for (int i = 0; i < 10; i++) {
        ck_assert_int_eq(second.land->run(second.land), 0);
        ck_assert(second.land->waits);
        pass(LENGTH_MS / 100);
    }
    struct trace_counts c = counts();
    ck_assert_uint_eq(c.lists, 10);
    ck_assert_uint_eq(c.gets[TRACE_LEASE], 1);
    ck_assert_uint_eq(requests(&c), 11);
    ck_assert(!is_answered());
    ck_assert_int_gt(first.land->run(first.land), 0);
    ck_assert(is_answered());
}
END_TEST

/* Three drains in turn, and all the trees that are put are in the chain. */
START_TEST(test_nothing_is_done_twice)
{
    struct forge third;
    f.seq += 20;
    forge_join(&third, &f, NULL);
    reopen(&third);
    struct forge *drains[] = {&first, &second, &third};
    (void)counts();
    for (int i = 0; i < 300; i++) {
        ask();
        for (size_t k = 0; k < ARRAY_LEN(drains); k++) {
            ck_assert_int_ge(drains[k]->land->run(drains[k]->land), 0);
            drains[k]->clock.us += 30000;
        }
        ck_assert(is_answered());
        pass(60);
    }
    struct trace_counts c = counts();
    ck_assert_uint_eq(c.puts[TRACE_TREE], 300);
    ck_assert_uint_eq(c.puts[TRACE_HEAD], 300);
    forge_release(&third);
}
END_TEST

/* What only waits, an open session's writes or an object that is damaged, is no work. */
START_TEST(test_waiting_writes_hold_no_lease)
{
    s = draft_open(&f, "ann", "open", 1);
    draft_write(&s, "open", "1", NULL);
    forge_write(&f, &s);
    struct key key = key_queue(0, repo_hlc(&f.repo), 7, 7);
    ck_assert_int_eq(store_put(f.mem, key.s, bytes_str("damaged"), PUT_ANY, NULL), OK);
    ck_assert_int_eq(forge_drain(&first), 0);
    pass(RENEW_MS);
    ck_assert_int_eq(forge_drain(&first), 0); /* released */
    (void)counts();
    for (int i = 0; i < 10; i++)
        ck_assert_int_eq(forge_drain(&first), 0);
    struct trace_counts c = counts();
    ck_assert_uint_eq(requests(&c), 10);
    pass(first.land_options.fold_after_ms);
    ck_assert_int_gt(second.land->run(second.land), 0);
    c = counts();
    ck_assert_uint_eq(c.puts[TRACE_SESSION], 1);
    ck_assert_uint_eq(forge_count(&f, "queue/"), 1);
}
END_TEST

/* --- when the holder goes --- */

START_TEST(test_holder_ends)
{
    ask();
    ck_assert_int_gt(first.land->run(first.land), 0);
    reopen(&first);
    ask();
    ck_assert_int_eq(forge_drain(&second), 0);
    ck_assert(is_answered());
}
END_TEST

START_TEST(test_holder_dies)
{
    ask();
    ck_assert_int_gt(first.land->run(first.land), 0);
    ask();
    uint64_t ms = 0;
    while (second.land->run(second.land) == 0) {
        ck_assert(second.land->waits);
        pass(100);
        ms += 100;
        ck_assert_uint_le(ms, LENGTH_MS);
    }
    ck_assert(is_answered());
    ck_assert_uint_gt(ms, LENGTH_MS - 200);
}
END_TEST

static void second_is_there_first(void)
{
    ck_assert_int_eq(second.land->run(second.land), 0);
    pass(LENGTH_MS);
    ck_assert_int_eq(forge_drain(&second), 0);
    ck_assert(is_answered());
}

/* It is stopped when all is ready but the head put, for longer than its lease, and goes on. */
START_TEST(test_holder_is_stopped_in_a_batch)
{
    ask();
    meanwhile = second_is_there_first;
    ck_assert_int_ge(forge_drain(&first), 0);
    ck_assert_ptr_null(meanwhile);
    ck_assert(is_answered());
    ck_assert_uint_eq(forge_position(&f), 2);
    ck_assert_uint_eq(forge_count(&f, "queue/"), 0);
    /* And from then on it leaves the shard to the other. */
    ask();
    pass(RENEW_MS);
    ck_assert_int_eq(first.land->run(first.land), 0);
    ck_assert(!is_answered());
    ck_assert_int_gt(second.land->run(second.land), 0);
    ck_assert(is_answered());
}
END_TEST

static void the_lease_is_taken(void)
{
    struct lease lease = {.agent = 1, .counter = 1, .length_ms = LENGTH_MS};
    AUTO_BUF bytes = {0};
    lease_encode(&lease, &bytes);
    struct key key = key_lease(0);
    ck_assert_int_eq(store_put(f.mem, key.s, buf_bytes(&bytes), PUT_ANY, NULL), OK);
    pass(RENEW_MS);
}

/* Between two projects: what is begun is done, the rest is the other's. */
START_TEST(test_lease_is_lost_in_a_round)
{
    struct id16 projects[2] = {f.project};
    struct id16 requests_of[2];
    struct draft drafts[2];
    ck_assert_int_eq(project_create(&f.repo, bytes_str("other"), &projects[1]), OK);
    for (int i = 0; i < 2; i++) {
        f.project = projects[i];
        drafts[i] = draft_open(&f, "ann", "s", 0);
        draft_write(&drafts[i], "q", "1", NULL);
        requests_of[i] = forge_submit(&f, &drafts[i], 1);
    }
    meanwhile = the_lease_is_taken;
    ck_assert_int_gt(first.land->run(first.land), 0);
    ck_assert_int_eq(first.land->run(first.land), 0);
    size_t answers = 0;
    for (int i = 0; i < 2; i++) {
        f.project = projects[i];
        answers += forge_answers(&f, &drafts[i].session.id, &requests_of[i]);
    }
    ck_assert_uint_eq(answers, 1);
    pass(LENGTH_MS);
    ck_assert_int_eq(forge_drain(&first), 0);
    for (int i = 1; i >= 0; i--) {
        f.project = projects[i];
        ck_assert_uint_eq(forge_answers(&f, &drafts[i].session.id, &requests_of[i]), 1);
    }
    ck_assert_uint_eq(forge_count(&f, "queue/"), 0);
}
END_TEST

static void refuse_heads(void *arg, uint64_t call, const struct store_op *op)
{
    (void)arg;
    if (op != NULL && op->verb == STORE_GET && strstr(op->key, "/head") != NULL)
        faulty_plan(faulty, call, FAULT_AGAIN);
}

/* A drain that gets nothing done, though it could put leases, does not keep the others from
 * it. */
START_TEST(test_holder_that_gets_nothing_done)
{
    ask();
    ck_assert_int_gt(first.land->run(first.land), 0);
    ask();
    faulty_watch(faulty, refuse_heads, NULL);
    unsigned ms = 0;
    for (; !is_answered(); ms += 100) {
        faulty_reset(faulty);
        ck_assert_uint_lt(ms, 2 * LENGTH_MS);
        ck_assert_int_lt(first.land->run(first.land), 0);
        (void)!second.land->run(second.land);
        pass(100);
    }
    ck_assert_uint_le(ms, LENGTH_MS + 100);
}
END_TEST

/* --- a run that ends when all is done --- */

/* The holder is at it: done when what was there is gone, whatever has come since. */
START_TEST(test_once_ends_when_the_holder_has_done_it)
{
    ask();
    ck_assert_int_gt(first.land->run(first.land), 0);
    ask();
    ck_assert_int_eq(second.land->run(second.land), 0);
    ck_assert(second.land->waits);
    ck_assert_int_gt(first.land->run(first.land), 0);
    ask();
    ck_assert_int_eq(second.land->run(second.land), 0);
    ck_assert(!second.land->waits);
}
END_TEST

/* The holder lives, but what is there waits for something that has not come. */
START_TEST(test_once_ends_while_the_holder_lives)
{
    s = draft_open(&f, "ann", "open", 1);
    draft_write(&s, "open", "1", NULL);
    struct id16 ids[2] = {s.session.records[0].id, {{0xff, 0xff}}};
    forge_write(&f, &s);
    (void)forge_land(&f, &s, ids, 2);
    unsigned ms = 0;
    do {
        ck_assert_int_eq(first.land->run(first.land), 0);
        ck_assert_int_eq(second.land->run(second.land), 0);
        ck_assert_uint_lt(ms, 2 * LENGTH_MS);
        pass(100);
        ms += 100;
    } while (second.land->waits);
    ck_assert_uint_gt(ms, LENGTH_MS / 2);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        test_holder_pays_by_time,
        test_idle_shard_costs_a_list,
        test_other_drain_does_nothing,
        test_nothing_is_done_twice,
        test_waiting_writes_hold_no_lease,
        test_holder_ends,
        test_holder_dies,
        test_holder_is_stopped_in_a_batch,
        test_lease_is_lost_in_a_round,
        test_holder_that_gets_nothing_done,
        test_once_ends_when_the_holder_has_done_it,
        test_once_ends_while_the_holder_lives,
    };
    Suite *suite = suite_create("land_lease");
    TCase *tcase = tcase_create("land_lease");
    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, setup, teardown);
    for (size_t i = 0; i < ARRAY_LEN(tests); i++)
        tcase_add_test(tcase, tests[i]);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
