/* Landing among damage: it concerns whoever needs what is damaged, and nobody else. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "formats/base/limits.h"
#include "formats/key.h"
#include "pipeline/repo/chain.h"
#include "pipeline/repo/intake/pending.h"
#include "pipeline/repo/tree/dir_pages.h"
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

/* --- damaged history --- */

/* Whether a session with an old base was answered lies in what cannot be read: it alone is put
 * aside, without an answer. */
START_TEST(test_damaged_old_batch_concerns_who_asks_so_far_back)
{
    drain_rig_land(&rig, "a", 2);
    drain_rig_damage_tip(&rig);
    drain_rig_land(&rig, "b", 3);
    struct draft old[2] = {draft_open(&rig.f, "ann", "old", 0),
                           draft_open(&rig.f, "ann", "old2", 0)};
    draft_write(&old[0], "old", "1", NULL);
    draft_write(&old[1], "old2", "1", NULL);
    (void)forge_submit(&rig.f, old, 2);
    struct draft young = draft_open(&rig.f, "ben", "young", 5);
    draft_write(&young, "young", "1", NULL);
    struct id16 request = forge_submit(&rig.f, &young, 1);
    drain_rig_run(&rig);
    ck_assert_int_eq(forge_answer(&rig.f, &young.session.id, &request).verdict, VERDICT_LANDED);
    ck_assert_ptr_null(forge_text(&rig.f, "old"));
    ck_assert_ptr_null(forge_text(&rig.f, "old2"));
    ck_assert_uint_eq(forge_count(&rig.f, "queue/0000/"), 0);
    ck_assert_uint_eq(forge_count(&rig.f, "queue/dead/"), 2);
}
END_TEST

/* So are writes to an open session that are due to be folded. */
START_TEST(test_damaged_old_batch_and_a_fold)
{
    drain_rig_land(&rig, "a", 2);
    drain_rig_damage_tip(&rig);
    drain_rig_land(&rig, "b", 3);
    struct draft old = draft_open(&rig.f, "ann", "old", 0);
    draft_write(&old, "old", "1", NULL);
    forge_write(&rig.f, &old);
    struct draft young = draft_open(&rig.f, "ben", "young", 5);
    draft_write(&young, "young", "1", NULL);
    forge_write(&rig.f, &young);
    drain_rig_pass(&rig, 31000);
    drain_rig_run(&rig);
    ck_assert_uint_eq(forge_count(&rig.f, "queue/0000/"), 0);
    ck_assert_uint_eq(forge_count(&rig.f, "queue/dead/"), 1);
    ck_assert_int_eq(drain_rig_state(&rig, &young), SESSION_OPEN);
}
END_TEST

/* A drain that was behind goes on from the head when what it has missed cannot be read. */
START_TEST(test_damaged_batch_above_the_window)
{
    forge_land_text(&rig.drain, "first", "first", "1", NULL);
    drain_rig_land(&rig, "a", 2);
    drain_rig_damage_tip(&rig);
    drain_rig_land(&rig, "b", 2);
    struct draft young = draft_open(&rig.f, "ben", "young", 5);
    draft_write(&young, "young", "1", NULL);
    struct id16 request = forge_submit(&rig.f, &young, 1);
    drain_rig_run(&rig);
    ck_assert_int_eq(forge_answer(&rig.f, &young.session.id, &request).verdict, VERDICT_LANDED);
    ck_assert_uint_eq(forge_count(&rig.f, "queue/"), 0);
}
END_TEST

/* The log is derived: where it is damaged the chain tells. */
START_TEST(test_damaged_log_is_no_damaged_project)
{
    struct draft late = draft_open(&rig.f, "ann", "late", 0);
    draft_write(&late, "late", "1", "not so");
    struct id16 request = forge_submit(&rig.f, &late, 1);
    forge_drain(&rig.f);
    drain_rig_land(&rig, "a", 205);
    struct stage *append = stage_append_open(&rig.f.repo);
    while (append->run(append) > 0)
        continue;
    append->close(append);
    struct key key = key_log(&rig.f.project, 1, 101);
    drain_rig_damage(&rig, key.s, 20);
    forge_submit(&rig.f, &late, 1);
    struct draft other = draft_open(&rig.f, "ben", "other", 0);
    draft_write(&other, "other", "1", NULL);
    struct id16 second = forge_submit(&rig.f, &other, 1);
    drain_rig_run(&rig);
    ck_assert_uint_eq(forge_answers(&rig.f, &late.session.id, &request), 1);
    ck_assert_int_eq(forge_answer(&rig.f, &other.session.id, &second).verdict, VERDICT_LANDED);
    ck_assert_uint_eq(forge_count(&rig.f, "queue/"), 0);
}
END_TEST

