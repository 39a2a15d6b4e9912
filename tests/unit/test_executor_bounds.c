/* What runs first, how much runs at once, and what is counted. */
#include <stdio.h>
#include <stdlib.h>

#include "formats/base/hash.h"
#include "tests/support/executor_rig.h"
#include "tests/support/suite.h"

#define WITH(...) ((const char *const[]){__VA_ARGS__, NULL})

static struct hash text_leaf(struct executor_rig *rig, const char *text)
{
    return executor_rig_leaf(rig, bytes_str(text));
}

/* `n` recipes of a function over leaves of their own, and one over them all. */
static struct hash fan(struct executor_rig *rig, const char *function,
                       const char *const *parameters, unsigned n, size_t leaf_size)
{
    struct hash inputs[100];
    AUTO_BUF text = {0};
    uint8_t *at = buf_reserve(&text, leaf_size);
    memset(at, 'x', leaf_size);
    text.len = leaf_size;
    for (unsigned i = 0; i < n; i++) {
        (void)snprintf((char *)text.data, leaf_size, "%u", i);
        inputs[i] = executor_rig_one(rig, function, executor_rig_leaf(rig, buf_bytes(&text)),
                                     parameters);
    }
    return executor_rig_recipe(rig, "concat", inputs, n, NULL);
}

START_TEST(at_most_as_many_as_slots)
{
    struct executor_rig rig;
    executor_rig_init(&rig);
    rig.options.slots = 8;
    executor_rig_open(&rig);
    struct hash top = fan(&rig, "test.wait", WITH("ms", "10"), 40, 100);
    struct one_get get;
    ck_assert_int_eq(one_get(&get, &rig, top, NULL), DERIVE_FAULT_NONE);
    one_get_close(&get);
    ck_assert_uint_eq(rig_most_at_once(), 8);
    executor_rig_close(&rig);
}
END_TEST

START_TEST(the_longest_way_first)
{
    struct executor_rig rig;
    executor_rig_init(&rig);
    rig.options.slots = 1;
    executor_rig_open(&rig);
    rig_gate(false);
    struct hash leaf = text_leaf(&rig, "abc");
    struct one_get first;
    one_get_begin(&first, &rig, executor_rig_one(&rig, "test.gate", leaf, NULL), NULL);
    rig_gate_wait(1);
    struct hash chain = leaf;
    for (char n[] = "1"; n[0] <= '3'; n[0]++)
        chain = executor_rig_one(&rig, "test.note", chain, WITH("n", n));
    struct hash sides[] = {executor_rig_one(&rig, "test.note", leaf, WITH("n", "a")), chain,
                           executor_rig_one(&rig, "test.note", leaf, WITH("n", "b"))};
    struct one_get get;
    one_get_begin(&get, &rig, executor_rig_recipe(&rig, "concat", sides, 3, NULL), NULL);
    while (executor_stats(rig.ex).waiting < 3)
        rig.options.clock->sleep_us(rig.options.clock, 1000);
    rig_gate(true);
    one_get_wait(&get);
    one_get_wait(&first);
    one_get_close(&get);
    one_get_close(&first);
    const char *notes = rig_notes();
    ck_assert_uint_eq(strlen(notes), 5);
    ck_assert_int_eq(strncmp(notes, "12", 2), 0);

    /* Now that both functions were measured, one slow run is longer than three fast ones. */
    executor_rig_gives(&rig, executor_rig_one(&rig, "test.wait", leaf, WITH("ms", "30")),
                       "abc");
    rig_gate(false);
    struct hash other = text_leaf(&rig, "xyz");
    one_get_begin(&first, &rig, executor_rig_one(&rig, "test.gate", other, NULL), NULL);
    rig_gate_wait(1);
    chain = other;
    for (char n[] = "1"; n[0] <= '3'; n[0]++)
        chain = executor_rig_one(&rig, "test.note", chain, WITH("n", n));
    sides[0] = executor_rig_one(&rig, "test.wait", other, WITH("ms", "1", "n", "w"));
    sides[1] = chain;
    one_get_begin(&get, &rig, executor_rig_recipe(&rig, "concat", sides, 2, NULL), NULL);
    while (executor_stats(rig.ex).waiting < 2)
        rig.options.clock->sleep_us(rig.options.clock, 1000);
    rig_gate(true);
    one_get_wait(&get);
    one_get_wait(&first);
    one_get_close(&get);
    one_get_close(&first);
    ck_assert_str_eq(rig_notes(), "w123");
    executor_rig_close(&rig);
}
END_TEST

