/* A lander on a store that takes one put a second to a key: it waits, and lands together what
 * comes meanwhile; no put of its own is refused. */
#include <check.h>
#include <stdlib.h>

#include "formats/key.h"
#include "pipeline/store/slow.h"
#include "tests/support/forge.h"
#include "tests/support/oracle.h"
#include "tests/support/suite.h"

#define INTERVAL_MS 1000u
#define DELAY_US    30000u
#define LENGTH_MS   9000u
#define ASKED       400

static struct forge f;      /* the bucket, and whoever writes to the queue */
static struct forge first;  /* a drain over `slow` */
static struct forge second; /* another one */
static struct store *slow;  /* its time is that of `first` */
static struct oracle oracle;
static struct draft drafts[ASKED];
static struct id16 requests[ASKED];
static int asked;

static void reopen(struct forge *drain, uint32_t lease_ms)
{
    drain->land->close(drain->land);
    drain->land_options.lease_ms = lease_ms;
    drain->land_options.fold_after_ms = 0;
    drain->land = stage_land_open(&drain->repo, &drain->land_options);
}

static void setup(uint32_t lease_ms)
{
    forge_init(&f);
    forge_land_text(&f, "base", "p", "0", NULL);
    forge_join(&first, &f, NULL);
    const struct slow_options options = {
        .clock = &first.clock.clock, .delay_us = DELAY_US, .put_interval_ms = INTERVAL_MS};
    slow = slow_store_open(f.trace, &options);
    first.repo.store = slow;
    f.seq += 10;
    forge_join(&second, &f, NULL);
    second.repo.store = slow;
    second.repo.clock = &first.clock.clock;
    reopen(&first, lease_ms);
    reopen(&second, lease_ms);
    asked = 0;
    (void)trace_store_counts(f.trace, true);
}

static void teardown(void)
{
    oracle_check(&oracle, &f.repo, &f.project);
    oracle_release(&oracle);
    forge_release(&second);
    forge_release(&first);
    store_close(slow);
    forge_release(&f);
}

static void pass(uint64_t ms)
{
    first.clock.clock.sleep_us(&first.clock.clock, ms * 1000);
    f.clock.ms = first.clock.ms;
}

static void ask(void)
{
    struct draft *s = &drafts[asked];
    *s = draft_open(&f, "ann", arena_printf(&f.arena, "s%d", asked), 1);
    draft_write(s, arena_printf(&f.arena, "q/%d", asked), "1", NULL);
    requests[asked] = forge_submit(&f, s, 1);
    asked++;
}

static void all_are_answered(void)
{
    for (int i = 0; i < asked; i++)
        ck_assert_uint_eq(forge_answers(&f, &drafts[i].session.id, &requests[i]), 1);
}

/* As a job does it, but that time only passes. */
static void run_until_done(struct forge *drain)
{
    int did;
    while ((did = drain->land->run(drain->land)) != 0 || drain->land->again_ms > 0) {
        ck_assert_int_ge(did, 0);
        if (did == 0)
            pass(drain->land->again_ms);
    }
}

/* For 20 seconds something comes every 50 ms, and the drain is woken by it. */
START_TEST(nothing_is_refused)
{
    setup(LENGTH_MS);
    uint64_t began_us = first.clock.us;
    while (asked < ASKED) {
        ask();
        ck_assert_int_ge(first.land->run(first.land), 0);
        pass(50);
    }
    run_until_done(&first);
    uint64_t seconds = (first.clock.us - began_us) / 1000000 + 1;
    struct trace_counts c = trace_store_counts(f.trace, true);
    ck_assert_uint_eq(slow_store_refused(slow), 0);
    ck_assert_uint_eq(c.puts[TRACE_TREE], c.puts[TRACE_HEAD]);
    ck_assert_uint_le(c.puts[TRACE_HEAD], seconds);
    ck_assert_uint_ge(c.puts[TRACE_HEAD], seconds / 2);
    all_are_answered();
    teardown();
}
END_TEST

