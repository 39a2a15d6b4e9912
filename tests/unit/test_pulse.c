/* The layer that remembers whether the store answers. */
#include "pipeline/store/pulse.h"

#include "pipeline/store/mem.h"
#include "tests/support/faulty.h"
#include "tests/support/forge.h"
#include "tests/support/suite.h"

struct rig {
    struct store *mem;
    struct store *faulty;
    struct store *pulse;
    struct clock_manual clock;
    struct arena arena;
};

static void rig_open(struct rig *rig)
{
    *rig = (struct rig){.mem = mem_store_open()};
    clock_manual_init(&rig->clock, 1800000000000u);
    rig->faulty = faulty_store_open(rig->mem);
    rig->pulse = pulse_store_open(rig->faulty, &rig->clock.clock);
}

static void rig_close(struct rig *rig)
{
    store_close(rig->pulse);
    store_close(rig->faulty);
    store_close(rig->mem);
    arena_release(&rig->arena);
}

/* The next `n` calls fail. */
static void fail_next(struct rig *rig, unsigned n, enum fault fault)
{
    faulty_reset(rig->faulty);
    for (unsigned i = 1; i <= n; i++)
        faulty_plan(rig->faulty, i, fault);
}

static int put(struct rig *rig)
{
    rig->clock.us += 1000;
    return store_put(rig->pulse, "a", bytes_str("1"), PUT_ANY, NULL);
}

static int look(struct rig *rig)
{
    rig->clock.us += 1000;
    return store_get(rig->pulse, "nothing", range_none(), NULL, NULL, NULL);
}

static int list(struct rig *rig)
{
    struct store_list found;
    rig->clock.us += 1000;
    return store_list(rig->pulse, &rig->arena, "", "", 10, &found);
}

START_TEST(three_failures_in_a_row_are_away)
{
    static int (*const calls[])(struct rig *) = {put, look, list};
    for (unsigned i = 0; i < ARRAY_LEN(calls); i++) {
        struct rig rig;
        rig_open(&rig);
        ck_assert(!pulse_store_read(rig.pulse).away);
        ck_assert_uint_eq(pulse_store_read(rig.pulse).heard_us, 0);
        fail_next(&rig, PULSE_AWAY_CALLS, FAULT_AGAIN);
        uint64_t first_us = rig.clock.us + 1000;
        for (unsigned n = 1; n <= PULSE_AWAY_CALLS; n++) {
            ck_assert_int_eq(calls[i](&rig), ERR_AGAIN);
            struct pulse pulse = pulse_store_read(rig.pulse);
            ck_assert_uint_eq(pulse.failed, n);
            ck_assert_uint_eq(pulse.since_us, first_us);
            ck_assert_uint_eq(pulse.heard_us, rig.clock.us);
            ck_assert_int_eq(pulse.away, n == PULSE_AWAY_CALLS);
        }
        (void)!calls[i](&rig);
        struct pulse back = pulse_store_read(rig.pulse);
        ck_assert(!back.away && back.failed == 0 && back.since_us == 0);
        rig_close(&rig);
    }
}
END_TEST

START_TEST(a_refusal_with_a_reason_is_an_answer)
{
    struct rig rig;
    rig_open(&rig);
    fail_next(&rig, 2, FAULT_UNKNOWN_LOST);
    ck_assert_int_eq(put(&rig), ERR_UNKNOWN);
    ck_assert_int_eq(put(&rig), ERR_UNKNOWN);
    ck_assert_int_eq(look(&rig), ERR_NOT_FOUND);
    ck_assert_uint_eq(pulse_store_read(rig.pulse).failed, 0);
    ck_assert_int_eq(put(&rig), OK);
    for (unsigned i = 0; i < 2 * PULSE_AWAY_CALLS; i++)
        ck_assert_int_eq(store_put(rig.pulse, "a", bytes_str("2"), PUT_IF_ABSENT, NULL),
                         ERR_CONFLICT);
    ck_assert(!pulse_store_read(rig.pulse).away);
    rig_close(&rig);
}
END_TEST

START_TEST(of_many_one_that_is_well_will_do)
{
    struct rig rig;
    rig_open(&rig);
    for (unsigned n = 0; n < 2 * PULSE_AWAY_CALLS; n++) {
        struct store_op ops[2] = {{.verb = STORE_DELETE, .key = "a"},
                                  {.verb = STORE_DELETE, .key = "b"}};
        /* Both fail, then the second only. */
        fail_next(&rig, n < PULSE_AWAY_CALLS ? 2 : 1, FAULT_AGAIN);
        ck_assert_int_eq(store_many(rig.pulse, ops, 2), ERR_AGAIN);
        ck_assert_int_eq(pulse_store_read(rig.pulse).away, n == PULSE_AWAY_CALLS - 1);
    }
    rig_close(&rig);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        three_failures_in_a_row_are_away,
        a_refusal_with_a_reason_is_an_answer,
        of_many_one_that_is_well_will_do,
    };
    return suite_run("pulse", tests, ARRAY_LEN(tests));
}
