/* Has it been answered already? What a drain reads to know, and that no batch waits for it. */
#include <check.h>
#include <stdlib.h>

#include "formats/key.h"
#include "pipeline/repo/chain.h"
#include "tests/support/drain_rig.h"
#include "tests/support/long_history.h"

static struct drain_rig rig; /* its drain remembers nothing of what the other one has landed */

static void setup(void)
{
    drain_rig_open(&rig);
}

static void teardown(void)
{
    drain_rig_close(&rig);
}

static struct id16 submit(struct draft *d, const char *name, uint64_t base)
{
    *d = draft_open(&rig.f, "ann", name, base);
    draft_write(d, name, "1", NULL);
    return forge_submit(&rig.f, d, 1);
}

static struct trace_counts run_counts(void)
{
    trace_store_counts(rig.f.trace, true);
    ck_assert_int_gt(rig.drain.land->run(rig.drain.land), 0);
    return trace_store_counts(rig.f.trace, true);
}

static struct landing answer_of(const struct draft *d, struct id16 request)
{
    return forge_answer(&rig.f, &d->session.id, &request);
}

/* A few older batches are read before the batch begins, and the head again after that. Once. */
START_TEST(test_near_look_up)
{
    drain_rig_land(&rig, "a", 10);
    struct draft d;
    struct id16 request = submit(&d, "near", 6);
    struct trace_counts c = run_counts();
    ck_assert_int_eq(answer_of(&d, request).verdict, VERDICT_LANDED);
    ck_assert_uint_eq(c.gets[TRACE_HEAD], 2);
    ck_assert_uint_eq(c.gets[TRACE_TREE], 5); /* the tip, and those of positions 6 to 9 */
    ck_assert_uint_eq(c.gets[TRACE_LOG], 0);
    ck_assert_uint_eq(c.lists, 1);
    request = submit(&d, "again", 7);
    c = run_counts();
    ck_assert_int_eq(answer_of(&d, request).verdict, VERDICT_LANDED);
    ck_assert_uint_eq(c.gets[TRACE_HEAD], 1);
    ck_assert_uint_eq(c.gets[TRACE_TREE], 0);
}
END_TEST

/* Other drains' batches that came while older ones were read are not forgotten. */
static struct draft crossed;
static struct id16 crossed_request;

static void other_drain_lands(void)
{
    forge_drain(&rig.f);
}

START_TEST(test_head_moves_during_a_look_up)
{
    drain_rig_land(&rig, "a", 10);
    const struct batch *batch;
    struct head head;
    ck_assert_int_eq(chain_head(&rig.f.repo, &rig.f.project, &head, NULL), OK);
    ck_assert_int_eq(chain_find(&rig.f.repo, &rig.f.project, &head, 8, &batch), OK);
    struct key key = key_tree(&rig.f.project, &batch->tree_hash);
    chain_drop(&rig.f.repo, batch);
    crossed_request = submit(&crossed, "crossed", 6);
    rig.meanwhile = other_drain_lands;
    drain_rig_refuse(&rig, STORE_GET, key.s);
    trace_store_counts(rig.f.trace, true);
    drain_rig_run(&rig);
    ck_assert_ptr_null(rig.meanwhile);
    ck_assert_uint_eq(forge_answers(&rig.f, &crossed.session.id, &crossed_request), 1);
    ck_assert_uint_eq(trace_store_counts(rig.f.trace, true).puts[TRACE_HEAD], 1);
    ck_assert_uint_eq(forge_position(&rig.f), 11);
    ck_assert_uint_eq(forge_count(&rig.f, "queue/"), 0);
}
END_TEST

/* Who is far back lands after the others, though it asked before them, and in a batch of its
 * own. */
START_TEST(test_far_look_up_waits_outside_the_batch)
{
    drain_rig_land(&rig, "a", 100);
    struct draft far[2];
    struct draft near;
    struct id16 far_request[2] = {submit(&far[0], "far0", 3), submit(&far[1], "far1", 2)};
    struct id16 near_request = submit(&near, "near", 99);
    struct trace_counts c = run_counts();
    ck_assert_uint_eq(answer_of(&near, near_request).position, 101);
    ck_assert_uint_eq(answer_of(&far[0], far_request[0]).position, 102);
    ck_assert_uint_eq(answer_of(&far[1], far_request[1]).position, 103);
    ck_assert_uint_eq(c.puts[TRACE_HEAD], 2);
    ck_assert_uint_eq(forge_count(&rig.f, "queue/"), 0);
}
END_TEST

/* A series waits whole where one of its sessions is far back. */
START_TEST(test_far_look_up_and_a_series)
{
    drain_rig_land(&rig, "a", 100);
    struct draft s[3];
    static const uint64_t bases[3] = {99, 4, 99};
    for (int i = 0; i < 3; i++) {
        s[i] = draft_open(&rig.f, "ann", arena_printf(&rig.f.arena, "s%d", i), bases[i]);
        draft_write(&s[i], arena_printf(&rig.f.arena, "s%d", i), "1", NULL);
    }
    struct id16 request = forge_submit(&rig.f, s, 3);
    drain_rig_run(&rig);
    for (int i = 0; i < 3; i++)
        ck_assert_uint_eq(answer_of(&s[i], request).position, 101 + (uint64_t)i);
    ck_assert_uint_eq(forge_count(&rig.f, "queue/"), 0);
}
END_TEST