/* It says when it wants to run again, and until then asks for a list and no more. */
START_TEST(what_is_put_off_is_done_in_time)
{
    setup(0);
    ask();
    ck_assert_int_gt(first.land->run(first.land), 0);
    ck_assert_uint_eq(first.land->again_ms, 0);
    ck_assert_int_eq(first.land->run(first.land), 0);
    ck_assert_uint_eq(first.land->again_ms, 0); /* nothing is left */
    ck_assert(!first.land->waits);
    ask();
    (void)trace_store_counts(f.trace, true);
    for (int i = 0; i < 5; i++) {
        ck_assert_int_eq(first.land->run(first.land), 0);
        ck_assert(first.land->waits);
        ck_assert_uint_gt(first.land->again_ms, 0);
        ck_assert_uint_lt(first.land->again_ms, INTERVAL_MS);
    }
    struct trace_counts c = trace_store_counts(f.trace, true);
    ck_assert_uint_eq(c.lists, 5);
    ck_assert_uint_eq(c.gets[TRACE_QUEUE], 1);
    ck_assert_uint_eq(c.gets[TRACE_HEAD] + c.puts[TRACE_TREE] + c.puts[TRACE_HEAD], 0);
    pass(first.land->again_ms);
    ck_assert_int_gt(first.land->run(first.land), 0);
    ck_assert_uint_eq(first.land->again_ms, 0);
    ck_assert_uint_eq(slow_store_refused(slow), 0);
    all_are_answered();
    teardown();
}
END_TEST

/* What does not fit into a batch waits for the next one. */
START_TEST(a_full_batch_leaves_the_rest)
{
    setup(0);
    first.land_options.batch_max = 3;
    reopen(&first, 0);
    for (int i = 0; i < 7; i++)
        ask();
    ck_assert_int_eq(first.land->run(first.land), 3 + 3); /* landings and groups */
    ck_assert_uint_gt(first.land->again_ms, 0);
    run_until_done(&first);
    struct trace_counts c = trace_store_counts(f.trace, true);
    ck_assert_uint_eq(c.puts[TRACE_HEAD], 3);
    ck_assert_uint_eq(c.puts[TRACE_TREE], 3);
    ck_assert_uint_eq(slow_store_refused(slow), 0);
    all_are_answered();
    teardown();
}
END_TEST

/* Two drains that know nothing of each other: some puts are refused, and nothing is lost or
 * done twice. A put that is refused is not tried again at once. */
START_TEST(two_drains_lose_nothing)
{
    setup(0);
    uint64_t began_us = first.clock.us;
    while (asked < ASKED) {
        struct forge *drain = asked % 3 == 0 ? &first : &second;
        ask();
        ck_assert_int_ge(drain->land->run(drain->land), 0);
        pass(50);
    }
    run_until_done(&first);
    run_until_done(&second);
    uint64_t seconds = (first.clock.us - began_us) / 1000000 + 1;
    struct trace_counts c = trace_store_counts(f.trace, true);
    ck_assert_uint_le(c.puts[TRACE_HEAD], seconds);
    ck_assert_uint_le(c.puts[TRACE_TREE], 2 * seconds);
    ck_assert_uint_le(slow_store_refused(slow), seconds);
    all_are_answered();
    teardown();
}
END_TEST

