/* Landing: one answer to each request, for good; series, open sessions, damage, budgets. */
#include <check.h>
#include <stdlib.h>

#include "formats/key.h"
#include "formats/path.h"
#include "pipeline/repo/chain.h"
#include "tests/support/forge.h"
#include "tests/support/suite.h"

static struct forge f;

static void setup(void)
{
    forge_init(&f);
}

static void teardown(void)
{
    forge_release(&f);
}

static struct landing answer_of(const struct draft *d, struct id16 request)
{
    return forge_answer(&f, &d->session.id, &request);
}

START_TEST(test_a_session_lands)
{
    struct draft d = draft_open(&f, "ann", "k1", 0);
    draft_write(&d, "src/a.c", "int a;\n", NULL);
    draft_decide(&d, "one file is enough");
    struct id16 request = forge_submit(&f, &d, 1);
    ck_assert_int_gt(f.land->run(f.land), 0);
    ck_assert_int_eq(f.land->run(f.land), 0);
    struct landing landing = answer_of(&d, request);
    ck_assert_int_eq(landing.verdict, VERDICT_LANDED);
    ck_assert_uint_eq(landing.position, 1);
    ck_assert_uint_eq(forge_position(&f), 1);
    ck_assert(landing.has_session);
    ck_assert_uint_eq(landing.landed.n_records, 3);
    ck_assert_str_eq(forge_text(&f, "src/a.c"), "int a;\n");
    ck_assert_uint_eq(forge_count(&f, "queue/"), 0);
}
END_TEST

/* --- series --- */

START_TEST(test_series_whose_third_conflicts)
{
    struct draft s[5];
    for (int i = 0; i < 5; i++) {
        s[i] = draft_open(&f, "ann", arena_printf(&f.arena, "s%d", i), 0);
        draft_write(&s[i], arena_printf(&f.arena, "f%d", i), "1", i == 2 ? "something" : NULL);
    }
    struct id16 request = forge_submit(&f, s, 5);
    forge_drain(&f);
    static const enum verdict expected[5] = {VERDICT_LANDED, VERDICT_LANDED, VERDICT_CONFLICTED,
                                             VERDICT_NOT_TRIED, VERDICT_NOT_TRIED};
    for (int i = 0; i < 5; i++)
        ck_assert_int_eq(answer_of(&s[i], request).verdict, expected[i]);
    ck_assert_uint_eq(forge_position(&f), 2);
    ck_assert_uint_eq(forge_count(&f, "queue/"), 0);
}
END_TEST

START_TEST(test_series_builds_on_itself)
{
    struct draft s[3];
    for (int i = 0; i < 3; i++)
        s[i] = draft_open(&f, "ann", arena_printf(&f.arena, "s%d", i), 0);
    draft_write(&s[0], "a", "1", NULL);
    draft_write(&s[1], "a", "2", "1");
    draft_rename(&s[2], "a", "b", "2");
    struct id16 request = forge_submit(&f, s, 3);
    forge_drain(&f);
    for (int i = 0; i < 3; i++)
        ck_assert_uint_eq(answer_of(&s[i], request).position, (uint64_t)i + 1);
    ck_assert_str_eq(forge_text(&f, "b"), "2");
    ck_assert_ptr_null(forge_text(&f, "a"));
}
END_TEST

/* Schedule 10: what was refused in a series stays refused when the same request comes again. */
START_TEST(test_series_done_again_keeps_its_answers)
{
    struct draft s[3];
    for (int i = 0; i < 3; i++)
        s[i] = draft_open(&f, "ann", arena_printf(&f.arena, "s%d", i), 0);
    draft_write(&s[0], "a", "1", NULL);
    draft_write(&s[1], "b", "1", "something");
    draft_write(&s[2], "c", "1", NULL);
    struct id16 request = forge_submit(&f, s, 3);
    forge_drain(&f);
    forge_land_text(&f, "meanwhile", "b", "something", NULL);
    struct id16 again = forge_submit(&f, s, 3);
    ck_assert(id16_equal(&request, &again));
    forge_drain(&f);
    ck_assert_int_eq(answer_of(&s[1], request).verdict, VERDICT_CONFLICTED);
    ck_assert_int_eq(answer_of(&s[2], request).verdict, VERDICT_NOT_TRIED);
    ck_assert_uint_eq(forge_position(&f), 2);
    ck_assert_uint_eq(forge_count(&f, "queue/"), 0);
}
END_TEST

