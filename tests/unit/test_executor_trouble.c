/* What goes wrong below a get, and who leaves. */
#include <stdio.h>

#include "formats/base/hash.h"
#include "formats/base/hex.h"
#include "tests/support/executor_rig.h"
#include "tests/support/suite.h"

#define WITH(...) ((const char *const[]){__VA_ARGS__, NULL})

static struct hash text_leaf(struct executor_rig *rig, const char *text)
{
    return executor_rig_leaf(rig, bytes_str(text));
}

static void about(const struct derive_problem *problem, const struct hash *address)
{
    ck_assert_str_eq(hash_hex(&problem->address).s, hash_hex(address).s);
}

START_TEST(each_fault_is_its_own)
{
    struct executor_rig rig;
    executor_rig_init(&rig);
    executor_rig_open(&rig);
    struct hash leaf = text_leaf(&rig, "abc");
    struct hash nothing = executor_rig_nothing();
    struct derive_problem p = executor_rig_fails(&rig, nothing, DERIVE_FAULT_NOT_FOUND);
    about(&p, &nothing);
    struct hash over = executor_rig_one(&rig, "identity", nothing, NULL);
    struct hash top = executor_rig_one(&rig, "reverse", over, NULL);
    p = executor_rig_fails(&rig, top, DERIVE_FAULT_INPUT_MISSING);
    about(&p, &over);
    ck_assert(hash_equal(&p.other, &nothing));
    struct hash unknown = executor_rig_one(&rig, "no.such", leaf, NULL);
    top = executor_rig_one(&rig, "reverse", unknown, NULL);
    p = executor_rig_fails(&rig, top, DERIVE_FAULT_UNKNOWN_FUNCTION);
    about(&p, &unknown);
    ck_assert_str_eq(p.name, "no.such");
    struct hash wrong = executor_rig_one(&rig, "repeat", leaf, WITH("count", "x"));
    top = executor_rig_one(&rig, "reverse", wrong, NULL);
    p = executor_rig_fails(&rig, top, DERIVE_FAULT_PARAMETER_INVALID);
    about(&p, &wrong);
    ck_assert_str_eq(p.parameter, "count");
    struct hash refused = executor_rig_one(&rig, "hex.decode", leaf, NULL);
    top = executor_rig_one(&rig, "reverse", refused, NULL);
    p = executor_rig_fails(&rig, top, DERIVE_FAULT_INPUT_INVALID);
    about(&p, &refused);
    ck_assert_uint_gt(strlen(p.message), 0);
    struct hash unbound = executor_rig_over_ref(&rig, "identity", "no/ref");
    p = executor_rig_fails(&rig, unbound, DERIVE_FAULT_REF_MISSING);
    about(&p, &unbound);
    ck_assert_str_eq(p.message, "no/ref");
    rig.find_err = ERR_AGAIN;
    p = executor_rig_fails(&rig, top, DERIVE_FAULT_STORE);
    ck_assert_int_eq(p.err, ERR_AGAIN);
    executor_rig_close(&rig);
}
END_TEST

/* What says how long a leaf is and what has its bytes may lie in different places. */
START_TEST(a_leaf_of_another_length)
{
    struct executor_rig rig;
    executor_rig_init(&rig);
    executor_rig_open(&rig);
    struct hash leaf = text_leaf(&rig, "abc");
    struct hash over = executor_rig_one(&rig, "uppercase", leaf, NULL);
    struct hash same = executor_rig_one(&rig, "identity", leaf, NULL);
    rig.find_more = 1;
    struct derive_problem p = executor_rig_fails(&rig, over, DERIVE_FAULT_STORE);
    ck_assert_int_eq(p.err, ERR_CORRUPT);
    p = executor_rig_fails(&rig, leaf, DERIVE_FAULT_STORE);
    ck_assert_int_eq(p.err, ERR_CORRUPT);
    struct one_get get;
    struct bytes view;
    const struct get_options range = {.want = GET_RANGE, .from = 0, .end = 4};
    ck_assert_int_eq(one_get(&get, &rig, same, &range), DERIVE_FAULT_NONE);
    ck_assert_int_eq(derived_view(get.derived, 0, &view), ERR_CORRUPT);
    one_get_close(&get);
    executor_rig_close(&rig);
}
END_TEST

