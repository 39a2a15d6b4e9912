/* The window of answers: what it tells without a read, and what looking up costs. */
#include <check.h>
#include <stdlib.h>

#include "formats/key.h"
#include "pipeline/repo/history/answered.h"
#include "tests/support/drain_rig.h"

/* The bucket and its history; and another process that remembers nothing of it. */
static struct drain_rig rig;
static struct forge *f;
static struct repo *fresh;
static struct answered *answered;

static void setup(void)
{
    drain_rig_open(&rig);
    f = &rig.f;
    fresh = &rig.drain.repo;
    answered = answered_open(fresh, &f->project);
}

static void teardown(void)
{
    answered_close(answered);
    drain_rig_close(&rig);
}

static void advance(void)
{
    struct head head;
    const struct batch *tip;
    ck_assert_int_eq(chain_head(fresh, &f->project, &head, NULL), OK);
    ck_assert_int_eq(chain_tip(fresh, &f->project, &head, &tip), OK);
    ck_assert_int_eq(answered_advance(answered, tip), OK);
    chain_drop(fresh, tip);
}

/* One that can only conflict. */
static struct draft draft_at(const char *key, uint64_t base)
{
    struct draft d = draft_open(f, "ann", key, base);
    draft_write(&d, key, "1", "not so");
    return d;
}

static bool tells(const struct draft *d, struct id16 request, struct answer *out)
{
    return answered_find(answered, &d->session.id, &request, out);
}

static void log_make(void)
{
    struct stage *append = stage_append_open(&f->repo);
    while (append->run(append) > 0)
        continue;
    append->close(append);
}

static uint64_t reads(enum trace_kind kind)
{
    return trace_store_counts(f->trace, false).gets[kind];
}

/* --- the index --- */

static struct id16 id_of(unsigned what, unsigned number)
{
    struct id16 id = {0};
    id.b[0] = (uint8_t)what;
    memcpy(id.b + 8, &number, sizeof(number));
    return id;
}

START_TEST(test_index_of_many_answers_to_one_session)
{
    struct answer_index index = {0};
    struct answer answer;
    struct id16 session = id_of(1, 0);
    struct id16 other = id_of(1, 1);
    struct id16 request;
    ck_assert(!answer_index_find(&index, &session, &session, &answer));
    enum { n = 3000 };
    for (unsigned i = 0; i < n; i++) {
        request = id_of(2, i);
        answer_index_add(&index, &session, &request,
                         i % 2 == 0 ? VERDICT_CONFLICTED : VERDICT_REFUSED, false);
        answer_index_add(&index, &session, &request, VERDICT_LANDED, false); /* a copy */
    }
    ck_assert_uint_eq(index.n, n);
    for (unsigned i = 0; i < n; i++) {
        request = id_of(2, i);
        ck_assert(!answer_index_find(&index, &session, &request, &answer));
        ck_assert(answer.answered && !answer.closed);
        ck_assert_int_eq(answer.verdict, i % 2 == 0 ? VERDICT_CONFLICTED : VERDICT_REFUSED);
        (void)answer_index_find(&index, &other, &request, &answer);
        ck_assert(!answer.answered && !answer.closed);
    }
    request = id_of(2, n);
    answer_index_add(&index, &session, &request, VERDICT_LANDED, true);
    answer_index_complete(&index, &session);
    request = id_of(2, n + 1);
    ck_assert(answer_index_find(&index, &session, &request, &answer));
    ck_assert(!answer.answered && answer.closed);
    answer_index_release(&index);
}
END_TEST

/* An id of zeros is as good as any. */
START_TEST(test_index_of_zero_ids)
{
    struct answer_index index = {0};
    struct answer answer;
    struct id16 zero = {0};
    answer_index_add(&index, &zero, &zero, VERDICT_LANDED, true);
    for (unsigned i = 0; i < 2000; i++) {
        struct id16 id = id_of(1, i);
        (void)answer_index_find(&index, &id, &id, &answer);
        ck_assert(!answer.answered && !answer.closed);
        answer_index_complete(&index, &id);
        ck_assert(answer_index_find(&index, &id, &id, &answer));
        ck_assert(!answer.answered && !answer.closed);
    }
    (void)answer_index_find(&index, &zero, &zero, &answer);
    ck_assert(answer.answered && answer.closed);
    answer_index_release(&index);
}
END_TEST

