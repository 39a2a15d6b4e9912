#include <archive.h>
#include <archive_entry.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>

#include "formats/base/hash.h"
#include "formats/path.h"
#include "tests/support/fn_rig.h"
#include "tests/support/fn_tree_rig.h"
#include "tests/support/suite.h"

#define NONE      NULL
#define WITH(...) ((const char *const[]){__VA_ARGS__, NULL})

static struct rig_file file_of(const char *path, const char *text)
{
    return (struct rig_file){bytes_str(path), KIND_FILE, MODE_PLAIN, bytes_str(text)};
}

static int file_order(const void *a, const void *b)
{
    return path_compare(((const struct rig_file *)a)->path, ((const struct rig_file *)b)->path);
}

static struct rig_file sample[] = {
    {{(const uint8_t *)"README", 6}, KIND_FILE, MODE_PLAIN, {(const uint8_t *)"one\ntwo\n", 8}},
    {{(const uint8_t *)"bin/run.sh", 10}, KIND_FILE, MODE_EXEC, {(const uint8_t *)"two", 3}},
    {{(const uint8_t *)"bin/zero.bin", 12},
     KIND_FILE,
     MODE_PLAIN,
     {(const uint8_t *)"\0two\n", 5}},
    {{(const uint8_t *)"bin-link", 8}, KIND_LINK, 0, {(const uint8_t *)"bin/run.sh", 10}},
    {{(const uint8_t *)"gr\xc3\xbc\xc3\x9f"
                       "e/a.c",
      11},
     KIND_FILE,
     MODE_PLAIN,
     {(const uint8_t *)"", 0}},
    {{(const uint8_t *)"gr\xc3\xbc\xc3\x9f"
                       "e/b.c",
      11},
     KIND_FILE,
     MODE_PLAIN,
     {(const uint8_t *)"Two", 3}},
};

static int run_on(const char *name, const char *const *parameters, struct rig_tree *a,
                  struct rig_tree *b, struct buf *out, struct fn_problem *problem)
{
    struct fn_tree *trees[] = {&a->tree, b != NULL ? &b->tree : NULL};
    struct fn_case of = {
        .name = name, .trees = trees, .n_inputs = b != NULL ? 2 : 1, .parameters = parameters};
    return fn_case_run(&of, out, problem);
}

/* What a function gives for the sample. */
static void gives(const char *name, const char *const *parameters, const char *wanted)
{
    struct rig_tree tree;
    AUTO_BUF out = {0};
    struct fn_problem problem = {0};
    rig_tree_init(&tree, sample, ARRAY_LEN(sample), NULL);
    int err = run_on(name, parameters, &tree, NULL, &out, &problem);
    ck_assert_msg(err == OK, "%s: %s", name, problem.message);
    buf_append(&out, "", 1);
    ck_assert_str_eq((const char *)out.data, wanted);
    rig_tree_release(&tree);
}

static void refuses(const char *name, const char *const *parameters, const char *parameter,
                    const char *message)
{
    struct rig_tree tree;
    AUTO_BUF out = {0};
    struct fn_problem problem = {0};
    rig_tree_init(&tree, sample, ARRAY_LEN(sample), NULL);
    ck_assert_int_eq(run_on(name, parameters, &tree, NULL, &out, &problem), ERR_INVALID);
    ck_assert_str_eq(problem.parameter, parameter);
    ck_assert_str_eq(problem.message, message);
    rig_tree_release(&tree);
}

/* ---- what they give ---- */

