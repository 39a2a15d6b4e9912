/* Who holds a shard's lease: clocks that are off, holders that die or are stopped, stores that
 * fail, and bytes that are no lease. */
#include "pipeline/stages/shard_lease.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "formats/key.h"
#include "formats/lease.h"
#include "tests/support/faulty.h"
#include "tests/support/forge.h"

#define LENGTH_MS 9000u
#define RENEW_MS  3000u

/* A drain, as far as it has to do with leases: an agent and clocks of its own. */
struct drain {
    struct forge f;
    struct shard_leases *leases;
};

static struct forge bucket;
static struct store *faulty; /* what `a` sees of it; `b` sees it as it is */
static struct drain a;
static struct drain b;

static void drain_reopen(struct drain *d, uint32_t length_ms, bool claim)
{
    if (d->leases != NULL)
        shard_leases_close(d->leases);
    d->leases = shard_leases_open(&d->f.repo, 0, 1, length_ms, claim);
}

static void drain_init(struct drain *d, struct store *over)
{
    *d = (struct drain){0};
    bucket.seq += 10;
    forge_join(&d->f, &bucket, over);
    drain_reopen(d, LENGTH_MS, false);
}

static void drain_release(struct drain *d)
{
    shard_leases_close(d->leases);
    forge_release(&d->f);
}

static void setup(void)
{
    forge_init(&bucket);
    faulty = faulty_store_open(bucket.trace);
    drain_init(&a, faulty);
    drain_init(&b, NULL);
    faulty_reset(faulty);
    (void)trace_store_counts(bucket.trace, true);
}

static void teardown(void)
{
    drain_release(&b);
    drain_release(&a);
    store_close(faulty);
    forge_release(&bucket);
}

static bool hold(struct drain *d)
{
    return shard_lease_hold(d->leases, 0);
}

static void idle(struct drain *d)
{
    shard_lease_idle(d->leases, 0);
}

/* Time goes by, on everybody's monotonic clock. */
static void pass(uint64_t ms)
{
    a.f.clock.us += ms * 1000;
    b.f.clock.us += ms * 1000;
}

static struct trace_counts counts(void)
{
    return trace_store_counts(bucket.trace, true);
}

static struct lease lease_now(void)
{
    AUTO_BUF bytes = {0};
    struct lease lease;
    struct key key = key_lease(0);
    ck_assert_int_eq(store_get(bucket.mem, key.s, range_all(), &bytes, NULL, NULL), OK);
    ck_assert_int_eq(lease_decode(buf_bytes(&bytes), &lease), OK);
    return lease;
}

static void lease_overwrite(struct bytes bytes)
{
    struct key key = key_lease(0);
    ck_assert_int_eq(store_put(bucket.mem, key.s, bytes, PUT_ANY, NULL), OK);
}

/* --- holders that live, die, are stopped --- */

START_TEST(test_first_comes_first)
{
    ck_assert(hold(&a));
    ck_assert_uint_eq(lease_now().agent, a.f.repo.agent);
    ck_assert_uint_eq(lease_now().length_ms, LENGTH_MS);
    ck_assert(!hold(&b));
    ck_assert(hold(&a));
}
END_TEST

/* However long it goes on; and not once a round: what it costs depends on time alone. */
START_TEST(test_holder_that_lives_keeps_it)
{
    enum { lengths = 20, step_ms = 10 };
    for (unsigned ms = 0; ms < lengths * LENGTH_MS; ms += step_ms) {
        ck_assert(hold(&a));
        ck_assert(!hold(&b));
        pass(step_ms);
    }
    struct trace_counts c = counts();
    ck_assert_uint_eq(c.puts[TRACE_LEASE], lengths * 3);
    /* The first time each; and b ten times a length, less what the steps round away. */
    ck_assert_uint_le(c.gets[TRACE_LEASE], 2 + lengths * 10);
    ck_assert_uint_ge(c.gets[TRACE_LEASE], lengths * 9);
    ck_assert_uint_eq(c.failed, 1); /* it was not there at first */
}
END_TEST

/* Schedule 30: the wall clocks say what they like, and the monotonic clocks have nothing to do
 * with each other: only what goes by on the observer's own monotonic clock counts. */