/* --- near --- */

START_TEST(test_reach_reads_what_it_needs_and_find_nothing)
{
    struct draft old = draft_at("old", 0);
    struct id16 request = forge_submit(f, &old, 1);
    forge_drain(f);
    drain_rig_land(&rig, "a", 10);
    struct draft late = draft_at("late", 7);
    advance();
    trace_store_counts(f->trace, true);
    struct answer answer;
    struct id16 none = {0};
    ck_assert(!tells(&late, none, &answer));
    unsigned left = 64;
    ck_assert_int_eq(answered_reach(answered, 7, &left), OK);
    ck_assert_uint_eq(64 - left, 3); /* the batches of 7, 8, 9, beside the tip */
    ck_assert_uint_eq(reads(TRACE_TREE), 3);
    ck_assert(tells(&late, none, &answer));
    ck_assert(!answer.answered && !answer.closed);
    ck_assert(!tells(&old, request, &answer));
    ck_assert_int_eq(answered_reach(answered, 0, &left), OK);
    ck_assert(tells(&old, request, &answer));
    ck_assert(answer.answered && answer.closed);
    ck_assert_int_eq(answer.verdict, VERDICT_CONFLICTED);
    trace_store_counts(f->trace, true);
    ck_assert_int_eq(answered_reach(answered, 0, &left), OK);
    ck_assert_uint_eq(reads(TRACE_TREE), 0);
}
END_TEST

/* What is too far for the reads that are left is not tried again and again. */
START_TEST(test_too_far_is_remembered)
{
    drain_rig_land(&rig, "a", 20);
    advance();
    unsigned left = 5;
    trace_store_counts(f->trace, true);
    /* The tip names ancestors that lie too far back for so few. */
    ck_assert_int_eq(answered_reach(answered, 0, &left), OK);
    ck_assert_uint_eq(left, 5);
    ck_assert_uint_eq(reads(TRACE_TREE), 0);
    left = 64;
    ck_assert_int_eq(answered_reach(answered, 0, &left), OK);
    ck_assert_uint_eq(left, 64);
    left = 5;
    ck_assert_int_eq(answered_reach(answered, 13, &left), OK); /* who knows */
    ck_assert_uint_eq(left, 0);
    ck_assert_uint_eq(reads(TRACE_TREE), 5);
    left = 64;
    ck_assert_int_eq(answered_reach(answered, 13, &left), OK);
    ck_assert_uint_eq(left, 64);
    ck_assert_int_eq(answered_reach(answered, 14, &left), OK); /* this one is not */
    ck_assert_uint_lt(left, 64);
}
END_TEST

/* --- far --- */

enum { asked = 12 };
static struct draft far[asked];
static struct id16 far_request[asked];
static struct id16 far_ids[asked];

/* Conflicted at the very beginning and, one of them, at position 50; the last one has no
 * answer. In all 200 landings, and the log of them. */
static void far_make(void)
{
    for (int i = 0; i < asked; i++) {
        if (i == 6)
            drain_rig_land(&rig, "a", 50);
        far[i] = draft_at(arena_printf(&f->arena, "far%d", i), i == 6 ? 50 : 0);
        far_ids[i] = far[i].session.id;
        if (i + 1 < asked)
            far_request[i] = forge_submit(f, &far[i], 1);
        forge_drain(f);
    }
    drain_rig_land(&rig, "b", 150);
    log_make();
    advance();
}

static void far_is_told(void)
{
    for (int i = 0; i < asked; i++) {
        struct answer answer;
        ck_assert(tells(&far[i], far_request[i], &answer));
        ck_assert_int_eq(answer.answered, i + 1 < asked);
        ck_assert_int_eq(answer.closed, i + 1 < asked);
    }
}

