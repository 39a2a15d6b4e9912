#include "api/cli/ignore.h"
#include "tests/support/suite.h"

static bool wild(const char *pattern, const char *text)
{
    return wild_match(bytes_str(pattern), bytes_str(text));
}

START_TEST(plain_patterns)
{
    ck_assert(wild("a", "a"));
    ck_assert(!wild("a", "b"));
    ck_assert(!wild("a", "ab"));
    ck_assert(!wild("ab", "a"));
    ck_assert(wild("", ""));
    ck_assert(wild("a?c", "abc"));
    ck_assert(!wild("a?c", "a/c"));
    ck_assert(wild("a\\*c", "a*c"));
    ck_assert(!wild("a\\*c", "abc"));
}
END_TEST

START_TEST(stars)
{
    ck_assert(wild("*", "abc"));
    ck_assert(wild("*", ""));
    ck_assert(!wild("*", "a/b"));
    ck_assert(wild("*.c", "main.c"));
    ck_assert(!wild("*.c", "main.h"));
    ck_assert(wild("a*b*c", "aXXbYYbZZc"));
    ck_assert(!wild("a*b*c", "aXXbYYbZZ"));
    ck_assert(wild("*/b", "a/b"));
    ck_assert(!wild("*/b", "x/a/b"));
    ck_assert(wild("a**b", "aXb"));
    ck_assert(!wild("a**b", "a/b"));
}
END_TEST

START_TEST(double_stars)
{
    ck_assert(wild("**/b", "b"));
    ck_assert(wild("**/b", "a/b"));
    ck_assert(wild("**/b", "x/y/b"));
    ck_assert(!wild("**/b", "xb"));
    ck_assert(!wild("**/b", "x/yb"));
    ck_assert(wild("a/**", "a/b"));
    ck_assert(wild("a/**", "a/b/c"));
    ck_assert(!wild("a/**", "a"));
    ck_assert(wild("a/**/b", "a/b"));
    ck_assert(wild("a/**/b", "a/x/b"));
    ck_assert(wild("a/**/b", "a/x/y/b"));
    ck_assert(!wild("a/**/b", "a/xb"));
    ck_assert(wild("**/x*/b", "q/xa/z/xb/b"));
    ck_assert(wild("**/*.o", "deep/er/file.o"));
    ck_assert(wild("a/**/*.o", "a/b/c/d.o"));
    ck_assert(!wild("a/**/*.o", "b/b/c/d.o"));
}
END_TEST

START_TEST(sets)
{
    ck_assert(wild("[abc]", "b"));
    ck_assert(!wild("[abc]", "d"));
    ck_assert(wild("[a-c]x", "bx"));
    ck_assert(wild("[!a-c]x", "dx"));
    ck_assert(!wild("[!a-c]x", "bx"));
    ck_assert(wild("[^a]", "b"));
    ck_assert(wild("[]a]", "]"));
    ck_assert(wild("[]-a]", "_"));
    ck_assert(wild("[[:digit:]]", "7"));
    ck_assert(!wild("[[:digit:]]", "x"));
    ck_assert(wild("[[:alpha:]_]", "_"));
    ck_assert(!wild("[!a]", "/"));
    ck_assert(!wild("[abc", "a"));
    ck_assert(wild("[a\\]]", "]"));
}
END_TEST

/* A pattern that makes a careless matcher try for ever. */
START_TEST(hostile_patterns_end)
{
    static char pattern[4000];
    static char text[4000];
    memset(text, 'a', sizeof(text) - 1);
    for (size_t i = 0; i + 1 < sizeof(pattern); i++)
        pattern[i] = i % 2 == 0 ? '*' : 'a';
    pattern[sizeof(pattern) - 2] = 'b';
    ck_assert(!wild(pattern, text));
    for (size_t i = 0; i + 1 < sizeof(pattern); i++)
        pattern[i] = "**/a"[i % 4];
    for (size_t i = 0; i + 1 < sizeof(text); i++)
        text[i] = i % 2 == 0 ? 'a' : '/';
    pattern[sizeof(pattern) - 2] = 'b';
    ck_assert(!wild(pattern, text));
}
END_TEST

static bool ignored(const char *rules, const char *path, bool dir)
{
    struct ignore ignore;
    ignore_init(&ignore);
    ignore_push(&ignore, bytes_str(""), bytes_str(rules));
    bool matches = ignore_match(&ignore, bytes_str(path), dir);
    ignore_release(&ignore);
    return matches;
}

START_TEST(rules_of_one_file)
{
    ck_assert(ignored("*.o\n", "a.o", false));
    ck_assert(ignored("*.o\n", "dir/a.o", false));
    ck_assert(ignored("*.o", "dir/a.o", false)); /* no newline at its end */
    ck_assert(!ignored("# *.o\n", "a.o", false));
    ck_assert(ignored("\\#a\n", "#a", false));
    ck_assert(ignored("\\!a\n", "!a", false));
    ck_assert(!ignored("\n\n", "a", false));
    ck_assert(ignored("a.o \r\n", "a.o", false));
    ck_assert(ignored("a\\ \n", "a ", false));
    ck_assert(!ignored("", "a", false));
}
END_TEST

START_TEST(anchors)
{
    ck_assert(ignored("/a\n", "a", false));
    ck_assert(!ignored("/a\n", "x/a", false));
    ck_assert(ignored("d/a\n", "d/a", false));
    ck_assert(!ignored("d/a\n", "x/d/a", false));
    ck_assert(ignored("**/d/a\n", "x/d/a", false));
    ck_assert(ignored("doc/*.txt\n", "doc/a.txt", false));
    ck_assert(!ignored("doc/*.txt\n", "doc/x/a.txt", false));
}
END_TEST

START_TEST(directories_only)
{
    ck_assert(ignored("build/\n", "build", true));
    ck_assert(!ignored("build/\n", "build", false));
    ck_assert(ignored("build/\n", "x/build", true));
    ck_assert(!ignored("/build/\n", "x/build", true));
    ck_assert(!ignored("/\n", "a", true));
}
END_TEST

START_TEST(negation)
{
    ck_assert(!ignored("*.o\n!keep.o\n", "keep.o", false));
    ck_assert(ignored("*.o\n!keep.o\n", "other.o", false));
    ck_assert(ignored("!keep.o\n*.o\n", "keep.o", false)); /* the last one decides */
    ck_assert(!ignored("!a\n", "a", false));
}
END_TEST

START_TEST(nested_files)
{
    struct ignore ignore;
    ignore_init(&ignore);
    ignore_push(&ignore, bytes_str(""), bytes_str("*.log\n/top\n"));
    ignore_push(&ignore, bytes_str("sub"), bytes_str("!keep.log\n/only\nq/r\n"));
    ck_assert(!ignore_match(&ignore, bytes_str("sub/keep.log"), false));
    ck_assert(ignore_match(&ignore, bytes_str("sub/a.log"), false));
    ck_assert(ignore_match(&ignore, bytes_str("sub/only"), false));
    ck_assert(!ignore_match(&ignore, bytes_str("sub/deep/only"), false));
    ck_assert(ignore_match(&ignore, bytes_str("sub/q/r"), false));
    ck_assert(!ignore_match(&ignore, bytes_str("sub/top"), false));
    ignore_pop(&ignore);
    ck_assert(ignore_match(&ignore, bytes_str("keep.log"), false));
    ignore_release(&ignore);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        plain_patterns,    stars,   double_stars,     sets,     hostile_patterns_end,
        rules_of_one_file, anchors, directories_only, negation, nested_files,
    };
    return suite_run("ignore", tests, ARRAY_LEN(tests));
}