START_TEST(a_result_that_is_too_large)
{
    struct executor_rig rig;
    executor_rig_init(&rig);
    rig.options.result_max = 1000000;
    executor_rig_open(&rig);
    struct hash leaf = text_leaf(&rig, "0123456789");
    struct hash fits = executor_rig_one(&rig, "repeat", leaf, WITH("count", "100000"));
    struct one_get get;
    ck_assert_int_eq(one_get(&get, &rig, fits, NULL), DERIVE_FAULT_NONE);
    ck_assert_uint_eq(get.derived->size, 1000000);
    one_get_close(&get);
    struct hash over = executor_rig_one(&rig, "repeat", leaf, WITH("count", "100001"));
    struct derive_problem p = executor_rig_fails(&rig, over, DERIVE_FAULT_RESULT_TOO_LARGE);
    about(&p, &over);
    /* Beyond what any result may have. */
    over = executor_rig_one(&rig, "repeat", leaf, WITH("count", "9999999999999999"));
    p = executor_rig_fails(&rig, over, DERIVE_FAULT_RESULT_TOO_LARGE);
    about(&p, &over);
    executor_rig_close(&rig);
}
END_TEST

/* a is over a ref to b, b over a ref to a; and one that is above the cycle, not on it. */
START_TEST(a_cycle_through_refs)
{
    struct executor_rig rig;
    executor_rig_init(&rig);
    executor_rig_open(&rig);
    struct hash a = executor_rig_over_ref(&rig, "identity", "b");
    struct hash b = executor_rig_over_ref(&rig, "reverse", "a");
    executor_rig_bind(&rig, "a", a);
    executor_rig_bind(&rig, "b", b);
    struct hash leaf = text_leaf(&rig, "abc");
    struct hash top = executor_rig_recipe(&rig, "concat", (struct hash[]){leaf, a}, 2, NULL);
    struct derive_problem p = executor_rig_fails(&rig, top, DERIVE_FAULT_REF_CYCLE);
    ck_assert(hash_equal(&p.address, &a) || hash_equal(&p.address, &b));
    (void)executor_rig_fails(&rig, a, DERIVE_FAULT_REF_CYCLE);
    executor_rig_bind(&rig, "a", leaf);
    executor_rig_gives(&rig, top, "abccba");
    executor_rig_close(&rig);
}
END_TEST

/* The first cause comes to all that is above, and is not remembered. */
START_TEST(a_failing_input)
{
    struct executor_rig rig;
    executor_rig_init(&rig);
    executor_rig_open(&rig);
    struct hash bad = executor_rig_one(&rig, "test.fail", text_leaf(&rig, "abc"), NULL);
    struct hash sides[2] = {executor_rig_one(&rig, "uppercase", bad, NULL),
                            executor_rig_one(&rig, "reverse", bad, NULL)};
    struct hash top = executor_rig_recipe(&rig, "concat", sides, 2, NULL);
    struct derive_problem p = executor_rig_fails(&rig, top, DERIVE_FAULT_INPUT_INVALID);
    about(&p, &bad);
    ck_assert_str_eq(p.message, "it always does");
    ck_assert_uint_eq(rig_fails(), 1);
    p = executor_rig_fails(&rig, sides[0], DERIVE_FAULT_INPUT_INVALID);
    about(&p, &bad);
    ck_assert_uint_eq(rig_fails(), 2);
    ck_assert_uint_eq(atomic_load(&rig.memos_told), 0);
    struct executor_stats stats = executor_stats(rig.ex);
    ck_assert_uint_eq(stats.runs, 2);
    ck_assert_uint_eq(stats.failed, 2);
    executor_rig_close(&rig);
}
END_TEST

/* ---- gets that meet ---- */

