#include "pipeline/store/probe.h"

#include <stdio.h>
#include <stdlib.h>

#include "formats/key.h"
#include "pipeline/store/fs.h"
#include "pipeline/store/mem.h"
#include "pipeline/store/trace.h"
#include "tests/support/faulty.h"
#include "tests/support/liar.h"
#include "tests/support/store_rig.h"
#include "tests/support/suite.h"

static uint64_t wall_now = 1000000000000;
static uint64_t slept_us;

static uint64_t fake_wall(struct clock *clock UNUSED)
{
    return wall_now;
}

static void fake_sleep(struct clock *clock UNUSED, uint64_t us)
{
    slept_us += us;
}

static struct clock fake_clock = {.wall_ms = fake_wall, .sleep_us = fake_sleep};

static int probe(struct store *store, bool forms, struct probe_report *report)
{
    const struct probe_options options = {
        .clock = &fake_clock,
        .rng = rng_system(),
        .use_bare_etag = forms ? liar_use_bare_etag : NULL,
    };
    return probe_store(store, &options, report);
}

static int probe_liar(enum lie lie, bool forms, struct probe_report *report)
{
    struct store *mem = mem_store_open();
    struct store *liar = liar_open(mem, lie);
    int err = probe(liar, forms, report);
    store_close(liar);
    /* Nothing is left behind, unless it could not be. */
    if (lie != LIE_KEEPS_DELETED && lie != LIE_OFTEN_LATER)
        rig_expect_list(mem, "", "", 10, NULL, 0, false);
    store_close(mem);
    return err;
}

START_TEST(good_stores_pass)
{
    struct probe_report report;
    ck_assert_int_eq(probe_liar(LIE_NONE, false, &report), OK);
    ck_assert(!report.refused);
    ck_assert_str_eq(report.says, "");
    ck_assert_uint_eq(report.writers, 32);
    ck_assert_uint_eq(report.unsure, 0);
    AUTO_RIG rig = {0};
    rig_open_fs(&rig, "/tmp");
    ck_assert_msg(probe(rig.store, false, &report) == OK, "%s", report.says);
    rig_expect_list(rig.store, "", "", 10, NULL, 0, false);
}
END_TEST

START_TEST(what_no_store_may_do_is_refused)
{
    static const struct {
        enum lie lie;
        const char *says;
    } cases[] = {
        {LIE_IGNORES_IF_ABSENT, "it ignores If-None-Match"},
        {LIE_IGNORES_IF_MATCH, "it ignores If-Match: a put with the etag of other bytes"},
        {LIE_IGNORES_IF_MATCH_ON_NOTHING, "made a key that did not exist"},
        {LIE_TAKES_STALE_ETAGS, "it ignores If-Match: a put with a stale etag"},
        {LIE_TWO_WINNERS,
         "of 32 writers that raced with one If-Match, 2 were told that they won"},
        {LIE_TWO_CREATORS,
         "of 32 writers that raced with one If-None-Match: *, 2 were told that they won"},
        {LIE_WINNER_IS_LOST, "one was told that it won, but its bytes are not there"},
        {LIE_REFUSES_AND_DOES, "refused a put with If-None-Match, and did it all the same"},
        {LIE_NO_ETAG_MATCHES, "no If-Match holds"},
        {LIE_STALE_READS, "a get right after a put"},
        {LIE_STALE_LISTS, "a list right after a put does not show it"},
        {LIE_FORGETS_PUTS, "does not show what was put"},
        {LIE_NO_ETAGS, "it gives no etag"},
        {LIE_OTHER_ETAGS, "a get gives another"},
        {LIE_LISTS_BACKWARDS, "not in the order of bytes"},
        {LIE_CORRUPT_LISTS, "its lists are not in the order of bytes"},
        {LIE_KEEPS_DELETED, "what was deleted is still there"},
        {LIE_NOBODY_WINS, "that held, none won"},
        {LIE_REFUSES_CREATION, "refuses a put with If-None-Match: * of a key that does not"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        for (int forms = 0; forms < 2; forms++) {
            struct probe_report report;
            int err = probe_liar(cases[i].lie, forms == 1, &report);
            ck_assert_msg(err == ERR_INVALID && report.refused, "lie %u passes: %s",
                          (unsigned)cases[i].lie, report.says);
            ck_assert_msg(strstr(report.says, cases[i].says) != NULL, "lie %u: %s",
                          (unsigned)cases[i].lie, report.says);
        }
    }
}
END_TEST

START_TEST(what_a_store_may_do_passes)
{
    static const enum lie cases[] = {LIE_LOSERS_UNSURE, LIE_WINNER_UNSURE, LIE_WINNER_TOLD_LOST,
                                     LIE_OFTEN_LATER};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct probe_report report;
        int err = probe_liar(cases[i], false, &report);
        ck_assert_msg(err == OK, "lie %u: %s", (unsigned)cases[i], report.says);
        ck_assert_uint_eq(report.unsure, cases[i] == LIE_LOSERS_UNSURE   ? 62
                                         : cases[i] == LIE_WINNER_UNSURE ? 64
                                                                         : 0);
    }
    ck_assert_uint_gt(slept_us, 0);
}
END_TEST

