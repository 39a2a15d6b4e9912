/* Landing: one rule, compare and swap per path. */
#include <check.h>
#include <stdlib.h>

#include "formats/key.h"
#include "formats/path.h"
#include "pipeline/repo/chain.h"
#include "tests/support/forge.h"
#include "tests/support/suite.h"

static struct forge f;

static void setup(void)
{
    forge_init(&f);
}

static void teardown(void)
{
    forge_release(&f);
}

static struct landing answer_of(const struct draft *d, struct id16 request)
{
    return forge_answer(&f, &d->session.id, &request);
}

/* Two sessions from the same base, landed in one batch or in two; gives both answers. */
static void land_two(struct draft *a, struct draft *b, bool one_batch, struct landing *first,
                     struct landing *second)
{
    struct id16 ra = forge_submit(&f, a, 1);
    if (!one_batch)
        forge_drain(&f);
    struct id16 rb = forge_submit(&f, b, 1);
    forge_drain(&f);
    *first = answer_of(a, ra);
    *second = answer_of(b, rb);
    ck_assert_uint_eq(forge_count(&f, "queue/"), 0);
}

#define BOTH_WAYS(name)                     \
    static void name##_run(bool one_batch); \
    START_TEST(name)                        \
    {                                       \
        name##_run(_i == 1);                \
    }                                       \
    END_TEST                                \
    static void name##_run(bool one_batch)

BOTH_WAYS(test_disjoint_both_land)
{
    struct draft a = draft_open(&f, "ann", "a", 0);
    struct draft b = draft_open(&f, "ben", "b", 0);
    draft_write(&a, "a", "1", NULL);
    draft_write(&b, "b", "2", NULL);
    struct landing first, second;
    land_two(&a, &b, one_batch, &first, &second);
    ck_assert_int_eq(first.verdict, VERDICT_LANDED);
    ck_assert_int_eq(second.verdict, VERDICT_LANDED);
    ck_assert_uint_eq(second.position, 2);
}

BOTH_WAYS(test_same_file)
{
    forge_land_text(&f, "base", "a", "0", NULL);
    struct draft a = draft_open(&f, "ann", "a", 1);
    struct draft b = draft_open(&f, "ben", "b", 1);
    draft_write(&a, "a", "1", "0");
    draft_write(&b, "a", "2", "0");
    struct landing first, second;
    land_two(&a, &b, one_batch, &first, &second);
    ck_assert_int_eq(first.verdict, VERDICT_LANDED);
    conflict_is(&second, CONFLICT_OPERATION, "a");
    ck_assert_uint_eq(second.conflicts[0].by, 2);
    struct seen now = seen_text("1");
    ck_assert(seen_equal(&second.conflicts[0].there, &now));
    ck_assert(second.closes);
    ck_assert_str_eq(forge_text(&f, "a"), "1");
}

BOTH_WAYS(test_add_and_add)
{
    struct draft a = draft_open(&f, "ann", "a", 0);
    struct draft b = draft_open(&f, "ben", "b", 0);
    draft_write(&a, "n", "1", NULL);
    draft_write(&b, "n", "2", NULL);
    struct landing first, second;
    land_two(&a, &b, one_batch, &first, &second);
    ck_assert_int_eq(first.verdict, VERDICT_LANDED);
    conflict_is(&second, CONFLICT_OPERATION, "n");
}

BOTH_WAYS(test_equal_edits_both_land)
{
    forge_land_text(&f, "base", "a", "0", NULL);
    struct draft a = draft_open(&f, "ann", "a", 1);
    struct draft b = draft_open(&f, "ben", "b", 1);
    draft_write(&a, "a", "same", "0");
    draft_write(&b, "a", "same", "0");
    struct landing first, second;
    land_two(&a, &b, one_batch, &first, &second);
    ck_assert_int_eq(first.verdict, VERDICT_LANDED);
    ck_assert_int_eq(second.verdict, VERDICT_LANDED);
    /* What changed nothing set no stamp. */
    struct tree tree = forge_tree(&f);
    struct entry entry;
    ck_assert_int_eq(tree_find(&tree, bytes_str("a"), &f.arena, &entry), OK);
    ck_assert_uint_eq(entry.stamp, 2);
}