/* What is far back cannot be read for a while: the others go on, and nothing is landed or
 * folded of which nobody knows whether it was answered. */
START_TEST(test_far_look_up_that_fails_for_a_while)
{
    struct draft gone = draft_open(&rig.f, "ann", "gone", 0);
    draft_write(&gone, "gone", "1", NULL);
    (void)forge_submit(&rig.f, &gone, 1);
    drain_rig_land(&rig, "a", 205);
    struct stage *append = stage_append_open(&rig.f.repo);
    while (append->run(append) > 0)
        continue;
    append->close(append);
    struct key key = key_log(&rig.f.project, 1, 101);
    drain_rig_refuse(&rig, STORE_GET, key.s);
    struct draft far;
    struct draft near;
    struct id16 far_request = submit(&far, "far", 3);
    struct id16 near_request = submit(&near, "near", 204);
    forge_write(&rig.f, &gone);
    drain_rig_pass(&rig, 31000);
    for (int i = 0; i < 3; i++)
        (void)!rig.drain.land->run(rig.drain.land);
    ck_assert_int_eq(rig.drain.land->run(rig.drain.land), ERR_AGAIN);
    ck_assert_int_eq(answer_of(&near, near_request).verdict, VERDICT_LANDED);
    ck_assert_uint_eq(forge_answers(&rig.f, &far.session.id, &far_request), 0);
    ck_assert_uint_eq(forge_count(&rig.f, "queue/"), 2);
    rig.refused[0] = '\0';
    trace_store_counts(rig.f.trace, true);
    drain_rig_run(&rig);
    ck_assert_int_eq(answer_of(&far, far_request).verdict, VERDICT_LANDED);
    ck_assert_uint_eq(trace_store_counts(rig.f.trace, true).puts[TRACE_SESSION], 0);
    ck_assert_uint_eq(forge_count(&rig.f, "queue/"), 0);
}
END_TEST

/* Writes that are due are folded only when it is known that their session was not answered. */
START_TEST(test_far_look_up_before_a_fold)
{
    struct draft gone = draft_open(&rig.f, "ann", "gone", 0);
    draft_write(&gone, "gone", "1", NULL);
    struct draft written = gone;
    (void)forge_submit(&rig.f, &written, 1);
    forge_drain(&rig.f);
    drain_rig_land(&rig, "a", 100);
    forge_write(&rig.f, &gone);
    struct draft open = draft_open(&rig.f, "ann", "open", 0);
    draft_write(&open, "open", "1", NULL);
    struct draft opened = open;
    forge_write(&rig.f, &opened);
    drain_rig_pass(&rig, 31000);
    drain_rig_run(&rig);
    ck_assert_int_eq(drain_rig_state(&rig, &open), SESSION_OPEN);
    struct key prefix = key_session_prefix(&rig.f.project);
    ck_assert_uint_eq(forge_count(&rig.f, prefix.s), 1);
    ck_assert_uint_eq(forge_count(&rig.f, "queue/"), 0);
}
END_TEST

/* ---- a million landings back ---- */

/* Requests of a process that has just started, to land one session with this base in a history
 * of so many landings. */
static uint64_t land_requests(uint64_t landings, uint64_t base)
{
    struct build_chain bc;
    struct forge f;
    build_chain_init(&bc);
    long_history_put(&bc, landings, 10);
    struct forge first = {.trace = bc.trace, .project = bc.project};
    first.clock.ms = bc.clock.wall_ms(&bc.clock);
    forge_join(&f, &first, NULL);
    f.land->close(f.land);
    f.land_options.shard_end = 4; /* of the bucket */
    f.land = stage_land_open(&f.repo, &f.land_options);
    struct draft d = draft_open(&f, "ann", "asked", base);
    draft_write(&d, "asked", "1", NULL);
    struct id16 request = forge_submit(&f, &d, 1);
    trace_store_counts(bc.trace, true);
    ck_assert_int_ge(forge_drain(&f), 0);
    struct trace_counts c = trace_store_counts(bc.trace, true);
    uint64_t n = c.lists;
    for (unsigned kind = 0; kind < TRACE_KINDS; kind++)
        n += c.gets[kind] + c.puts[kind] + c.deletes[kind];
    ck_assert_int_eq(forge_answer(&f, &d.session.id, &request).verdict, VERDICT_LANDED);
    ck_assert_uint_eq(forge_answers(&f, &d.session.id, &request), 1);
    forge_release(&f);
    build_chain_release(&bc);
    return n;
}

START_TEST(test_a_base_a_million_landings_back_costs_a_few_requests)
{
    static const uint64_t landings[] = {2636399, 1999999, 1010101};
    for (size_t i = 0; i < ARRAY_LEN(landings); i++) {
        uint64_t fresh = land_requests(landings[i], landings[i]);
        uint64_t old = land_requests(landings[i], landings[i] - 1000000);
        ck_assert_msg(old <= fresh + 30, "head %llu: %llu, fresh %llu",
                      (unsigned long long)landings[i], (unsigned long long)old,
                      (unsigned long long)fresh);
    }
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        test_near_look_up,
        test_head_moves_during_a_look_up,
        test_far_look_up_waits_outside_the_batch,
        test_far_look_up_and_a_series,
        test_far_look_up_that_fails_for_a_while,
        test_far_look_up_before_a_fold,
        test_a_base_a_million_landings_back_costs_a_few_requests,
    };
    Suite *suite = suite_create("land_history");
    TCase *tcase = tcase_create("land_history");
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