START_TEST(many_gets_one_run)
{
    struct executor_rig rig;
    executor_rig_init(&rig);
    executor_rig_open(&rig);
    rig_gate(false);
    struct hash gate = executor_rig_one(&rig, "test.gate", text_leaf(&rig, "abc"), NULL);
    struct hash tops[] = {gate, executor_rig_one(&rig, "uppercase", gate, NULL),
                          executor_rig_one(&rig, "reverse", gate, NULL)};
    const char *const texts[] = {"abc", "ABC", "cba"};
    struct one_get gets[30];
    for (size_t i = 0; i < ARRAY_LEN(gets); i++)
        one_get_begin(&gets[i], &rig, tops[i % 3], NULL);
    rig_gate_wait(1);
    while (executor_stats(rig.ex).shared < ARRAY_LEN(gets) - 1)
        rig.options.clock->sleep_us(rig.options.clock, 1000);
    rig_gate(true);
    for (size_t i = 0; i < ARRAY_LEN(gets); i++) {
        one_get_wait(&gets[i]);
        struct hash wanted = sha256(bytes_str(texts[i % 3]));
        ck_assert(hash_equal(&gets[i].derived->hash, &wanted));
        one_get_close(&gets[i]);
    }
    ck_assert_uint_eq(executor_rig_runs(&rig), 3);
    executor_rig_close(&rig);
}
END_TEST

/* A memo that was not there when it was asked for, and is known when the run would begin. */
START_TEST(run_meanwhile)
{
    struct executor_rig rig;
    executor_rig_init(&rig);
    executor_rig_open(&rig);
    struct hash top = executor_rig_one(&rig, "uppercase", text_leaf(&rig, "abc"), NULL);
    atomic_store(&rig.memo_stop, 1);
    struct one_get late;
    one_get_begin(&late, &rig, top, NULL);
    while (atomic_load(&rig.memo_stop) != 2)
        rig.options.clock->sleep_us(rig.options.clock, 1000);
    executor_rig_gives(&rig, top, "ABC");
    atomic_store(&rig.memo_stop, 0);
    one_get_wait(&late);
    ck_assert_ptr_nonnull(late.derived);
    one_get_close(&late);
    ck_assert_uint_eq(executor_rig_runs(&rig), 1);
    executor_rig_close(&rig);
}
END_TEST

START_TEST(who_leaves_harms_nobody)
{
    struct executor_rig rig;
    executor_rig_init(&rig);
    executor_rig_open(&rig);
    rig_gate(false);
    struct hash gate = executor_rig_one(&rig, "test.gate", text_leaf(&rig, "abc"), NULL);
    struct one_get first;
    struct one_get second;
    one_get_begin(&first, &rig, gate, NULL);
    rig_gate_wait(1);
    one_get_begin(&second, &rig, gate, NULL);
    while (executor_stats(rig.ex).shared < 1)
        rig.options.clock->sleep_us(rig.options.clock, 1000);
    /* Its source goes on to serve the run. */
    executor_cancel(rig.ex, first.ticket);
    one_get_wait(&first);
    ck_assert_int_eq(first.problem.fault, DERIVE_FAULT_CANCELLED);
    rig_gate(true);
    one_get_wait(&second);
    ck_assert_ptr_nonnull(second.derived);
    ck_assert_uint_eq(executor_rig_runs(&rig), 1);
    executor_cancel(rig.ex, second.ticket);
    executor_cancel(rig.ex, 0);
    one_get_close(&first);
    one_get_close(&second);
    executor_rig_close(&rig);
}
END_TEST

START_TEST(what_nobody_wants_is_stopped)
{
    struct executor_rig rig;
    executor_rig_init(&rig);
    rig.options.slots = 1;
    rig.options.result_max = UINT64_MAX;
    rig.cache_options.ram_bytes = 1u << 30;
    executor_rig_open(&rig);
    struct hash leaf = text_leaf(&rig, "abc");
    struct hash forever = executor_rig_one(&rig, "test.forever", leaf, NULL);
    struct hash behind = executor_rig_one(&rig, "uppercase", leaf, NULL);
    struct one_get endless;
    struct one_get other;
    struct one_get gone;
    one_get_begin(&endless, &rig, forever, NULL);
    while (executor_stats(rig.ex).running < 1)
        rig.options.clock->sleep_us(rig.options.clock, 1000);
    one_get_begin(&other, &rig, behind, NULL);
    /* This one's run waits for a slot when it goes: it is never begun. */
    one_get_begin(&gone, &rig, executor_rig_one(&rig, "reverse", leaf, NULL), NULL);
    while (executor_stats(rig.ex).waiting < 2)
        rig.options.clock->sleep_us(rig.options.clock, 1000);
    executor_cancel(rig.ex, gone.ticket);
    one_get_wait(&gone);
    executor_cancel(rig.ex, endless.ticket);
    one_get_wait(&endless);
    ck_assert_int_eq(endless.problem.fault, DERIVE_FAULT_CANCELLED);
    one_get_wait(&other);
    ck_assert_ptr_nonnull(other.derived);
    executor_rig_quiet(&rig);
    struct executor_stats stats = executor_stats(rig.ex);
    ck_assert_uint_eq(stats.runs, 2);
    ck_assert_uint_eq(stats.stopped, 1);
    ck_assert_uint_eq(stats.failed, 0);
    one_get_close(&endless);
    one_get_close(&other);
    one_get_close(&gone);
    executor_rig_close(&rig);
}
END_TEST