BOTH_WAYS(test_edit_and_delete)
{
    forge_land_text(&f, "base", "a", "0", NULL);
    struct draft a = draft_open(&f, "ann", "a", 1);
    struct draft b = draft_open(&f, "ben", "b", 1);
    draft_write(&a, "a", "1", "0");
    draft_delete(&b, "a", "0");
    struct landing first, second;
    land_two(&a, &b, one_batch, &first, &second);
    ck_assert_int_eq(first.verdict, VERDICT_LANDED);
    conflict_is(&second, CONFLICT_OPERATION, "a");
    ck_assert_str_eq(forge_text(&f, "a"), "1");
}

BOTH_WAYS(test_delete_and_edit)
{
    forge_land_text(&f, "base", "d/a", "0", NULL);
    struct draft a = draft_open(&f, "ann", "a", 1);
    struct draft b = draft_open(&f, "ben", "b", 1);
    draft_delete(&a, "d/a", "0");
    draft_write(&b, "d/a", "1", "0");
    struct landing first, second;
    land_two(&a, &b, one_batch, &first, &second);
    ck_assert_int_eq(first.verdict, VERDICT_LANDED);
    conflict_is(&second, CONFLICT_OPERATION, "d/a");
    /* Of a path that is gone, the directory's stamp is an upper bound. */
    ck_assert_uint_eq(second.conflicts[0].by, 2);
}

BOTH_WAYS(test_delete_and_delete_both_land)
{
    forge_land_text(&f, "base", "a", "0", NULL);
    struct draft a = draft_open(&f, "ann", "a", 1);
    struct draft b = draft_open(&f, "ben", "b", 1);
    draft_delete(&a, "a", "0");
    draft_delete(&b, "a", "0");
    struct landing first, second;
    land_two(&a, &b, one_batch, &first, &second);
    ck_assert_int_eq(first.verdict, VERDICT_LANDED);
    ck_assert_int_eq(second.verdict, VERDICT_LANDED);
}

START_TEST(test_delete_and_re_add)
{
    forge_land_text(&f, "base", "a", "0", NULL);
    forge_land_delete(&f, "gone", "a", "0");
    struct draft b = draft_open(&f, "ben", "b", 1);
    draft_write(&b, "a", "1", "0");
    struct id16 request = forge_submit(&f, &b, 1);
    forge_land_text(&f, "again", "a", "other", NULL);
    struct landing landing = answer_of(&b, request);
    conflict_is(&landing, CONFLICT_OPERATION, "a");
}
END_TEST

START_TEST(test_there_and_back_lands)
{
    forge_land_text(&f, "base", "a", "A", NULL);
    forge_land_text(&f, "there", "a", "B", "A");
    forge_land_text(&f, "back", "a", "A", "B");
    struct draft d = draft_open(&f, "ann", "late", 1);
    draft_write(&d, "a", "mine", "A");
    struct id16 request = forge_submit(&f, &d, 1);
    forge_drain(&f);
    ck_assert_int_eq(answer_of(&d, request).verdict, VERDICT_LANDED);
    ck_assert_str_eq(forge_text(&f, "a"), "mine");
}
END_TEST

BOTH_WAYS(test_file_against_directory)
{
    struct draft a = draft_open(&f, "ann", "a", 0);
    struct draft b = draft_open(&f, "ben", "b", 0);
    draft_write(&a, "x/y", "1", NULL);
    draft_write(&b, "x", "2", NULL);
    struct landing first, second;
    land_two(&a, &b, one_batch, &first, &second);
    ck_assert_int_eq(first.verdict, VERDICT_LANDED);
    conflict_is(&second, CONFLICT_DIRECTORY, "x");
    ck_assert_int_eq(second.conflicts[0].there.kind, KIND_DIR);
}

BOTH_WAYS(test_directory_against_file)
{
    struct draft a = draft_open(&f, "ann", "a", 0);
    struct draft b = draft_open(&f, "ben", "b", 0);
    draft_write(&a, "x", "1", NULL);
    draft_write(&b, "x/y/z", "2", NULL);
    struct landing first, second;
    land_two(&a, &b, one_batch, &first, &second);
    ck_assert_int_eq(first.verdict, VERDICT_LANDED);
    conflict_is(&second, CONFLICT_ANCESTOR, "x");
}

