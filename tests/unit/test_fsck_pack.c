/* Damage to what a pack has put is found and named. */
#include <check.h>

#include "formats/key.h"
#include "pipeline/repo/chain.h"
#include "pipeline/repo/pack/pack.h"
#include "tests/support/forge.h"
#include "tests/support/fsck_rig.h"
#include "tests/support/suite.h"

static struct forge f;
static struct pack_report report;
static struct hash part; /* one of the parts, not the first */
static struct fsck_result result;

static void setup(void)
{
    forge_init(&f);
    for (unsigned i = 0; i < 12; i++) {
        const char *path = arena_printf(&f.arena, "dir%u/sub/file", i);
        forge_land_text(&f, path, path, "text", NULL);
    }
    const struct pack_options options = {.always = true, .part_bytes = 600};
    ck_assert_int_eq(pack_project(&f.repo, &f.project, &options, &report), OK);
    const struct batch *batch;
    ck_assert_int_eq(chain_batch(&f.repo, &f.project, &report.tree, &batch), OK);
    ck_assert_uint_ge(batch->footer.n_companions, 3);
    part = batch->footer.companions[1];
    chain_drop(&f.repo, batch);
}

static void teardown(void)
{
    forge_release(&f);
}

static void run(bool deep)
{
    fsck_rig_run(f.mem, &f.clock.clock, deep, 0, &result);
    ck_assert_int_eq(result.err, OK);
}

static bool found(const char *problem, const char *key)
{
    for (size_t i = 0; i < result.n; i++) {
        const struct fsck_kept *kept = &result.kept[i];
        if (strcmp(kept->problem, problem) == 0 && strcmp(kept->key, key) == 0)
            return kept->damage && strcmp(kept->invariant, "named") == 0;
    }
    return false;
}

static void finds(bool deep, const char *problem)
{
    struct key key = key_tree(&f.project, &part);
    run(deep);
    ck_assert_msg(found(problem, key.s), "%s", fsck_rig_text(&result));
}

/* Flips a bit of the part, so many bytes after its beginning, or before its end. */
static void flip(size_t at, bool from_end)
{
    AUTO_BUF bytes = {0};
    struct key key = key_tree(&f.project, &part);
    ck_assert_int_eq(store_get(f.mem, key.s, range_all(), &bytes, NULL, NULL), OK);
    bytes.data[from_end ? bytes.len - at : at] ^= 4;
    ck_assert_int_eq(store_put(f.mem, key.s, buf_bytes(&bytes), PUT_ANY, NULL), OK);
}

START_TEST(all_is_well)
{
    run(false);
    ck_assert_uint_eq(result.counts.damages + result.counts.notes + result.counts.unnamed, 0);
    run(true);
    ck_assert_uint_eq(result.counts.damages + result.counts.notes + result.counts.unnamed, 0);
}
END_TEST

START_TEST(a_part_is_missing)
{
    struct key key = key_tree(&f.project, &part);
    ck_assert_int_eq(store_delete(f.mem, key.s), OK);
    finds(false, "tree_missing");
    ck_assert_uint_eq(result.counts.unnamed, 0);
    finds(true, "tree_missing");
}
END_TEST

START_TEST(a_page_of_a_part_is_damaged)
{
    flip(60, false);
    run(false);
    ck_assert_uint_eq(result.counts.damages, 0);
    finds(true, "page_damaged");
}
END_TEST

START_TEST(the_footer_of_a_part_is_damaged)
{
    flip(30, true);
    finds(true, "footer_damaged");
    ck_assert_uint_eq(result.counts.damages, 1);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        all_is_well,
        a_part_is_missing,
        a_page_of_a_part_is_damaged,
        the_footer_of_a_part_is_damaged,
    };
    Suite *suite = suite_create("fsck_pack");
    TCase *tcase = tcase_create("fsck_pack");
    tcase_set_timeout(tcase, 120);
    tcase_add_checked_fixture(tcase, setup, teardown);
    for (size_t i = 0; i < ARRAY_LEN(tests); i++)
        tcase_add_test(tcase, tests[i]);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
