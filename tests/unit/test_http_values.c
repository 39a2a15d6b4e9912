#include "api/http/http_values.h"
#include "tests/support/suite.h"

/* --- ranges --- */

static void range_is(const char *header, uint64_t size, enum range_wish want,
                     uint64_t want_offset, uint64_t want_len)
{
    uint64_t offset = 77;
    uint64_t len = 77;
    ck_assert_msg(range_parse(header, size, &offset, &len) == want, "%s of %llu", header,
                  (unsigned long long)size);
    ck_assert_uint_eq(offset, want_offset);
    ck_assert_uint_eq(len, want_len);
}

START_TEST(ranges_that_are_given)
{
    range_is("bytes=0-0", 10, RANGE_WISH_PART, 0, 1);
    range_is("bytes=3-5", 10, RANGE_WISH_PART, 3, 3);
    range_is("bytes=3-", 10, RANGE_WISH_PART, 3, 7);
    range_is("bytes=9-", 10, RANGE_WISH_PART, 9, 1);
    range_is("bytes=0-99", 10, RANGE_WISH_PART, 0, 10);
    range_is("bytes=-3", 10, RANGE_WISH_PART, 7, 3);
    range_is("bytes=-10", 10, RANGE_WISH_PART, 0, 10);
    range_is("bytes=-11", 10, RANGE_WISH_PART, 0, 10);
    range_is("Bytes=1-1", 10, RANGE_WISH_PART, 1, 1);
    range_is("bytes=0-18446744073709551615", 1, RANGE_WISH_PART, 0, 1);
    range_is("bytes=18446744073709551614-18446744073709551615", UINT64_MAX, RANGE_WISH_PART,
             UINT64_MAX - 1, 1);
    range_is("bytes=0-", UINT64_MAX, RANGE_WISH_PART, 0, UINT64_MAX);
    range_is("bytes=-18446744073709551615", 5, RANGE_WISH_PART, 0, 5);
}
END_TEST

START_TEST(ranges_beyond_the_end)
{
    range_is("bytes=10-", 10, RANGE_WISH_BAD, 0, 10);
    range_is("bytes=10-20", 10, RANGE_WISH_BAD, 0, 10);
    range_is("bytes=18446744073709551615-", 10, RANGE_WISH_BAD, 0, 10);
    range_is("bytes=-0", 10, RANGE_WISH_BAD, 0, 10);
}
END_TEST

START_TEST(ranges_that_are_passed_over)
{
    static const char *const headers[] = {
        "",           "bytes",         "bytes=",        "bytes=-",
        "bytes=1",    "bytes=2-1",     "bytes=a-b",     "bytes=1-b",
        "bytes=a-1",  "bytes=0-1,4-5", "bytes=1--2",    "bytes=--2",
        "items=0-1",  "bytes 0-1",     "bytes=1-2-3",   "bytes=+1-2",
        "bytes= 1-2", "bytes=1-2 x",   "bytes=0x1-0x2", "bytes=18446744073709551616-",
    };
    range_is(NULL, 10, RANGE_WISH_NONE, 0, 10);
    for (size_t i = 0; i < ARRAY_LEN(headers); i++)
        range_is(headers[i], 10, RANGE_WISH_NONE, 0, 10);
    /* There is no part of nothing. */
    range_is("bytes=0-", 0, RANGE_WISH_NONE, 0, 0);
    range_is("bytes=0-0", 0, RANGE_WISH_NONE, 0, 0);
    range_is("bytes=-5", 0, RANGE_WISH_NONE, 0, 0);
}
END_TEST

/* --- entity tags --- */

START_TEST(entity_tags_in_a_list)
{
    static const char *const with[] = {"\"abc\"",         "W/\"abc\"",      "\"x\", \"abc\"",
                                       "\"x\",W/\"abc\"", "\"\",\"abc\"",   " * ",
                                       ", ,\"abc\"",      "\"abc\" ,\"y\"", "\"a,b\", \"abc\""};
    static const char *const without[] = {
        "",      "abc",           "\"abcd\"",  "\"ab\"",       "\"abc",     "abc\"",
        "'abc'", "\"x\" \"abc\"", "w/\"abc\"", "\"x\", abc",   "\"a,abc\"", "W/",
        "**",    "\"*\"",         ",",         "\"x\";\"abc\""};
    for (size_t i = 0; i < ARRAY_LEN(with); i++) {
        bool star = strchr(with[i], '*') != NULL;
        ck_assert_msg(etag_listed(star ? "*" : with[i], "abc"), "%s", with[i]);
    }
    for (size_t i = 0; i < ARRAY_LEN(without); i++)
        ck_assert_msg(!etag_listed(without[i], "abc"), "%s", without[i]);
    ck_assert(!etag_listed(NULL, "abc"));
}
END_TEST

