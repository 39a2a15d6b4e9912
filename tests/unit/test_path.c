#include "formats/path.h"

#include "formats/base/buf.h"
#include "formats/base/limits.h"
#include "tests/support/suite.h"

START_TEST(good_paths)
{
    static const char *const good[] = {
        "a",
        "a/b/c",
        ".gitignore",
        ".github/workflows/ci.yml",
        "git",
        ".gi",
        ".gitt",
        "a/.mic",
        ".micignore",
        "...",
        "a/..b/c..",
        " ",
        "a b/ c",
        "back\\slash",
        "colon:star*?",
        "\xc2\x80", /* U+0080, a C1 control, is a character */
        "\xc3\xa9/\xe2\x82\xac/\xf0\x9f\x8d\x84",
        "\xed\x9f\xbf\xee\x80\x80", /* U+D7FF U+E000, around the surrogates */
        "\xf4\x8f\xbf\xbf",         /* U+10FFFF */
        "longer than eight bytes \xe2\x82\xac and on",
    };
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        const char *why = NULL;
        ck_assert_msg(path_check(bytes_str(good[i]), &why) == 0, "%s: %s", good[i], why);
        ck_assert_ptr_null(why);
    }
}
END_TEST

START_TEST(bad_paths)
{
    static const char *const bad[] = {
        "",
        "/",
        "/a",
        "a/",
        "a//b",
        ".",
        "..",
        "./a",
        "a/.",
        "a/../b",
        "a/..",
        ".git",
        ".GIT",
        ".gIt/x",
        "a/.Git",
        "a/.git/b",
        ".mic",
        ".mic/x",
        "a\n",
        "\x1f",
        "a\177b",
        "\t/a",
        "\x80",
        "a\xff",
        "\xc0\xaf",
        "\xc1\xbf",
        "\xc3",
        "\xc3/",
        "\xe0\x80\xaf",
        "\xe0\x9f\xbf",
        "\xed\xa0\x80",
        "\xed\xbf\xbf",
        "\xe2\x82",
        "\xe2\x28\xa1",
        "\xf0\x80\x80\x80",
        "\xf0\x8f\xbf\xbf",
        "\xf4\x90\x80\x80",
        "\xf5\x80\x80\x80",
        "\xf0\x9f\x8d",
        "\xf8\x88\x80\x80\x80",
        "12345678\x80",
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        const char *why = NULL;
        ck_assert_msg(path_check(bytes_str(bad[i]), &why) == ERR_INVALID, "%zu: %s", i, bad[i]);
        ck_assert_ptr_nonnull(why);
        ck_assert_int_eq(path_check(bytes_str(bad[i]), NULL), ERR_INVALID);
    }
    ck_assert_int_eq(path_check(bytes_of("a\0b", 3), NULL), ERR_INVALID);
    ck_assert_int_eq(path_check(bytes_of(NULL, 0), NULL), ERR_INVALID);
}
END_TEST

START_TEST(every_control_byte_is_refused)
{
    for (unsigned c = 0; c < 128; c++) {
        const uint8_t path[3] = {'a', (uint8_t)c, 'b'};
        bool control = c < 0x20 || c == 0x7f;
        ck_assert_int_eq(path_check(bytes_of(path, 3), NULL), control ? ERR_INVALID : 0);
    }
}
END_TEST

START_TEST(the_reason_is_told)
{
    static const char *const pairs[][2] = {
        {"", "is empty"},
        {"a//b", "has an empty component"},
        {"a/../b", "has a component \".\" or \"..\""},
        {"a/.git", "has a component \".git\""},
        {".mic/x", "begins with \".mic\""},
        {"a\n", "has a control byte"},
        {"\xff", "is not UTF-8"},
    };
    for (size_t i = 0; i < ARRAY_LEN(pairs); i++) {
        const char *why = NULL;
        ck_assert_int_ne(path_check(bytes_str(pairs[i][0]), &why), 0);
        ck_assert_str_eq(why, pairs[i][1]);
    }
}
END_TEST

START_TEST(lengths)
{
    char path[PATH_LEN_MAX + 2];
    memset(path, 'x', sizeof(path));
    ck_assert_int_eq(path_check(bytes_of(path, NAME_LEN_MAX), NULL), 0);
    ck_assert_int_eq(path_check(bytes_of(path, NAME_LEN_MAX + 1), NULL), ERR_INVALID);
    for (size_t i = 1; i < sizeof(path); i += 2) {
        path[i] = '/';
    }
    ck_assert_int_eq(path_check(bytes_of(path, PATH_LEN_MAX - 1), NULL), 0);
    path[PATH_LEN_MAX - 1] = 'x';
    ck_assert_int_eq(path_check(bytes_of(path, PATH_LEN_MAX), NULL), 0);
    const char *why = NULL;
    ck_assert_int_eq(path_check(bytes_of(path, PATH_LEN_MAX + 1), &why), ERR_LIMIT);
    ck_assert_ptr_nonnull(why);
}
END_TEST

