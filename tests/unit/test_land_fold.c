/* The objects of open sessions, while other drains answer the sessions for good, store calls
 * fail and drains die: what is answered for good has no open object in the end. */
#include <check.h>
#include <stdlib.h>

#include "formats/key.h"
#include "tests/support/drain_rig.h"

static struct drain_rig rig;

static void setup(void)
{
    drain_rig_open(&rig);
}

static void teardown(void)
{
    drain_rig_close(&rig);
}

/* --- folds and answers that cross --- */

static struct draft crossed;
static struct id16 crossed_request;

static void other_drain_lands(void)
{
    struct id16 ids[4];
    size_t n = draft_ids(&crossed, ids);
    crossed_request = forge_land(&rig.f, &crossed, ids, n);
    forge_drain(&rig.f);
}

/* While one drain puts a session's object, another answers the session for good. The first
 * one's clock may be ahead, so that to the other the writes are young. */
START_TEST(test_fold_while_another_drain_lands)
{
    crossed = draft_open(&rig.f, "ann", "crossed", 0);
    draft_write(&crossed, "a", "1", NULL);
    struct draft written = crossed;
    forge_write(&rig.f, &written);
    rig.drain.clock.ms += 31000;
    struct key key = key_session(&rig.f.project, &crossed.session.id);
    rig.meanwhile = other_drain_lands;
    drain_rig_refuse(&rig, STORE_PUT, key.s);
    drain_rig_run(&rig);
    ck_assert_ptr_null(rig.meanwhile);
    ck_assert_int_eq(forge_answer(&rig.f, &crossed.session.id, &crossed_request).verdict,
                     VERDICT_LANDED);
    ck_assert_int_eq(drain_rig_state(&rig, &crossed), SESSION_SETTLED);
    ck_assert_uint_eq(forge_count(&rig.f, "queue/"), 0);
}
END_TEST

/* A conflict put the session into an object, and the queue objects were left behind; then it
 * lands while its writes are young. */
START_TEST(test_young_session_with_an_object_is_retired)
{
    forge_land_text(&rig.f, "base", "a", "0", NULL);
    struct draft d = draft_open(&rig.f, "ann", "open", 0);
    draft_write(&d, "a", "1", NULL);
    struct id16 ids[3];
    draft_ids(&d, ids);
    struct draft written = d;
    forge_write(&rig.f, &written);
    forge_land(&rig.f, &d, ids, 2);
    drain_rig_refuse(&rig, STORE_DELETE, "queue/");
    (void)!rig.drain.land->run(rig.drain.land);
    ck_assert_int_eq(drain_rig_state(&rig, &d), SESSION_OPEN);
    draft_write(&d, "a", "1", "0");
    draft_ids(&d, ids);
    forge_write(&rig.f, &d);
    struct id16 request = forge_land(&rig.f, &d, ids, 3);
    forge_drain(&rig.f);
    ck_assert_int_eq(forge_answer(&rig.f, &d.session.id, &request).verdict, VERDICT_LANDED);
    ck_assert_int_eq(drain_rig_state(&rig, &d), SESSION_SETTLED);
}
END_TEST

/* The same, and the first one dies when its put is done: it looks after nothing any more, and
 * the queue has nothing about the session that would lead the next drain to it. */
static void other_drain_lands_and_this_one_dies(void)
{
    other_drain_lands();
    faulty_plan(rig.faulty, faulty_calls(rig.faulty), FAULT_CRASH_AFTER);
}