/* And where the chain is damaged the log does. */
START_TEST(test_log_tells_what_a_damaged_batch_does_not)
{
    struct draft late = draft_open(&rig.f, "ann", "late", 0);
    draft_write(&late, "late", "1", "not so");
    struct id16 request = forge_submit(&rig.f, &late, 1);
    forge_drain(&rig.f);
    drain_rig_land(&rig, "a", 110);
    struct stage *append = stage_append_open(&rig.f.repo);
    while (append->run(append) > 0)
        continue;
    append->close(append);
    const struct batch *batch;
    struct head head;
    ck_assert_int_eq(chain_head(&rig.f.repo, &rig.f.project, &head, NULL), OK);
    ck_assert_int_eq(chain_find(&rig.f.repo, &rig.f.project, &head, 90, &batch), OK);
    struct key key = key_tree(&rig.f.project, &batch->tree_hash);
    chain_drop(&rig.f.repo, batch);
    drain_rig_damage(&rig, key.s, 20);
    forge_submit(&rig.f, &late, 1);
    drain_rig_run(&rig);
    ck_assert_uint_eq(forge_answers(&rig.f, &late.session.id, &request), 1);
    ck_assert_ptr_null(forge_text(&rig.f, "late"));
    ck_assert_uint_eq(forge_count(&rig.f, "queue/"), 0);
}
END_TEST

/* --- damaged pages --- */

enum { names_wide = 24000, leaves_hurt = 9, good_max = 60 };

/* Damages leaves 0, 2, 4 … of the directory d; gives the first names of leaves 1, 3, 5 … */
static void leaves_damage(struct bytes *names)
{
    struct tree tree = forge_tree(&rig.f);
    struct entry dir;
    struct dir_pages pages;
    ck_assert_int_eq(tree_find(&tree, bytes_str("d"), &rig.f.arena, &dir), OK);
    ck_assert_int_eq(dir_pages_open(&pages, &rig.f.repo, &rig.f.project, &dir), OK);
    ck_assert_int_eq(dir_pages_flatten(&pages, &rig.f.arena), OK);
    ck_assert_uint_ge(pages.n[0], 2 * leaves_hurt);
    for (size_t i = 0; i < leaves_hurt; i++) {
        const struct location *where = &pages.at[0][2 * i].says->where;
        struct key key = key_tree(&rig.f.project, &where->tree);
        AUTO_BUF bytes = {0};
        ck_assert_int_eq(store_get(rig.f.mem, key.s, range_all(), &bytes, NULL, NULL), OK);
        bytes.data[where->offset + where->len / 2] ^= 1;
        ck_assert_int_eq(store_put(rig.f.mem, key.s, buf_bytes(&bytes), PUT_ANY, NULL), OK);
        names[i] = arena_copy(&rig.f.arena, pages.at[0][2 * i + 1].says->name);
    }
    dir_pages_release(&pages);
}

/* A page that only the making of new pages needs: who needs it is refused, and found without a
 * batch for each of the others. */
START_TEST(test_damaged_page_beside_a_change)
{
    struct draft wide = draft_open(&rig.f, "ann", "wide", 0);
    for (int i = 0; i < names_wide; i++)
        draft_write(&wide, arena_printf(&rig.f.arena, "d/a-name-of-some-length-%05d", i), "1",
                    NULL);
    forge_submit(&rig.f, &wide, 1);
    forge_drain(&rig.f);
    ck_assert_uint_eq(forge_position(&rig.f), 1);
    struct bytes names[leaves_hurt];
    leaves_damage(names);
    struct draft bad[leaves_hurt];
    struct draft good[good_max];
    struct id16 asked_bad[leaves_hurt];
    struct id16 asked_good[good_max];
    for (int i = 0; i < good_max; i++) {
        good[i] = draft_open(&rig.f, "ben", arena_printf(&rig.f.arena, "good%d", i), 1);
        draft_write(&good[i], arena_printf(&rig.f.arena, "e/%d", i), "1", NULL);
        asked_good[i] = forge_submit(&rig.f, &good[i], 1);
        if (i < leaves_hurt) {
            bad[i] = draft_open(&rig.f, "eve", arena_printf(&rig.f.arena, "bad%d", i), 1);
            draft_delete(&bad[i],
                         arena_printf(&rig.f.arena, "d/%.*s", (int)names[i].len, names[i].data),
                         "1");
            asked_bad[i] = forge_submit(&rig.f, &bad[i], 1);
        }
    }
    trace_store_counts(rig.f.trace, true);
    drain_rig_run(&rig);
    ck_assert_uint_lt(trace_store_counts(rig.f.trace, true).puts[TRACE_HEAD],
                      2 * leaves_hurt + 20);
    for (int i = 0; i < good_max; i++)
        ck_assert_int_eq(forge_answer(&rig.f, &good[i].session.id, &asked_good[i]).verdict,
                         VERDICT_LANDED);
    for (int i = 0; i < leaves_hurt; i++) {
        struct landing landing = forge_answer(&rig.f, &bad[i].session.id, &asked_bad[i]);
        ck_assert_int_eq(landing.verdict, VERDICT_REFUSED);
        ck_assert(bytes_equal(landing.reason, bytes_str("damaged")));
    }
    ck_assert_uint_eq(forge_count(&rig.f, "queue/"), 0);
}
END_TEST