START_TEST(test_holder_dies_whatever_the_clocks_say)
{
    static const int64_t hours[] = {0, 1, -1, 1000, -1000};
    const uint64_t hour_ms = 3600000;
    a.f.clock.ms += (uint64_t)hours[_i] * hour_ms;
    a.f.clock.us += (uint64_t)(_i + 1) * hour_ms * 1000;
    ck_assert(hold(&a));
    ck_assert(!hold(&b)); /* sees it now; a is gone from here on */
    for (unsigned ms = 0; ms < LENGTH_MS; ms += 100) {
        ck_assert(!hold(&b));
        b.f.clock.us += 100000;
        b.f.clock.ms += (uint64_t)hours[ARRAY_LEN(hours) - 1 - (size_t)_i] * hour_ms;
    }
    ck_assert(hold(&b));
    ck_assert_uint_eq(lease_now().agent, b.f.repo.agent);
}
END_TEST

/* A look long ago says nothing about now. */
START_TEST(test_old_sight_of_another_lease)
{
    ck_assert(hold(&a));
    ck_assert(!hold(&b));
    for (int i = 0; i < 100; i++) { /* b has no work meanwhile */
        pass(RENEW_MS);
        ck_assert(hold(&a));
    }
    ck_assert(!hold(&b));
    pass(LENGTH_MS - 1);
    ck_assert(!hold(&b));
    pass(1);
    ck_assert(hold(&b));
}
END_TEST

START_TEST(test_holder_that_was_stopped_goes_on)
{
    ck_assert(hold(&a));
    ck_assert(!hold(&b));
    pass(LENGTH_MS);
    ck_assert(hold(&b));
    struct lease of_b = lease_now();
    ck_assert(!hold(&a));
    idle(&a);
    pass(RENEW_MS);
    idle(&a);
    ck_assert(!hold(&a));
    drain_reopen(&a, LENGTH_MS, false);
    ck_assert_uint_eq(lease_now().agent, b.f.repo.agent);
    ck_assert_uint_eq(lease_now().counter, of_b.counter);
}
END_TEST

/* Nobody else was there meanwhile. */
START_TEST(test_holder_that_was_stopped_alone)
{
    ck_assert(hold(&a));
    pass(100 * LENGTH_MS);
    ck_assert(hold(&a));
    ck_assert(!hold(&b));
}
END_TEST

START_TEST(test_each_lease_has_its_own_length)
{
    drain_reopen(&a, 3 * LENGTH_MS, false);
    ck_assert(hold(&a));
    ck_assert(!hold(&b));
    pass(3 * LENGTH_MS - 1);
    ck_assert(!hold(&b));
    pass(1);
    ck_assert(hold(&b));
}
END_TEST

START_TEST(test_no_leases)
{
    drain_reopen(&a, 0, false);
    ck_assert(hold(&a));
    idle(&a);
    shard_lease_failing(a.leases, 0, true);
    struct trace_counts c = counts();
    ck_assert_uint_eq(c.gets[TRACE_LEASE] + c.puts[TRACE_LEASE], 0);
}
END_TEST

/* --- taking and releasing --- */

START_TEST(test_released_without_work)
{
    ck_assert(hold(&a));
    ck_assert(!hold(&b));
    (void)counts();
    pass(RENEW_MS - 1);
    idle(&a);
    ck_assert_uint_eq(counts().puts[TRACE_LEASE], 0);
    ck_assert_uint_eq(lease_now().length_ms, LENGTH_MS);
    pass(1);
    idle(&a);
    ck_assert_uint_eq(counts().puts[TRACE_LEASE], 1);
    ck_assert_uint_eq(lease_now().length_ms, 0);
    for (int i = 0; i < 100; i++) {
        pass(RENEW_MS);
        idle(&a);
        idle(&b);
    }
    struct trace_counts c = counts();
    ck_assert_uint_eq(c.puts[TRACE_LEASE] + c.gets[TRACE_LEASE], 0);
    ck_assert(hold(&b));
    ck_assert(!hold(&a));
}
END_TEST