/* A directory as a target: it counts as absent, and what it still holds after the session's
 * deletes is a conflict. */
START_TEST(test_directory_as_target)
{
    forge_land_text(&f, "one", "d/a", "1", NULL);
    forge_land_text(&f, "two", "d/b", "2", NULL);
    struct draft most = draft_open(&f, "ann", "most", 2);
    draft_delete(&most, "d/a", "1");
    draft_write(&most, "d", "file", NULL);
    struct draft all = draft_open(&f, "ann", "all", 2);
    draft_delete(&all, "d/a", "1");
    draft_delete(&all, "d/b", "2");
    draft_write(&all, "d", "file", NULL);
    struct id16 r1 = forge_submit(&f, &most, 1);
    struct id16 r2 = forge_submit(&f, &all, 1);
    forge_drain(&f);
    struct landing landing = answer_of(&most, r1);
    conflict_is(&landing, CONFLICT_DIRECTORY, "d");
    ck_assert_int_eq(answer_of(&all, r2).verdict, VERDICT_LANDED);
    ck_assert_str_eq(forge_text(&f, "d"), "file");
}
END_TEST

/* Schedule 15: deletes come first, and a directory without entries does not exist. */
START_TEST(test_delete_a_then_write_below_a)
{
    forge_land_text(&f, "one", "a", "1", NULL);
    struct draft d = draft_open(&f, "ann", "turn", 1);
    draft_delete(&d, "a", "1");
    draft_write(&d, "a/b", "2", NULL);
    struct id16 request = forge_submit(&f, &d, 1);
    forge_drain(&f);
    ck_assert_int_eq(answer_of(&d, request).verdict, VERDICT_LANDED);
    ck_assert_ptr_null(forge_text(&f, "a"));
    ck_assert_str_eq(forge_text(&f, "a/b"), "2");
}
END_TEST

START_TEST(test_own_writes_that_clash_are_refused)
{
    struct draft d = draft_open(&f, "ann", "clash", 0);
    draft_write(&d, "a", "1", NULL);
    draft_write(&d, "a/b", "2", NULL);
    struct id16 request = forge_submit(&f, &d, 1);
    forge_drain(&f);
    struct landing landing = answer_of(&d, request);
    ck_assert_int_eq(landing.verdict, VERDICT_REFUSED);
    ck_assert(bytes_equal(landing.reason, bytes_str("path_clash")));
    ck_assert_uint_eq(forge_position(&f), 0);
}
END_TEST

BOTH_WAYS(test_rename_against_edit_below)
{
    forge_land_text(&f, "base", "d/x", "0", NULL);
    struct draft a = draft_open(&f, "ann", "a", 1);
    struct draft b = draft_open(&f, "ben", "b", 1);
    draft_write(&a, "d/x", "1", "0");
    draft_rename(&b, "d/x", "e/x", "0");
    struct landing first, second;
    land_two(&a, &b, one_batch, &first, &second);
    ck_assert_int_eq(first.verdict, VERDICT_LANDED);
    conflict_is(&second, CONFLICT_OPERATION, "d/x");
    ck_assert_ptr_null(forge_text(&f, "e/x"));
}

/* Schedule 13: a path that is gone satisfies a delete, but not the delete of a rename. */
BOTH_WAYS(test_two_renames_of_one_source)
{
    forge_land_text(&f, "base", "p", "0", NULL);
    struct draft a = draft_open(&f, "ann", "a", 1);
    struct draft b = draft_open(&f, "ben", "b", 1);
    draft_rename(&a, "p", "q", "0");
    draft_rename(&b, "p", "r", "0");
    struct landing first, second;
    land_two(&a, &b, one_batch, &first, &second);
    ck_assert_int_eq(first.verdict, VERDICT_LANDED);
    conflict_is(&second, CONFLICT_OPERATION, "p");
    ck_assert_str_eq(forge_text(&f, "q"), "0");
    ck_assert_ptr_null(forge_text(&f, "r"));
}