/* --- once --- */

/* Schedule 5: an ordinary retry, with another drain that remembers nothing. */
START_TEST(test_retry_keeps_its_answer)
{
    forge_land_text(&f, "base", "gone", "0", NULL);
    struct draft d = draft_open(&f, "ann", "r", 1);
    draft_delete(&d, "gone", "0");
    draft_write(&d, "new", "1", NULL);
    struct id16 request = forge_submit(&f, &d, 1);
    forge_drain(&f);
    for (int i = 0; i < 30; i++)
        forge_land_text(&f, arena_printf(&f.arena, "more%d", i),
                        arena_printf(&f.arena, "m%d", i), "x", NULL);
    struct forge other;
    forge_join(&other, &f, NULL);
    struct id16 again = forge_submit(&other, &d, 1);
    ck_assert(id16_equal(&request, &again));
    forge_drain(&other);
    ck_assert_uint_eq(forge_answers(&f, &d.session.id, &request), 1);
    ck_assert_int_eq(answer_of(&d, request).verdict, VERDICT_LANDED);
    ck_assert_uint_eq(forge_position(&f), 32);
    ck_assert_uint_eq(forge_count(&f, "queue/"), 0);
    forge_release(&other);
}
END_TEST

/* Schedule 6: two copies of a request in one queue. */
START_TEST(test_two_copies_land_once)
{
    struct draft d = draft_open(&f, "ann", "r", 0);
    draft_write(&d, "new", "1", NULL);
    struct id16 request = forge_submit(&f, &d, 1);
    forge_submit(&f, &d, 1);
    forge_drain(&f);
    ck_assert_uint_eq(forge_answers(&f, &d.session.id, &request), 1);
    ck_assert_uint_eq(forge_position(&f), 1);
    ck_assert_uint_eq(forge_count(&f, "queue/"), 0);
}
END_TEST

START_TEST(test_second_request_about_a_landed_session_is_refused)
{
    struct draft d = draft_open(&f, "ann", "r", 0);
    draft_write(&d, "new", "1", NULL);
    forge_submit(&f, &d, 1);
    forge_drain(&f);
    struct id16 second = forge_land(&f, &d, &d.session.records[0].id, 1);
    forge_drain(&f);
    struct landing landing = answer_of(&d, second);
    ck_assert_int_eq(landing.verdict, VERDICT_REFUSED);
    ck_assert(bytes_equal(landing.reason, bytes_str("session_closed")));
}
END_TEST

/* --- open sessions --- */

static void ids_of(const struct draft *d, struct id16 *out)
{
    for (size_t i = 0; i < d->session.n_records; i++)
        out[i] = d->session.records[i].id;
}

static int id_compare(const void *a, const void *b)
{
    return id16_compare(a, b);
}

START_TEST(test_open_session_is_folded_and_lands)
{
    struct draft d = draft_open(&f, "ann", "open", 0);
    draft_write(&d, "a", "1", NULL);
    struct id16 ids[3];
    ids_of(&d, ids);
    forge_write(&f, &d);
    forge_drain(&f);
    ck_assert_uint_eq(forge_count(&f, "queue/"), 1); /* it waits to be folded */
    f.clock.ms += 31000;
    forge_drain(&f);
    ck_assert_uint_eq(forge_count(&f, "queue/"), 0);
    struct key prefix = key_session_prefix(&f.project);
    ck_assert_uint_eq(forge_count(&f, prefix.s), 1);
    draft_write(&d, "b", "2", NULL);
    ids_of(&d, ids + 2);
    forge_write(&f, &d);
    qsort(ids, 3, sizeof(ids[0]), id_compare);
    struct id16 request = forge_land(&f, &d, ids, 3);
    forge_drain(&f);
    struct landing landing = answer_of(&d, request);
    ck_assert_int_eq(landing.verdict, VERDICT_LANDED);
    ck_assert_str_eq(forge_text(&f, "a"), "1");
    ck_assert_str_eq(forge_text(&f, "b"), "2");
    ck_assert_uint_eq(forge_count(&f, "queue/"), 0);
}
END_TEST