/* One that releases it may have it again without a look. */
START_TEST(test_taken_again)
{
    ck_assert(hold(&a));
    pass(RENEW_MS);
    idle(&a);
    (void)counts();
    ck_assert(hold(&a));
    struct trace_counts c = counts();
    ck_assert_uint_eq(c.puts[TRACE_LEASE], 1);
    ck_assert_uint_eq(c.gets[TRACE_LEASE], 0);
}
END_TEST

/* It was free when last heard of, and has had many holders since. */
START_TEST(test_taken_again_by_an_old_version)
{
    ck_assert(hold(&a));
    pass(RENEW_MS);
    idle(&a);
    ck_assert(hold(&b));
    pass(RENEW_MS);
    idle(&b);
    ck_assert(hold(&a));
    ck_assert(!hold(&b));
}
END_TEST

START_TEST(test_end_releases)
{
    ck_assert(hold(&a));
    drain_reopen(&a, LENGTH_MS, false);
    ck_assert_uint_eq(lease_now().length_ms, 0);
    ck_assert(hold(&b));
}
END_TEST

START_TEST(test_claim)
{
    ck_assert(hold(&b));
    drain_reopen(&a, LENGTH_MS, true);
    ck_assert(hold(&a));
    ck_assert(hold(&b)); /* it learns of it when it puts it anew */
    pass(RENEW_MS);
    ck_assert(!hold(&b));
    /* At the first look only. */
    pass(LENGTH_MS);
    ck_assert(hold(&b));
    ck_assert(!hold(&a));
}
END_TEST

/* What happens when `a` is about to put the lease: once. */
static void (*meanwhile)(const struct store_op *);

static void on_call(void *arg, uint64_t call, const struct store_op *op)
{
    (void)arg;
    (void)call;
    if (op == NULL || op->verb != STORE_PUT || meanwhile == NULL)
        return;
    void (*now)(const struct store_op *) = meanwhile;
    meanwhile = NULL;
    now(op);
}

static void b_takes_it(const struct store_op *op)
{
    (void)op;
    ck_assert(hold(&b));
}

/* Both see that it is free, or has run out. */
START_TEST(test_two_take_it_at_once)
{
    if (_i == 1) {
        ck_assert(hold(&a));
        pass(RENEW_MS);
        idle(&a);
    }
    if (_i == 2) {
        static const uint8_t none[1] = {0};
        lease_overwrite(bytes_of(none, 1));
        ck_assert(!hold(&a) && !hold(&b));
        pass(LENGTH_MS);
    }
    meanwhile = b_takes_it;
    faulty_watch(faulty, on_call, NULL);
    ck_assert(!hold(&a));
    ck_assert_ptr_null(meanwhile);
    ck_assert(hold(&b));
    ck_assert_uint_eq(lease_now().agent, b.f.repo.agent);
}
END_TEST

static void it_is_put_twice(const struct store_op *op)
{
    static struct store_op copy;
    copy = *op;
    ck_assert_int_eq(store_many(bucket.trace, &copy, 1), OK);
}

/* Schedule 31: something on the way repeats the put, and we are told of the second. */
START_TEST(test_own_win_told_as_conflict)
{
    if (_i == 1) {
        ck_assert(hold(&a));
        pass(RENEW_MS);
    }
    meanwhile = it_is_put_twice;
    faulty_watch(faulty, on_call, NULL);
    ck_assert(hold(&a));
    ck_assert_ptr_null(meanwhile);
    ck_assert(!hold(&b));
    ck_assert(hold(&a));
}
END_TEST

/* --- what is put --- */

enum { seen_max = 200 };
static struct lease seen[seen_max];
static size_t n_seen;

static void on_put(void *arg, uint64_t call, const struct store_op *op)
{
    (void)arg;
    (void)call;
    if (op == NULL || op->verb != STORE_PUT)
        return;
    ck_assert_int_ne(op->condition, PUT_ANY);
    ck_assert_uint_lt(n_seen, seen_max);
    ck_assert_int_eq(lease_decode(op->data, &seen[n_seen]), OK);
    for (size_t i = 0; i < n_seen; i++)
        ck_assert(seen[i].agent != seen[n_seen].agent ||
                  seen[i].counter != seen[n_seen].counter);
    n_seen++;
}

/* Held, released, lost and damaged: no bytes are ever put twice, and none without a
 * condition. */
