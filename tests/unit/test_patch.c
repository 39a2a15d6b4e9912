#include "api/cli/patch.h"
#include "tests/support/suite.h"

static struct patch_side side(const char *path, const char *text)
{
    return (struct patch_side){.path = bytes_str(path),
                               .kind = KIND_FILE,
                               .mode = MODE_PLAIN,
                               .text = bytes_str(text)};
}

static const struct patch_side none;

static void gives(struct patch_side a, struct patch_side b, bool same, const char *want)
{
    AUTO_BUF out = {0};
    ck_assert_int_eq(patch_write(&a, &b, same, &out), OK);
    buf_append(&out, "", 1);
    ck_assert_str_eq((const char *)out.data, want);
}

START_TEST(changed_came_and_gone)
{
    gives(side("x/y", "1\n2\n"), side("x/y", "1\nzwei\n"), false,
          "diff --git a/x/y b/x/y\n--- a/x/y\n+++ b/x/y\n@@ -1,2 +1,2 @@\n 1\n-2\n+zwei\n");
    gives(none, side("f", "1\n"), false,
          "diff --git a/f b/f\nnew file mode 100644\n--- /dev/null\n+++ b/f\n"
          "@@ -0,0 +1 @@\n+1\n");
    gives(side("f", "1\n"), none, false,
          "diff --git a/f b/f\ndeleted file mode 100644\n--- a/f\n+++ /dev/null\n"
          "@@ -1 +0,0 @@\n-1\n");
    gives(none, side("f", ""), false, "diff --git a/f b/f\nnew file mode 100644\n");
    gives(side("f", ""), none, false, "diff --git a/f b/f\ndeleted file mode 100644\n");
    gives(side("f", "1"), side("f", "2"), false,
          "diff --git a/f b/f\n--- a/f\n+++ b/f\n@@ -1 +1 @@\n-1\n"
          "\\ No newline at end of file\n+2\n\\ No newline at end of file\n");
}
END_TEST

START_TEST(modes_and_names)
{
    struct patch_side executable = side("g", "");
    executable.mode = MODE_EXEC;
    gives(side("g", ""), executable, true,
          "diff --git a/g b/g\nold mode 100644\nnew mode 100755\n");
    gives(side("f", ""), executable, true,
          "diff --git a/f b/g\nold mode 100644\nnew mode 100755\nsimilarity index 100%\n"
          "rename from f\nrename to g\n");
    gives(side("a b", "1\n"), none, false,
          "diff --git a/a b b/a b\ndeleted file mode 100644\n--- a/a b\t\n+++ /dev/null\n"
          "@@ -1 +0,0 @@\n-1\n");
    gives(side("q\"\\", ""), side("\xc3\xbc", ""), true,
          "diff --git \"a/q\\\"\\\\\" b/\xc3\xbc\nsimilarity index 100%\n"
          "rename from \"q\\\"\\\\\"\nrename to \xc3\xbc\n");
}
END_TEST

START_TEST(links)
{
    struct patch_side link = side("f", "to");
    link.kind = KIND_LINK;
    link.mode = 0;
    gives(side("f", "1\n"), link, false,
          "diff --git a/f b/f\ndeleted file mode 100644\n--- a/f\n+++ /dev/null\n"
          "@@ -1 +0,0 @@\n-1\n"
          "diff --git a/f b/f\nnew file mode 120000\n--- /dev/null\n+++ b/f\n"
          "@@ -0,0 +1 @@\n+to\n\\ No newline at end of file\n");
}
END_TEST

START_TEST(what_is_not_shown)
{
    struct patch_side binary = side("f", "");
    binary.text = bytes_of("\0", 1);
    gives(side("f", "1\n"), binary, false,
          "diff --git a/f b/f\nBinary files a/f and b/f differ\n");
    gives(none, binary, false,
          "diff --git a/f b/f\nnew file mode 100644\nBinary files /dev/null and b/f differ\n");
    struct patch_side large = side("f", "");
    large.too_large = true;
    gives(side("f", ""), large, false,
          "diff --git a/f b/f\nFiles a/f and b/f differ: too large to show\n");
    gives(large, none, false,
          "diff --git a/f b/f\ndeleted file mode 100644\n"
          "Files a/f and /dev/null differ: too large to show\n");
    gives(large, large, true, "diff --git a/f b/f\n");
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        changed_came_and_gone,
        modes_and_names,
        links,
        what_is_not_shown,
    };
    return suite_run("patch", tests, ARRAY_LEN(tests));
}