START_TEST(test_fold_that_dies_while_another_drain_lands)
{
    crossed = draft_open(&rig.f, "ann", "crossed", 0);
    draft_write(&crossed, "a", "1", NULL);
    struct draft written = crossed;
    forge_write(&rig.f, &written);
    rig.drain.clock.ms += 31000;
    struct key key = key_session(&rig.f.project, &crossed.session.id);
    drain_rig_refuse(&rig, STORE_PUT, key.s);
    rig.meanwhile = other_drain_lands_and_this_one_dies;
    (void)!rig.drain.land->run(rig.drain.land);
    ck_assert_uint_eq(faulty_hits(rig.faulty, FAULT_CRASH_AFTER), 1);
    drain_rig_pass(&rig, 61000);
    forge_drain(&rig.f);
    ck_assert_int_eq(forge_answer(&rig.f, &crossed.session.id, &crossed_request).verdict,
                     VERDICT_LANDED);
    ck_assert_int_eq(drain_rig_state(&rig, &crossed), SESSION_SETTLED);
    ck_assert_uint_eq(forge_count(&rig.f, "queue/"), 0);
}
END_TEST

/* A drain dies when it has put the object of a session, and the queue still has the writes:
 * whoever answers the session finds the object. */
static void this_one_dies(void)
{
    faulty_plan(rig.faulty, faulty_calls(rig.faulty), FAULT_CRASH_AFTER);
}

START_TEST(test_fold_that_dies_before_another_drain_lands)
{
    crossed = draft_open(&rig.f, "ann", "crossed", 0);
    draft_write(&crossed, "a", "1", NULL);
    struct draft written = crossed;
    forge_write(&rig.f, &written);
    rig.drain.clock.ms += 31000;
    struct key key = key_session(&rig.f.project, &crossed.session.id);
    drain_rig_refuse(&rig, STORE_PUT, key.s);
    rig.meanwhile = this_one_dies;
    (void)!rig.drain.land->run(rig.drain.land);
    ck_assert_int_eq(drain_rig_state(&rig, &crossed), SESSION_OPEN);
    other_drain_lands();
    ck_assert_int_eq(drain_rig_state(&rig, &crossed), SESSION_SETTLED);
    ck_assert_uint_eq(forge_count(&rig.f, "queue/"), 0);
}
END_TEST

/* What comes whole leaves no tombstone; so who folds looks at what the chain says now, in case
 * the session was open as well. */
static void other_drain_lands_it_whole(void)
{
    crossed_request = forge_submit(&rig.f, &crossed, 1);
    forge_drain(&rig.f);
}

START_TEST(test_fold_while_another_drain_lands_it_whole)
{
    crossed = draft_open(&rig.f, "ann", "crossed", 0);
    draft_write(&crossed, "a", "1", NULL);
    struct draft written = crossed;
    forge_write(&rig.f, &written);
    rig.drain.clock.ms += 31000;
    struct key key = key_session(&rig.f.project, &crossed.session.id);
    rig.meanwhile = other_drain_lands_it_whole;
    drain_rig_refuse(&rig, STORE_PUT, key.s);
    drain_rig_run(&rig);
    ck_assert_ptr_null(rig.meanwhile);
    ck_assert_int_eq(forge_answer(&rig.f, &crossed.session.id, &crossed_request).verdict,
                     VERDICT_LANDED);
    ck_assert_int_eq(drain_rig_state(&rig, &crossed), SESSION_SETTLED);
    ck_assert_uint_eq(forge_count(&rig.f, "queue/"), 0);
}
END_TEST

/* --- objects that cannot be retired for a while --- */

static void folded(struct draft *d, const char *name, struct id16 *ids, size_t *n)
{
    *d = draft_open(&rig.f, "ann", name, 0);
    draft_write(d, name, "1", NULL);
    *n = draft_ids(d, ids);
    struct draft written = *d;
    forge_write(&rig.f, &written);
    drain_rig_pass(&rig, 31000);
    drain_rig_run(&rig);
    ck_assert_int_eq(drain_rig_state(&rig, d), SESSION_OPEN);
}

