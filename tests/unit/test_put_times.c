/* When keys were put last, and the store that refuses what comes too early. */
#include <check.h>
#include <stdio.h>

#include "pipeline/store/mem.h"
#include "pipeline/store/pulse.h"
#include "pipeline/store/put_times.h"
#include "pipeline/store/s3.h"
#include "pipeline/store/slow.h"
#include "pipeline/store/trace.h"
#include "tests/support/forge.h"
#include "tests/support/suite.h"

#define INTERVAL_MS 1000u
#define INTERVAL_US 1000000u

START_TEST(a_key_rests_for_the_interval)
{
    AUTO(put_times_release) struct put_times times = {0};
    ck_assert_uint_eq(put_times_wait_us(&times, "a", 5, INTERVAL_US), 0);
    put_times_note(&times, "a", 5, INTERVAL_US);
    ck_assert_uint_eq(put_times_wait_us(&times, "a", 5, INTERVAL_US), INTERVAL_US);
    ck_assert_uint_eq(put_times_wait_us(&times, "b", 5, INTERVAL_US), 0);
    ck_assert_uint_eq(put_times_wait_us(&times, "a", 4 + INTERVAL_US, INTERVAL_US), 1);
    ck_assert_uint_eq(put_times_wait_us(&times, "a", 5 + INTERVAL_US, INTERVAL_US), 0);
    put_times_note(&times, "a", 5 + INTERVAL_US, INTERVAL_US);
    ck_assert_uint_eq(put_times_wait_us(&times, "a", 6 + INTERVAL_US, INTERVAL_US),
                      INTERVAL_US - 1);
    put_times_forget(&times, "a");
    put_times_forget(&times, "b");
    ck_assert_uint_eq(put_times_wait_us(&times, "a", 6 + INTERVAL_US, INTERVAL_US), 0);
    /* The reader's clock was read a moment before. */
    put_times_note(&times, "a", 100, INTERVAL_US);
    ck_assert_uint_eq(put_times_wait_us(&times, "a", 99, INTERVAL_US), INTERVAL_US + 1);
}
END_TEST

/* However many keys there were, those that matter are kept, and only they. */
START_TEST(only_what_matters_is_kept)
{
    AUTO(put_times_release) struct put_times times = {0};
    char key[32];
    enum { n = 5000, at_once = 100 };
    for (uint64_t i = 0; i < n; i++) {
        uint64_t now = i * INTERVAL_US / at_once;
        snprintf(key, sizeof(key), "k%u", (unsigned)i);
        put_times_note(&times, key, now, INTERVAL_US);
        for (uint64_t k = i < at_once ? 0 : i - at_once; k <= i; k++) {
            snprintf(key, sizeof(key), "k%u", (unsigned)k);
            uint64_t wait = (at_once - (i - k)) * INTERVAL_US / at_once;
            ck_assert_uint_eq(put_times_wait_us(&times, key, now, INTERVAL_US), wait);
        }
    }
    ck_assert_uint_le(times.n_slots, 8 * at_once);
}
END_TEST

static struct clock_manual manual;
static struct store *mem;
static struct store *slow;

static void setup(void)
{
    clock_manual_init(&manual, 1000);
    mem = mem_store_open();
    const struct slow_options options = {
        .clock = &manual.clock, .delay_us = 30, .put_interval_ms = INTERVAL_MS};
    slow = slow_store_open(mem, &options);
}

static void teardown(void)
{
    store_close(slow);
    store_close(mem);
}

static bool holds(const char *key, const char *text)
{
    AUTO_BUF body = {0};
    ck_assert_int_eq(store_get(mem, key, range_all(), &body, NULL, NULL), OK);
    return bytes_equal(buf_bytes(&body), bytes_str(text));
}

START_TEST(a_put_that_comes_too_early_is_refused)
{
    setup();
    ck_assert_int_eq(store_put(slow, "a", bytes_str("1"), PUT_ANY, NULL), OK);
    ck_assert_int_eq(store_put(slow, "a", bytes_str("2"), PUT_ANY, NULL), ERR_AGAIN);
    ck_assert(holds("a", "1"));
    ck_assert_int_eq(store_put(slow, "b", bytes_str("2"), PUT_ANY, NULL), OK);
    ck_assert_uint_eq(slow_store_refused(slow), 1);
    manual.us += INTERVAL_US - 30; /* effect to effect */
    ck_assert_int_eq(store_put(slow, "a", bytes_str("3"), PUT_ANY, NULL), OK);
    ck_assert_uint_eq(slow_store_refused(slow), 1);
    ck_assert(holds("a", "3"));
    teardown();
}
END_TEST