/* --- damaged session objects --- */

/* An open session in an object; the object is then made unreadable, in one of two ways. */
static struct draft damaged_session(bool limit)
{
    struct draft d = draft_open(&rig.f, "ann", "hurt", 0);
    draft_write(&d, "before", "1", NULL);
    struct draft written = d;
    forge_write(&rig.f, &written);
    drain_rig_pass(&rig, 31000);
    drain_rig_run(&rig);
    struct key key = key_session(&rig.f.project, &d.session.id);
    if (!limit) {
        drain_rig_damage(&rig, key.s, 0);
        return d;
    }
    struct session session = d.session;
    session.base = BASE_END; /* a valid object that says what none may say */
    session.n_records = 0;
    AUTO_BUF bytes = {0};
    session_encode(&session, &bytes);
    ck_assert_int_eq(store_put(rig.f.mem, key.s, buf_bytes(&bytes), PUT_ANY, NULL), OK);
    return d;
}

START_TEST(test_damaged_session_object_and_a_land)
{
    struct draft d = damaged_session(_i == 1);
    struct id16 ids[2];
    size_t n = draft_ids(&d, ids);
    struct id16 land = forge_land(&rig.f, &d, ids, n);
    struct draft other = draft_open(&rig.f, "ben", "other", 0);
    draft_write(&other, "other", "1", NULL);
    struct id16 request = forge_submit(&rig.f, &other, 1);
    drain_rig_run(&rig);
    ck_assert_int_eq(forge_answer(&rig.f, &other.session.id, &request).verdict, VERDICT_LANDED);
    ck_assert_uint_eq(forge_answers(&rig.f, &d.session.id, &land), 0);
    drain_rig_pass(&rig, 61000);
    drain_rig_run(&rig);
    struct landing landing = forge_answer(&rig.f, &d.session.id, &land);
    ck_assert_int_eq(landing.verdict, VERDICT_REFUSED);
    ck_assert_uint_eq(forge_count(&rig.f, "queue/"), 0);
}
END_TEST

START_TEST(test_damaged_session_object_and_more_writes)
{
    struct draft d = damaged_session(_i == 1);
    d.session.records = NULL;
    d.session.n_records = 0;
    d.cap = 0;
    draft_write(&d, "after", "1", NULL);
    forge_write(&rig.f, &d);
    drain_rig_pass(&rig, 31000);
    drain_rig_run(&rig);
    ck_assert_uint_eq(forge_count(&rig.f, "queue/0000/"), 0);
    ck_assert_uint_eq(forge_count(&rig.f, "queue/dead/"), 1);
}
END_TEST

/* An operator may want to look at it; the answer is in the chain. */
START_TEST(test_damaged_session_object_stays)
{
    struct draft d = damaged_session(_i == 1);
    struct draft again = d; /* all of it came once more, as after a repair */
    struct draft late = d;
    struct key key = key_session(&rig.f.project, &d.session.id);
    AUTO_BUF before = {0};
    ck_assert_int_eq(store_get(rig.f.mem, key.s, range_all(), &before, NULL, NULL), OK);
    forge_write(&rig.f, &again);
    struct id16 abandon = forge_abandon(&rig.f, &d);
    drain_rig_run(&rig);
    ck_assert_int_eq(forge_answer(&rig.f, &d.session.id, &abandon).verdict, VERDICT_ABANDONED);
    ck_assert_uint_eq(forge_count(&rig.f, "queue/"), 0);
    AUTO_BUF after = {0};
    ck_assert_int_eq(store_get(rig.f.mem, key.s, range_all(), &after, NULL, NULL), OK);
    ck_assert(bytes_equal(buf_bytes(&after), buf_bytes(&before)));
    struct session_current current;
    ck_assert_int_eq(
        session_read(&rig.drain.repo, &rig.f.project, &d.session.id, &rig.f.arena, &current),
        OK);
    ck_assert_int_eq(current.session.state, SESSION_ABANDONED);
    /* It takes no more records either. */
    forge_write(&rig.f, &late);
    drain_rig_pass(&rig, 31000);
    drain_rig_run(&rig);
    ck_assert_uint_eq(forge_count(&rig.f, "queue/"), 0);
}
END_TEST