START_TEST(bytes_in_flight)
{
    struct executor_rig rig;
    executor_rig_init(&rig);
    rig.options.slots = 8;
    rig.options.in_flight_max = 1000000;
    executor_rig_open(&rig);
    /* Each has 200,000 bytes of input and as many of output. */
    struct one_get gets[20];
    for (unsigned i = 0; i < ARRAY_LEN(gets); i++) {
        AUTO_BUF text = {0};
        buf_printf(&text, "%0200000u", i);
        struct hash wait = executor_rig_one(
            &rig, "test.wait", executor_rig_leaf(&rig, buf_bytes(&text)), WITH("ms", "1"));
        const struct get_options options = {.want = GET_HASH};
        one_get_begin(&gets[i], &rig, wait, &options);
    }
    for (unsigned i = 0; i < ARRAY_LEN(gets); i++) {
        one_get_wait(&gets[i]);
        ck_assert_ptr_nonnull(gets[i].derived);
        one_get_close(&gets[i]);
    }
    executor_rig_quiet(&rig);
    struct executor_stats stats = executor_stats(rig.ex);
    ck_assert_uint_ge(stats.in_flight_most, 400000);
    /* Five of them begin under the bound; what the oldest writes never waits. */
    ck_assert_uint_le(stats.in_flight_most, 1200000);
    executor_rig_close(&rig);
}
END_TEST

/* Runs whose results are larger than anybody could know: they wait for each other. */
START_TEST(bytes_that_are_written)
{
    struct executor_rig rig;
    executor_rig_init(&rig);
    rig.options.slots = 8;
    rig.options.in_flight_max = 1000000;
    executor_rig_open(&rig);
    struct one_get gets[8];
    for (unsigned i = 0; i < ARRAY_LEN(gets); i++) {
        char text[] = "0";
        text[0] = (char)('0' + i);
        struct hash swell =
            executor_rig_one(&rig, "test.swell", text_leaf(&rig, text), WITH("ms", "20"));
        const struct get_options options = {.want = GET_HASH};
        one_get_begin(&gets[i], &rig, swell, &options);
    }
    for (unsigned i = 0; i < ARRAY_LEN(gets); i++) {
        one_get_wait(&gets[i]);
        ck_assert_uint_eq(gets[i].derived->size, RIG_SWOLLEN);
        one_get_close(&gets[i]);
    }
    executor_rig_quiet(&rig);
    /* All but the oldest under the bound, or under a 64th of it. */
    ck_assert_uint_le(executor_stats(rig.ex).in_flight_most,
                      1000000 + RIG_SWOLLEN + 7 * 1000000 / 64);
    executor_rig_close(&rig);
}
END_TEST

/* One large run is under way, and another waits for room: small ones go on. */
START_TEST(small_runs_wait_for_no_large_ones)
{
    struct executor_rig rig;
    executor_rig_init(&rig);
    rig.options.slots = 4;
    rig.options.in_flight_max = 1000000;
    executor_rig_open(&rig);
    rig_gate(false);
    const struct get_options options = {.want = GET_HASH};
    struct one_get large[2];
    for (unsigned i = 0; i < ARRAY_LEN(large); i++) {
        AUTO_BUF text = {0};
        buf_printf(&text, "%01000000u", i);
        struct hash gate = executor_rig_one(&rig, "test.gate",
                                            executor_rig_leaf(&rig, buf_bytes(&text)), NULL);
        one_get_begin(&large[i], &rig, gate, &options);
        if (i == 0)
            rig_gate_wait(1);
    }
    struct hash small = text_leaf(&rig, "text");
    for (unsigned i = 0; i < 10; i++)
        small = executor_rig_one(&rig, i % 2 == 0 ? "uppercase" : "reverse", small, NULL);
    struct one_get get;
    ck_assert_int_eq(one_get(&get, &rig, small, NULL), DERIVE_FAULT_NONE);
    one_get_close(&get);
    ck_assert_uint_eq(executor_stats(rig.ex).running, 1);
    rig_gate(true);
    for (unsigned i = 0; i < ARRAY_LEN(large); i++) {
        one_get_wait(&large[i]);
        ck_assert_ptr_nonnull(large[i].derived);
        one_get_close(&large[i]);
    }
    executor_rig_close(&rig);
}
END_TEST