START_TEST(test_open_session_stays_open_after_a_conflict)
{
    forge_land_text(&f, "base", "a", "0", NULL);
    struct draft d = draft_open(&f, "ann", "open", 0);
    draft_write(&d, "a", "1", NULL);
    struct id16 ids[3];
    ids_of(&d, ids);
    forge_write(&f, &d);
    qsort(ids, 2, sizeof(ids[0]), id_compare);
    struct id16 request = forge_land(&f, &d, ids, 2);
    forge_drain(&f);
    struct landing landing = answer_of(&d, request);
    conflict_is(&landing, CONFLICT_OPERATION, "a");
    ck_assert(!landing.closes);
    struct key prefix = key_session_prefix(&f.project);
    ck_assert_uint_eq(forge_count(&f, prefix.s), 1);
    /* Synced: the same write, having seen what is there now. */
    draft_write(&d, "a", "1", "0");
    ids_of(&d, ids + 2);
    forge_write(&f, &d);
    qsort(ids, 3, sizeof(ids[0]), id_compare);
    request = forge_land(&f, &d, ids, 3);
    forge_drain(&f);
    landing = answer_of(&d, request);
    ck_assert_int_eq(landing.verdict, VERDICT_LANDED);
    ck_assert(landing.closes);
    ck_assert_str_eq(forge_text(&f, "a"), "1");
}
END_TEST

/* Schedule 16: a land lands exactly the records that it names. */
START_TEST(test_land_lands_exactly_its_records)
{
    struct draft d = draft_open(&f, "ann", "open", 0);
    draft_write(&d, "a", "1", NULL);
    struct id16 ids[2];
    ids_of(&d, ids);
    draft_write(&d, "late", "2", NULL);
    forge_write(&f, &d);
    qsort(ids, 2, sizeof(ids[0]), id_compare);
    struct id16 request = forge_land(&f, &d, ids, 2);
    forge_drain(&f);
    ck_assert_int_eq(answer_of(&d, request).verdict, VERDICT_LANDED);
    ck_assert_str_eq(forge_text(&f, "a"), "1");
    ck_assert_ptr_null(forge_text(&f, "late"));
}
END_TEST

/* Schedule 16 and 17: a land whose records have not come waits, behind, and is refused in the
 * end. */
START_TEST(test_land_waits_for_its_records)
{
    struct draft d = draft_open(&f, "ann", "open", 0);
    draft_write(&d, "a", "1", NULL);
    struct id16 ids[2];
    ids_of(&d, ids);
    qsort(ids, 2, sizeof(ids[0]), id_compare);
    struct id16 request = forge_land(&f, &d, ids, 2);
    forge_drain(&f);
    ck_assert_uint_eq(forge_answers(&f, &d.session.id, &request), 0);
    forge_write(&f, &d);
    forge_drain(&f);
    ck_assert_int_eq(answer_of(&d, request).verdict, VERDICT_LANDED);
}
END_TEST

START_TEST(test_lands_that_never_come_true)
{
    struct draft d[100];
    struct id16 request[100];
    for (int i = 0; i < 100; i++) {
        d[i] = draft_open(&f, "ann", arena_printf(&f.arena, "open%d", i), 0);
        request[i] = forge_land(&f, &d[i], &d[i].session.records[0].id, 1);
    }
    forge_drain(&f);
    ck_assert_uint_le(forge_count(&f, "queue/"), 33);
    forge_land_text(&f, "others go on", "x", "1", NULL);
    f.clock.ms += 61000;
    forge_drain(&f);
    for (int i = 0; i < 100; i++) {
        struct landing landing = answer_of(&d[i], request[i]);
        ck_assert_int_eq(landing.verdict, VERDICT_REFUSED);
        ck_assert(bytes_equal(landing.reason, bytes_str("records_missing")));
    }
    ck_assert_uint_eq(forge_count(&f, "queue/"), 0);
}
END_TEST