START_TEST(lists)
{
    gives("tree.list", NONE,
          "file 0644 8 c3f9c8c283a2b1f2f1896f27a01cbe3cddc0c9d93f752e4639035a0f5b36f6e8 "
          "README\n"
          "dir 0000 8 b6c87e16f75770b499bf3fc9dfb5b192510a61aab6f96b84f3f0131cd065c96b bin\n"
          "file 0755 3 3fc4ccfe745870e2c0d99f71f30ff0656c8dedd41cc1d7d3d376b0dbe685e2f3 "
          "bin/run.sh\n"
          "file 0644 5 293175a893fdf7bc9c5f528e7977ae026b621c6e5fd04e839b36961b76b72c0f "
          "bin/zero.bin\n"
          "link 0000 10 00a80c5821edea2ebf676056aa4c9a24e57379ef52cefecb2ccffaaf4cc362c9 "
          "bin-link\n"
          "dir 0000 3 5706e102e63f17c3f25e11e0b76fb7a8fad1f816913186ee2754a086f7de67e8 "
          "gr\xc3\xbc\xc3\x9f"
          "e\n"
          "file 0644 0 e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855 "
          "gr\xc3\xbc\xc3\x9f"
          "e/a.c\n"
          "file 0644 3 94a72c074cfe574742c9e99e863322f73feff82981d065ff65a0308f44f19f62 "
          "gr\xc3\xbc\xc3\x9f"
          "e/b.c\n");
    gives("tree.list", WITH("recursive", "false", "format", "json"),
          "{\"path\":\"README\",\"kind\":\"file\",\"mode\":\"0644\",\"size\":8,\"hash\":"
          "\"c3f9c8c283a2b1f2f1896f27a01cbe3cddc0c9d93f752e4639035a0f5b36f6e8\"}\n"
          "{\"path\":\"bin\",\"kind\":\"dir\",\"mode\":\"0000\",\"size\":8,\"hash\":"
          "\"b6c87e16f75770b499bf3fc9dfb5b192510a61aab6f96b84f3f0131cd065c96b\",\"files\":2}\n"
          "{\"path\":\"bin-link\",\"kind\":\"link\",\"mode\":\"0000\",\"size\":10,\"hash\":"
          "\"00a80c5821edea2ebf676056aa4c9a24e57379ef52cefecb2ccffaaf4cc362c9\"}\n"
          "{\"path\":\"gr\xc3\xbc\xc3\x9f"
          "e\",\"kind\":\"dir\",\"mode\":\"0000\",\"size\":3,"
          "\"hash\":\"5706e102e63f17c3f25e11e0b76fb7a8fad1f816913186ee2754a086f7de67e8\","
          "\"files\":2}\n");
    refuses("tree.list", WITH("recursive", "yes"), "recursive", "neither true nor false");
    refuses("tree.list", WITH("format", "xml"), "format", "neither text nor json");
}
END_TEST

START_TEST(statistics)
{
    gives("tree.stat", NONE,
          "{\"binary\":1,\"bytes\":19,\"directories\":2,\"extensions\":{"
          "\"\":{\"binary\":0,\"bytes\":8,\"files\":1,\"lines\":2},"
          "\"bin\":{\"binary\":1,\"bytes\":5,\"files\":1,\"lines\":0},"
          "\"c\":{\"binary\":0,\"bytes\":3,\"files\":2,\"lines\":1},"
          "\"sh\":{\"binary\":0,\"bytes\":3,\"files\":1,\"lines\":1}},"
          "\"files\":5,\"lines\":4,\"links\":1}");
}
END_TEST

/* What is text is decided by the first 8,000 bytes, however they come. */
START_TEST(text_and_not_text)
{
    static uint8_t data[9000];
    for (unsigned i = 0; i < 4; i++) {
        struct rig_file file = file_of("a", "");
        struct rig_tree tree;
        struct fn_problem problem = {0};
        AUTO_BUF out = {0};
        bool text = i % 2 == 0;
        memset(data, 'a', sizeof(data));
        data[text ? 8000 : 7999] = 0;
        file.content = bytes_of(data, sizeof(data));
        rig_tree_init(&tree, &file, 1, NULL);
        tree.view_max = i < 2 ? 0 : 777;
        ck_assert_int_eq(
            run_on("tree.search", WITH("pattern", "a"), &tree, NULL, &out, &problem), OK);
        ck_assert_uint_eq(out.len, text ? strlen("a:1:") + sizeof(data) + 1 : 0);
        ck_assert_int_eq(run_on("tree.stat", NONE, &tree, NULL, &out, &problem), OK);
        buf_append(&out, "", 1);
        const char *wanted = text ? "\"binary\":0" : "\"binary\":1";
        ck_assert_ptr_nonnull(memmem(out.data, out.len, wanted, strlen(wanted)));
        rig_tree_release(&tree);
    }
}
END_TEST