/* A bound that nothing fits under: one at a time, and what is left to the cache and goes is
 * made again. */
START_TEST(a_bound_of_nothing)
{
    for (unsigned kept = 0; kept < 2; kept++) {
        struct executor_rig rig;
        executor_rig_init(&rig);
        rig.options.slots = 4;
        rig.options.in_flight_max = 1;
        rig.cache_options.ram_bytes = kept ? 64u * MIB : 500000;
        executor_rig_open(&rig);
        struct hash top = fan(&rig, "test.wait", WITH("ms", "1"), 20, 20000);
        struct one_get get;
        ck_assert_int_eq(one_get(&get, &rig, top, NULL), DERIVE_FAULT_NONE);
        ck_assert_uint_eq(get.derived->size, 400000);
        one_get_close(&get);
        ck_assert_uint_eq(rig_most_at_once(), 1);
        if (kept)
            ck_assert_uint_eq(executor_rig_runs(&rig), 21);
        executor_rig_close(&rig);
    }
}
END_TEST

/* Results that go before they are read, again and again: a cache that has room for the last. */
START_TEST(a_cache_that_is_too_small)
{
    struct executor_rig rig;
    executor_rig_init(&rig);
    rig.cache_options.ram_bytes = 3200000;
    executor_rig_open(&rig);
    struct hash at = fan(&rig, "test.note", NULL, 50, 20000);
    struct hash top = executor_rig_recipe(
        &rig, "concat", (struct hash[]){at, at, fan(&rig, "uppercase", NULL, 50, 20000)}, 3,
        NULL);
    struct one_get get;
    ck_assert_int_eq(one_get(&get, &rig, top, NULL), DERIVE_FAULT_NONE);
    ck_assert_uint_eq(get.derived->size, 3000000);
    one_get_close(&get);
    ck_assert_uint_eq(executor_rig_runs(&rig), 103);
    executor_rig_close(&rig);
}
END_TEST

struct latencies {
    unsigned functions;
    uint64_t runs;
    uint64_t slow;
};

static void latency_take(void *arg, const struct executor_latency *latency)
{
    struct latencies *seen = arg;
    seen->functions++;
    for (size_t i = 0; i < EXECUTOR_LATENCIES; i++) {
        seen->runs += latency->n[i];
        if (i > 0 && executor_latency_us[i - 1] >= 5000)
            seen->slow += latency->n[i];
    }
}

START_TEST(counters)
{
    struct executor_rig rig;
    executor_rig_init(&rig);
    executor_rig_open(&rig);
    struct executor_stats was = executor_stats(rig.ex);
    ck_assert_uint_eq(was.gets + was.runs + was.hits + was.misses + was.depth_most, 0);
    struct hash leaf = text_leaf(&rig, "abc");
    struct hash wait = executor_rig_one(&rig, "test.wait", leaf, WITH("ms", "6"));
    struct hash top = executor_rig_one(&rig, "uppercase", wait, NULL);
    executor_rig_gives(&rig, top, "ABC");
    struct executor_stats now = executor_stats(rig.ex);
    ck_assert_uint_eq(now.gets, 1);
    ck_assert_uint_eq(now.fast, 0);
    ck_assert_uint_eq(now.runs, 2);
    ck_assert_uint_eq(now.misses, 2);
    ck_assert_uint_eq(now.hits, 0);
    ck_assert_uint_eq(now.depth_last, 2);
    ck_assert_uint_eq(now.depth_most, 2);
    executor_rig_gives(&rig, wait, "abc");
    executor_rig_gives(&rig, top, "ABC");
    now = executor_stats(rig.ex);
    ck_assert_uint_eq(now.gets, 3);
    ck_assert_uint_eq(now.fast, 1);
    ck_assert_uint_eq(now.hits, 1);
    ck_assert_uint_eq(now.depth_last, 1);
    ck_assert_uint_eq(now.depth_most, 2);
    struct latencies seen = {0};
    executor_latencies(rig.ex, latency_take, &seen);
    ck_assert_uint_eq(seen.functions, 2);
    ck_assert_uint_eq(seen.runs, 2);
    ck_assert_uint_eq(seen.slow, 1);
    executor_rig_close(&rig);
}
END_TEST