START_TEST(entity_tags_for_a_range)
{
    ck_assert(etag_still(NULL, "abc"));
    ck_assert(etag_still("\"abc\"", "abc"));
    ck_assert(!etag_still("W/\"abc\"", "abc"));
    ck_assert(!etag_still("\"abcd\"", "abc"));
    ck_assert(!etag_still("abc", "abc"));
    ck_assert(!etag_still("", "abc"));
    ck_assert(!etag_still("Sat, 21 Nov 2026 05:05:20 GMT", "abc"));
}
END_TEST

/* --- times to wait --- */

static void waits(const char *text, uint64_t want)
{
    uint64_t ms = 0;
    ck_assert_msg(wait_parse(text, &ms), "%s", text);
    ck_assert_uint_eq(ms, want);
}

START_TEST(times_to_wait)
{
    static const char *const bad[] = {"",    "s",  "ms", "-1", "+1",  "1.5s", "1m",
                                      "1 s", "1S", "s1", " 1", "0x1", "1sms"};
    waits("0", 0);
    waits("30s", 30000);
    waits("2", 2000);
    waits("500ms", 500);
    waits("007s", 7000);
    waits("18446744073709551615ms", UINT64_MAX);
    waits("18446744073709551616ms", UINT64_MAX);
    waits("18446744073709551615s", UINT64_MAX);
    waits("99999999999999999999999999999999", UINT64_MAX);
    uint64_t ms = 5;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        ck_assert_msg(!wait_parse(bad[i], &ms), "%s", bad[i]);
    ck_assert_uint_eq(ms, 5);
}
END_TEST

/* --- media types --- */

START_TEST(media_types)
{
    static const char *const with[] = {
        "a/b",         "A/B",   "a/b; charset=x", "text/html, a/b;q=0.5, */*",
        "x/y;q=1,a/b", " a/b ", "a/b;q=1",        "a/b;q=0.001"};
    static const char *const without[] = {"",      "a/bc",     "a/*",     "*/*",
                                          "xa/b",  "text/a/b", "a/b;q=0", "a/b; q=0.000",
                                          "a/b/c", "\"a/b\""};
    for (size_t i = 0; i < ARRAY_LEN(with); i++)
        ck_assert_msg(media_type_named(with[i], "a/b"), "%s", with[i]);
    for (size_t i = 0; i < ARRAY_LEN(without); i++)
        ck_assert_msg(!media_type_named(without[i], "a/b"), "%s", without[i]);
    ck_assert(!media_type_named(NULL, "a/b"));
}
END_TEST

/* --- addresses and bodies --- */

START_TEST(addresses_with_a_nul)
{
    ck_assert(url_has_nul("/a%00b"));
    ck_assert(url_has_nul("/a?b=%00"));
    ck_assert(!url_has_nul("/a%01%0"));
    ck_assert(!url_has_nul("/a00"));
    ck_assert(!url_has_nul(""));
}
END_TEST

START_TEST(cost_of_values)
{
    uint64_t empty = json_cost(bytes_str(""));
    ck_assert_uint_eq(empty, 0);
    ck_assert_uint_gt(json_cost(bytes_str("[{},{}]")), json_cost(bytes_str("[{}]")));
    ck_assert_uint_ge(json_cost(bytes_str("{}")), 200);
    ck_assert_uint_ge(json_cost(bytes_str("[1,2,3,4]")), 4 * 32);
    /* What is quoted costs its length only, and a quoted quote ends nothing. */
    ck_assert_uint_eq(json_cost(bytes_str("\"{{{{\"")), 6);
    ck_assert_uint_eq(json_cost(bytes_str("\"\\\"{{{{\"")), 8);
    ck_assert_uint_eq(json_cost(bytes_str("\"\\\\\"")), 4);
    ck_assert_uint_eq(json_cost(bytes_str("\"\\")), 2);
}
END_TEST

START_TEST(windows_of_the_log)
{
    ck_assert_uint_eq(log_window_before(0, 10), 0);
    ck_assert_uint_eq(log_window_before(9, 10), 0);
    ck_assert_uint_eq(log_window_before(10, 10), 0);
    ck_assert_uint_eq(log_window_before(11, 10), 1);
    ck_assert_uint_eq(log_window_before(UINT64_MAX, 10), UINT64_MAX - 10);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        ranges_that_are_given, ranges_beyond_the_end,   ranges_that_are_passed_over,
        entity_tags_in_a_list, entity_tags_for_a_range, times_to_wait,
        media_types,           addresses_with_a_nul,    cost_of_values,
        windows_of_the_log,
    };
    return suite_run("http_values", tests, ARRAY_LEN(tests));
}