START_TEST(searches)
{
    gives("tree.search", WITH("pattern", "two"), "README:2:two\nbin/run.sh:1:two\n");
    gives("tree.search", WITH("pattern", "^t", "ignore-case", "true"),
          "README:2:two\nbin/run.sh:1:two\ngr\xc3\xbc\xc3\x9f"
          "e/b.c:1:Two\n");
    gives("tree.search", WITH("pattern", "run.sh"), "");
    refuses("tree.search", NONE, "pattern", "tree.search needs this parameter");
    refuses("tree.search", WITH("pattern", "a("), "pattern",
            "missing closing parenthesis, at byte 2");
}
END_TEST

START_TEST(what_is_too_hard_is_named)
{
    struct rig_file files[] = {file_of("dir/hard", "x\naaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab\n")};
    struct rig_tree tree;
    struct fn_problem problem = {0};
    AUTO_BUF out = {0};
    rig_tree_init(&tree, files, 1, NULL);
    ck_assert_int_eq(
        run_on("tree.search", WITH("pattern", "^(a+)+$"), &tree, NULL, &out, &problem),
        ERR_INVALID);
    ck_assert_str_eq(problem.parameter, "pattern");
    ck_assert_str_eq(problem.message, "line 2 of dir/hard is too hard to match");
    rig_tree_release(&tree);
}
END_TEST

/* ---- archives ---- */

/* Reads the archive with the library and holds each entry against a list of paths. */
static void archive_is(struct bytes data, const char *const *paths)
{
    struct archive *reader = archive_read_new();
    struct archive_entry *entry;
    ck_assert_int_eq(archive_read_support_format_tar(reader), ARCHIVE_OK);
    ck_assert_int_eq(archive_read_open_memory(reader, data.data, data.len), ARCHIVE_OK);
    ck_assert_ptr_nonnull(setlocale(LC_CTYPE, "C.UTF-8"));
    for (; *paths != NULL; paths++) {
        ck_assert_int_eq(archive_read_next_header(reader, &entry), ARCHIVE_OK);
        ck_assert_str_eq(archive_entry_pathname(entry), *paths);
        ck_assert_int_eq(archive_entry_mtime(entry), 0);
        ck_assert_int_eq(archive_entry_uid(entry), 0);
        for (size_t i = 0; i < ARRAY_LEN(sample); i++) {
            if (!bytes_equal(sample[i].path, bytes_str(*paths)))
                continue;
            uint8_t text[64];
            bool is_link = sample[i].kind == KIND_LINK;
            ck_assert_int_eq(archive_entry_filetype(entry), is_link ? AE_IFLNK : AE_IFREG);
            if (is_link) {
                ck_assert_str_eq(archive_entry_symlink(entry), "bin/run.sh");
                continue;
            }
            ck_assert_int_eq(archive_entry_perm(entry), sample[i].mode);
            ck_assert_int_eq(archive_read_data(reader, text, sizeof(text)),
                             (la_ssize_t)sample[i].content.len);
            ck_assert(bytes_equal(bytes_of(text, sample[i].content.len), sample[i].content));
        }
    }
    ck_assert_int_eq(archive_read_next_header(reader, &entry), ARCHIVE_EOF);
    ck_assert_int_eq(archive_read_free(reader), ARCHIVE_OK);
}

