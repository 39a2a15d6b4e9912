/* Two drains on one project: at the moment when one is about to put the head, the other does
 * its work. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "formats/key.h"
#include "pipeline/repo/chain.h"
#include "tests/support/faulty.h"
#include "tests/support/forge.h"
#include "tests/support/oracle.h"

static struct forge f;      /* the bucket, and whoever writes to the queue */
static struct forge first;  /* a drain over `faulty` */
static struct forge second; /* another one */
static struct store *faulty;
static struct oracle oracle;

/* What happens when `first` is about to put the head, or the object `awaited`: once. */
static void (*meanwhile)(void);
static char awaited[STORE_KEY_MAX + 1];

static void on_call(void *arg, uint64_t call, const struct store_op *op)
{
    (void)arg;
    (void)call;
    if (op == NULL || op->verb != STORE_PUT || meanwhile == NULL)
        return;
    if (awaited[0] == '\0' ? op->condition != PUT_IF_MATCH : strcmp(op->key, awaited) != 0)
        return;
    void (*now)(void) = meanwhile;
    meanwhile = NULL;
    now();
}

static void setup(void)
{
    forge_init(&f);
    forge_land_text(&f, "base", "p", "0", NULL);
    faulty = faulty_store_open(f.trace);
    forge_join(&first, &f, faulty);
    f.seq += 10;
    forge_join(&second, &f, NULL);
    faulty_watch(faulty, on_call, NULL);
    meanwhile = NULL;
    awaited[0] = '\0';
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

static struct draft s;
static struct id16 s_request;

static void second_drains(void)
{
    ck_assert_int_ge(forge_drain(&second), 0);
}

/* Schedule 8: a drain that found a conflict is slow; what it found is no answer until its head
 * put. */
static void p_goes_away(void)
{
    struct store_list list;
    AUTO_BUF kept = {0};
    ck_assert_int_eq(store_list(f.mem, &f.arena, "queue/", "", 10, &list), OK);
    ck_assert_uint_eq(list.n, 1);
    ck_assert_int_eq(store_get(f.mem, list.keys[0].key, range_all(), &kept, NULL, NULL), OK);
    /* The second drain does not see the request yet. */
    ck_assert_int_eq(store_delete(f.mem, list.keys[0].key), OK);
    forge_land_delete(&second, "y", "p", "0");
    ck_assert_int_eq(store_put(f.mem, list.keys[0].key, buf_bytes(&kept), PUT_IF_ABSENT, NULL),
                     OK);
    second_drains();
}

START_TEST(test_slow_conflict_is_no_answer)
{
    s = draft_open(&f, "ann", "s", 0);
    draft_write(&s, "p", "mine", NULL); /* it has seen p absent, and p is there */
    s_request = forge_submit(&f, &s, 1);
    meanwhile = p_goes_away;
    ck_assert_int_ge(forge_drain(&first), 0);
    ck_assert_int_eq(forge_answer(&f, &s.session.id, &s_request).verdict, VERDICT_LANDED);
    ck_assert_str_eq(forge_text(&f, "p"), "mine");
}
END_TEST

/* Schedule 9: a land and an abandon, each with a drain of its own. */
static struct id16 abandon_request;

static void second_abandons(void)
{
    abandon_request = forge_abandon(&second, &s);
    second_drains();
}

static int id_order(const void *a, const void *b)
{
    return id16_compare(a, b);
}

START_TEST(test_abandon_while_a_land_is_under_way)
{
    s = draft_open(&f, "ann", "s", 1);
    draft_write(&s, "q", "1", NULL);
    struct id16 ids[2] = {s.session.records[0].id, s.session.records[1].id};
    qsort(ids, 2, sizeof(ids[0]), id_order);
    forge_write(&f, &s);
    s_request = forge_land(&f, &s, ids, 2);
    meanwhile = second_abandons;
    ck_assert_int_ge(forge_drain(&first), 0);
    ck_assert_int_ge(forge_drain(&second), 0);
    struct landing land = forge_answer(&f, &s.session.id, &s_request);
    struct landing abandon = forge_answer(&f, &s.session.id, &abandon_request);
    bool landed = land.verdict == VERDICT_LANDED;
    ck_assert_int_eq(landed, forge_text(&f, "q") != NULL);
    ck_assert_int_eq(abandon.verdict, landed ? VERDICT_REFUSED : VERDICT_ABANDONED);
    ck_assert_uint_eq(forge_count(&f, "queue/"), 0);
}
END_TEST

/* Both drains take the same request; the one that comes second finds its answer. */
START_TEST(test_two_drains_one_request)
{
    s = draft_open(&f, "ann", "s", 1);
    draft_write(&s, "q", "1", NULL);
    s_request = forge_submit(&f, &s, 1);
    meanwhile = second_drains;
    ck_assert_int_ge(forge_drain(&first), 0);
    ck_assert_int_eq(forge_answer(&f, &s.session.id, &s_request).verdict, VERDICT_LANDED);
    ck_assert_uint_eq(forge_position(&f), 2);
    ck_assert_uint_eq(forge_count(&f, "queue/"), 0);
}
END_TEST

/* Schedule 31: something between us and the store repeats the put; the first one won, and we
 * are told of the second: conflict. */
static struct store_op repeated;

static void on_repeat(void *arg, uint64_t call, const struct store_op *op)
{
    bool *done = arg;
    (void)call;
    if (op == NULL || op->verb != STORE_PUT || op->condition != PUT_IF_MATCH || *done)
        return;
    *done = true;
    repeated = *op;
    ck_assert_int_eq(store_many(f.trace, &repeated, 1), OK);
}

START_TEST(test_own_win_told_as_conflict)
{
    bool done = false;
    faulty_watch(faulty, on_repeat, &done);
    s = draft_open(&f, "ann", "s", 1);
    draft_write(&s, "q", "1", NULL);
    s_request = forge_submit(&f, &s, 1);
    ck_assert_int_ge(forge_drain(&first), 0);
    ck_assert(done);
    ck_assert_int_eq(forge_answer(&f, &s.session.id, &s_request).verdict, VERDICT_LANDED);
    ck_assert_uint_eq(forge_position(&f), 2);
    ck_assert_uint_eq(forge_count(&f, "queue/"), 0);
}
END_TEST

/* Whoever in this process sees the new head at once reads nothing of its tree object. */
static bool head_seen;

static void on_head(void *arg, uint64_t call, const struct store_op *op)
{
    struct head head;
    (void)arg;
    (void)call;
    struct key key = key_head(&f.project);
    if (op == NULL || op->verb != STORE_PUT || strcmp(op->key, key.s) != 0)
        return;
    head_seen = true;
    ck_assert_int_eq(head_decode(op->data, &head), OK);
    (void)trace_store_counts(f.trace, true);
    const struct batch *batch;
    struct landing landing;
    struct entry entry;
    ck_assert_int_eq(chain_tip(&first.repo, &f.project, &head, &batch), OK);
    ck_assert_int_eq(chain_record(&first.repo, &f.project, batch, 0, &f.arena, &landing), OK);
    struct tree tree = chain_tree(&first.repo, &f.project, batch);
    ck_assert_int_eq(tree_find(&tree, bytes_str("q/r"), &f.arena, &entry), OK);
    chain_drop(&first.repo, batch);
    ck_assert_uint_eq(trace_store_counts(f.trace, true).gets[TRACE_TREE], 0);
}

START_TEST(test_new_head_is_known_before_it_is_there)
{
    head_seen = false;
    faulty_watch(faulty, on_head, NULL);
    s = draft_open(&f, "ann", "s", 1);
    draft_write(&s, "q/r", "1", NULL);
    forge_submit(&f, &s, 1);
    ck_assert_int_ge(forge_drain(&first), 0);
    ck_assert(head_seen);
}
END_TEST

/* Schedule 38: a late duplicate of a refused request, long after, before a drain that remembers
 * nothing. */
START_TEST(test_late_duplicate_of_a_refused_request)
{
    s = draft_open(&f, "ann", "s", 0);
    draft_write(&s, "p", "mine", NULL);
    s_request = forge_submit(&f, &s, 1);
    ck_assert_int_ge(forge_drain(&f), 0);
    ck_assert_int_eq(forge_answer(&f, &s.session.id, &s_request).verdict, VERDICT_CONFLICTED);
    forge_land_delete(&f, "gone", "p", "0"); /* it would land now */
    struct stage *append = stage_append_open(&f.repo);
    for (int i = 0; i < 210; i++)
        forge_land_text(&f, arena_printf(&f.arena, "m%d", i), arena_printf(&f.arena, "m/%d", i),
                        "x", NULL);
    while (append->run(append) > 0)
        continue;
    append->close(append);
    forge_submit(&f, &s, 1);
    ck_assert_int_ge(forge_drain(&second), 0);
    ck_assert_uint_eq(forge_answers(&f, &s.session.id, &s_request), 1);
    ck_assert_ptr_null(forge_text(&f, "p"));
    ck_assert_uint_eq(forge_count(&f, "queue/"), 0);
}
END_TEST

/* Schedule 34: the base is part of a session's id, so a retry with another base is another
 * session, and its look-up reaches down to its own base. */
START_TEST(test_same_key_with_a_newer_base)
{
    s = draft_open(&f, "ann", "key", 1);
    draft_delete(&s, "p", "0");
    s_request = forge_submit(&f, &s, 1);
    forge_drain(&f);
    struct draft again = draft_open(&f, "ann", "key", 2);
    ck_assert(!id16_equal(&again.session.id, &s.session.id));
    draft_delete(&again, "p", "0");
    struct id16 request = forge_submit(&f, &again, 1);
    forge_drain(&f);
    ck_assert_int_eq(forge_answer(&f, &again.session.id, &request).verdict, VERDICT_LANDED);
    ck_assert_ptr_null(forge_text(&f, "p"));
}
END_TEST

/* --- a batch that was overtaken --- */

/* Another drain commits something while the queue's objects are out of its sight. */
static void out_of_sight(void (*commits)(void))
{
    struct store_list list;
    ck_assert_int_eq(store_list(f.mem, &f.arena, "queue/", "", 10, &list), OK);
    struct buf *kept = arena_array(&f.arena, list.n, struct buf);
    for (size_t i = 0; i < list.n; i++) {
        ck_assert_int_eq(store_get(f.mem, list.keys[i].key, range_all(), &kept[i], NULL, NULL),
                         OK);
        ck_assert_int_eq(store_delete(f.mem, list.keys[i].key), OK);
    }
    commits();
    for (size_t i = 0; i < list.n; i++) {
        ck_assert_int_eq(
            store_put(f.mem, list.keys[i].key, buf_bytes(&kept[i]), PUT_IF_ABSENT, NULL), OK);
        buf_release(&kept[i]);
    }
}

static void q_is_taken(void)
{
    forge_land_text(&second, "first at q", "q", "theirs", NULL);
}

static void other_is_taken(void)
{
    forge_land_text(&second, "elsewhere", "other", "theirs", NULL);
}

static void second_takes_q(void)
{
    out_of_sight(q_is_taken);
}

static void second_takes_other(void)
{
    out_of_sight(other_is_taken);
}

/* A head put that was refused has answered nobody. */
START_TEST(test_refused_head_put_is_no_answer)
{
    s = draft_open(&f, "ann", "s", 1);
    draft_write(&s, "q", "mine", NULL);
    s_request = forge_submit(&f, &s, 1);
    meanwhile = second_takes_other;
    ck_assert_int_ge(forge_drain(&first), 0);
    ck_assert_int_eq(forge_answer(&f, &s.session.id, &s_request).verdict, VERDICT_LANDED);
    ck_assert_uint_eq(forge_position(&f), 3);
    ck_assert_str_eq(forge_text(&f, "q"), "mine");
}
END_TEST

/* It would have landed, and conflicts now: it stays open, with all that was written to it. */
START_TEST(test_session_that_lost_a_race_stays_open)
{
    s = draft_open(&f, "ann", "s", 1);
    draft_write(&s, "q", "mine", NULL);
    struct id16 ids[2] = {s.session.records[0].id, s.session.records[1].id};
    qsort(ids, 2, sizeof(ids[0]), id_order);
    forge_write(&f, &s);
    s_request = forge_land(&f, &s, ids, 2);
    meanwhile = second_takes_q;
    ck_assert_int_ge(forge_drain(&first), 0);
    struct landing landing = forge_answer(&f, &s.session.id, &s_request);
    conflict_is(&landing, CONFLICT_OPERATION, "q");
    ck_assert(!landing.closes);
    struct key key = key_session(&f.project, &s.session.id);
    AUTO_BUF bytes = {0};
    struct session object;
    ck_assert_int_eq(store_get(f.mem, key.s, range_all(), &bytes, NULL, NULL), OK);
    ck_assert_int_eq(session_decode(buf_bytes(&bytes), &f.arena, &object), OK);
    ck_assert_int_eq(object.state, SESSION_OPEN);
    ck_assert_uint_eq(object.n_records, 2);
}
END_TEST

/* --- two drains fold one session --- */

static void second_folds_more(void)
{
    draft_write(&s, "more", "2", NULL);
    forge_write(&second, &s);
    second.clock.ms += 62000;
    second_drains();
}

/* Whether it has an object already (1) or not (0): no drain puts back what the other has
 * added. */
START_TEST(test_two_drains_fold_one_session)
{
    s = draft_open(&f, "ann", "s", 1);
    if (_i == 1) {
        forge_write(&f, &s);
        f.clock.ms += 31000;
        ck_assert_int_ge(forge_drain(&f), 0);
    }
    draft_write(&s, "q", "1", NULL);
    forge_write(&f, &s);
    first.clock.ms = f.clock.ms + 31000;
    struct key key = key_session(&f.project, &s.session.id);
    (void)snprintf(awaited, sizeof(awaited), "%s", key.s);
    meanwhile = second_folds_more;
    ck_assert_int_ge(forge_drain(&first), 0);
    ck_assert_ptr_null(meanwhile);
    AUTO_BUF bytes = {0};
    struct session object;
    ck_assert_int_eq(store_get(f.mem, key.s, range_all(), &bytes, NULL, NULL), OK);
    ck_assert_int_eq(session_decode(buf_bytes(&bytes), &f.arena, &object), OK);
    ck_assert_int_eq(object.state, SESSION_OPEN);
    ck_assert_uint_eq(object.n_records, 3);
    ck_assert_uint_eq(forge_count(&f, "queue/"), 0);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        test_refused_head_put_is_no_answer,
        test_session_that_lost_a_race_stays_open,
        test_slow_conflict_is_no_answer,
        test_abandon_while_a_land_is_under_way,
        test_two_drains_one_request,
        test_own_win_told_as_conflict,
        test_new_head_is_known_before_it_is_there,
        test_late_duplicate_of_a_refused_request,
        test_same_key_with_a_newer_base,
    };
    Suite *suite = suite_create("land_race");
    TCase *tcase = tcase_create("land_race");
    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, setup, teardown);
    for (size_t i = 0; i < ARRAY_LEN(tests); i++)
        tcase_add_test(tcase, tests[i]);
    tcase_add_loop_test(tcase, test_two_drains_fold_one_session, 0, 2);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