/* Only successful ones count: who lost a race has not used up anything. */
START_TEST(a_put_that_fails_keeps_nobody_away)
{
    setup();
    struct etag wrong = {"wrong"};
    ck_assert_int_eq(store_put(slow, "a", bytes_str("1"), PUT_IF_MATCH, &wrong), ERR_CONFLICT);
    ck_assert_int_eq(store_put(slow, "a", bytes_str("1"), PUT_IF_ABSENT, NULL), OK);
    ck_assert_uint_eq(slow_store_refused(slow), 0);
    teardown();
}
END_TEST

START_TEST(of_many_some_are_refused)
{
    setup();
    AUTO_BUF body = {0};
    ck_assert_int_eq(store_put(slow, "a", bytes_str("1"), PUT_ANY, NULL), OK);
    struct store_op ops[] = {
        {.verb = STORE_PUT, .key = "b", .data = bytes_str("2")},
        {.verb = STORE_PUT, .key = "a", .data = bytes_str("2")},
        {.verb = STORE_GET, .key = "a", .range = range_all(), .body = &body},
        {.verb = STORE_DELETE, .key = "c"},
    };
    ck_assert_int_eq(store_many(slow, ops, ARRAY_LEN(ops)), ERR_AGAIN);
    ck_assert_int_eq(ops[0].err, OK);
    ck_assert_int_eq(ops[1].err, ERR_AGAIN);
    ck_assert_int_eq(ops[2].err, OK);
    ck_assert_int_eq(ops[3].err, OK);
    ck_assert(bytes_equal(buf_bytes(&body), bytes_str("1")));
    ck_assert(holds("b", "2"));
    ck_assert_uint_eq(slow_store_refused(slow), 1);
    teardown();
}
END_TEST

/* Layers hand on what the store at the bottom says, and the provider table what R2 does. */
START_TEST(a_store_says_its_interval)
{
    setup();
    struct store *trace = trace_store_open(slow);
    ck_assert_uint_eq(store_put_interval_ms(mem), 0);
    ck_assert_uint_eq(store_put_interval_ms(slow), INTERVAL_MS);
    ck_assert_uint_eq(store_put_interval_ms(trace), INTERVAL_MS);
    const struct slow_options options = {.clock = &manual.clock, .put_interval_ms = 1};
    struct store *pulse = pulse_store_open(trace, &manual.clock);
    ck_assert_uint_eq(store_put_interval_ms(pulse), INTERVAL_MS);
    struct store *slower = slow_store_open(pulse, &options);
    ck_assert_uint_eq(store_put_interval_ms(slower), INTERVAL_MS);
    store_close(slower);
    store_close(pulse);
    store_close(trace);
    struct s3_options s3 = {.bucket = "bucket",
                            .endpoint = "http://127.0.0.1:1",
                            .region = "auto",
                            .provider = S3_R2,
                            .access_key_id = "id",
                            .secret_access_key = "secret",
                            .clock = &manual.clock,
                            .rng = rng_system()};
    char why[S3_WHY_MAX];
    struct store *store;
    ck_assert_int_eq(s3_store_open(&s3, &store, why), OK);
    ck_assert_uint_eq(store_put_interval_ms(store), 1000);
    store_close(store);
    s3.provider = S3_AWS;
    ck_assert_int_eq(s3_store_open(&s3, &store, why), OK);
    ck_assert_uint_eq(store_put_interval_ms(store), 0);
    store_close(store);
    teardown();
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        a_key_rests_for_the_interval,
        only_what_matters_is_kept,
        a_put_that_comes_too_early_is_refused,
        a_put_that_fails_keeps_nobody_away,
        of_many_some_are_refused,
        a_store_says_its_interval,
    };
    return suite_run("put_times", tests, ARRAY_LEN(tests));
}
