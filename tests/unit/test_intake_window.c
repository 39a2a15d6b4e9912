/* The rule of the intake's window: how long writes are gathered, and how long a store that
 * refuses is left alone. */
#include "pipeline/repo/intake/intake_window.h"

#include "tests/support/suite.h"

#define BASE_US 500u
#define MS      1000u
#define SECOND  1000000u

/* A window after a put that took so long, shared by several, which ended at one second. */
static struct intake_window after_put(uint64_t took_us)
{
    struct intake_window w = {.base_us = BASE_US};
    intake_window_taken(&w, SECOND, took_us);
    w.crowd = true;
    return w;
}

START_TEST(who_writes_alone_does_not_wait)
{
    struct intake_window w = {.base_us = BASE_US};
    ck_assert_uint_eq(intake_window_due_us(&w, 7, false), 7);
    w = after_put(2 * SECOND);
    w.crowd = false;
    ck_assert_uint_eq(intake_window_due_us(&w, SECOND + 1, false), SECOND + 1);
}
END_TEST

START_TEST(a_crowd_waits_for_the_window)
{
    struct intake_window w = after_put(MS);
    ck_assert_uint_eq(intake_window_us(&w), BASE_US);
    ck_assert_uint_eq(intake_window_due_us(&w, SECOND + 100, false), SECOND + 100 + BASE_US);
    /* What came during the put waits for those whom it answers. */
    ck_assert_uint_eq(intake_window_due_us(&w, SECOND - 300, false), SECOND + BASE_US);
    /* Long after the put nobody knows of others. */
    uint64_t later = SECOND + 4 * BASE_US;
    ck_assert_uint_eq(intake_window_due_us(&w, later, false), later + BASE_US);
    ck_assert_uint_eq(intake_window_due_us(&w, later + 1, false), later + 1);
    /* An object that is full waits for nobody. */
    ck_assert_uint_eq(intake_window_due_us(&w, SECOND + 100, true), SECOND + 100);
}
END_TEST

START_TEST(a_slow_store_widens_it)
{
    static const struct {
        uint64_t took_us;
        uint64_t window_us;
    } cases[] = {
        {0, BASE_US},           {4 * MS, BASE_US},      {8 * MS, 1 * MS},
        {30 * MS, 3750},        {2 * SECOND, 250 * MS}, {60 * SECOND, 250 * MS},
        {UINT64_MAX, 250 * MS},
    };
    for (unsigned i = 0; i < ARRAY_LEN(cases); i++) {
        struct intake_window w = after_put(cases[i].took_us);
        ck_assert_uint_eq(intake_window_us(&w), cases[i].window_us);
    }
    struct intake_window off = after_put(2 * SECOND);
    off.base_us = 0;
    ck_assert_uint_eq(intake_window_us(&off), 0);
}
END_TEST

START_TEST(it_narrows_when_the_store_is_fast_again)
{
    struct intake_window w = after_put(2 * SECOND);
    uint64_t before = w.took_us;
    for (unsigned puts = 0; intake_window_us(&w) > BASE_US; puts++) {
        ck_assert_uint_lt(puts, 10);
        intake_window_taken(&w, 2 * SECOND, MS);
        ck_assert_uint_lt(w.took_us, before);
        before = w.took_us;
    }
    /* One slow put among fast ones is not a slow store. */
    intake_window_taken(&w, 3 * SECOND, 80 * MS);
    ck_assert_uint_lt(intake_window_us(&w), 3 * MS);
}
END_TEST

START_TEST(a_store_that_refuses_is_left_alone_ever_longer)
{
    struct intake_window w = after_put(MS);
    uint64_t expected = INTAKE_PAUSE_MIN_US;
    for (unsigned i = 0; i < 80; i++) {
        uint64_t now = (i + 2) * (uint64_t)SECOND;
        intake_window_refused(&w, now);
        ck_assert_uint_eq(w.pause_us, expected);
        /* For everybody: who writes alone, who has waited long, and what is full. */
        w.crowd = i % 2 == 0;
        ck_assert_uint_eq(intake_window_due_us(&w, now - SECOND, i % 3 == 0), now + expected);
        expected = expected * 2 < INTAKE_PAUSE_MAX_US ? expected * 2 : INTAKE_PAUSE_MAX_US;
    }
    ck_assert_uint_eq(w.pause_us, 2 * SECOND);
    intake_window_taken(&w, 100 * SECOND, MS);
    ck_assert_uint_eq(w.pause_us, 0);
    w.crowd = false;
    ck_assert_uint_eq(intake_window_due_us(&w, 100 * SECOND, false), 100 * SECOND);
    intake_window_refused(&w, 101 * SECOND);
    ck_assert_uint_eq(w.pause_us, INTAKE_PAUSE_MIN_US);
}
END_TEST

START_TEST(who_is_turned_away_comes_again_after_two_puts)
{
    struct intake_window w = {.base_us = BASE_US};
    ck_assert_uint_eq(intake_window_retry_s(&w), 1);
    w = after_put(30 * MS);
    ck_assert_uint_eq(intake_window_retry_s(&w), 1);
    w = after_put(2 * SECOND);
    ck_assert_uint_eq(intake_window_retry_s(&w), 5);
    w = after_put(MS);
    for (unsigned i = 0; i < 20; i++)
        intake_window_refused(&w, SECOND);
    ck_assert_uint_eq(intake_window_retry_s(&w), 5);
    w = after_put(600ull * SECOND);
    ck_assert_uint_eq(intake_window_retry_s(&w), INTAKE_RETRY_MAX_S);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        who_writes_alone_does_not_wait,
        a_crowd_waits_for_the_window,
        a_slow_store_widens_it,
        it_narrows_when_the_store_is_fast_again,
        a_store_that_refuses_is_left_alone_ever_longer,
        who_is_turned_away_comes_again_after_two_puts,
    };
    return suite_run("intake_window", tests, ARRAY_LEN(tests));
}
