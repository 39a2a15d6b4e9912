/* The layer that lets stores fail must itself be right, for the sweep and the simulator believe
 * it. */
#include "tests/support/faulty.h"

#include <check.h>
#include <setjmp.h>

#include "pipeline/store/mem.h"
#include "tests/support/suite.h"

static struct store *below;
static struct store *faulty;

static void open_both(void)
{
    below = mem_store_open();
    faulty = faulty_store_open(below);
}

static void close_both(void)
{
    store_close(faulty);
    store_close(below);
}

static int put(const char *key)
{
    return store_put(faulty, key, bytes_str(key), PUT_ANY, NULL);
}

static bool is_there(const char *key)
{
    return store_get(below, key, range_none(), NULL, NULL, NULL) == OK;
}

START_TEST(a_plan_hits_its_call_only)
{
    static const struct {
        enum fault fault;
        int err;
        bool happens;
    } ways[] = {
        {FAULT_NONE, OK, true},
        {FAULT_AGAIN, ERR_AGAIN, false},
        {FAULT_UNKNOWN_DONE, ERR_UNKNOWN, true},
        {FAULT_UNKNOWN_LOST, ERR_UNKNOWN, false},
    };
    for (size_t i = 0; i < ARRAY_LEN(ways); i++) {
        open_both();
        faulty_plan(faulty, 2, ways[i].fault);
        ck_assert_int_eq(put("a"), OK);
        ck_assert_int_eq(put("b"), ways[i].err);
        ck_assert_int_eq(put("c"), OK);
        ck_assert(is_there("a") && is_there("c"));
        ck_assert(is_there("b") == ways[i].happens);
        ck_assert_uint_eq(faulty_calls(faulty), 3);
        ck_assert_uint_eq(faulty_hits(faulty, ways[i].fault), ways[i].fault != FAULT_NONE);
        close_both();
    }
}
END_TEST

START_TEST(reads_fail_without_doubt)
{
    open_both();
    ck_assert_int_eq(put("a"), OK);
    struct arena arena = {0};
    struct store_list list;
    AUTO_BUF body = {0};
    faulty_reset(faulty);
    faulty_plan(faulty, 1, FAULT_UNKNOWN_DONE);
    faulty_plan(faulty, 2, FAULT_UNKNOWN_LATE);
    ck_assert_int_eq(store_get(faulty, "a", range_all(), &body, NULL, NULL), ERR_AGAIN);
    ck_assert_uint_eq(body.len, 0);
    ck_assert_int_eq(store_list(faulty, &arena, "", "", 9, &list), ERR_AGAIN);
    ck_assert_int_eq(store_list(faulty, &arena, "", "", 9, &list), OK);
    ck_assert_uint_eq(list.n, 1);
    arena_release(&arena);
    close_both();
}
END_TEST

START_TEST(each_of_many_is_a_call)
{
    open_both();
    struct store_op ops[] = {
        {.verb = STORE_PUT, .key = "a"},
        {.verb = STORE_PUT, .key = "b"},
        {.verb = STORE_PUT, .key = "c"},
    };
    faulty_plan(faulty, 2, FAULT_UNKNOWN_LOST);
    faulty_plan(faulty, 3, FAULT_AGAIN);
    ck_assert_int_eq(store_many(faulty, ops, 3), ERR_UNKNOWN);
    ck_assert_int_eq(ops[0].err, OK);
    ck_assert_int_eq(ops[2].err, ERR_AGAIN);
    ck_assert(is_there("a") && !is_there("b") && !is_there("c"));
    ck_assert_uint_eq(faulty_calls(faulty), 3);
    close_both();
}
END_TEST

START_TEST(a_late_effect_comes_after_so_many_calls)
{
    open_both();
    faulty_late_calls(faulty, 2);
    faulty_plan(faulty, 1, FAULT_UNKNOWN_LATE);
    ck_assert_int_eq(put("late"), ERR_UNKNOWN);
    ck_assert_int_eq(put("a"), OK);
    ck_assert_int_eq(put("b"), OK);
    ck_assert(!is_there("late"));
    ck_assert_int_eq(store_get(faulty, "late", range_none(), NULL, NULL, NULL), OK);
    faulty_reset(faulty);
    faulty_plan(faulty, 1, FAULT_UNKNOWN_LATE);
    ck_assert_int_eq(store_delete(faulty, "late"), ERR_UNKNOWN);
    ck_assert(is_there("late"));
    faulty_flush(faulty);
    ck_assert(!is_there("late"));
    faulty_plan(faulty, 2, FAULT_UNKNOWN_LATE);
    ck_assert_int_eq(put("never"), ERR_UNKNOWN);
    close_both();
}
END_TEST