START_TEST(test_bytes_never_repeat)
{
    n_seen = 0;
    faulty_watch(faulty, on_put, NULL);
    for (int i = 0; i < 20; i++) {
        ck_assert(hold(&a));
        pass(RENEW_MS);
        ck_assert(hold(&a));
        pass(RENEW_MS);
        idle(&a);
        lease_overwrite(bytes_str("none"));
        (void)!hold(&a);
        pass(LENGTH_MS);
        ck_assert(hold(&a));
        if (i % 3 == 0)
            drain_reopen(&b, LENGTH_MS, false);
        ck_assert(!hold(&b));
        pass(LENGTH_MS);
        ck_assert(hold(&b));
        pass(RENEW_MS);
        idle(&b);
    }
    ck_assert_uint_gt(n_seen, 60);
}
END_TEST

/* --- a store that fails --- */

/* From here on `a` cannot reach the store, in the way `fault`. */
static void a_cannot_reach(enum fault fault)
{
    unsigned odds[FAULTS] = {0};
    odds[fault] = 1000;
    faulty_chance(faulty, 1, odds);
}

static void a_can_reach(void)
{
    faulty_reset(faulty);
}

/* Who cannot ask drains. */
START_TEST(test_store_that_refuses)
{
    a_cannot_reach((enum fault)_i);
    for (int i = 0; i < 100; i++) {
        ck_assert(hold(&a));
        idle(&a);
        pass(1000);
    }
    a_can_reach();
    faulty_flush(faulty);
    /* And asks as soon as it can. */
    ck_assert(hold(&b) || lease_now().agent == a.f.repo.agent);
    ck_assert_int_eq(hold(&a), lease_now().agent == a.f.repo.agent);
}
END_TEST

static void refuse_puts(void *arg, uint64_t call, const struct store_op *op)
{
    (void)arg;
    if (op != NULL && op->verb == STORE_PUT)
        faulty_plan(faulty, call, FAULT_AGAIN);
}

/* One that may read leases, and put none. */
START_TEST(test_store_that_refuses_puts)
{
    faulty_watch(faulty, refuse_puts, NULL);
    for (int i = 0; i < 10; i++) {
        ck_assert(hold(&a));
        pass(1000);
    }
    ck_assert(hold(&b));
    ck_assert(!hold(&a));
    pass(LENGTH_MS);
    ck_assert(hold(&a));
    ck_assert(hold(&b));
    ck_assert(!hold(&a));
}
END_TEST

/* As long as it knows that another is at it, it leaves it to that one. */
START_TEST(test_look_that_fails)
{
    ck_assert(hold(&b));
    ck_assert(!hold(&a));
    a_cannot_reach(FAULT_AGAIN);
    pass(LENGTH_MS - 1);
    ck_assert(!hold(&a));
    pass(1);
    ck_assert(hold(&a));
    a_can_reach();
    ck_assert(hold(&a));
    pass(RENEW_MS);
    ck_assert(!hold(&b));
}
END_TEST

/* A renewal that fails for a while. */
START_TEST(test_renewal_that_fails)
{
    ck_assert(hold(&a));
    ck_assert(!hold(&b));
    a_cannot_reach(FAULT_AGAIN);
    pass(LENGTH_MS - 1);
    ck_assert(hold(&a));
    a_can_reach();
    ck_assert(hold(&a));
    ck_assert(!hold(&b));
    pass(LENGTH_MS - 1);
    ck_assert(!hold(&b));
}
END_TEST

/* One put of which nobody knows what came of it: when it is taken, put anew, released. */
static void one_unknown(enum fault fault)
{
    faulty_reset(faulty);
    faulty_late_calls(faulty, 2);
    faulty_plan(faulty, 1, fault);
}

START_TEST(test_unknown_take)
{
    ck_assert(hold(&b)); /* so that the next call is a put */
    ck_assert(!hold(&a));
    pass(RENEW_MS);
    idle(&b);
    ck_assert(hold(&a));
    pass(RENEW_MS);
    idle(&a);
    one_unknown((enum fault)_i);
    ck_assert(hold(&a)); /* whether it has it or not */
    ck_assert(hold(&a));
    faulty_flush(faulty);
    ck_assert(hold(&a));
    pass(RENEW_MS);
    ck_assert(hold(&a));
    ck_assert_uint_eq(lease_now().agent, a.f.repo.agent);
    ck_assert(!hold(&b));
}
END_TEST

