/* Synthetic projects are as right as those that were landed: the deep check and a replay find
 * nothing, they have as many files as was asked for, and they are landed on. */
#include "ops/bench/shared/synthetic.h"

#include "formats/base/hash.h"
#include "pipeline/repo/chain.h"
#include "pipeline/repo/history/path_log.h"
#include "pipeline/repo/replay/replay.h"
#include "tests/support/forge.h"
#include "tests/support/fsck_rig.h"
#include "tests/support/suite.h"

static void make(struct forge *f, const struct synthetic_options *options,
                 struct synthetic *out)
{
    forge_init(f);
    ck_assert_int_eq(synthetic_make(&f->repo, bytes_str("made"), options, out), OK);
    f->project = out->project;
}

/* What is there, of both projects: the forge's own is empty. */
static void clean(struct forge *f, bool deep, uint64_t landings)
{
    struct fsck_result result;
    fsck_rig_run(f->store, &f->clock.clock, deep, 0, &result);
    ck_assert_int_eq(result.err, OK);
    ck_assert_msg(result.n == 0, "%s", fsck_rig_text(&result));
    ck_assert_uint_eq(result.counts.landings, landings);
}

static void run_out(struct stage *stage)
{
    int did;
    while ((did = stage->run(stage)) > 0)
        continue;
    ck_assert_int_eq(did, 0);
    stage->close(stage);
}

/* Their paths are those that they should have. */
static uint64_t files_walked(struct forge *f, uint64_t files, unsigned fan)
{
    struct tree tree = forge_tree(f);
    struct tree_walk *walk;
    struct bytes path;
    const struct entry *e;
    char expected[SYNTHETIC_PATH_MAX];
    uint64_t n = 0;
    int err;
    ck_assert_uint_eq(tree.files, files);
    ck_assert_int_eq(tree_walk_open(&tree, bytes_str(""), &walk), OK);
    while ((err = tree_walk_next(walk, &path, &e)) == OK) {
        if (e->kind == KIND_DIR)
            continue;
        synthetic_path(n++, files, fan, expected);
        ck_assert(bytes_equal(path, bytes_str(expected)));
    }
    ck_assert_int_eq(err, ERR_NOT_FOUND);
    tree_walk_close(walk);
    return n;
}

static void history_is_right(bool scattered)
{
    struct forge f;
    struct synthetic made;
    struct replay_report report;
    const struct replay_options whole = {.to = UINT64_MAX};
    const struct rollup_options rollups = {0};
    const struct synthetic_options options = {.seed = 7,
                                              .fan = 10,
                                              .files = 1000,
                                              .landings = 250,
                                              .batch = 32,
                                              .writes = 3,
                                              .scattered = scattered};
    make(&f, &options, &made);
    run_out(stage_append_open(&f.repo));
    run_out(stage_rollup_open(&f.repo, &rollups));
    ck_assert_uint_eq(made.head.position, 251);
    ck_assert_uint_eq(files_walked(&f, 1000, 10), 1000);
    clean(&f, true, 251);
    ck_assert_int_eq(replay_verify(&f.repo, &f.project, &whole, &report), OK);
    ck_assert_uint_eq(report.position, 251);
    forge_release(&f);
}

START_TEST(a_history_passes_the_deep_check_and_a_replay)
{
    history_is_right(false);
    history_is_right(true);
}
END_TEST

START_TEST(the_same_seed_makes_the_same_project)
{
    struct forge f;
    struct synthetic made[3];
    for (unsigned i = 0; i < 3; i++) {
        const struct synthetic_options options = {
            .seed = i / 2, .fan = 10, .files = 100, .landings = 40, .batch = 8, .writes = 2};
        make(&f, &options, &made[i]);
        forge_release(&f);
    }
    ck_assert(hash_equal(&made[0].head.tree_hash, &made[1].head.tree_hash));
    ck_assert(!hash_equal(&made[0].head.tree_hash, &made[2].head.tree_hash));
}
END_TEST

