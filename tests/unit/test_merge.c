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

static void diffs_to(struct diff_side a, struct diff_side b, const char *want)
{
    AUTO_BUF out = {0};
    ck_assert_int_eq(diff_text("x/y", &a, &b, &out), OK);
    buf_append(&out, "", 1);
    ck_assert_str_eq((const char *)out.data, want);
}

static struct diff_side side(const char *text)
{
    return (struct diff_side){.there = true, .text = bytes_str(text), .mode = 0100644};
}

START_TEST(diffs)
{
    static const struct diff_side none;
    diffs_to(side("1\n2\n"), side("1\nzwei\n"),
             "diff --git a/x/y b/x/y\n--- a/x/y\n+++ b/x/y\n@@ -1,2 +1,2 @@\n 1\n-2\n+zwei\n");
    diffs_to(none, side("1\n"),
             "diff --git a/x/y b/x/y\nnew file mode 100644\n--- /dev/null\n+++ b/x/y\n"
             "@@ -0,0 +1 @@\n+1\n");
    diffs_to(side("1\n"), none,
             "diff --git a/x/y b/x/y\ndeleted file mode 100644\n--- a/x/y\n+++ /dev/null\n"
             "@@ -1 +0,0 @@\n-1\n");
    diffs_to(none, side(""), "diff --git a/x/y b/x/y\nnew file mode 100644\n");
    struct diff_side executable = side("1\n");
    executable.mode = 0100755;
    diffs_to(side("1\n"), executable,
             "diff --git a/x/y b/x/y\nold mode 100644\nnew mode 100755\n");
    struct diff_side binary = {.there = true, .text = bytes_of("\0", 1), .mode = 0100644};
    diffs_to(side("1\n"), binary,
             "diff --git a/x/y b/x/y\nBinary files a/x/y and b/x/y differ\n");
    diffs_to(side("1"), side("2"),
             "diff --git a/x/y b/x/y\n--- a/x/y\n+++ b/x/y\n@@ -1 +1 @@\n-1\n"
             "\\ No newline at end of file\n+2\n\\ No newline at end of file\n");
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        clean_merges,
        conflicts_have_markers,
        text_and_binary,
        diffs,
    };
    return suite_run("merge", tests, ARRAY_LEN(tests));
}