START_TEST(the_form_of_etags_is_found_out)
{
    struct probe_report report;
    ck_assert_int_eq(probe_liar(LIE_NONE, true, &report), OK);
    ck_assert(report.quoted && report.bare);
    ck_assert_int_eq(probe_liar(LIE_BARE_ETAGS, true, &report), OK);
    ck_assert(!report.quoted && report.bare);
    ck_assert_int_eq(probe_liar(LIE_QUOTED_ETAGS, true, &report), OK);
    ck_assert(report.quoted && !report.bare);
    /* One that is told which form to send does not look for another. */
    ck_assert_int_eq(probe_liar(LIE_BARE_ETAGS, false, &report), ERR_INVALID);
    ck_assert_ptr_nonnull(strstr(report.says, "in the one form of etag that was tried"));
    /* The form that works stays. */
    struct store *mem = mem_store_open();
    struct store *liar = liar_open(mem, LIE_BARE_ETAGS);
    ck_assert_int_eq(probe(liar, true, &report), OK);
    ck_assert_int_eq(probe(liar, false, &report), OK);
    store_close(liar);
    store_close(mem);
}
END_TEST

START_TEST(other_errors_are_passed_up)
{
    struct probe_report report;
    ck_assert_int_eq(probe_liar(LIE_DENIES, false, &report), ERR_DENIED);
    ck_assert(!report.refused);
    ck_assert_str_eq(report.says, "the first put: denied");
    /* A store that is always busy is asked for seconds, and given up. */
    struct store *mem = mem_store_open();
    struct store *faulty = faulty_store_open(mem);
    const unsigned busy[FAULTS] = {[FAULT_AGAIN] = 1000};
    faulty_chance(faulty, 1, busy);
    slept_us = 0;
    ck_assert_int_eq(probe(faulty, false, &report), ERR_AGAIN);
    ck_assert_uint_gt(slept_us, 1000000);
    ck_assert_uint_lt(faulty_calls(faulty), 10);
    ck_assert(!report.refused);
    store_close(faulty);
    store_close(mem);
}
END_TEST

/* A request whose fate is not known makes the probe begin anew, with other names. */
START_TEST(one_unknown_is_no_verdict)
{
    for (uint64_t call = 1; call < 140; call++) {
        static const enum fault faults[] = {FAULT_UNKNOWN_DONE, FAULT_UNKNOWN_LOST,
                                            FAULT_UNKNOWN_LATE, FAULT_AGAIN};
        for (size_t i = 0; i < ARRAY_LEN(faults); i++) {
            struct store *mem = mem_store_open();
            struct store *faulty = faulty_store_open(mem);
            struct probe_report report;
            faulty_plan(faulty, call, faults[i]);
            int err = probe(faulty, false, &report);
            ck_assert_msg(err == OK, "call %u, %s: %s", (unsigned)call, fault_name(faults[i]),
                          report.says);
            store_close(faulty);
            store_close(mem);
        }
    }
}
END_TEST

START_TEST(a_probe_is_cheap)
{
    struct store *mem = mem_store_open();
    struct store *trace = trace_store_open(mem);
    struct probe_report report;
    ck_assert_int_eq(probe(trace, false, &report), OK);
    struct trace_counts counts = trace_store_counts(trace, true);
    ck_assert_uint_le(counts.puts[TRACE_OTHER], 64 + 15);
    ck_assert_uint_le(counts.gets[TRACE_OTHER], 35);
    ck_assert_uint_le(counts.lists, 10);
    store_close(trace);
    store_close(mem);
}
END_TEST

START_TEST(what_dead_probes_left_is_deleted)
{
    struct store *mem = mem_store_open();
    struct probe_report report;
    const uint64_t day = 24ull * 60 * 60 * 1000;
    struct key old = key_probe(wall_now - day - 1, 7, "swap");
    struct key young = key_probe(wall_now - day + 1, 8, "swap");
    const char *const left[] = {young.s, "probe/other", "probe/passed"};
    rig_put(mem, old.s, "x");
    for (size_t i = 0; i < ARRAY_LEN(left); i++)
        rig_put(mem, left[i], left[i]);
    ck_assert_int_eq(probe(mem, false, &report), OK);
    rig_expect_list(mem, "", "", 10, left, ARRAY_LEN(left), false);
    store_close(mem);
}
END_TEST

START_TEST(a_note_is_good_for_a_day)
{
    struct store *mem = mem_store_open();
    struct probe_note note = {.where = {{1}}, .passed_ms = wall_now, .bare_etag = true};
    struct probe_note read = {{{0}}, 0, false};
    const struct hash elsewhere = {{2}};
    const uint64_t hour = 60ull * 60 * 1000;
    ck_assert_int_eq(ERR_NOT_FOUND, probe_remembered(mem, &note.where, wall_now, &read));
    ck_assert_int_eq(probe_remember(mem, &note), OK);
    ck_assert_int_eq(OK, probe_remembered(mem, &note.where, wall_now, &read));
    ck_assert(read.bare_etag);
    ck_assert_int_eq(ERR_NOT_FOUND, probe_remembered(mem, &elsewhere, wall_now, &read));
    ck_assert_int_eq(OK, probe_remembered(mem, &note.where, wall_now + 24 * hour, &read));
    ck_assert_int_eq(ERR_NOT_FOUND,
                     probe_remembered(mem, &note.where, wall_now + 24 * hour + 1, &read));
    ck_assert_int_eq(OK, probe_remembered(mem, &note.where, wall_now - hour, &read));
    ck_assert_int_eq(ERR_NOT_FOUND,
                     probe_remembered(mem, &note.where, wall_now - hour - 1, &read));
    rig_put(mem, "probe/passed", "junk");
    ck_assert_int_eq(ERR_NOT_FOUND, probe_remembered(mem, &note.where, wall_now, &read));
    store_close(mem);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        good_stores_pass,           what_no_store_may_do_is_refused,
        what_a_store_may_do_passes, the_form_of_etags_is_found_out,
        other_errors_are_passed_up, one_unknown_is_no_verdict,
        a_probe_is_cheap,           what_dead_probes_left_is_deleted,
        a_note_is_good_for_a_day,
    };
    return suite_run("probe", tests, ARRAY_LEN(tests));
}