/* The queue keeps the request until the object of its session is a tombstone. */
START_TEST(test_request_stays_until_the_object_is_retired)
{
    struct draft d;
    struct id16 ids[2];
    size_t n;
    folded(&d, "open", ids, &n);
    struct id16 request = forge_land(&rig.f, &d, ids, n);
    struct key key = key_session(&rig.f.project, &d.session.id);
    drain_rig_refuse(&rig, STORE_PUT, key.s);
    for (int i = 0; i < 3; i++)
        (void)!rig.drain.land->run(rig.drain.land);
    ck_assert_int_eq(forge_answer(&rig.f, &d.session.id, &request).verdict, VERDICT_LANDED);
    ck_assert_int_eq(drain_rig_state(&rig, &d), SESSION_OPEN);
    rig.refused[0] = '\0';
    drain_rig_run(&rig);
    ck_assert_int_eq(drain_rig_state(&rig, &d), SESSION_SETTLED);
    ck_assert_uint_eq(forge_count(&rig.f, "queue/"), 0);
}
END_TEST

/* Also where the request came with another session, the first of its series. */
START_TEST(test_series_stays_until_its_objects_are_retired)
{
    struct draft d[2];
    struct id16 ids[2][2];
    struct record_land_item items[2];
    for (int i = 0; i < 2; i++) {
        size_t n;
        folded(&d[i], i == 0 ? "one" : "two", ids[i], &n);
        items[i] = (struct record_land_item){
            .session = d[i].session.id, .records = ids[i], .n = (uint32_t)n};
    }
    struct record land = {.kind = RECORD_LAND,
                          .id = {{7}},
                          .hlc = repo_hlc(&rig.f.repo),
                          .land = {.items = items, .n = 2}};
    struct queue_group group = {.project = rig.f.project,
                                .session = d[0].session.id,
                                .owner = d[0].session.owner,
                                .records = &land,
                                .n = 1};
    forge_queue(&rig.f, &group, 1);
    struct key key = key_session(&rig.f.project, &d[1].session.id);
    drain_rig_refuse(&rig, STORE_PUT, key.s);
    (void)!rig.drain.land->run(rig.drain.land);
    ck_assert_uint_eq(forge_position(&rig.f), 2);
    ck_assert_int_eq(drain_rig_state(&rig, &d[0]), SESSION_SETTLED);
    ck_assert_int_eq(drain_rig_state(&rig, &d[1]), SESSION_OPEN);
    rig.refused[0] = '\0';
    drain_rig_run(&rig);
    ck_assert_int_eq(drain_rig_state(&rig, &d[1]), SESSION_SETTLED);
    ck_assert_uint_eq(forge_count(&rig.f, "queue/"), 0);
}
END_TEST

/* --- budgets --- */

/* An open session that lands before it has an object: 1 put more, the tombstone. */
START_TEST(test_requests_of_a_young_session)
{
    struct draft d = draft_open(&rig.f, "ann", "young", 0);
    draft_write(&d, "a", "1", NULL);
    struct id16 ids[2];
    size_t n = draft_ids(&d, ids);
    struct draft written = d;
    forge_write(&rig.f, &written);
    struct id16 request = forge_land(&rig.f, &d, ids, n);
    trace_store_counts(rig.f.trace, true);
    ck_assert_int_gt(rig.drain.land->run(rig.drain.land), 0);
    struct trace_counts c = trace_store_counts(rig.f.trace, true);
    ck_assert_uint_eq(c.gets[TRACE_SESSION], 0);
    ck_assert_uint_eq(c.puts[TRACE_SESSION], 1);
    ck_assert_uint_eq(c.gets[TRACE_HEAD], 1);
    ck_assert_int_eq(forge_answer(&rig.f, &d.session.id, &request).verdict, VERDICT_LANDED);
    ck_assert_int_eq(drain_rig_state(&rig, &d), SESSION_SETTLED);
}
END_TEST

/* Two requests about one session need its object once. */
START_TEST(test_requests_of_two_requests)
{
    struct draft d;
    struct id16 ids[2];
    size_t n;
    folded(&d, "open", ids, &n);
    struct id16 land = forge_land(&rig.f, &d, ids, n);
    struct id16 abandon = forge_abandon(&rig.f, &d);
    trace_store_counts(rig.f.trace, true);
    ck_assert_int_gt(rig.drain.land->run(rig.drain.land), 0);
    struct trace_counts c = trace_store_counts(rig.f.trace, true);
    ck_assert_uint_eq(c.gets[TRACE_SESSION], 1);
    ck_assert_uint_eq(c.puts[TRACE_SESSION], 1);
    ck_assert_int_eq(forge_answer(&rig.f, &d.session.id, &land).verdict, VERDICT_LANDED);
    ck_assert_int_eq(forge_answer(&rig.f, &d.session.id, &abandon).verdict, VERDICT_REFUSED);
}
END_TEST