START_TEST(test_unknown_renewal)
{
    ck_assert(hold(&a));
    pass(RENEW_MS);
    one_unknown((enum fault)_i);
    ck_assert(hold(&a));
    ck_assert(!hold(&b));
    faulty_flush(faulty);
    for (int i = 0; i < 10; i++) {
        ck_assert(hold(&a));
        ck_assert(!hold(&b));
        pass(RENEW_MS);
    }
}
END_TEST

START_TEST(test_unknown_release)
{
    ck_assert(hold(&a));
    pass(RENEW_MS);
    one_unknown((enum fault)_i);
    idle(&a);
    idle(&a);
    faulty_flush(faulty);
    /* At worst it runs out. */
    if (!hold(&b))
        pass(LENGTH_MS);
    ck_assert(hold(&b));
}
END_TEST

/* A late release comes when it is held again, and takes it away: at worst another has it. */
START_TEST(test_late_release)
{
    ck_assert(hold(&a));
    pass(RENEW_MS);
    faulty_reset(faulty);
    faulty_late_calls(faulty, 100);
    faulty_plan(faulty, 1, FAULT_UNKNOWN_LATE);
    idle(&a);
    ck_assert(hold(&a));
    faulty_flush(faulty);
    ck_assert(hold(&b));
    ck_assert(!hold(&a));
}
END_TEST

/* --- a holder that does nothing --- */

START_TEST(test_failing_holder_makes_way)
{
    ck_assert(hold(&a));
    ck_assert(!hold(&b));
    for (unsigned ms = 0; ms < LENGTH_MS; ms += 1000) {
        shard_lease_failing(a.leases, 0, true);
        ck_assert(hold(&a)); /* it goes on trying */
        ck_assert(!hold(&b));
        pass(1000);
    }
    ck_assert(hold(&b));
    ck_assert(hold(&a));
    shard_lease_failing(a.leases, 0, false);
    ck_assert(!hold(&a));
    ck_assert(hold(&b));
}
END_TEST

START_TEST(test_holder_fails_for_a_moment)
{
    ck_assert(hold(&a));
    ck_assert(!hold(&b));
    shard_lease_failing(a.leases, 0, true);
    pass(LENGTH_MS - 1);
    ck_assert(hold(&a));
    shard_lease_failing(a.leases, 0, false);
    ck_assert(hold(&a));
    pass(1);
    ck_assert(!hold(&b));
}
END_TEST

/* --- bytes that are no lease --- */

static struct bytes no_lease(int which, struct buf *out)
{
    struct lease other = {.agent = 1, .counter = 2, .shard = 1, .length_ms = 60000};
    switch (which) {
    case 0: /* nothing at all */
        break;
    case 1: /* another's object */
        buf_append(out, "a photograph of a lease", 23);
        break;
    case 2: /* one that lies under another shard's name */
        lease_encode(&other, out);
        break;
    case 3: /* cut short */
        other.shard = 0;
        lease_encode(&other, out);
        out->len--;
        break;
    case 4: /* longer */
        other.shard = 0;
        lease_encode(&other, out);
        buf_append(out, "x", 1);
        break;
    default: /* a bit flipped */
        other.shard = 0;
        lease_encode(&other, out);
        out->data[20] ^= 1;
    }
    return buf_bytes(out);
}

START_TEST(test_no_lease_is_free_after_its_length)
{
    AUTO_BUF bytes = {0};
    lease_overwrite(no_lease(_i, &bytes));
    ck_assert(!hold(&a));
    ck_assert(!hold(&b));
    pass(LENGTH_MS - 1);
    ck_assert(!hold(&a));
    pass(1);
    ck_assert(hold(&a));
    ck_assert_uint_eq(lease_now().agent, a.f.repo.agent);
    ck_assert(!hold(&b));
}
END_TEST

/* One that is overwritten while it is held. */
START_TEST(test_held_lease_is_damaged)
{
    AUTO_BUF bytes = {0};
    ck_assert(hold(&a));
    lease_overwrite(no_lease(_i, &bytes));
    pass(RENEW_MS);
    ck_assert(!hold(&a));
    pass(LENGTH_MS);
    ck_assert(hold(&a));
    ck_assert_uint_eq(lease_now().agent, a.f.repo.agent);
}
END_TEST

