/* A billion files in a few pages: a pack, and the check of what it has put, meet each page
 * once. */
#include <check.h>

#include "ops/bench/shared/synthetic.h"
#include "pipeline/repo/chain.h"
#include "pipeline/repo/pack/pack.h"
#include "tests/support/forge.h"
#include "tests/support/fsck_rig.h"
#include "tests/support/suite.h"

#define FILES 1000000000u
#define FAN   100u

static struct hash content_of(struct forge *f, uint64_t *files)
{
    struct tree tree = forge_tree(f);
    *files = tree.files;
    return tree.content;
}

/* What the deep check finds; the files come from no landing, which it tells once. */
static void deep_check(struct forge *f, uint64_t *pages)
{
    struct fsck_result result;
    fsck_rig_run(f->mem, &f->clock.clock, true, 0, &result);
    ck_assert_int_eq(result.err, OK);
    ck_assert_msg(result.counts.damages == 1 &&
                      strcmp(result.kept[0].problem, "tree_differs") == 0,
                  "%s", fsck_rig_text(&result));
    *pages = result.counts.pages;
}

START_TEST(shared_pages_stay_shared)
{
    struct forge f;
    struct synthetic made;
    struct pack_report report;
    struct pack_report again;
    const struct synthetic_options options = {.seed = 1,
                                              .fan = FAN,
                                              .files = FILES,
                                              .shared = true,
                                              .landings = 20,
                                              .batch = 1,
                                              .writes = 1,
                                              .scattered = true};
    const struct pack_options always = {
        .always = true, .part_bytes = 20000, .pages_kept = 4096};
    uint64_t files;
    uint64_t pages;
    uint64_t pages_packed;
    forge_init(&f);
    ck_assert_int_eq(synthetic_make(&f.repo, bytes_str("made"), &options, &made), OK);
    f.project = made.project;
    struct hash content = content_of(&f, &files);
    ck_assert_uint_eq(files, FILES);
    deep_check(&f, &pages);
    ck_assert_int_eq(pack_project(&f.repo, &f.project, &always, &report), OK);
    ck_assert(report.packed);
    /* Five levels of directories, and for each landing a path of its own through them. */
    ck_assert_uint_le(report.pages_before, 5 + 20 * 5);
    ck_assert_uint_eq(report.pages, report.pages_before - 1);
    ck_assert_uint_gt(report.parts, 1);
    struct hash packed = content_of(&f, &files);
    ck_assert(hash_equal(&content, &packed));
    ck_assert_uint_eq(files, FILES);
    deep_check(&f, &pages_packed);
    ck_assert_uint_ge(pages_packed, pages + report.pages);
    ck_assert_uint_le(pages_packed, pages + 2 * report.pages);
    for (uint64_t i = 0; i < FILES; i += FILES / 97) {
        AUTO(arena_release) struct arena arena = {0};
        char path[SYNTHETIC_PATH_MAX];
        struct tree tree = forge_tree(&f);
        struct entry e;
        synthetic_path(i, FILES, FAN, path);
        ck_assert_int_eq(tree_find(&tree, bytes_str(path), &arena, &e), OK);
    }
    /* With a memory that is far too short it does some again, and ends all the same. */
    const struct pack_options forgetful = {.always = true, .pages_kept = 64};
    ck_assert_int_eq(pack_project(&f.repo, &f.project, &forgetful, &again), OK);
    packed = content_of(&f, &files);
    ck_assert(hash_equal(&content, &packed));
    ck_assert_uint_ge(again.pages, report.pages);
    forge_release(&f);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {shared_pages_stay_shared};
    return suite_run("pack_shared", tests, ARRAY_LEN(tests));
}