START_TEST(archives_read_back)
{
    struct rig_tree tree;
    struct fn_problem problem = {0};
    AUTO_BUF out = {0};
    AUTO_BUF below = {0};
    rig_tree_init(&tree, sample, ARRAY_LEN(sample), NULL);
    ck_assert_int_eq(run_on("tree.archive", NONE, &tree, NULL, &out, &problem), OK);
    archive_is(buf_bytes(&out), WITH("README", "bin/", "bin/run.sh", "bin/zero.bin", "bin-link",
                                     "gr\xc3\xbc\xc3\x9f"
                                     "e/",
                                     "gr\xc3\xbc\xc3\x9f"
                                     "e/a.c",
                                     "gr\xc3\xbc\xc3\x9f"
                                     "e/b.c"));
    ck_assert_int_eq(
        run_on("tree.archive", WITH("prefix", "a/1.0"), &tree, NULL, &below, &problem), OK);
    archive_is(buf_bytes(&below),
               WITH("a/1.0/", "a/1.0/README", "a/1.0/bin/", "a/1.0/bin/run.sh",
                    "a/1.0/bin/zero.bin", "a/1.0/bin-link",
                    "a/1.0/gr\xc3\xbc\xc3\x9f"
                    "e/",
                    "a/1.0/gr\xc3\xbc\xc3\x9f"
                    "e/a.c",
                    "a/1.0/gr\xc3\xbc\xc3\x9f"
                    "e/b.c"));
    rig_tree_release(&tree);
    refuses("tree.archive", WITH("prefix", "../up"), "prefix",
            "this has a component \".\" or \"..\"");
}
END_TEST

/* The names in it are the tree's, and not what the process' locale makes of them. */
START_TEST(archives_know_no_locale)
{
    static const char *const locales[] = {"C", "C.UTF-8"};
    AUTO_BUF first = {0};
    for (size_t i = 0; i < ARRAY_LEN(locales); i++) {
        struct rig_tree tree;
        struct fn_problem problem = {0};
        AUTO_BUF out = {0};
        ck_assert_ptr_nonnull(setlocale(LC_ALL, locales[i]));
        rig_tree_init(&tree, sample, ARRAY_LEN(sample), NULL);
        ck_assert_int_eq(run_on("tree.archive", NONE, &tree, NULL, &out, &problem), OK);
        if (i == 0)
            buf_append_bytes(&first, buf_bytes(&out));
        ck_assert(bytes_equal(buf_bytes(&first), buf_bytes(&out)));
        rig_tree_release(&tree);
    }
}
END_TEST

START_TEST(links_that_tar_cannot_hold)
{
    static const struct {
        struct bytes target;
        const char *message; /* NULL: it can */
    } cases[] = {
        {{(const uint8_t *)"", 0}, "the link dir/link has a target of 0 bytes"},
        {{(const uint8_t *)"a\0b", 3}, "the target of the link dir/link has a zero in it"},
        {{(const uint8_t *)"\xff\xfe", 2}, NULL},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct rig_file link = {bytes_str("dir/link"), KIND_LINK, 0, cases[i].target};
        struct rig_tree tree;
        struct fn_problem problem = {0};
        AUTO_BUF out = {0};
        rig_tree_init(&tree, &link, 1, NULL);
        int err = run_on("tree.archive", NONE, &tree, NULL, &out, &problem);
        ck_assert_int_eq(err, cases[i].message != NULL ? ERR_INVALID : OK);
        if (cases[i].message != NULL)
            ck_assert_str_eq(problem.message, cases[i].message);
        rig_tree_release(&tree);
    }
}
END_TEST

/* ---- differences ---- */