START_TEST(so_many_landings_write_the_file_in_the_middle)
{
    struct forge f;
    struct synthetic made;
    struct path_log *log;
    const struct log_entry *entry;
    const struct synthetic_options options = {
        .fan = 10, .files = 40, .landings = 300, .batch = 16, .writes = 3, .rare = 4};
    make(&f, &options, &made);
    ck_assert_str_eq(made.rare, "dir-02/file-00.txt");
    const struct path_asked asked = {
        .path = bytes_str(made.rare), .from = 1, .before = UINT64_MAX, .wanted = 100};
    ck_assert_int_eq(path_log_open(&f.repo, &f.project, &asked, &log), OK);
    unsigned n = 0;
    while (path_log_next(log, &entry) == OK)
        n++;
    ck_assert_uint_eq(n, 5); /* and the one that made it */
    path_log_close(log);
    forge_release(&f);
}
END_TEST

/* Of any count: full directories, and last ones at each level. */
START_TEST(a_shared_tree_has_all_its_files)
{
    const uint64_t counts[] = {1, 9, 10, 11, 20, 99, 100, 101, 110, 999, 1000, 1001, 2345};
    for (size_t i = 0; i < ARRAY_LEN(counts); i++) {
        struct forge f;
        struct synthetic made;
        const struct synthetic_options options = {
            .fan = 10, .files = counts[i], .shared = true, .batch = 1, .writes = 1};
        make(&f, &options, &made);
        ck_assert_uint_eq(files_walked(&f, counts[i], 10), counts[i]);
        clean(&f, false, 0);
        forge_release(&f);
    }
}
END_TEST

START_TEST(a_billion_files_are_landed_on)
{
    struct forge f;
    struct synthetic made;
    struct tree_listing list;
    const struct synthetic_options options = {.fan = 100,
                                              .files = 1000000000,
                                              .shared = true,
                                              .landings = 20,
                                              .batch = 10,
                                              .writes = 3};
    make(&f, &options, &made);
    ck_assert_uint_lt(made.tree_bytes, 1u << 20);
    ck_assert_uint_eq(forge_tree(&f).files, 1000000000);

    char path[SYNTHETIC_PATH_MAX];
    synthetic_path(987654321, options.files, options.fan, path);
    ck_assert_str_eq(path, "dir-09/dir-87/dir-65/dir-43/file-21.txt");
    ck_assert_str_eq(forge_text(&f, path), "file-21.txt");
    forge_land_text(&f, "k", path, "landed", "file-21.txt");
    ck_assert_str_eq(forge_text(&f, path), "landed");
    forge_land_text(&f, "l", "dir-00/new.txt", "new", NULL);

    struct tree tree = forge_tree(&f);
    ck_assert_uint_eq(tree.files, 1000000001);
    ck_assert_int_eq(tree_list(&tree, bytes_str("dir-09/dir-87/dir-65/dir-43"), bytes_str(""),
                               1000, &f.arena, &list),
                     OK);
    ck_assert_uint_eq(list.n, 100);
    clean(&f, false, 22);
    forge_release(&f);
}
END_TEST

START_TEST(what_cannot_be_made_is_refused)
{
    struct forge f;
    struct synthetic made;
    const struct synthetic_options wrong[] = {
        {.fan = 10, .files = 0, .batch = 1, .writes = 1},
        {.fan = 10, .files = 100, .landings = 1, .batch = 1, .writes = 10},
        {.fan = 10, .files = 102, .landings = 1, .batch = 1, .writes = 2},
        {.fan = 10, .files = 2, .landings = 1, .batch = 1, .writes = 2, .scattered = true},
        {.fan = 10, .files = 100, .landings = 2, .batch = 1, .writes = 1, .rare = 3},
    };
    forge_init(&f);
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
        ck_assert_int_eq(synthetic_make(&f.repo, bytes_str("made"), &wrong[i], &made),
                         ERR_INVALID);
    forge_release(&f);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        a_history_passes_the_deep_check_and_a_replay,
        the_same_seed_makes_the_same_project,
        so_many_landings_write_the_file_in_the_middle,
        a_shared_tree_has_all_its_files,
        a_billion_files_are_landed_on,
        what_cannot_be_made_is_refused,
    };
    return suite_run("synthetic", tests, ARRAY_LEN(tests));
}