/* Schedule 7: a late operation of a landed session does not make a fresh open session. */
START_TEST(test_late_operation_of_a_landed_session)
{
    struct draft d = draft_open(&f, "ann", "s", 0);
    draft_write(&d, "a", "1", NULL);
    forge_submit(&f, &d, 1);
    forge_drain(&f);
    d.session.records = NULL;
    d.session.n_records = 0;
    d.cap = 0;
    draft_write(&d, "b", "2", NULL);
    forge_write(&f, &d);
    f.clock.ms += 31000;
    forge_drain(&f);
    ck_assert_uint_eq(forge_count(&f, "queue/"), 0);
    struct key prefix = key_session_prefix(&f.project);
    ck_assert_uint_eq(forge_count(&f, prefix.s), 0);
}
END_TEST

/* Schedule 9: abandon is a request like land; the first one in the chain decides. */
START_TEST(test_abandon_against_land)
{
    struct draft d = draft_open(&f, "ann", "s", 0);
    draft_write(&d, "a", "1", NULL);
    struct id16 ids[2];
    ids_of(&d, ids);
    qsort(ids, 2, sizeof(ids[0]), id_compare);
    forge_write(&f, &d);
    struct id16 abandon = forge_abandon(&f, &d);
    struct id16 land = forge_land(&f, &d, ids, 2);
    forge_drain(&f);
    ck_assert_int_eq(answer_of(&d, abandon).verdict, VERDICT_ABANDONED);
    ck_assert_int_eq(answer_of(&d, land).verdict, VERDICT_REFUSED);
    ck_assert_ptr_null(forge_text(&f, "a"));
    ck_assert_uint_eq(forge_position(&f), 0);
    ck_assert_uint_eq(forge_count(&f, "queue/"), 0);
}
END_TEST

/* Schedule 19: records of another owner are dropped. */
START_TEST(test_foreign_records_are_dropped)
{
    struct draft d = draft_open(&f, "ann", "s", 0);
    draft_write(&d, "a", "1", NULL);
    struct draft evil = d;
    evil.session.owner = owner_of(bytes_str("eve"));
    evil.session.records = NULL;
    evil.session.n_records = 0;
    evil.cap = 0;
    draft_write(&evil, "a", "evil", NULL);
    forge_write(&f, &evil);
    struct id16 request = forge_submit(&f, &d, 1);
    forge_drain(&f);
    ck_assert_int_eq(answer_of(&d, request).verdict, VERDICT_LANDED);
    ck_assert_str_eq(forge_text(&f, "a"), "1");
    ck_assert_uint_eq(forge_count(&f, "queue/"), 0);
}
END_TEST

/* --- damage --- */

START_TEST(test_unreadable_project_holds_nobody_up)
{
    struct draft lost = draft_open(&f, "ann", "lost", 0);
    draft_write(&lost, "a", "1", NULL);
    lost.session.project.b[0] ^= 1;
    lost.session.id =
        session_id(&lost.session.project, &lost.session.owner, bytes_str("lost"), 0);
    forge_submit(&f, &lost, 1);
    forge_land_text(&f, "others", "x", "1", NULL);
    ck_assert_uint_eq(forge_count(&f, "queue/0000/"), 0);
    ck_assert_uint_eq(forge_count(&f, "queue/dead/"), 1);
}
END_TEST

START_TEST(test_damaged_queue_object_stays)
{
    struct key key = key_queue(0, 5, 6, 7);
    ck_assert_int_eq(
        store_put(f.mem, key.s, bytes_str("not a queue object"), PUT_IF_ABSENT, NULL), OK);
    forge_land_text(&f, "others", "x", "1", NULL);
    ck_assert_uint_eq(forge_count(&f, "queue/"), 1);
}
END_TEST

/* --- budgets --- */

static uint64_t sum(const uint64_t *counts)
{
    uint64_t all = 0;
    for (int i = 0; i < TRACE_KINDS; i++)
        all += counts[i];
    return all;
}

