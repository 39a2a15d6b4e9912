/* Chunks of results, by their content: told when a result has some, found as a part of a
 * recipe, and compared with their address before anybody gets them. */
#include "formats/base/hash.h"
#include "tests/support/executor_rig.h"
#include "tests/support/suite.h"

#define WITH(...) ((const char *const[]){__VA_ARGS__, NULL})

static struct executor_rig rig;

static struct hash text_leaf(const char *text)
{
    return executor_rig_leaf(&rig, bytes_str(text));
}

static struct hash hash_of(const char *text)
{
    return sha256(bytes_str(text));
}

static void setup(void)
{
    executor_rig_init(&rig);
    executor_rig_open(&rig);
}

static void teardown(void)
{
    executor_rig_close(&rig);
}

static uint64_t told_by(struct hash address)
{
    struct one_get get;
    uint64_t before = atomic_load(&rig.chunks_told);
    ck_assert_int_eq(one_get(&get, &rig, address, NULL), DERIVE_FAULT_NONE);
    one_get_close(&get);
    return atomic_load(&rig.chunks_told) - before;
}

/* 16 bytes so often that three chunks are full, and one is not. */
static struct hash long_recipe(struct hash input)
{
    return executor_rig_one(&rig, "repeat", input, WITH("count", "12289"));
}

START_TEST(chunks_of_a_long_result_are_told)
{
    setup();
    struct hash recipe = long_recipe(text_leaf("0123456789abcdef"));
    ck_assert_uint_eq(told_by(recipe), 4);
    ck_assert(hash_equal(&rig.chunks_of, &recipe));
    /* Once: also when it is computed again. */
    ck_assert_uint_eq(told_by(recipe), 0);
    struct one_get get;
    ck_assert_int_eq(one_get(&get, &rig, recipe, NULL), DERIVE_FAULT_NONE);
    ck_assert_uint_gt(result_drop(rig.cache, &rig.project, &get.derived->hash), 0);
    one_get_close(&get);
    uint64_t runs = executor_rig_runs(&rig);
    ck_assert_uint_eq(told_by(recipe), 0);
    ck_assert_uint_eq(executor_rig_runs(&rig), runs + 1);
    /* A short one has none. */
    ck_assert_uint_eq(told_by(executor_rig_one(&rig, "uppercase", text_leaf("a"), NULL)), 0);
    teardown();
}
END_TEST

START_TEST(what_uses_references_tells_no_chunks)
{
    setup();
    executor_rig_bind(&rig, "name", text_leaf("0123456789ABCDEF"));
    struct hash below = executor_rig_over_ref(&rig, "lowercase", "name");
    ck_assert_uint_eq(told_by(long_recipe(below)), 0);
    teardown();
}
END_TEST

START_TEST(a_part_is_computed_of_what_it_needs)
{
    setup();
    struct hash parts[] = {
        executor_rig_one(&rig, "uppercase", text_leaf("abc"), NULL),
        executor_rig_one(&rig, "lowercase", text_leaf("XYZ"), NULL),
    };
    struct hash all = executor_rig_recipe(&rig, "concat", parts, 2, NULL);
    executor_rig_part(&rig, hash_of("yz"), all, 4, 6);
    /* Sizes are needed of both. */
    executor_rig_gives(&rig, hash_of("yz"), "yz");
    ck_assert_uint_eq(executor_rig_runs(&rig), 2);
    /* It lies in the cache now. */
    executor_rig_evict(&rig, "ABC");
    executor_rig_evict(&rig, "xyz");
    executor_rig_gives(&rig, hash_of("yz"), "yz");
    executor_rig_range(&rig, hash_of("yz"), 1, 2, "z");
    ck_assert_uint_eq(executor_rig_runs(&rig), 2);
    executor_rig_evict(&rig, "yz");
    executor_rig_range(&rig, hash_of("yz"), 1, 9, "z");
    ck_assert_uint_eq(executor_rig_runs(&rig), 3);
    teardown();
}
END_TEST

START_TEST(a_part_is_an_input)
{
    setup();
    struct hash recipe = executor_rig_one(&rig, "uppercase", text_leaf("abcdef"), NULL);
    executor_rig_part(&rig, hash_of("CD"), recipe, 2, 4);
    struct hash above = executor_rig_one(&rig, "lowercase", hash_of("CD"), NULL);
    executor_rig_gives(&rig, above, "cd");
    /* As if it were a leaf: the memo is the same. */
    struct hash other = executor_rig_one(&rig, "lowercase", text_leaf("CD"), NULL);
    uint64_t runs = executor_rig_runs(&rig);
    executor_rig_gives(&rig, other, "cd");
    ck_assert_uint_eq(executor_rig_runs(&rig), runs);
    executor_rig_range(
        &rig,
        executor_rig_recipe(&rig, "concat", (struct hash[]){above, hash_of("CD")}, 2, NULL), 1,
        3, "dC");
    teardown();
}
END_TEST

