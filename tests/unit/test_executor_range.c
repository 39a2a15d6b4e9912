/* Ranges and sizes: what is computed and fetched for them. */
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

/* A megabyte of numbers of eight digits. */
static struct hash large_leaf(struct executor_rig *rig)
{
    AUTO_BUF text = {0};
    for (unsigned i = 0; i < MIB / 8; i++)
        buf_printf(&text, "%08u", i);
    return executor_rig_leaf(rig, buf_bytes(&text));
}

START_TEST(only_what_is_needed)
{
    struct executor_rig rig;
    executor_rig_init(&rig);
    executor_rig_open(&rig);
    struct hash large = large_leaf(&rig);
    struct hash parts[] = {
        executor_rig_one(&rig, "identity", large, NULL),
        executor_rig_one(&rig, "repeat", text_leaf(&rig, "ab"), WITH("count", "1000000000")),
        executor_rig_one(&rig, "slice", large, WITH("start", "80", "end", "160")),
        text_leaf(&rig, "end"),
    };
    struct hash all = executor_rig_recipe(&rig, "concat", parts, 4, NULL);
    const uint64_t head = MIB + 2000000000ull;
    executor_rig_range(&rig, all, 16, 24, "00000002");
    executor_rig_range(&rig, all, MIB - 4, MIB + 3, "1071aba");
    executor_rig_range(&rig, all, head - 3, head + 8, "bab00000010");
    executor_rig_range(&rig, all, head + 79, UINT64_MAX, "9end");
    executor_rig_range(&rig, all, head + 83, UINT64_MAX, "");
    executor_rig_range(&rig, all, UINT64_MAX - 1, UINT64_MAX, "");
    ck_assert_uint_eq(executor_rig_runs(&rig), 0);
    /* A view of each leaf that a range touches, of at most 4,096 bytes. */
    ck_assert_uint_le(atomic_load(&rig.viewed), 7 * 4096);
    ck_assert_uint_eq(atomic_load(&rig.opened), 7);
    executor_rig_close(&rig);
}
END_TEST

/* What cannot be taken apart is computed, if the range needs it. */
START_TEST(the_rest_is_not_computed)
{
    struct executor_rig rig;
    executor_rig_init(&rig);
    executor_rig_open(&rig);
    struct hash upper = executor_rig_one(&rig, "uppercase", text_leaf(&rig, "abc"), NULL);
    struct hash lower = executor_rig_one(&rig, "lowercase", text_leaf(&rig, "XYZ"), NULL);
    struct hash both =
        executor_rig_recipe(&rig, "concat", (struct hash[]){upper, lower}, 2, NULL);
    struct hash top = executor_rig_one(&rig, "slice", both, WITH("start", "1"));
    /* Sizes are needed of both. */
    executor_rig_range(&rig, top, 3, 5, "yz");
    ck_assert_uint_eq(executor_rig_runs(&rig), 2);
    executor_rig_evict(&rig, "ABC");
    executor_rig_evict(&rig, "xyz");
    executor_rig_range(&rig, top, 3, 5, "yz");
    ck_assert_uint_eq(executor_rig_runs(&rig), 3);
    executor_rig_range(&rig, top, 3, 5, "yz");
    ck_assert_uint_eq(executor_rig_runs(&rig), 3);
    executor_rig_range(&rig, top, 1, 4, "Cxy");
    ck_assert_uint_eq(executor_rig_runs(&rig), 4);
    /* The whole, then a range of it when it is there, and when it went. */
    executor_rig_gives(&rig, top, "BCxyz");
    ck_assert_uint_eq(executor_rig_runs(&rig), 6);
    executor_rig_range(&rig, top, 1, 4, "Cxy");
    executor_rig_evict(&rig, "BCxyz");
    executor_rig_range(&rig, top, 1, 4, "Cxy");
    ck_assert_uint_eq(executor_rig_runs(&rig), 6);
    executor_rig_close(&rig);
}
END_TEST

START_TEST(far_down)
{
    struct executor_rig rig;
    executor_rig_init(&rig);
    executor_rig_open(&rig);
    struct hash at = large_leaf(&rig);
    for (unsigned i = 0; i < 100000; i++)
        at = executor_rig_one(&rig, "slice", at, WITH("start", "8"));
    executor_rig_range(&rig, at, 0, 8, "00100000");
    struct one_get get;
    const struct get_options size = {.want = GET_SIZE};
    ck_assert_int_eq(one_get(&get, &rig, at, &size), DERIVE_FAULT_NONE);
    ck_assert_uint_eq(get.derived->size, MIB - 800000);
    ck_assert(!get.derived->hash_known);
    one_get_close(&get);
    ck_assert_uint_eq(executor_rig_runs(&rig), 0);
    executor_rig_close(&rig);
}
END_TEST

