/* Looks at a store of which nothing is heard: none while all is well, few while it is away. */
#include "api/service/store_look.h"

#include "tests/support/faulty.h"
#include "tests/support/forge.h"
#include "tests/support/suite.h"

#define SECOND_US 1000000ull

struct rig {
    struct forge first;
    struct forge f;
    struct store *faulty;
    struct store *pulse;
    struct store_look *look;
};

static void rig_open(struct rig *rig)
{
    *rig = (struct rig){0};
    forge_init(&rig->first);
    rig->faulty = faulty_store_open(rig->first.trace);
    rig->pulse = pulse_store_open(rig->faulty, &rig->f.clock.clock);
    forge_join(&rig->f, &rig->first, rig->pulse);
    rig->look = store_look_open(&rig->f.repo, rig->pulse);
    faulty_reset(rig->faulty);
}

static void rig_close(struct rig *rig)
{
    store_look_close(rig->look);
    forge_release(&rig->f);
    store_close(rig->pulse);
    store_close(rig->faulty);
    forge_release(&rig->first);
}

/* What the thread does for so long. */
static void run_for(struct rig *rig, uint64_t us)
{
    uint64_t until = rig->f.clock.us + us;
    while (rig->f.clock.us < until) {
        uint64_t pause = store_look_step(rig->look);
        ck_assert_uint_gt(pause, 0);
        rig->f.clock.us += pause;
    }
}

static void away(struct rig *rig, bool is_away)
{
    unsigned odds[FAULTS] = {0};
    odds[FAULT_AGAIN] = is_away ? 1000 : 0;
    faulty_chance(rig->faulty, 1, odds);
}

START_TEST(a_store_that_is_well_is_not_asked)
{
    struct rig rig;
    rig_open(&rig);
    run_for(&rig, 60 * SECOND_US);
    ck_assert_uint_eq(faulty_calls(rig.faulty), 0);
    /* But when somebody wants to know, and nothing was heard: once in a while. */
    for (unsigned i = 0; i < 120; i++) {
        ck_assert(!store_look_pulse(rig.look).away);
        run_for(&rig, SECOND_US / 2);
    }
    ck_assert_uint_ge(faulty_calls(rig.faulty), 8);
    ck_assert_uint_le(faulty_calls(rig.faulty), 13);
    rig_close(&rig);
}
END_TEST

START_TEST(a_store_that_is_away_is_looked_at_until_it_is_back)
{
    struct rig rig;
    rig_open(&rig);
    away(&rig, true);
    rig.f.clock.us += STORE_LOOK_OLD_US + 1;
    (void)store_look_pulse(rig.look);
    run_for(&rig, 2 * SECOND_US);
    ck_assert(store_look_pulse(rig.look).away);
    uint64_t before = faulty_calls(rig.faulty);
    run_for(&rig, 60 * SECOND_US);
    /* At most every second, whoever wants to know. */
    ck_assert_uint_ge(faulty_calls(rig.faulty) - before, 20);
    ck_assert_uint_le(faulty_calls(rig.faulty) - before, 65);
    away(&rig, false);
    run_for(&rig, 4 * SECOND_US);
    ck_assert(!store_look_pulse(rig.look).away);
    before = faulty_calls(rig.faulty);
    run_for(&rig, 60 * SECOND_US);
    ck_assert_uint_eq(faulty_calls(rig.faulty), before);
    rig_close(&rig);
}
END_TEST

START_TEST(it_comes_back_by_itself_in_a_thread)
{
    struct rig rig;
    rig_open(&rig);
    away(&rig, true);
    for (unsigned i = 0; i < PULSE_AWAY_CALLS; i++)
        ck_assert_int_eq(store_get(rig.pulse, "bucket", range_none(), NULL, NULL, NULL),
                         ERR_AGAIN);
    ck_assert(store_look_pulse(rig.look).away);
    away(&rig, false);
    store_look_start(rig.look);
    while (store_look_pulse(rig.look).away)
        clock_system()->sleep_us(clock_system(), 1000);
    store_look_stop(rig.look);
    rig_close(&rig);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        a_store_that_is_well_is_not_asked,
        a_store_that_is_away_is_looked_at_until_it_is_back,
        it_comes_back_by_itself_in_a_thread,
    };
    return suite_run("store_look", tests, ARRAY_LEN(tests));
}