START_TEST(a_late_put_still_has_its_condition)
{
    open_both();
    struct etag etag = {{0}};
    ck_assert_int_eq(store_put(faulty, "k", bytes_str("1"), PUT_ANY, &etag), OK);
    faulty_late_calls(faulty, 1);
    faulty_plan(faulty, 2, FAULT_UNKNOWN_LATE);
    struct etag match = etag;
    ck_assert_int_eq(store_put(faulty, "k", bytes_str("late"), PUT_IF_MATCH, &match),
                     ERR_UNKNOWN);
    match = etag;
    ck_assert_int_eq(store_put(faulty, "k", bytes_str("2"), PUT_IF_MATCH, &match), OK);
    faulty_flush(faulty);
    AUTO_BUF body = {0};
    ck_assert_int_eq(store_get(below, "k", range_all(), &body, NULL, NULL), OK);
    ck_assert(bytes_equal(buf_bytes(&body), bytes_str("2")));
    close_both();
}
END_TEST

static jmp_buf crashed;

static void jump(void *arg)
{
    *(int *)arg += 1;
    longjmp(crashed, 1);
}

START_TEST(a_crash_leaves_the_code_under_test)
{
    for (int after = 0; after < 2; after++) {
        static int crashes;
        crashes = 0;
        open_both();
        faulty_on_crash(faulty, jump, &crashes);
        faulty_plan(faulty, 2, after == 1 ? FAULT_CRASH_AFTER : FAULT_CRASH_BEFORE);
        if (setjmp(crashed) == 0) {
            ck_assert_int_eq(put("a"), OK);
            (void)!put("b");
            ck_abort_msg("the crash came back");
        }
        ck_assert_int_eq(crashes, 1);
        ck_assert(is_there("a"));
        ck_assert(is_there("b") == (after == 1));
        ck_assert_int_eq(put("c"), ERR_UNKNOWN);
        ck_assert(!is_there("c"));
        ck_assert_uint_eq(faulty_calls(faulty), 2);
        faulty_reset(faulty);
        ck_assert_int_eq(put("c"), OK);
        close_both();
    }
}
END_TEST

START_TEST(chance_is_the_same_for_the_same_seed)
{
    uint64_t hits[2][FAULTS];
    const unsigned odds[FAULTS] = {
        [FAULT_AGAIN] = 100, [FAULT_UNKNOWN_DONE] = 100, [FAULT_UNKNOWN_LATE] = 100};
    for (size_t round = 0; round < 2; round++) {
        open_both();
        faulty_chance(faulty, 5, odds);
        for (int i = 0; i < 1000; i++) {
            (void)!put("k");
        }
        for (enum fault fault = FAULT_NONE; fault < FAULTS; fault++) {
            hits[round][fault] = faulty_hits(faulty, fault);
        }
        ck_assert_uint_eq(hits[round][FAULT_UNKNOWN_LOST], 0);
        ck_assert_uint_gt(hits[round][FAULT_AGAIN], 50);
        ck_assert_uint_lt(hits[round][FAULT_AGAIN], 200);
        close_both();
    }
    ck_assert_int_eq(memcmp(hits[0], hits[1], sizeof(hits[0])), 0);
}
END_TEST

static void plan_this_head(void *arg, uint64_t call, const struct store_op *op)
{
    *(uint64_t *)arg += 1;
    if (op != NULL && op->verb == STORE_PUT && strcmp(op->key, "head") == 0) {
        faulty_plan(faulty, call, FAULT_AGAIN);
    }
}

START_TEST(a_watcher_plans_the_very_call)
{
    static uint64_t seen;
    open_both();
    faulty_watch(faulty, plan_this_head, &seen);
    ck_assert_int_eq(put("a"), OK);
    ck_assert_int_eq(put("head"), ERR_AGAIN);
    ck_assert_int_eq(store_delete(faulty, "head"), OK);
    ck_assert_uint_eq(seen, 3);
    close_both();
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        a_plan_hits_its_call_only,
        reads_fail_without_doubt,
        each_of_many_is_a_call,
        a_late_effect_comes_after_so_many_calls,
        a_late_put_still_has_its_condition,
        a_crash_leaves_the_code_under_test,
        chance_is_the_same_for_the_same_seed,
        a_watcher_plans_the_very_call,
    };
    return suite_run("faulty", tests, ARRAY_LEN(tests));
}
