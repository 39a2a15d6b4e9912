#include "api/cli/merge.h"
#include "tests/support/suite.h"

static bool merge(const char *base, const char *ours, const char *theirs, struct buf *out)
{
    bool conflicts = false;
    ck_assert_int_eq(merge_text(bytes_str(base), bytes_str(ours), bytes_str(theirs), "here",
                                "there", out, &conflicts),
                     OK);
    return conflicts;
}

static void merges_to(const char *base, const char *ours, const char *theirs, const char *want)
{
    AUTO_BUF out = {0};
    ck_assert(!merge(base, ours, theirs, &out));
    ck_assert(bytes_equal(buf_bytes(&out), bytes_str(want)));
}

START_TEST(clean_merges)
{
    merges_to("1\n2\n3\n4\n5\n", "one\n2\n3\n4\n5\n", "1\n2\n3\n4\nfive\n",
              "one\n2\n3\n4\nfive\n");
    merges_to("1\n2\n", "1\n2\n", "1\n2\n3\n", "1\n2\n3\n");
    merges_to("1\n2\n", "1\nx\n", "1\nx\n", "1\nx\n"); /* the same on both sides */
    merges_to("", "a\n", "a\n", "a\n");
    merges_to("a\n", "", "a\n", "");
}
END_TEST

START_TEST(conflicts_have_markers)
{
    AUTO_BUF out = {0};
    ck_assert(merge("1\n2\n3\n", "1\nours\n3\n", "1\ntheirs\n3\n", &out));
    ck_assert(
        bytes_equal(buf_bytes(&out),
                    bytes_str("1\n<<<<<<< here\nours\n=======\ntheirs\n>>>>>>> there\n3\n")));
    AUTO_BUF added = {0};
    ck_assert(merge("", "ours\n", "theirs\n", &added));
}
END_TEST

START_TEST(text_and_binary)
{
    ck_assert(is_text(bytes_str("")));
    ck_assert(is_text(bytes_str("plain\n")));
    ck_assert(!is_text(bytes_of("a\0b", 3)));
    static char late[9000];
    memset(late, 'a', sizeof(late));
    late[8500] = '\0';
    ck_assert(is_text(bytes_of(late, sizeof(late))));
    late[7999] = '\0';
    ck_assert(!is_text(bytes_of(late, sizeof(late))));
}
END_TEST

START_TEST(hunks)
{
    AUTO_BUF out = {0};
    ck_assert_int_eq(text_hunks(bytes_str("1\n2\n"), bytes_str("1\nzwei\n"), &out), OK);
    buf_append(&out, "", 1);
    ck_assert_str_eq((const char *)out.data, "@@ -1,2 +1,2 @@\n 1\n-2\n+zwei\n");
    AUTO_BUF none = {0};
    ck_assert_int_eq(text_hunks(bytes_str("1\n"), bytes_str("1\n"), &none), OK);
    ck_assert_int_eq(text_hunks(bytes_str(""), bytes_str(""), &none), OK);
    ck_assert_uint_eq(none.len, 0);
}
END_TEST

START_TEST(lines)
{
    ck_assert_uint_eq(text_lines(bytes_str("")), 0);
    ck_assert_uint_eq(text_lines(bytes_of(NULL, 0)), 0);
    ck_assert_uint_eq(text_lines(bytes_str("a")), 1);
    ck_assert_uint_eq(text_lines(bytes_str("a\n")), 1);
    ck_assert_uint_eq(text_lines(bytes_str("\n\nb")), 3);
}
END_TEST

static void matches(const char *a, const char *b, size_t n, const size_t *want)
{
    AUTO(arena_release) struct arena arena = {0};
    struct line_map map;
    ck_assert_int_eq(text_match(bytes_str(a), bytes_str(b), &arena, &map), OK);
    ck_assert_uint_eq(map.n, n);
    for (size_t i = 0; i < n; i++)
        ck_assert_msg(map.from[i] == want[i], "line %zu of \"%s\" is %zu", i, b, map.from[i]);
}

START_TEST(lines_that_are_the_same)
{
    matches("1\n2\n3\n", "1\n2\n3\n", 3, (size_t[]){0, 1, 2});
    matches("1\n2\n3\n", "0\n1\n3\n4\n", 4, (size_t[]){LINE_NEW, 0, 2, LINE_NEW});
    matches("1\n2\n3\n", "1\nx\ny\n3\n", 4, (size_t[]){0, LINE_NEW, LINE_NEW, 2});
    matches("1\n2\n3\n", "3\n", 1, (size_t[]){2});
    matches("1\n2\n3\n4\n5\n", "2\n4\n", 2, (size_t[]){1, 3});
    matches("", "1\n2\n", 2, (size_t[]){LINE_NEW, LINE_NEW});
    matches("1\n", "", 0, NULL);
    matches("", "", 0, NULL);
    /* A newline at the end, and a carriage return, are part of their line. */
    matches("1\n2", "1\n2\n", 2, (size_t[]){0, LINE_NEW});
    matches("1\r\n2\n", "1\n2\n", 2, (size_t[]){LINE_NEW, 1});
    matches("1", "1", 1, (size_t[]){0});
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        clean_merges, conflicts_have_markers,  text_and_binary, hunks,
        lines,        lines_that_are_the_same,
    };
    return suite_run("merge", tests, ARRAY_LEN(tests));
}