START_TEST(differences)
{
    struct rig_file a[] = {file_of("came-as-dir", "1"), file_of("gone/x", "2"),
                           file_of("gone/y", "3"),      file_of("mode", "4"),
                           file_of("same/deep/z", "5"), file_of("text", "6")};
    struct rig_file b[] = {file_of("came-as-dir/in", "1"), file_of("mode", "4"),
                           file_of("new", ""), file_of("same/deep/z", "5"),
                           file_of("text", "7")};
    b[1].mode = MODE_EXEC;
    struct rig_tree trees[2];
    struct fn_problem problem = {0};
    AUTO_BUF out = {0};
    rig_tree_init(&trees[0], a, ARRAY_LEN(a), NULL);
    rig_tree_init(&trees[1], b, ARRAY_LEN(b), NULL);
    ck_assert_int_eq(run_on("tree.diff", NONE, &trees[0], &trees[1], &out, &problem), OK);
    buf_append(&out, "", 1);
    ck_assert_str_eq((const char *)out.data,
                     "removed came-as-dir\nadded came-as-dir/in\nremoved gone/x\n"
                     "removed gone/y\nchanged mode\nadded new\nchanged text\n");
    /* The tops, and what is in one of them only. */
    ck_assert_uint_eq(trees[0].dirs, 2);
    ck_assert_uint_eq(trees[1].dirs, 2);
    ck_assert_uint_eq(trees[0].files + trees[1].files, 0);
    rig_tree_release(&trees[0]);
    rig_tree_release(&trees[1]);
}
END_TEST

/* Of a directory of many pages only those that differ are opened. */
START_TEST(equal_pages_are_not_opened)
{
    enum { N = 5000 };
    struct arena arena = {0};
    struct rig_file *files = arena_array(&arena, N, struct rig_file);
    struct rig_tree trees[2];
    struct fn_problem problem = {0};
    AUTO_BUF out = {0};
    for (unsigned i = 0; i < N; i++)
        files[i] = file_of(arena_printf(&arena, "dir/%05u", i), "text");
    for (unsigned i = 0; i < 2; i++) {
        struct chance chance = {.state = 1}; /* the same cuts in both: several levels */
        if (i == 1)
            files[3210] = file_of("dir/03210", "another");
        rig_tree_init(&trees[i], files, N, &chance);
    }
    ck_assert_int_eq(run_on("tree.diff", NONE, &trees[0], &trees[1], &out, &problem), OK);
    buf_append(&out, "", 1);
    ck_assert_str_eq((const char *)out.data, "changed dir/03210\n");
    for (unsigned i = 0; i < 2; i++) {
        ck_assert_uint_eq(trees[i].dirs, 2);
        ck_assert_uint_gt(trees[i].pages, 2);
        ck_assert_uint_lt(trees[i].pages, 2 * PAGE_LEVELS_MAX);
        rig_tree_release(&trees[i]);
    }
    arena_release(&arena);
}
END_TEST

/* ---- properties ---- */

#define DRAWN_MAX 40u

struct drawn {
    struct rig_file files[DRAWN_MAX];
    size_t n;
    struct arena arena;
};

/* Some files in few directories; `from` is a tree whose files are kept as a rule. */
static void files_draw(struct chance *chance, struct drawn *to, const struct drawn *from)
{
    static const char *const names[] = {"a", "a-b", "b", "c.c", "d.txt"};
    for (size_t i = 0; from != NULL && i < from->n; i++) {
        if (chance_below(chance, 8) != 0)
            to->files[to->n++] = from->files[i];
    }
    size_t wanted = to->n + (size_t)chance_below(chance, from != NULL ? 4 : DRAWN_MAX - 8);
    while (to->n < wanted && to->n < DRAWN_MAX) {
        AUTO_BUF path = {0};
        for (unsigned depth = (unsigned)chance_below(chance, 4); depth > 0; depth--)
            buf_printf(&path, "%s%s/", "d", names[chance_below(chance, ARRAY_LEN(names))]);
        buf_printf(&path, "%s%llu", names[chance_below(chance, ARRAY_LEN(names))],
                   (unsigned long long)chance_below(chance, 10));
        size_t len = (size_t)chance_below(chance, 30);
        uint8_t *content = arena_alloc(&to->arena, len + 1);
        for (size_t i = 0; i < len; i++)
            content[i] = (uint8_t) "ab\n"[chance_below(chance, 3)];
        bool is_link = chance_below(chance, 8) == 0;
        to->files[to->n++] = (struct rig_file){
            arena_copy(&to->arena, buf_bytes(&path)), is_link ? KIND_LINK : KIND_FILE,
            is_link                        ? 0
            : chance_below(chance, 3) == 0 ? MODE_EXEC
                                           : MODE_PLAIN,
            is_link ? bytes_str("a/b") : bytes_of(content, len)};
    }
    qsort(to->files, to->n, sizeof(*to->files), file_order);
    size_t n = 0;
    for (size_t i = 0; i < to->n; i++) {
        if (n == 0 || file_order(&to->files[n - 1], &to->files[i]) != 0)
            to->files[n++] = to->files[i];
    }
    to->n = n;
}