/* It is gone: nobody deletes leases, and nobody minds. */
START_TEST(test_held_lease_is_gone)
{
    struct key key = key_lease(0);
    ck_assert(hold(&a));
    ck_assert_int_eq(store_delete(bucket.mem, key.s), OK);
    pass(RENEW_MS);
    ck_assert(hold(&a));
    ck_assert_uint_eq(lease_now().agent, a.f.repo.agent);
}
END_TEST

/* --- watching --- */

START_TEST(test_watch_until_what_was_there_is_gone)
{
    ck_assert(hold(&a));
    ck_assert(!hold(&b));
    ck_assert(shard_lease_watch(b.leases, 0, 10, 20));
    ck_assert(shard_lease_watch(b.leases, 0, 20, 90));
    ck_assert(!shard_lease_watch(b.leases, 0, 21, 100));
}
END_TEST

/* It lives, and what is still there waits for something else. */
START_TEST(test_watch_a_holder_that_lives)
{
    unsigned watched_ms = 0;
    ck_assert(hold(&a));
    ck_assert(!hold(&b));
    while (shard_lease_watch(b.leases, 0, 10, 20)) {
        ck_assert_uint_lt(watched_ms, 2 * LENGTH_MS);
        watched_ms += 100;
        pass(100);
        ck_assert(hold(&a));
        ck_assert(!hold(&b));
    }
    ck_assert_uint_ge(watched_ms, LENGTH_MS * 2 / 3);
}
END_TEST

/* It is dead: the watch ends with taking over, not before. */
START_TEST(test_watch_a_holder_that_is_dead)
{
    ck_assert(hold(&a));
    for (unsigned ms = 0; ms < LENGTH_MS; ms += 100) {
        ck_assert(!hold(&b));
        ck_assert(shard_lease_watch(b.leases, 0, 10, 20));
        pass(100);
    }
    ck_assert(hold(&b));
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        test_first_comes_first,
        test_holder_that_lives_keeps_it,
        test_old_sight_of_another_lease,
        test_holder_that_was_stopped_goes_on,
        test_holder_that_was_stopped_alone,
        test_each_lease_has_its_own_length,
        test_no_leases,
        test_released_without_work,
        test_taken_again,
        test_taken_again_by_an_old_version,
        test_end_releases,
        test_claim,
        test_bytes_never_repeat,
        test_store_that_refuses_puts,
        test_look_that_fails,
        test_renewal_that_fails,
        test_late_release,
        test_failing_holder_makes_way,
        test_holder_fails_for_a_moment,
        test_held_lease_is_gone,
        test_watch_until_what_was_there_is_gone,
        test_watch_a_holder_that_lives,
        test_watch_a_holder_that_is_dead,
    };
    Suite *suite = suite_create("shard_lease");
    TCase *tcase = tcase_create("shard_lease");
    tcase_add_checked_fixture(tcase, setup, teardown);
    for (size_t i = 0; i < ARRAY_LEN(tests); i++)
        tcase_add_test(tcase, tests[i]);
    tcase_add_loop_test(tcase, test_holder_dies_whatever_the_clocks_say, 0, 5);
    tcase_add_loop_test(tcase, test_two_take_it_at_once, 0, 3);
    tcase_add_loop_test(tcase, test_own_win_told_as_conflict, 0, 2);
    tcase_add_loop_test(tcase, test_store_that_refuses, FAULT_AGAIN, FAULT_CRASH_BEFORE);
    tcase_add_loop_test(tcase, test_unknown_take, FAULT_UNKNOWN_DONE, FAULT_CRASH_BEFORE);
    tcase_add_loop_test(tcase, test_unknown_renewal, FAULT_UNKNOWN_DONE, FAULT_CRASH_BEFORE);
    tcase_add_loop_test(tcase, test_unknown_release, FAULT_UNKNOWN_DONE, FAULT_CRASH_BEFORE);
    tcase_add_loop_test(tcase, test_no_lease_is_free_after_its_length, 0, 6);
    tcase_add_loop_test(tcase, test_held_lease_is_damaged, 0, 6);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