START_TEST(closing_ends_all)
{
    struct executor_rig rig;
    executor_rig_init(&rig);
    executor_rig_open(&rig);
    struct hash leaf = text_leaf(&rig, "abc");
    struct one_get gets[10];
    for (size_t i = 0; i < ARRAY_LEN(gets); i++)
        one_get_begin(&gets[i], &rig, executor_rig_one(&rig, "test.forever", leaf, NULL), NULL);
    executor_rig_reopen(&rig);
    for (size_t i = 0; i < ARRAY_LEN(gets); i++) {
        one_get_wait(&gets[i]);
        ck_assert_int_eq(gets[i].problem.fault, DERIVE_FAULT_CANCELLED);
        one_get_close(&gets[i]);
    }
    executor_rig_close(&rig);
}
END_TEST

START_TEST(progress_is_told)
{
    struct executor_rig rig;
    executor_rig_init(&rig);
    executor_rig_open(&rig);
    rig_gate(false);
    struct hash gate = executor_rig_one(&rig, "test.gate", text_leaf(&rig, "abc"), NULL);
    struct hash middle = executor_rig_one(&rig, "uppercase", gate, NULL);
    struct hash top = executor_rig_one(&rig, "reverse", middle, NULL);
    struct one_get get;
    one_get_begin(&get, &rig, top, NULL);
    rig_gate_wait(1);
    struct get_progress progress;
    ck_assert_int_eq(executor_look(rig.ex, get.ticket, &progress), OK);
    ck_assert_uint_eq(progress.nodes, 4);
    ck_assert_uint_eq(progress.known, 1);
    ck_assert_uint_eq(progress.runs, 0);
    ck_assert_uint_eq(progress.running, 1);
    ck_assert(hash_equal(&progress.address, &gate));
    executor_tick(rig.ex);
    ck_assert_uint_eq(get.progress, 1);
    ck_assert_uint_eq(get.last.nodes, 4);
    rig_gate(true);
    one_get_wait(&get);
    executor_tick(rig.ex);
    ck_assert_uint_eq(get.progress, 1);
    ck_assert_int_eq(executor_look(rig.ex, get.ticket, &progress), ERR_NOT_FOUND);
    one_get_close(&get);
    executor_rig_close(&rig);
}
END_TEST

START_TEST(progress_by_itself)
{
    struct executor_rig rig;
    executor_rig_init(&rig);
    rig.options.progress_us = 1000;
    executor_rig_open(&rig);
    rig_gate(false);
    struct one_get get;
    one_get_begin(&get, &rig, executor_rig_one(&rig, "test.gate", text_leaf(&rig, "abc"), NULL),
                  NULL);
    rig_gate_wait(1);
    (void)pthread_mutex_lock(&get.lock);
    while (get.progress < 2) {
        (void)pthread_mutex_unlock(&get.lock);
        rig.options.clock->sleep_us(rig.options.clock, 1000);
        (void)pthread_mutex_lock(&get.lock);
    }
    (void)pthread_mutex_unlock(&get.lock);
    rig_gate(true);
    one_get_wait(&get);
    one_get_close(&get);
    executor_rig_close(&rig);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        each_fault_is_its_own, a_leaf_of_another_length, a_result_that_is_too_large,
        a_cycle_through_refs,  a_failing_input,          many_gets_one_run,
        run_meanwhile,         who_leaves_harms_nobody,  what_nobody_wants_is_stopped,
        closing_ends_all,      progress_is_told,         progress_by_itself};
    return suite_run("executor_trouble", tests, ARRAY_LEN(tests));
}