/* A store that counts the calls about session objects, each of one operation or of many. */
struct calls_store {
    struct store store;
    struct store *below;
    unsigned calls;
};

static bool is_session(const struct store_op *op)
{
    return strstr(op->key, "/sessions/") != NULL;
}

static int calls_one(struct store *store, struct store_op *op)
{
    struct calls_store *calls = (struct calls_store *)store;
    calls->calls += is_session(op);
    return calls->below->calls->one(calls->below, op);
}

static int calls_many(struct store *store, struct store_op *ops, size_t n)
{
    struct calls_store *calls = (struct calls_store *)store;
    calls->calls += n > 0 && is_session(&ops[0]);
    return calls->below->calls->many(calls->below, ops, n);
}

static int calls_list(struct store *store, struct arena *arena, const char *prefix,
                      const char *after, size_t max, struct store_list *out)
{
    return store_list(((struct calls_store *)store)->below, arena, prefix, after, max, out);
}

static uint64_t calls_date_ms(struct store *store)
{
    return store_date_ms(((struct calls_store *)store)->below);
}

static void calls_close(struct store *store)
{
    (void)store;
}

/* Objects are read and put side by side, as many as may be. */
START_TEST(test_objects_of_a_round_go_together)
{
    static const struct store_calls table = {.name = "calls",
                                             .one = calls_one,
                                             .many = calls_many,
                                             .list = calls_list,
                                             .date_ms = calls_date_ms,
                                             .close = calls_close};
    struct calls_store calls = {.store = {.calls = &table}, .below = rig.f.trace};
    struct forge other;
    forge_join(&other, &rig.f, &calls.store);
    enum { n = 70 };
    struct draft d[n];
    for (int i = 0; i < n; i++) {
        const char *name = arena_printf(&rig.f.arena, "s%d", i);
        d[i] = draft_open(&rig.f, "ann", name, 0);
        draft_write(&d[i], name, "1", NULL);
        struct draft written = d[i];
        forge_write(&rig.f, &written);
    }
    other.clock.ms += 31000;
    calls.calls = 0;
    forge_drain(&other);
    ck_assert_uint_eq(calls.calls, 2 + 2); /* 64 and 6 gets, 64 and 6 puts */
    for (int i = 0; i < n; i++) {
        struct id16 ids[2];
        size_t of = draft_ids(&d[i], ids);
        ck_assert_int_eq(drain_rig_state(&rig, &d[i]), SESSION_OPEN);
        forge_land(&rig.f, &d[i], ids, of);
    }
    calls.calls = 0;
    forge_drain(&other);
    ck_assert_uint_eq(calls.calls, 2 + 2);
    ck_assert_uint_eq(forge_position(&rig.f), n);
    for (int i = 0; i < n; i++)
        ck_assert_int_eq(drain_rig_state(&rig, &d[i]), SESSION_SETTLED);
    ck_assert_uint_eq(forge_count(&rig.f, "queue/"), 0);
    forge_release(&other);
}
END_TEST

/* --- what is done already --- */

/* One of two sessions in a queue object is folded, and the start of the other has not come: the
 * object stays, every round looks at it again, and nothing is put again. A round that gets
 * nothing further says so, for it would be run again at once. */