/* One round of the drain, and what it asked the store for. */
static struct trace_counts round_counts(void)
{
    trace_store_counts(f.trace, true);
    ck_assert_int_gt(f.land->run(f.land), 0);
    return trace_store_counts(f.trace, true);
}

/* 1 list, 1 get per queue object, 1 get of the head, pages that are not cached (here none), 1
 * put of a tree object, 1 put of the head, 1 delete per queue object, and nothing else; for a
 * batch of any number of sessions. */
START_TEST(test_requests_of_a_batch)
{
    forge_land_text(&f, "warm", "x/y", "1", NULL);
    enum { n = 50 };
    for (int i = 0; i < n; i++) {
        struct draft d = draft_open(&f, "ann", arena_printf(&f.arena, "s%d", i), 1);
        draft_write(&d, arena_printf(&f.arena, "x/%d", i), "1", NULL);
        forge_submit(&f, &d, 1);
    }
    struct trace_counts c = round_counts();
    ck_assert_uint_eq(c.lists, 1);
    ck_assert_uint_eq(c.gets[TRACE_QUEUE], n);
    ck_assert_uint_eq(c.gets[TRACE_HEAD], 1);
    ck_assert_uint_eq(sum(c.gets), n + 1);
    ck_assert_uint_eq(c.puts[TRACE_TREE], 1);
    ck_assert_uint_eq(c.puts[TRACE_HEAD], 1);
    ck_assert_uint_eq(sum(c.puts), 2);
    ck_assert_uint_eq(c.deletes[TRACE_QUEUE], n);
    ck_assert_uint_eq(sum(c.deletes), n);
    ck_assert_uint_eq(c.failed, 0);
    ck_assert_uint_eq(forge_position(&f), n + 1);
}
END_TEST

/* The log of what this process has landed is made without reading it again. */
START_TEST(test_append_after_landing_reads_no_tree_object)
{
    for (int i = 0; i < 101; i++) {
        struct draft d = draft_open(&f, "ann", arena_printf(&f.arena, "s%d", i), 0);
        draft_write(&d, arena_printf(&f.arena, "x/%d", i), "1", NULL);
        forge_submit(&f, &d, 1);
        if (i % 30 == 0)
            forge_drain(&f);
    }
    forge_drain(&f);
    struct stage *append = stage_append_open(&f.repo);
    trace_store_counts(f.trace, true);
    ck_assert_int_gt(append->run(append), 0);
    struct trace_counts c = trace_store_counts(f.trace, true);
    append->close(append);
    ck_assert_uint_eq(c.puts[TRACE_LOG], 1);
    ck_assert_uint_eq(c.gets[TRACE_TREE], 0);
}
END_TEST

/* Batches that are cut short cost one get of the head each, also when the last one is full to
 * the brim. */
START_TEST(test_requests_of_batches_that_are_cut)
{
    f.land->close(f.land);
    f.land_options.batch_max = 4;
    f.land = stage_land_open(&f.repo, &f.land_options);
    forge_land_text(&f, "warm", "x/y", "1", NULL);
    for (int i = 0; i < _i; i++) {
        struct draft d = draft_open(&f, "ann", arena_printf(&f.arena, "s%d", i), 1);
        draft_write(&d, arena_printf(&f.arena, "x/%d", i), "1", NULL);
        forge_submit(&f, &d, 1);
        forge_submit(&f, &d, 1); /* a copy asks for nothing more */
    }
    struct trace_counts c = round_counts();
    uint64_t batches = ((uint64_t)_i + 3) / 4;
    ck_assert_uint_eq(c.gets[TRACE_HEAD], batches);
    ck_assert_uint_eq(c.puts[TRACE_HEAD], batches);
    ck_assert_uint_eq(forge_position(&f), (uint64_t)_i + 1);
    ck_assert_uint_eq(forge_count(&f, "queue/"), 0);
}
END_TEST