/* The function has changed since: nobody gets other bytes than the address says. */
START_TEST(a_part_that_differs_is_not_there)
{
    setup();
    struct hash recipe = executor_rig_one(&rig, "uppercase", text_leaf("abcdef"), NULL);
    struct hash never = hash_of("XX");
    executor_rig_part(&rig, never, recipe, 2, 4);
    executor_rig_fails(&rig, never, DERIVE_FAULT_NOT_FOUND);
    struct one_get get;
    const struct get_options range = {.want = GET_RANGE, .from = 1, .end = 2};
    ck_assert_int_eq(one_get(&get, &rig, never, &range), DERIVE_FAULT_NOT_FOUND);
    one_get_close(&get);
    const struct get_options again = {
        .want = GET_HASH, .again = true, .verify = &(struct verify){.mode = VERIFY_DUAL}};
    ck_assert_int_eq(one_get(&get, &rig, never, &again), DERIVE_FAULT_NOT_FOUND);
    one_get_close(&get);
    struct hash above = executor_rig_one(&rig, "lowercase", never, NULL);
    struct derive_problem problem = executor_rig_fails(&rig, above, DERIVE_FAULT_INPUT_MISSING);
    ck_assert(hash_equal(&problem.address, &above) && hash_equal(&problem.other, &never));
    /* Nor is what it should have: it is as long as was told, and empty. */
    executor_rig_part(&rig, hash_of("YY"), recipe, 6, 6);
    executor_rig_fails(&rig, hash_of("YY"), DERIVE_FAULT_NOT_FOUND);
    /* No function is quarantined for it. */
    executor_rig_gives(&rig, executor_rig_one(&rig, "slice", recipe, WITH("end", "2")), "AB");
    ck_assert_uint_eq(atomic_load(&rig.quarantines_told), 0);
    teardown();
}
END_TEST

START_TEST(a_part_is_verified)
{
    setup();
    struct hash recipe = executor_rig_one(&rig, "uppercase", text_leaf("abcdef"), NULL);
    executor_rig_part(&rig, hash_of("CD"), recipe, 2, 4);
    struct one_get get;
    const struct get_options again = {
        .want = GET_HASH, .again = true, .verify = &(struct verify){.mode = VERIFY_DUAL}};
    ck_assert_int_eq(one_get(&get, &rig, hash_of("CD"), &again), DERIVE_FAULT_NONE);
    ck_assert(get.derived->verified && get.derived->by_content);
    one_get_close(&get);
    teardown();
}
END_TEST

START_TEST(a_part_that_is_pinned_stays)
{
    setup();
    struct hash parts[] = {executor_rig_one(&rig, "uppercase", text_leaf("abc"), NULL)};
    struct hash all = executor_rig_recipe(&rig, "concat", parts, 1, NULL);
    executor_rig_part(&rig, hash_of("BC"), all, 1, 3);
    rig.pinned = hash_of("BC");
    executor_rig_gives(&rig, hash_of("BC"), "BC");
    struct result_collected collected;
    result_collect(rig.cache, &rig.project, 0, UINT64_MAX, false, &collected);
    ck_assert_uint_eq(collected.kept, 1);
    ck_assert(result_has(rig.cache, &rig.project, &rig.pinned, NULL));
    teardown();
}
END_TEST

/* A recipe that has a content as its input was told to give it. */
START_TEST(a_part_of_itself_is_not_there)
{
    setup();
    struct hash circle = hash_of("circle");
    struct hash recipe = executor_rig_one(&rig, "identity", circle, NULL);
    executor_rig_part(&rig, circle, recipe, 0, 6);
    executor_rig_fails(&rig, circle, DERIVE_FAULT_NOT_FOUND);
    executor_rig_fails(&rig, recipe, DERIVE_FAULT_INPUT_MISSING);
    /* Through another one. */
    struct hash there = hash_of("there");
    struct hash back = hash_of("back!");
    executor_rig_part(&rig, there, executor_rig_one(&rig, "uppercase", back, NULL), 0, 5);
    executor_rig_part(&rig, back, executor_rig_one(&rig, "lowercase", there, NULL), 0, 5);
    executor_rig_fails(&rig, there, DERIVE_FAULT_INPUT_MISSING);
    teardown();
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        chunks_of_a_long_result_are_told,    what_uses_references_tells_no_chunks,
        a_part_is_computed_of_what_it_needs, a_part_is_an_input,
        a_part_that_differs_is_not_there,    a_part_is_verified,
        a_part_of_itself_is_not_there,       a_part_that_is_pinned_stays,
    };
    return suite_run("executor_chunks", tests, ARRAY_LEN(tests));
}