START_TEST(test_what_is_folded_is_not_put_again)
{
    struct draft d[2];
    struct queue_group groups[2];
    for (int i = 0; i < 2; i++) {
        d[i] = draft_open(&rig.f, "ann", i == 0 ? "whole" : "half", 0);
        draft_write(&d[i], "a", "1", NULL);
        groups[i] = (struct queue_group){.project = rig.f.project,
                                         .session = d[i].session.id,
                                         .owner = d[i].session.owner,
                                         .records = d[i].session.records + i,
                                         .n = 2 - (uint32_t)i};
    }
    forge_queue(&rig.f, groups, 2);
    drain_rig_pass(&rig, 31000);
    (void)trace_store_counts(rig.f.trace, true);
    for (int i = 0; i < 5; i++)
        ck_assert_int_eq(rig.drain.land->run(rig.drain.land), 0);
    struct trace_counts c = trace_store_counts(rig.f.trace, true);
    ck_assert_uint_eq(c.puts[TRACE_SESSION], 1);
    ck_assert_int_eq(drain_rig_state(&rig, &d[0]), SESSION_OPEN);
    ck_assert_uint_eq(forge_count(&rig.f, "queue/"), 1);
    struct queue_group start = groups[1];
    start.records = d[1].session.records;
    start.n = 1;
    forge_queue(&rig.f, &start, 1);
    drain_rig_run(&rig);
    c = trace_store_counts(rig.f.trace, true);
    ck_assert_uint_eq(c.puts[TRACE_SESSION], 1);
    ck_assert_uint_eq(forge_count(&rig.f, "queue/"), 0);
}
END_TEST

/* `crossed` is folded, and its records are in the queue once more, stamped `earlier`. */
static void fold_and_write_again(uint64_t earlier)
{
    crossed = draft_open(&rig.f, "ann", "crossed", 0);
    draft_write(&crossed, "a", "1", NULL);
    struct draft written = crossed;
    forge_write(&rig.f, &written);
    drain_rig_pass(&rig, 31000);
    drain_rig_run(&rig);
    ck_assert_int_eq(drain_rig_state(&rig, &crossed), SESSION_OPEN);
    for (size_t i = 0; i < crossed.session.n_records; i++)
        crossed.session.records[i].hlc -= earlier;
    written = crossed;
    forge_write(&rig.f, &written);
    (void)trace_store_counts(rig.f.trace, true);
}

/* Whoever folded it may have died before it looked whether the session was answered meanwhile:
 * who finds it folded looks, too. */
START_TEST(test_what_is_folded_may_have_been_answered)
{
    fold_and_write_again(0);
    struct key key = key_session(&rig.f.project, &crossed.session.id);
    rig.meanwhile = other_drain_lands_it_whole;
    drain_rig_refuse(&rig, STORE_GET, key.s);
    drain_rig_run(&rig);
    ck_assert_ptr_null(rig.meanwhile);
    ck_assert_int_eq(drain_rig_state(&rig, &crossed), SESSION_SETTLED);
    ck_assert_uint_eq(forge_count(&rig.f, "queue/"), 0);
}
END_TEST

/* Of two copies of a record the lower stamp counts: an object with the higher one is put
 * again. */
START_TEST(test_an_earlier_copy_is_folded)
{
    fold_and_write_again(1);
    drain_rig_run(&rig);
    struct trace_counts c = trace_store_counts(rig.f.trace, true);
    ck_assert_uint_eq(c.puts[TRACE_SESSION], 1);
    fold_and_write_again(0);
    drain_rig_run(&rig);
    c = trace_store_counts(rig.f.trace, true);
    ck_assert_uint_eq(c.puts[TRACE_SESSION], 0);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        test_fold_while_another_drain_lands,
        test_young_session_with_an_object_is_retired,
        test_fold_that_dies_while_another_drain_lands,
        test_fold_that_dies_before_another_drain_lands,
        test_fold_while_another_drain_lands_it_whole,
        test_request_stays_until_the_object_is_retired,
        test_series_stays_until_its_objects_are_retired,
        test_requests_of_a_young_session,
        test_requests_of_two_requests,
        test_objects_of_a_round_go_together,
        test_what_is_folded_is_not_put_again,
        test_what_is_folded_may_have_been_answered,
        test_an_earlier_copy_is_folded,
    };
    Suite *suite = suite_create("land_fold");
    TCase *tcase = tcase_create("land_fold");
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