/* A session's object is put when it is folded, and again when the session has landed. */
START_TEST(a_session_rests_between_its_puts)
{
    setup(0);
    struct draft d = draft_open(&f, "ann", "open", 1);
    draft_write(&d, "o", "1", NULL);
    struct id16 ids[2] = {d.session.records[0].id, d.session.records[1].id};
    if (id16_compare(&ids[0], &ids[1]) > 0) {
        struct id16 other = ids[0];
        ids[0] = ids[1];
        ids[1] = other;
    }
    forge_write(&f, &d);
    ck_assert_int_gt(first.land->run(first.land), 0);
    struct trace_counts c = trace_store_counts(f.trace, true);
    ck_assert_uint_eq(c.puts[TRACE_SESSION], 1);
    draft_decide(&d, "later");
    forge_write(&f, &d);
    ck_assert_int_eq(first.land->run(first.land), 0); /* it is no error */
    ck_assert_uint_gt(first.land->again_ms, 0);
    struct id16 request = forge_land(&f, &d, ids, 2);
    ck_assert_int_gt(first.land->run(first.land), 0);
    ck_assert_uint_gt(first.land->again_ms, 0);
    ck_assert_uint_eq(forge_answers(&f, &d.session.id, &request), 1);
    ck_assert_uint_eq(forge_count(&f, "queue/"), 2); /* until it is put away */
    run_until_done(&first);
    c = trace_store_counts(f.trace, true);
    ck_assert_uint_eq(c.puts[TRACE_SESSION], 1);
    ck_assert_uint_eq(c.puts[TRACE_HEAD], 1);
    ck_assert_uint_eq(forge_count(&f, "queue/"), 0);
    ck_assert_uint_eq(slow_store_refused(slow), 0);
    teardown();
}
END_TEST

/* An object that the first put did not expect does not rest: that put has changed nothing. */
START_TEST(a_put_that_found_another_object_is_made_again)
{
    setup(0);
    struct draft d = draft_open(&f, "ann", "open", 1);
    draft_write(&d, "o", "1", NULL);
    struct id16 ids[2] = {d.session.records[0].id, d.session.records[1].id};
    if (id16_compare(&ids[0], &ids[1]) > 0) {
        struct id16 other = ids[0];
        ids[0] = ids[1];
        ids[1] = other;
    }
    forge_write(&f, &d);
    struct store_list list;
    AUTO_BUF kept = {0};
    ck_assert_int_eq(store_list(f.mem, &f.arena, "queue/", "", 10, &list), OK);
    ck_assert_int_eq(store_get(f.mem, list.keys[0].key, range_all(), &kept, NULL, NULL), OK);
    ck_assert_int_gt(second.land->run(second.land), 0); /* folds it */
    pass(INTERVAL_MS);
    ck_assert_int_eq(store_put(f.mem, list.keys[0].key, buf_bytes(&kept), PUT_IF_ABSENT, NULL),
                     OK);
    struct id16 request = forge_land(&f, &d, ids, 2);
    ck_assert_int_gt(first.land->run(first.land), 0);
    ck_assert_uint_eq(first.land->again_ms, 0);
    ck_assert_uint_eq(forge_answers(&f, &d.session.id, &request), 1);
    ck_assert_uint_eq(forge_count(&f, "queue/"), 0);
    ck_assert_uint_eq(slow_store_refused(slow), 0);
    teardown();
}
END_TEST

/* A lease that is too short for the store is longer, and one that was put just now is released
 * all the same. */
START_TEST(a_lease_rests_between_its_puts)
{
    setup(INTERVAL_MS / 10);
    ask();
    ck_assert_int_gt(first.land->run(first.land), 0);
    for (int i = 0; i < 50; i++) {
        ask();
        ck_assert_int_ge(first.land->run(first.land), 0);
        ck_assert_int_eq(second.land->run(second.land), 0); /* it is the other's */
        pass(INTERVAL_MS / 10);
    }
    run_until_done(&first);
    pass(INTERVAL_MS);
    ask();
    ck_assert_int_ge(first.land->run(first.land), 0);
    reopen(&first, 0);
    ck_assert_uint_eq(slow_store_refused(slow), 0);
    (void)trace_store_counts(f.trace, true);
    ask();
    pass(INTERVAL_MS);
    run_until_done(&second);
    struct trace_counts c = trace_store_counts(f.trace, true);
    ck_assert_uint_eq(c.puts[TRACE_LEASE], 1);
    ck_assert_uint_eq(slow_store_refused(slow), 0);
    all_are_answered();
    teardown();
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        nothing_is_refused,
        what_is_put_off_is_done_in_time,
        a_full_batch_leaves_the_rest,
        two_drains_lose_nothing,
        a_session_rests_between_its_puts,
        a_put_that_found_another_object_is_made_again,
        a_lease_rests_between_its_puts,
    };
    return suite_run("land_pace", tests, ARRAY_LEN(tests));
}