/* What waits for its records asks for no second batch. */
START_TEST(test_requests_of_a_batch_beside_one_that_waits)
{
    forge_land_text(&f, "warm", "x/y", "1", NULL);
    struct draft open = draft_open(&f, "ann", "open", 0);
    struct id16 request = forge_land(&f, &open, &open.session.records[0].id, 1);
    struct draft d = draft_open(&f, "ann", "s", 1);
    draft_write(&d, "x/1", "1", NULL);
    forge_submit(&f, &d, 1);
    struct trace_counts c = round_counts();
    ck_assert_uint_eq(c.gets[TRACE_HEAD], 1);
    ck_assert_uint_eq(c.puts[TRACE_HEAD], 1);
    ck_assert_uint_eq(forge_answers(&f, &open.session.id, &request), 0);
}
END_TEST

/* A land that waits and, behind it, an abandon of the same session: one round answers both. */
START_TEST(test_wait_ends_when_the_session_is_closed)
{
    struct draft d = draft_open(&f, "ann", "s", 0);
    draft_write(&d, "a", "1", NULL);
    struct id16 missing[2] = {d.session.records[0].id, {{0xff}}};
    struct draft written = d;
    forge_write(&f, &written);
    struct id16 land = forge_land(&f, &d, missing, 2);
    struct id16 abandon = forge_abandon(&f, &d);
    ck_assert_int_gt(f.land->run(f.land), 0);
    ck_assert_int_eq(answer_of(&d, abandon).verdict, VERDICT_ABANDONED);
    ck_assert_int_eq(answer_of(&d, land).verdict, VERDICT_REFUSED);
    ck_assert_uint_eq(forge_count(&f, "queue/"), 0);
}
END_TEST

/* A session that has an object of its own: 1 get and 1 put more. */
START_TEST(test_requests_of_a_session_with_an_object)
{
    struct draft d = draft_open(&f, "ann", "open", 0);
    draft_write(&d, "a", "1", NULL);
    struct id16 ids[2];
    ids_of(&d, ids);
    qsort(ids, 2, sizeof(ids[0]), id_compare);
    struct draft written = d;
    forge_write(&f, &written);
    f.clock.ms += 31000;
    forge_drain(&f);
    struct id16 request = forge_land(&f, &d, ids, 2);
    struct trace_counts c = round_counts();
    ck_assert_uint_eq(c.lists, 1);
    ck_assert_uint_eq(c.gets[TRACE_QUEUE], 1);
    ck_assert_uint_eq(c.gets[TRACE_HEAD], 1);
    ck_assert_uint_eq(c.gets[TRACE_SESSION], 1);
    ck_assert_uint_eq(sum(c.gets), 3);
    ck_assert_uint_eq(c.puts[TRACE_SESSION], 1);
    ck_assert_uint_eq(sum(c.puts), 3);
    ck_assert_uint_eq(sum(c.deletes), 1);
    ck_assert_int_eq(answer_of(&d, request).verdict, VERDICT_LANDED);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        test_a_session_lands,
        test_series_whose_third_conflicts,
        test_series_builds_on_itself,
        test_series_done_again_keeps_its_answers,
        test_retry_keeps_its_answer,
        test_two_copies_land_once,
        test_second_request_about_a_landed_session_is_refused,
        test_open_session_is_folded_and_lands,
        test_open_session_stays_open_after_a_conflict,
        test_land_lands_exactly_its_records,
        test_land_waits_for_its_records,
        test_lands_that_never_come_true,
        test_late_operation_of_a_landed_session,
        test_abandon_against_land,
        test_foreign_records_are_dropped,
        test_unreadable_project_holds_nobody_up,
        test_damaged_queue_object_stays,
        test_requests_of_a_batch,
        test_append_after_landing_reads_no_tree_object,
        test_requests_of_a_batch_beside_one_that_waits,
        test_wait_ends_when_the_session_is_closed,
        test_requests_of_a_session_with_an_object,
    };
    Suite *suite = suite_create("land");
    TCase *tcase = tcase_create("land");
    tcase_add_checked_fixture(tcase, setup, teardown);
    for (size_t i = 0; i < ARRAY_LEN(tests); i++)
        tcase_add_test(tcase, tests[i]);
    tcase_add_loop_test(tcase, test_requests_of_batches_that_are_cut, 1, 14);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