/* A record that is put aside, under a name that garbage has: both stay. */
START_TEST(test_name_of_the_dead_is_taken)
{
    struct draft lost = draft_open(&rig.f, "eve", "lost", 0);
    draft_write(&lost, "a", "1", NULL);
    lost.session.project.b[0] ^= 1;
    struct store_list list;
    struct key prefix = key_dead_prefix();
    const char *taken = NULL;
    for (unsigned i = 0; i < 3; i++) {
        /* The same object under the same name: the same name for what comes of it. */
        uint64_t hlc = rig.f.repo.hlc;
        uint64_t seq = rig.f.seq;
        (void)forge_submit(&rig.f, &lost, 1);
        drain_rig_run(&rig);
        ck_assert_uint_eq(forge_count(&rig.f, "queue/0000/"), 0);
        rig.f.repo.hlc = hlc;
        rig.f.seq = seq;
        ck_assert_int_eq(store_list(rig.f.mem, &rig.f.arena, prefix.s, "", 10, &list), OK);
        ck_assert_uint_eq(list.n, i == 2 ? 2 : 1);
        if (taken == NULL)
            taken = list.keys[0].key;
        if (i == 1)
            ck_assert_int_eq(store_put(rig.f.mem, taken, bytes_str("garbage"), PUT_ANY, NULL),
                             OK);
    }
    AUTO_BUF there = {0};
    ck_assert_int_eq(store_get(rig.f.mem, taken, range_all(), &there, NULL, NULL), OK);
    ck_assert(bytes_equal(buf_bytes(&there), bytes_str("garbage")));
    there.len = 0;
    const char *aside = list.keys[strcmp(list.keys[0].key, taken) == 0 ? 1 : 0].key;
    ck_assert_int_eq(store_get(rig.f.mem, aside, range_all(), &there, NULL, NULL), OK);
    struct queue_object object;
    ck_assert_int_eq(queue_object_decode(buf_bytes(&there), &rig.f.arena, &object), OK);
    ck_assert(id16_equal(&object.groups[0].session, &lost.session.id));
}
END_TEST

/* Records of a session that nobody ever starts. */
START_TEST(test_records_without_a_start)
{
    struct draft d = draft_open(&rig.f, "ann", "never", 0);
    d.session.records = NULL;
    d.session.n_records = 0;
    d.cap = 0;
    draft_write(&d, "a", "1", NULL);
    forge_write(&rig.f, &d);
    drain_rig_pass(&rig, 31000);
    drain_rig_run(&rig);
    ck_assert_uint_eq(forge_count(&rig.f, "queue/0000/"), 1); /* it may be on the way */
    drain_rig_pass(&rig, 60000);
    drain_rig_run(&rig);
    ck_assert_uint_eq(forge_count(&rig.f, "queue/0000/"), 0);
    ck_assert_uint_eq(forge_count(&rig.f, "queue/dead/"), 1);
}
END_TEST

/* One damaged session object hides no other session. */
START_TEST(test_list_with_a_damaged_session)
{
    struct draft hurt = damaged_session(_i == 1);
    struct draft d = draft_open(&rig.f, "ben", "well", 0);
    struct draft written = d;
    forge_write(&rig.f, &written);
    drain_rig_pass(&rig, 31000);
    drain_rig_run(&rig);
    struct session_list list;
    static const struct id16 first;
    ck_assert_int_eq(
        session_list(&rig.drain.repo, &rig.f.project, &first, 10, &rig.f.arena, &list), OK);
    ck_assert_uint_eq(list.n, 1);
    ck_assert(id16_equal(&list.sessions[0].id, &d.session.id));
    ck_assert(!id16_equal(&hurt.session.id, &d.session.id));
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        test_damaged_old_batch_concerns_who_asks_so_far_back,
        test_damaged_old_batch_and_a_fold,
        test_damaged_batch_above_the_window,
        test_damaged_log_is_no_damaged_project,
        test_log_tells_what_a_damaged_batch_does_not,
        test_damaged_page_beside_a_change,
        test_name_of_the_dead_is_taken,
        test_records_without_a_start,
    };
    Suite *suite = suite_create("land_damage");
    TCase *tcase = tcase_create("land_damage");
    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, setup, teardown);
    for (size_t i = 0; i < ARRAY_LEN(tests); i++)
        tcase_add_test(tcase, tests[i]);
    tcase_add_loop_test(tcase, test_damaged_session_object_and_a_land, 0, 2);
    tcase_add_loop_test(tcase, test_damaged_session_object_and_more_writes, 0, 2);
    tcase_add_loop_test(tcase, test_damaged_session_object_stays, 0, 2);
    tcase_add_loop_test(tcase, test_list_with_a_damaged_session, 0, 2);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