/* Schedule 14: write p, rename p q, write p again. */
START_TEST(test_write_rename_write)
{
    forge_land_text(&f, "base", "p", "0", NULL);
    struct draft d = draft_open(&f, "ann", "w", 1);
    draft_write(&d, "p", "first", "0");
    draft_rename(&d, "p", "q", "first");
    draft_write(&d, "p", "second", "0");
    struct id16 request = forge_submit(&f, &d, 1);
    forge_drain(&f);
    ck_assert_int_eq(answer_of(&d, request).verdict, VERDICT_LANDED);
    ck_assert_str_eq(forge_text(&f, "q"), "first");
    ck_assert_str_eq(forge_text(&f, "p"), "second");
}
END_TEST

BOTH_WAYS(test_guard_on_a_deleted_file)
{
    forge_land_text(&f, "base", "lib", "0", NULL);
    struct draft a = draft_open(&f, "ann", "a", 1);
    struct draft b = draft_open(&f, "ben", "b", 1);
    draft_delete(&a, "lib", "0");
    draft_guard(&b, "lib", seen_text("0"));
    draft_write(&b, "main", "uses lib", NULL);
    struct landing first, second;
    land_two(&a, &b, one_batch, &first, &second);
    ck_assert_int_eq(first.verdict, VERDICT_LANDED);
    conflict_is(&second, CONFLICT_GUARD, "lib");
    ck_assert_ptr_null(forge_text(&f, "main"));
}

BOTH_WAYS(test_guard_on_a_directory)
{
    forge_land_text(&f, "base", "lib/a", "0", NULL);
    struct tree tree = forge_tree(&f);
    struct entry lib;
    ck_assert_int_eq(tree_find(&tree, bytes_str("lib"), &f.arena, &lib), OK);
    struct draft a = draft_open(&f, "ann", "a", 1);
    struct draft b = draft_open(&f, "ben", "b", 1);
    struct draft c = draft_open(&f, "cy", "c", 1);
    draft_guard(&a, "lib", seen_of(&lib));
    draft_write(&a, "lib/new", "1", NULL);
    draft_guard(&b, "lib", seen_of(&lib));
    draft_write(&b, "main", "uses lib", NULL);
    draft_write(&c, "other", "does not", NULL);
    struct landing first, second;
    land_two(&a, &b, one_batch, &first, &second);
    ck_assert_int_eq(first.verdict, VERDICT_LANDED);
    conflict_is(&second, CONFLICT_GUARD, "lib");
    struct id16 request = forge_submit(&f, &c, 1);
    forge_drain(&f);
    ck_assert_int_eq(answer_of(&c, request).verdict, VERDICT_LANDED);
}

START_TEST(test_guard_on_absence)
{
    forge_land_text(&f, "base", "x", "0", NULL);
    struct draft d = draft_open(&f, "ann", "g", 0);
    draft_guard(&d, "x", seen_text(NULL));
    draft_write(&d, "y", "1", NULL);
    struct id16 request = forge_submit(&f, &d, 1);
    forge_drain(&f);
    struct landing landing = answer_of(&d, request);
    conflict_is(&landing, CONFLICT_GUARD, "x");
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        test_delete_and_re_add,
        test_there_and_back_lands,
        test_directory_as_target,
        test_delete_a_then_write_below_a,
        test_own_writes_that_clash_are_refused,
        test_write_rename_write,
        test_guard_on_absence,
    };
    const TTest *const both_ways[] = {
        test_disjoint_both_land,
        test_same_file,
        test_add_and_add,
        test_equal_edits_both_land,
        test_edit_and_delete,
        test_delete_and_edit,
        test_delete_and_delete_both_land,
        test_file_against_directory,
        test_directory_against_file,
        test_rename_against_edit_below,
        test_two_renames_of_one_source,
        test_guard_on_a_deleted_file,
        test_guard_on_a_directory,
    };
    Suite *suite = suite_create("land_conflict");
    TCase *tcase = tcase_create("land_conflict");
    tcase_add_checked_fixture(tcase, setup, teardown);
    for (size_t i = 0; i < ARRAY_LEN(tests); i++)
        tcase_add_test(tcase, tests[i]);
    for (size_t i = 0; i < ARRAY_LEN(both_ways); i++)
        tcase_add_loop_test(tcase, both_ways[i], 0, 2);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