/* Many sessions are looked up in one pass. */
START_TEST(test_look_up_of_many_costs_as_of_one)
{
    far_make();
    trace_store_counts(f->trace, true);
    ck_assert_int_eq(answered_look_up(answered, far_ids, 1, 1000), OK);
    uint64_t of_one = reads(TRACE_LOG);
    ck_assert_uint_gt(of_one, 0);
    trace_store_counts(f->trace, true);
    ck_assert_int_eq(answered_look_up(answered, far_ids, asked, 1000), OK);
    ck_assert_uint_eq(reads(TRACE_LOG), of_one);
    far_is_told();
    trace_store_counts(f->trace, true);
    ck_assert_int_eq(answered_look_up(answered, far_ids, asked, 1000), OK);
    struct trace_counts none = trace_store_counts(f->trace, true);
    ck_assert_uint_eq(none.lists + none.gets[TRACE_LOG] + none.gets[TRACE_TREE], 0);
}
END_TEST

/* In steps: who has been passed is told about at once, and in the end everybody is. New batches
 * between the steps change nothing. */
START_TEST(test_look_up_in_steps)
{
    far_make();
    struct draft nearer = draft_at("nearer", 70);
    struct id16 ids[asked + 1];
    memcpy(ids, far_ids, sizeof(far_ids));
    ids[asked] = nearer.session.id;
    struct answer answer;
    struct id16 none = {0};
    unsigned steps = 0;
    unsigned nearer_after = 0;
    while (!tells(&far[asked - 1], none, &answer)) {
        ck_assert_int_eq(answered_look_up(answered, ids, asked + 1, 10), OK);
        ck_assert_uint_lt(++steps, 30);
        if (nearer_after == 0 && tells(&nearer, none, &answer))
            nearer_after = steps;
        if (steps == 4) {
            forge_land_text(f, "between", "between", "1", NULL);
            advance();
        }
    }
    far_is_told();
    ck_assert_uint_ge(steps, 9);
    ck_assert_uint_ge(nearer_after, 3);
    ck_assert_uint_le(nearer_after, 6);
}
END_TEST

/* More answers under one position than a step takes. */
START_TEST(test_look_up_step_below_many_answers)
{
    far_make();
    for (int i = 0; i < 220; i++)
        ck_assert_int_eq(answered_look_up(answered, far_ids, asked, 1), OK);
    far_is_told();
}
END_TEST

/* A window that has grown too large is forgotten, but not under a look-up that goes on. */
START_TEST(test_trim)
{
    far_make();
    enum { n = 260000 };
    struct head head;
    ck_assert_int_eq(chain_head(fresh, &f->project, &head, NULL), OK);
    struct batch large = {.tree_hash = {{7}},
                          .footer = {.batch = UINT64_MAX,
                                     .first = head.position,
                                     .position = head.position,
                                     .prev = head.tree_hash,
                                     .n_records = n}};
    large.ids = arena_array(&f->arena, n, struct tree_id);
    for (unsigned i = 0; i < n; i++)
        large.ids[i] = (struct tree_id){
            .session = id_of(0xff, i), .request = id_of(2, i), .verdict = VERDICT_LANDED};
    struct id16 session = id_of(0xff, 5);
    struct id16 request = id_of(2, 5);
    struct answer answer;
    ck_assert_int_eq(answered_advance(answered, &large), OK);
    ck_assert_int_eq(answered_look_up(answered, far_ids, asked, 1), OK);
    answered_trim(answered);
    ck_assert(answered_find(answered, &session, &request, &answer));
    ck_assert(answer.answered);
    while (!tells(&far[0], far_request[0], &answer))
        ck_assert_int_eq(answered_look_up(answered, far_ids, asked, 1000), OK);
    far_is_told();
    answered_trim(answered);
    large.footer.n_records = 0; /* what is taken in again */
    ck_assert_int_eq(answered_advance(answered, &large), OK);
    (void)!answered_find(answered, &session, &request, &answer);
    ck_assert(!answer.answered);
    ck_assert(!tells(&far[asked - 1], (struct id16){0}, &answer));
}
END_TEST