static const struct {
    const char *name;
    const char *const *parameters;
} runs[] = {
    {"tree.list", NULL},
    {"tree.list", (const char *const[]){"recursive", "false", "format", "json", NULL}},
    {"tree.stat", NULL},
    {"tree.archive", NULL},
    {"tree.archive", (const char *const[]){"prefix", "some/where", NULL}},
    {"tree.search", (const char *const[]){"pattern", "ab", NULL}},
    {"tree.diff", NULL},
    {"tree.diff", (const char *const[]){"format", "json", NULL}},
};

/* What is said of all of them below is said of every function that takes a tree. */
START_TEST(none_is_left_out)
{
    size_t n_functions;
    const struct function *const *all = functions_all(&n_functions);
    for (size_t i = 0; i < n_functions; i++) {
        bool met = all[i]->trees == 0;
        for (size_t k = 0; k < ARRAY_LEN(runs) && !met; k++)
            met = strcmp(runs[k].name, all[i]->name) == 0;
        ck_assert_msg(met, "%s is not tested", all[i]->name);
    }
}
END_TEST

/* However directories are cut into pages, files into views and results into windows, the result
 * is the same. */
START_TEST(cuts_do_not_matter)
{
    struct chance chance;
    chance_init(&chance, "cuts_do_not_matter");
    for (unsigned round = 0; round < 1500; round++) {
        struct drawn drawn[2] = {0};
        struct rig_tree trees[2];
        size_t which = (size_t)chance_below(&chance, ARRAY_LEN(runs));
        AUTO_BUF whole = {0};
        files_draw(&chance, &drawn[0], NULL);
        files_draw(&chance, &drawn[1], &drawn[0]);
        for (unsigned cut = 0; cut < 3; cut++) {
            struct fn_problem problem = {0};
            AUTO_BUF out = {0};
            for (unsigned i = 0; i < 2; i++) {
                rig_tree_init(&trees[i], drawn[i].files, drawn[i].n, cut == 0 ? NULL : &chance);
                trees[i].view_max = cut == 0 ? 0 : 1 + (size_t)chance_below(&chance, 9);
            }
            struct fn_tree *const inputs[] = {&trees[0].tree, &trees[1].tree};
            struct fn_case of = {.name = runs[which].name,
                                 .parameters = runs[which].parameters,
                                 .trees = inputs,
                                 .n_inputs = strcmp(runs[which].name, "tree.diff") == 0 ? 2 : 1,
                                 .window = cut == 0 ? 0 : 1 + (size_t)chance_below(&chance, 9)};
            ck_assert_int_eq(fn_case_run(&of, &out, &problem), OK);
            if (cut == 0)
                buf_append_bytes(&whole, buf_bytes(&out));
            ck_assert_msg(bytes_equal(buf_bytes(&whole), buf_bytes(&out)), "%s", of.name);
            rig_tree_release(&trees[0]);
            rig_tree_release(&trees[1]);
        }
        arena_release(&drawn[0].arena);
        arena_release(&drawn[1].arena);
    }
}
END_TEST