/* Many parts of one thing, which itself is put together: it is taken apart once for all. */
START_TEST(many_parts_of_one)
{
    struct executor_rig rig;
    executor_rig_init(&rig);
    executor_rig_open(&rig);
    struct hash parts[1000];
    struct hash whole = executor_rig_one(&rig, "test.pieces", large_leaf(&rig), NULL);
    for (unsigned i = 0; i < ARRAY_LEN(parts); i++) {
        char start[16];
        char end[16];
        (void)snprintf(start, sizeof(start), "%u", 16 * i);
        (void)snprintf(end, sizeof(end), "%u", 16 * i + 8);
        parts[i] = executor_rig_one(&rig, "slice", whole, WITH("end", end, "start", start));
    }
    struct hash all = executor_rig_recipe(&rig, "concat", parts, ARRAY_LEN(parts), NULL);
    struct one_get get;
    const struct get_options range = {.want = GET_RANGE, .from = 0, .end = UINT64_MAX};
    (void)rig_taken_apart();
    ck_assert_int_eq(one_get(&get, &rig, all, &range), DERIVE_FAULT_NONE);
    ck_assert_uint_le(rig_taken_apart(), 4);
    struct bytes view;
    ck_assert_int_eq(derived_view(get.derived, 8 * 999, &view), OK);
    ck_assert(bytes_equal(view, bytes_str("00001998")));
    one_get_close(&get);
    ck_assert_uint_eq(executor_rig_runs(&rig), 0);
    executor_rig_close(&rig);
}
END_TEST

START_TEST(sizes)
{
    struct executor_rig rig;
    executor_rig_init(&rig);
    executor_rig_open(&rig);
    struct one_get get;
    const struct get_options size = {.want = GET_SIZE};
    struct hash leaf = text_leaf(&rig, "abc");
    struct hash huge = executor_rig_one(&rig, "repeat", leaf, WITH("count", "300000000000"));
    ck_assert_int_eq(one_get(&get, &rig, huge, &size), DERIVE_FAULT_NONE);
    ck_assert_uint_eq(get.derived->size, 900000000000);
    one_get_close(&get);
    struct hash over = executor_rig_one(&rig, "repeat", huge, WITH("count", "2"));
    ck_assert_int_eq(one_get(&get, &rig, over, &size), DERIVE_FAULT_RESULT_TOO_LARGE);
    ck_assert(hash_equal(&get.problem.address, &over));
    one_get_close(&get);
    ck_assert_uint_eq(executor_rig_runs(&rig), 0);
    /* Of what must be computed to be measured. */
    struct hash spelled = executor_rig_one(&rig, "hex.encode", leaf, NULL);
    ck_assert_int_eq(
        one_get(&get, &rig, executor_rig_one(&rig, "identity", spelled, NULL), &size),
        DERIVE_FAULT_NONE);
    ck_assert_uint_eq(get.derived->size, 6);
    one_get_close(&get);
    ck_assert_uint_eq(executor_rig_runs(&rig), 1);
    executor_rig_close(&rig);
}
END_TEST

/* A range of what fails fails with its cause. */
START_TEST(a_range_that_fails)
{
    struct executor_rig rig;
    executor_rig_init(&rig);
    executor_rig_open(&rig);
    struct hash bad = executor_rig_one(&rig, "test.fail", text_leaf(&rig, "abc"), NULL);
    struct hash top = executor_rig_one(&rig, "identity", bad, NULL);
    struct one_get get;
    const struct get_options range = {.want = GET_RANGE, .from = 0, .end = 1};
    ck_assert_int_eq(one_get(&get, &rig, top, &range), DERIVE_FAULT_INPUT_INVALID);
    ck_assert(hash_equal(&get.problem.address, &bad));
    one_get_close(&get);
    executor_rig_close(&rig);
}
END_TEST

/* A result in chunks: a range looks at the chunks that it needs. */
START_TEST(of_a_result_in_chunks)
{
    struct executor_rig rig;
    executor_rig_init(&rig);
    executor_rig_open(&rig);
    struct hash upper = executor_rig_one(&rig, "uppercase", large_leaf(&rig), NULL);
    executor_rig_range(&rig, upper, 800000, 800008, "00100000");
    ck_assert_uint_eq(executor_rig_runs(&rig), 1);
    struct one_get get;
    ck_assert_int_eq(one_get(&get, &rig, upper, NULL), DERIVE_FAULT_NONE);
    ck_assert_uint_eq(get.derived->chunk_size, CHUNK_SIZE_MIN);
    ck_assert(!hash_is_zero(&get.derived->chunks));
    one_get_close(&get);
    executor_rig_close(&rig);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        only_what_is_needed, the_rest_is_not_computed, far_down, many_parts_of_one, sizes,
        a_range_that_fails,  of_a_result_in_chunks};
    return suite_run("executor_range", tests, ARRAY_LEN(tests));
}