/* Of a chain that goes on the newest answers stay, without a read. */
START_TEST(test_trim_keeps_the_newest)
{
    enum { n = 10000, batches = 8 };
    struct head head;
    struct answer answer;
    struct footer footer = {.n_records = n};
    struct tree_id *ids = arena_array(&f->arena, n, struct tree_id);
    advance();
    ck_assert_int_eq(chain_head(fresh, &f->project, &head, NULL), OK);
    footer.prev = head.tree_hash;
    for (unsigned b = 0; b < batches; b++) {
        struct hash tree = {{0xee, (uint8_t)b}};
        footer.batch = 1000 + b;
        footer.first = head.position + (uint64_t)b * n;
        footer.position = footer.first + n;
        for (unsigned i = 0; i < n; i++)
            ids[i] = (struct tree_id){.session = id_of((uint8_t)(0xe0 + b), i),
                                      .request = id_of(2, i),
                                      .verdict = VERDICT_LANDED,
                                      .closes = true};
        chain_remember(fresh, &f->project, &tree, &footer, ids, (struct bytes){0});
        footer.prev = tree;
    }
    const struct batch *tip;
    ck_assert_int_eq(chain_batch(fresh, &f->project, &footer.prev, &tip), OK);
    ck_assert_int_eq(answered_advance(answered, tip), OK);
    chain_drop(fresh, tip);
    trace_store_counts(f->trace, true);
    answered_trim(answered);
    for (unsigned b = 0; b < batches; b++) {
        struct id16 session = id_of((uint8_t)(0xe0 + b), n - 1);
        struct id16 request = id_of(2, n - 1);
        (void)!answered_find(answered, &session, &request, &answer);
        /* As many as half of what there may be, and the batch that this ends in. */
        ck_assert(answer.answered == (b >= batches - 3));
    }
    struct trace_counts c = trace_store_counts(f->trace, true);
    ck_assert_uint_eq(c.gets[TRACE_TREE], 0);
    /* And what they say of others is complete from there on, no further back. */
    struct draft young = draft_at("young", head.position + (batches - 3) * n + 1);
    struct draft old = draft_at("old", head.position + (batches - 3) * n);
    ck_assert(tells(&young, (struct id16){0}, &answer) && !answer.closed);
    ck_assert(!tells(&old, (struct id16){0}, &answer));
}
END_TEST

/* Damage to the log: the chain tells, in steps. To both: nobody can. */
START_TEST(test_look_up_in_a_damaged_log)
{
    far_make();
    struct key key = key_log(&f->project, 1, 101);
    drain_rig_damage(&rig, key.s, 20);
    struct answer answer;
    unsigned steps = 0;
    while (!tells(&far[0], far_request[0], &answer)) {
        ck_assert_int_eq(answered_look_up(answered, far_ids, asked, 1000), OK);
        ck_assert_uint_lt(++steps, 10);
        /* The log is asked once. */
        ck_assert(steps == 1 || reads(TRACE_LOG) == 0);
        trace_store_counts(f->trace, true);
    }
    ck_assert_uint_ge(steps, 2);
    far_is_told();
}
END_TEST

START_TEST(test_look_up_in_damaged_history)
{
    for (int i = 0; i < 2; i++) {
        struct draft d = draft_at(arena_printf(&f->arena, "d%d", i), 0);
        far_ids[i] = d.session.id;
    }
    drain_rig_land(&rig, "a", 5);
    drain_rig_damage_tip(&rig);
    drain_rig_land(&rig, "b", 5);
    advance();
    ck_assert_int_eq(answered_look_up(answered, far_ids, 2, 1000), ERR_CORRUPT);
    struct draft young = draft_at("young", 8);
    unsigned left = 64;
    struct answer answer;
    struct id16 none = {0};
    ck_assert_int_eq(answered_reach(answered, 8, &left), OK);
    ck_assert(tells(&young, none, &answer));
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        test_index_of_many_answers_to_one_session,
        test_index_of_zero_ids,
        test_reach_reads_what_it_needs_and_find_nothing,
        test_too_far_is_remembered,
        test_look_up_of_many_costs_as_of_one,
        test_look_up_in_steps,
        test_look_up_step_below_many_answers,
        test_trim,
        test_trim_keeps_the_newest,
        test_look_up_in_a_damaged_log,
        test_look_up_in_damaged_history,
    };
    Suite *suite = suite_create("answered");
    TCase *tcase = tcase_create("answered");
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