/* What a tree cannot give is passed up as it is, wherever it happens, and nothing stays open.
 */
START_TEST(errors_of_trees_are_passed_up)
{
    static const int errors[] = {ERR_NOT_FOUND, ERR_CORRUPT, ERR_INVALID, ERR_LIMIT, ERR_AGAIN};
    struct chance chance = {.state = 7};
    struct rig_file other[] = {file_of("README", "x"), file_of("bin/new/er", "y")};
    for (size_t which = 0; which < ARRAY_LEN(runs); which++) {
        unsigned calls = 0;
        for (unsigned at = 1; at == 1 || at <= calls; at++) {
            struct rig_tree trees[2];
            struct fn_problem problem = {0};
            AUTO_BUF out = {0};
            rig_tree_init(&trees[0], sample, ARRAY_LEN(sample), &chance);
            rig_tree_init(&trees[1], other, ARRAY_LEN(other), &chance);
            trees[0].view_max = 2;
            trees[0].err = errors[at % ARRAY_LEN(errors)];
            trees[0].err_at = at;
            int err = run_on(runs[which].name, runs[which].parameters, &trees[0],
                             strcmp(runs[which].name, "tree.diff") == 0 ? &trees[1] : NULL,
                             &out, &problem);
            ck_assert_msg(err == trees[0].err || trees[0].calls < at, "%s at %u gives %d",
                          runs[which].name, at, err);
            ck_assert_str_eq(problem.message, "");
            /* How many there are is another each time, for the cuts are. */
            calls = trees[0].calls < at ? 0 : at + 1;
            rig_tree_release(&trees[0]);
            rig_tree_release(&trees[1]);
        }
    }
}
END_TEST

/* Nor does a result that cannot be written end as anything else. */
START_TEST(errors_of_outputs_are_passed_up)
{
    struct rig_file other[] = {file_of("README", "x"), file_of("bin/new/er", "y")};
    for (size_t which = 0; which < ARRAY_LEN(runs); which++) {
        int err = ERR_AGAIN;
        for (unsigned at = 1; err != OK; at++) {
            struct rig_tree trees[2];
            struct fn_problem problem = {0};
            AUTO_BUF out = {0};
            rig_tree_init(&trees[0], sample, ARRAY_LEN(sample), NULL);
            rig_tree_init(&trees[1], other, ARRAY_LEN(other), NULL);
            struct fn_tree *const inputs[] = {&trees[0].tree, &trees[1].tree};
            struct fn_case of = {.name = runs[which].name,
                                 .parameters = runs[which].parameters,
                                 .trees = inputs,
                                 .n_inputs = strcmp(runs[which].name, "tree.diff") == 0 ? 2 : 1,
                                 .window = 50,
                                 .flush_err = ERR_AGAIN,
                                 .flush_err_at = at};
            err = fn_case_run(&of, &out, &problem);
            ck_assert_msg(err == OK || err == ERR_AGAIN, "%s at %u gives %d", of.name, at, err);
            ck_assert_str_eq(problem.message, "");
            ck_assert(err != OK || at > 1 || out.len <= 50);
            rig_tree_release(&trees[0]);
            rig_tree_release(&trees[1]);
        }
    }
}
END_TEST

