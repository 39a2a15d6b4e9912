#include "pipeline/sys/rng.h"

#include <check.h>

#include "tests/support/suite.h"

START_TEST(a_seed_gives_the_same_numbers_everywhere)
{
    struct rng_seeded rng;
    rng_seeded_init(&rng, 42);
    /* xoshiro256** with a state of splitmix64(42), from the authors' reference code. */
    static const uint64_t want[] = {0x15780b2e0c2ec716, 0x6104d9866d113a7e, 0xae17533239e499a1,
                                    0xecb8ad4703b360a1};
    for (size_t i = 0; i < ARRAY_LEN(want); i++) {
        ck_assert_uint_eq(rng_u64(&rng.rng), want[i]);
    }
}
END_TEST

START_TEST(a_fill_of_any_length_is_full)
{
    struct rng_seeded one;
    struct rng_seeded two;
    rng_seeded_init(&one, 7);
    rng_seeded_init(&two, 7);
    uint8_t a[24];
    uint8_t b[21];
    one.rng.fill(&one.rng, a, sizeof(a));
    two.rng.fill(&two.rng, b, sizeof(b));
    ck_assert_int_eq(memcmp(a, b, sizeof(b)), 0);
    two.rng.fill(&two.rng, b, 0);
    ck_assert_uint_eq(rng_u64(&one.rng), rng_u64(&two.rng));
}
END_TEST

START_TEST(numbers_stay_below_and_reach_all)
{
    struct rng_seeded rng;
    rng_seeded_init(&rng, 1);
    unsigned seen[7] = {0};
    for (int i = 0; i < 7000; i++) {
        uint64_t number = rng_below(&rng.rng, 7);
        ck_assert_uint_lt(number, 7);
        seen[number]++;
    }
    for (size_t i = 0; i < ARRAY_LEN(seen); i++) {
        ck_assert_uint_gt(seen[i], 800);
        ck_assert_uint_lt(seen[i], 1200);
    }
    ck_assert_uint_eq(rng_below(&rng.rng, 1), 0);
    for (int i = 0; i < 100; i++) {
        ck_assert_uint_lt(rng_below(&rng.rng, UINT64_MAX), UINT64_MAX);
        ck_assert_uint_le(rng_below(&rng.rng, (1ull << 63) + 1), 1ull << 63);
    }
}
END_TEST

START_TEST(the_system_gives_different_numbers)
{
    uint64_t numbers[64];
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
        numbers[i] = rng_u64(rng_system());
        for (size_t j = 0; j < i; j++) {
            ck_assert_uint_ne(numbers[i], numbers[j]);
        }
    }
    uint8_t large[5000] = {0};
    rng_system()->fill(rng_system(), large, sizeof(large));
    unsigned zeros = 0;
    for (size_t i = 0; i < sizeof(large); i++) {
        zeros += large[i] == 0;
    }
    ck_assert_uint_lt(zeros, 100);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        a_seed_gives_the_same_numbers_everywhere,
        a_fill_of_any_length_is_full,
        numbers_stay_below_and_reach_all,
        the_system_gives_different_numbers,
    };
    return suite_run("rng", tests, ARRAY_LEN(tests));
}