/* The fast path asks nobody, and knows when it must not answer. */
START_TEST(the_fast_path)
{
    struct executor_rig rig;
    executor_rig_init(&rig);
    executor_rig_open(&rig);
    struct hash leaf = text_leaf(&rig, "abc");
    struct hash top = executor_rig_one(&rig, "uppercase", leaf, NULL);
    struct derived *derived;
    ck_assert_int_eq(executor_known(rig.ex, &rig.project, &top, &derived), ERR_NOT_FOUND);
    executor_rig_gives(&rig, top, "ABC");
    uint64_t finds = atomic_load(&rig.finds);
    ck_assert_int_eq(executor_known(rig.ex, &rig.project, &top, &derived), OK);
    ck_assert_uint_eq(derived->size, 3);
    struct bytes view;
    ck_assert_int_eq(derived_view(derived, 1, &view), OK);
    ck_assert(bytes_equal(view, bytes_str("BC")));
    derived_close(derived);
    ck_assert_uint_eq(atomic_load(&rig.finds), finds);
    /* Another project knows nothing of it. */
    struct id16 other = rig.project;
    other.b[0] ^= 1;
    ck_assert_int_eq(executor_known(rig.ex, &other, &top, &derived), ERR_NOT_FOUND);
    /* Forgotten by its address, by its project, and when its bytes went. */
    executor_forget(rig.ex, &rig.project, &top);
    ck_assert_int_eq(executor_known(rig.ex, &rig.project, &top, &derived), ERR_NOT_FOUND);
    executor_rig_gives(&rig, top, "ABC");
    executor_forget(rig.ex, &other, NULL);
    ck_assert_int_eq(executor_known(rig.ex, &rig.project, &top, &derived), OK);
    derived_close(derived);
    executor_forget(rig.ex, &rig.project, NULL);
    ck_assert_int_eq(executor_known(rig.ex, &rig.project, &top, &derived), ERR_NOT_FOUND);
    executor_rig_gives(&rig, top, "ABC");
    executor_rig_evict(&rig, "ABC");
    ck_assert_int_eq(executor_known(rig.ex, &rig.project, &top, &derived), ERR_NOT_FOUND);
    executor_rig_gives(&rig, top, "ABC");
    ck_assert_uint_eq(executor_rig_runs(&rig), 2);
    /* What uses a ref never takes it. */
    executor_rig_bind(&rig, "r", leaf);
    struct hash moving =
        executor_rig_one(&rig, "reverse", executor_rig_over_ref(&rig, "uppercase", "r"), NULL);
    executor_rig_gives(&rig, moving, "CBA");
    ck_assert_int_eq(executor_known(rig.ex, &rig.project, &moving, &derived), ERR_NOT_FOUND);
    executor_rig_close(&rig);
}
END_TEST

/* A get over what was got before looks at nothing below that. */
START_TEST(over_what_is_known)
{
    struct executor_rig rig;
    executor_rig_init(&rig);
    executor_rig_open(&rig);
    struct hash at = text_leaf(&rig, "abc");
    for (unsigned i = 0; i < 100; i++)
        at = executor_rig_one(&rig, "test.note", at, NULL);
    executor_rig_gives(&rig, at, "abc");
    uint64_t finds = atomic_load(&rig.finds);
    struct hash top = executor_rig_one(&rig, "uppercase", at, NULL);
    executor_rig_gives(&rig, top, "ABC");
    ck_assert_uint_eq(atomic_load(&rig.finds), finds + 1);
    /* Its bytes are wanted and gone: now what is below is looked at. */
    executor_rig_evict(&rig, "abc");
    uint64_t runs = executor_rig_runs(&rig);
    executor_rig_gives(&rig, executor_rig_one(&rig, "reverse", at, NULL), "cba");
    ck_assert_uint_gt(atomic_load(&rig.finds), finds + 100);
    ck_assert_uint_gt(executor_rig_runs(&rig), runs + 1);
    executor_rig_close(&rig);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {at_most_as_many_as_slots,
                                  the_longest_way_first,
                                  bytes_in_flight,
                                  small_runs_wait_for_no_large_ones,
                                  bytes_that_are_written,
                                  a_bound_of_nothing,
                                  a_cache_that_is_too_small,
                                  counters,
                                  the_fast_path,
                                  over_what_is_known};
    return suite_run("executor_bounds", tests, ARRAY_LEN(tests));
}