START_TEST(inputs_are_of_their_kind)
{
    struct rig_tree tree;
    struct bytes bytes[2] = {bytes_str("a"), bytes_str("b")};
    struct fn_problem problem = {0};
    AUTO_BUF out = {0};
    rig_tree_init(&tree, sample, ARRAY_LEN(sample), NULL);
    struct fn_tree *const first[2] = {&tree.tree, NULL};
    struct fn_case of = {.name = "tree.list", .inputs = bytes, .n_inputs = 1};
    ck_assert_int_eq(fn_case_run(&of, &out, &problem), ERR_INVALID);
    ck_assert_str_eq(problem.message,
                     "input 1 of tree.list is bytes, and it takes a tree there");
    of = (struct fn_case){.name = "tree.diff", .inputs = bytes, .trees = first, .n_inputs = 2};
    ck_assert_int_eq(fn_case_run(&of, &out, &problem), ERR_INVALID);
    ck_assert_str_eq(problem.message,
                     "input 2 of tree.diff is bytes, and it takes a tree there");
    of = (struct fn_case){.name = "concat", .inputs = bytes, .trees = first, .n_inputs = 2};
    ck_assert_int_eq(fn_case_run(&of, &out, &problem), ERR_INVALID);
    ck_assert_str_eq(problem.message, "input 1 of concat is a tree, and it takes bytes there");
    ck_assert_uint_eq(tree.calls + tree.dirs, 0);
    rig_tree_release(&tree);
}
END_TEST

/* ---- limits ---- */

/* As deep as paths can be, and one deeper. */
START_TEST(depth_is_bounded)
{
    static char path[2][PATH_LEN_MAX + 3];
    for (unsigned more = 0; more < 2; more++) {
        for (size_t i = 0; i < PATH_LEN_MAX - 1 + 2 * more; i++)
            path[more][i] = i % 2 == 0 ? 'a' : '/';
        struct rig_file file = file_of(path[more], "text");
        struct rig_file flat = file_of("b", "");
        struct rig_tree trees[2];
        rig_tree_init(&trees[0], &file, 1, NULL);
        rig_tree_init(&trees[1], &flat, 1, NULL);
        for (size_t which = 0; which < ARRAY_LEN(runs); which++) {
            if (which == 1)
                continue; /* one level */
            struct fn_problem problem = {0};
            AUTO_BUF out = {0};
            ck_assert_int_eq(
                run_on(runs[which].name, runs[which].parameters, &trees[0],
                       strcmp(runs[which].name, "tree.diff") == 0 ? &trees[1] : NULL, &out,
                       &problem),
                more == 0 ? OK : ERR_LIMIT);
        }
        rig_tree_release(&trees[0]);
        rig_tree_release(&trees[1]);
    }
}
END_TEST

/* More extensions than are told apart: which ones are does not depend on the cuts. */
START_TEST(extensions_are_bounded)
{
    enum { N = FUNCTION_EXTENSIONS_MAX + 5 };
    struct arena arena = {0};
    struct rig_file *files = arena_array(&arena, N, struct rig_file);
    for (unsigned i = 0; i < N; i++)
        files[i] = file_of(arena_printf(&arena, "a.%06u", i), "text\n");
    struct rig_tree tree;
    struct fn_problem problem = {0};
    AUTO_BUF out = {0};
    rig_tree_init(&tree, files, N, NULL);
    ck_assert_int_eq(run_on("tree.stat", NONE, &tree, NULL, &out, &problem), OK);
    buf_append(&out, "", 1);
    const char *text = (const char *)out.data;
    ck_assert_ptr_nonnull(strstr(text, "\"009999\":{"));
    ck_assert_ptr_null(strstr(text, "\"010000\":{"));
    ck_assert_ptr_nonnull(strstr(
        text, "\"other_extensions\":{\"binary\":0,\"bytes\":25,\"files\":5,\"lines\":5}}"));
    rig_tree_release(&tree);
    arena_release(&arena);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        lists,
        statistics,
        text_and_not_text,
        searches,
        what_is_too_hard_is_named,
        archives_read_back,
        archives_know_no_locale,
        links_that_tar_cannot_hold,
        differences,
        equal_pages_are_not_opened,
        none_is_left_out,
        cuts_do_not_matter,
        errors_of_trees_are_passed_up,
        errors_of_outputs_are_passed_up,
        inputs_are_of_their_kind,
        depth_is_bounded,
        extensions_are_bounded,
    };
    return suite_run("tree_functions", tests, ARRAY_LEN(tests));
}
