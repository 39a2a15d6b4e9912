#include "formats/hlc.h"

#include "formats/base/err.h"
#include "tests/support/suite.h"

START_TEST(grows_and_is_not_behind_the_wall)
{
    ck_assert_uint_eq(hlc_next(0, 1000), hlc_make(1000, 0));
    ck_assert_uint_eq(hlc_next(hlc_make(1000, 0), 1000), hlc_make(1000, 1));
    ck_assert_uint_eq(hlc_next(hlc_make(1000, 7), 999), hlc_make(1000, 8));
    ck_assert_uint_eq(hlc_next(hlc_make(1000, 7), 1001), hlc_make(1001, 0));
    uint64_t last = hlc_make(5, 65000);
    for (unsigned i = 0; i < 100000; i++) {
        uint64_t next = hlc_next(last, 5);
        ck_assert_uint_gt(next, last);
        last = next;
    }
}
END_TEST

START_TEST(a_full_counter_carries)
{
    ck_assert_uint_eq(hlc_next(hlc_make(1000, 65535), 1000), hlc_make(1001, 0));
}
END_TEST

START_TEST(the_last_stamp_stays)
{
    ck_assert_uint_eq(hlc_next(UINT64_MAX, 1000), UINT64_MAX);
    ck_assert_uint_eq(hlc_next(0, UINT64_MAX), hlc_make((1ull << 48) - 1, 0));
}
END_TEST

START_TEST(too_far_ahead)
{
    ck_assert(!hlc_too_far(0, 0, 0));
    ck_assert(!hlc_too_far(hlc_make(31000, 65535), 1000, 30000));
    ck_assert(hlc_too_far(hlc_make(31001, 0), 1000, 30000));
    ck_assert(!hlc_too_far(hlc_make(1, 0), 1000, 30000));
    ck_assert(hlc_too_far(UINT64_MAX, 1000, 30000));
    ck_assert(!hlc_too_far(UINT64_MAX, UINT64_MAX, 30000));
    ck_assert(!hlc_too_far(UINT64_MAX, 1000, UINT64_MAX));
}
END_TEST

START_TEST(decimals_parse)
{
    uint64_t hlc = 1;
    ck_assert_int_eq(hlc_parse(bytes_str("0"), &hlc), 0);
    ck_assert_uint_eq(hlc, 0);
    ck_assert_int_eq(hlc_parse(bytes_str("1763695478123456789"), &hlc), 0);
    ck_assert_uint_eq(hlc, 1763695478123456789u);
    ck_assert_int_eq(hlc_parse(bytes_str("18446744073709551615"), &hlc), 0);
    ck_assert_uint_eq(hlc, UINT64_MAX);
}
END_TEST

START_TEST(other_texts_are_refused)
{
    static const char *const bad[] = {
        "",
        " 1",
        "1 ",
        "+1",
        "-1",
        "00",
        "01",
        "0x1",
        "1e3",
        "18446744073709551616",
        "1.",
        "184467440737095516150",
        "99999999999999999999999999",
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        uint64_t hlc = 42;
        ck_assert_int_eq(hlc_parse(bytes_str(bad[i]), &hlc), ERR_INVALID);
        ck_assert_uint_eq(hlc, 42);
    }
    uint64_t hlc;
    ck_assert_int_eq(hlc_parse(bytes_of("1\0"
                                        "2",
                                        3),
                               &hlc),
                     ERR_INVALID);
}
END_TEST

int main(void)
{
    const TTest *tests[] = {
        grows_and_is_not_behind_the_wall,
        a_full_counter_carries,
        the_last_stamp_stays,
        too_far_ahead,
        decimals_parse,
        other_texts_are_refused,
    };
    return suite_run("hlc", tests, ARRAY_LEN(tests));
}