/* Whether an independent decoder, by value instead of by table, takes the one character. */
static bool one_char_ok(const uint8_t *s, size_t len)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t n = s[0] < 0x80       ? 1
               : s[0] >> 5 == 6  ? 2
               : s[0] >> 4 == 14 ? 3
               : s[0] >> 3 == 30 ? 4
                                 : 0;
    if (n == 0 || n != len) {
        return false;
    }
    uint32_t c = n == 1 ? s[0] : s[0] & (0xffu >> (n + 1));
    for (size_t i = 1; i < n; i++) {
        if (s[i] >> 6 != 2) {
            return false;
        }
        c = c << 6 | (s[i] & 0x3f);
    }
    return c >= least[n] && c <= 0x10ffff && (c < 0xd800 || c > 0xdfff);
}

START_TEST(utf8_as_by_value)
{
    static const uint8_t ends[] = {0x00, 0x7f, 0x80, 0xbf, 0xc0};
    for (unsigned first = 0x80; first < 0x100; first++) {
        for (unsigned second = 0; second < 0x100; second++) {
            uint8_t s[4] = {(uint8_t)first, (uint8_t)second};
            ck_assert(utf8_ok(bytes_of(s, 2)) == one_char_ok(s, 2) || second < 0x80);
            for (size_t i = 0; i < ARRAY_LEN(ends) * ARRAY_LEN(ends); i++) {
                s[2] = ends[i % ARRAY_LEN(ends)];
                s[3] = ends[i / ARRAY_LEN(ends)];
                if (first >= 0xe0 && s[2] >= 0x80) {
                    ck_assert(utf8_ok(bytes_of(s, 3)) == one_char_ok(s, 3));
                }
                if (first >= 0xf0 && s[2] >= 0x80 && s[3] >= 0x80) {
                    ck_assert(utf8_ok(bytes_of(s, 4)) == one_char_ok(s, 4));
                }
            }
        }
    }
    ck_assert(utf8_ok(bytes_of(NULL, 0)));
    ck_assert(utf8_ok(bytes_of("\0", 1)));
}
END_TEST

static void is(struct bytes actual, const char *expected)
{
    ck_assert_msg(bytes_equal(actual, bytes_str(expected)), "%.*s, not %s", (int)actual.len,
                  (const char *)actual.data, expected);
}

START_TEST(parts)
{
    struct bytes rest = bytes_str("a/bc/d");
    is(path_first(&rest), "a");
    is(rest, "bc/d");
    is(path_first(&rest), "bc");
    is(path_first(&rest), "d");
    is(rest, "");
    is(path_first(&rest), "");
    is(path_parent(bytes_str("a/b/c")), "a/b");
    is(path_parent(bytes_str("a")), "");
    is(path_parent(bytes_str("")), "");
    is(path_base(bytes_str("a/b/c")), "c");
    is(path_base(bytes_str("a")), "a");
    is(path_base(bytes_str("")), "");
}
END_TEST

START_TEST(below)
{
    ck_assert(path_below(bytes_str("a/b"), bytes_str("a")));
    ck_assert(path_below(bytes_str("a/b/c"), bytes_str("a/b")));
    ck_assert(path_below(bytes_str("a"), bytes_str("")));
    ck_assert(!path_below(bytes_str("a"), bytes_str("a")));
    ck_assert(!path_below(bytes_str("ab"), bytes_str("a")));
    ck_assert(!path_below(bytes_str("a-b/c"), bytes_str("a")));
    ck_assert(!path_below(bytes_str("a"), bytes_str("a/b")));
    ck_assert(!path_below(bytes_str(""), bytes_str("")));
}
END_TEST

START_TEST(order_of_a_walk)
{
    static const char *const sorted[] = {
        "",
        "a",
        "a/a",
        "a/b",
        "a/b/c",
        "a/b-c",
        "a ",
        "a-b",
        "a.b/c",
        "ab",
        "b",
        "longer than/eight",
        "longer than-eight",
        "\xc3\xa9",
    };
    for (size_t i = 0; i < ARRAY_LEN(sorted); i++) {
        for (size_t j = 0; j < ARRAY_LEN(sorted); j++) {
            int c = path_compare(bytes_str(sorted[i]), bytes_str(sorted[j]));
            ck_assert_msg((c < 0) == (i < j) && (c > 0) == (i > j), "%s, %s: %d", sorted[i],
                          sorted[j], c);
        }
    }
}
END_TEST

START_TEST(handles)
{
    char longest[HANDLE_LEN_MAX + 1];
    memset(longest, 'h', sizeof(longest));
    ck_assert_int_eq(handle_check(bytes_of(longest, HANDLE_LEN_MAX)), 0);
    ck_assert_int_eq(handle_check(bytes_of(longest, HANDLE_LEN_MAX + 1)), ERR_INVALID);
    static const char *const good[] = {"a", "0", "a.b", "a-", "9_x", "linux"};
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        ck_assert_int_eq(handle_check(bytes_str(good[i])), 0);
    }
    static const char *const bad[] = {"",  ".",  "..",  "-a",  "_a",      ".a",
                                      "A", "aB", "a/b", "a b", "\xc3\xa9"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        ck_assert_int_eq(handle_check(bytes_str(bad[i])), ERR_INVALID);
    }
}
END_TEST

int main(void)
{
    const TTest *tests[] = {
        good_paths,
        bad_paths,
        every_control_byte_is_refused,
        the_reason_is_told,
        lengths,
        utf8_as_by_value,
        parts,
        below,
        order_of_a_walk,
        handles,
    };
    return suite_run("path", tests, ARRAY_LEN(tests));
}
