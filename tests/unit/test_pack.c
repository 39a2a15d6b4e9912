#include "pipeline/repo/pack/pack.h"

#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

#include "formats/base/limits.h"
#include "formats/gc.h"
#include "formats/key.h"
#include "pipeline/repo/chain.h"
#include "pipeline/repo/replay/replay.h"
#include "pipeline/sys/log.h"
#include "tests/support/faulty.h"
#include "tests/support/fsck_rig.h"
#include "tests/support/history.h"
#include "tests/support/tree_digest.h"

static struct history h;
static struct forge packer; /* another process on the same bucket, over `faulty` */
static struct store *faulty;

/* What happens when the packer is about to put the head, so many times. */
static void (*meanwhile)(void);
static unsigned times;

static void on_call(void *arg UNUSED, uint64_t call UNUSED, const struct store_op *op)
{
    if (op == NULL || op->verb != STORE_PUT || op->condition != PUT_IF_MATCH || times == 0)
        return;
    times--;
    meanwhile();
}

static void setup(void)
{
    history_init(&h, "pack");
    history_grow(&h, 120);
    faulty = faulty_store_open(h.forge.trace);
    faulty_watch(faulty, on_call, NULL);
    h.forge.seq += 10;
    forge_join(&packer, &h.forge, faulty);
    times = 0;
}

static void teardown(void)
{
    forge_release(&packer);
    store_close(faulty);
    history_release(&h);
}

static void land_one(void)
{
    static unsigned n;
    char text[32];
    (void)snprintf(text, sizeof(text), "meanwhile-%u", n++);
    forge_land_text(&h.forge, text, text, "x", NULL);
}

static struct pack_report pack(const struct pack_options *options, int want)
{
    struct pack_report report;
    ck_assert_int_eq(pack_project(&packer.repo, &packer.project, options, &report), want);
    return report;
}

static const struct pack_options small_parts = {.always = true, .part_bytes = 2000};

/* Read by a process that has nothing in memory. */
static struct hash digest_now(struct head *head)
{
    struct forge fresh;
    h.forge.seq += 10;
    forge_join(&fresh, &h.forge, NULL);
    struct tree tree = forge_tree(&fresh);
    struct hash digest = tree_digest(&tree);
    ck_assert_int_eq(chain_head(&fresh.repo, &fresh.project, head, NULL), OK);
    forge_release(&fresh);
    return digest;
}

static void check_clean(void)
{
    struct fsck_result result;
    fsck_rig_run(h.forge.mem, &h.forge.clock.clock, true, 0, &result);
    ck_assert_msg(result.err == OK && result.counts.damages == 0, "%s", fsck_rig_text(&result));
}

static void check_replay(void)
{
    const struct replay_options options = {.to = UINT64_MAX};
    struct replay_report report;
    ck_assert_int_eq(replay_verify(&h.forge.repo, &h.forge.project, &options, &report), OK);
}

static uint64_t trees_put(void)
{
    return trace_store_counts(h.forge.trace, true).puts[TRACE_TREE];
}

START_TEST(a_packed_tree_is_the_same)
{
    struct head before;
    struct head after;
    struct hash digest = digest_now(&before);
    struct hash history = trees_digest(&h.forge.repo, &h.forge.project, before.position);
    (void)trees_put();
    struct pack_report report = pack(&small_parts, OK);
    ck_assert_uint_eq(trees_put(), report.objects);
    struct hash packed = digest_now(&after);
    ck_assert(hash_equal(&digest, &packed));
    ck_assert(report.packed && hash_equal(&report.tree, &after.tree_hash));
    ck_assert_uint_eq(after.position, before.position);
    ck_assert_uint_gt(after.hlc, before.hlc);
    const struct batch *batch;
    ck_assert_int_eq(chain_tip(&packer.repo, &packer.project, &after, &batch), OK);
    ck_assert_uint_eq(batch->footer.n_records, 0);
    ck_assert_uint_gt(batch->footer.n_companions, 2);
    ck_assert_uint_eq(batch->footer.n_companions, report.parts);
    ck_assert_uint_eq(report.objects, report.parts + 1);
    ck_assert(hash_equal(&batch->footer.prev, &before.tree_hash));
    chain_drop(&packer.repo, batch);
    struct hash then = trees_digest(&packer.repo, &packer.project, after.position);
    ck_assert(hash_equal(&history, &then));
    check_clean();
    check_replay();
}
END_TEST

START_TEST(landing_goes_on_from_a_packed_tree)
{
    for (unsigned i = 0; i < 3; i++) {
        (void)pack(&small_parts, OK);
        history_grow(&h, forge_position(&h.forge) + 20);
    }
    (void)pack(&small_parts, OK);
    history_append(&h);
    check_clean();
    check_replay();
}
END_TEST

START_TEST(nothing_is_written_where_it_would_not_help)
{
    const struct pack_options dry = {.dry_run = true};
    const struct pack_options plain = {0};
    for (unsigned i = 0; i < 12; i++) {
        char path[32];
        (void)snprintf(path, sizeof(path), "at-%u/file", i);
        forge_land_text(&h.forge, path, path, "x", NULL);
    }
    (void)trees_put();
    struct pack_report report = pack(&dry, OK);
    ck_assert(!report.packed);
    ck_assert_uint_ge(report.objects_before, 12);
    ck_assert_uint_ge(report.ranges_before, 12);
    ck_assert_uint_eq(report.ranges_after, 2);
    ck_assert_uint_eq(trees_put(), 0);
    report = pack(&plain, OK);
    ck_assert(report.packed);
    ck_assert_uint_eq(trees_put(), 2);
    report = pack(&plain, OK);
    ck_assert(!report.packed && !report.by_other);
    ck_assert_uint_eq(report.objects_before, 2);
    ck_assert_uint_eq(report.ranges_before, 2);
    ck_assert_uint_eq(report.ranges_after, 2);
    ck_assert_uint_eq(trees_put(), 0);
}
END_TEST

START_TEST(after_a_landing_only_what_it_changed_is_packed_again)
{
    meanwhile = land_one;
    times = 2;
    struct pack_report report = pack(&small_parts, OK);
    ck_assert(report.packed);
    ck_assert_uint_eq(report.tries, 3);
    ck_assert_uint_eq(report.dropped, 0);
    /* Only the root was changed, which is in no part. */
    ck_assert_uint_eq(report.objects, report.parts + 3);
    ck_assert_uint_eq(report.pages, report.pages_before - 1);
    struct head head;
    (void)digest_now(&head);
    ck_assert(hash_equal(&head.tree_hash, &report.tree));
    ck_assert_str_eq(forge_text(&h.forge, "meanwhile-0"), "x");
    ck_assert_str_eq(forge_text(&h.forge, "meanwhile-1"), "x");
    check_clean();
    check_replay();
}
END_TEST

/* Another collection has come and gone. */
static void gc_put(void)
{
    static uint8_t run;
    run++;
    struct key key = key_gc(&h.forge.project);
    struct gc gc = {.run = {{run}}, .count = run, .state = GC_CLOSED, .opened_ms = 1};
    AUTO_BUF bytes = {0};
    gc_encode(&gc, &bytes);
    ck_assert_int_eq(store_put(h.forge.mem, key.s, buf_bytes(&bytes), PUT_ANY, NULL), OK);
}

static void gc_and_land(void)
{
    gc_put();
    land_one();
}

/* Takes away what nothing names, as a collection would. */
static unsigned collect(const struct hash *tree)
{
    AUTO(arena_release) struct arena arena = {0};
    struct store_list list;
    struct key prefix = key_project(&h.forge.project);
    unsigned n = 0;
    const struct batch *tip;
    ck_assert_int_eq(chain_batch(&packer.repo, &packer.project, tree, &tip), OK);
    char *name = strrchr(prefix.s, '/');
    (void)snprintf(name, 16, "/trees/");
    ck_assert_int_eq(store_list(h.forge.mem, &arena, prefix.s, "", 1000, &list), OK);
    for (size_t i = 0; i < list.n; i++) {
        bool named = false;
        for (unsigned k = 0; k < tip->footer.n_companions && !named; k++)
            named = strcmp(list.keys[i].key,
                           key_tree(&h.forge.project, &tip->footer.companions[k]).s) == 0;
        const struct batch *batch = tip;
        while (!named && batch != NULL) {
            const struct batch *next = NULL;
            named =
                strcmp(list.keys[i].key, key_tree(&h.forge.project, &batch->tree_hash).s) == 0;
            if (batch->footer.batch > 0)
                ck_assert_int_eq(
                    chain_batch(&packer.repo, &packer.project, &batch->footer.prev, &next), OK);
            if (batch != tip)
                chain_drop(&packer.repo, batch);
            batch = next;
        }
        if (batch != NULL && batch != tip)
            chain_drop(&packer.repo, batch);
        if (!named) {
            ck_assert_int_eq(store_delete(h.forge.mem, list.keys[i].key), OK);
            n++;
        }
    }
    chain_drop(&packer.repo, tip);
    return n;
}

/* A collection may have found that nothing names the parts: its fence is what the first put of
 * the head has met. */
START_TEST(parts_are_given_up_when_gc_has_changed)
{
    meanwhile = gc_and_land;
    times = 2;
    struct pack_report report = pack(&small_parts, OK);
    ck_assert(report.packed);
    ck_assert_uint_eq(report.dropped, 2);
    ck_assert_uint_eq(report.tries, 3);
    /* What the first two tries have put is given up whole, and nothing misses it. */
    ck_assert_uint_eq(report.objects, 3 * (report.parts + 1));
    ck_assert_uint_eq(collect(&report.tree), 2 * (report.parts + 1));
    check_clean();
    struct fsck_result result;
    fsck_rig_run(h.forge.mem, &h.forge.clock.clock, false, 0, &result);
    ck_assert_uint_eq(result.counts.unnamed, 0);
}
END_TEST

START_TEST(gc_that_stands_still_is_no_reason)
{
    gc_put();
    meanwhile = land_one;
    times = 1;
    struct pack_report report = pack(&small_parts, OK);
    ck_assert_uint_eq(report.dropped, 0);
    ck_assert_uint_eq(report.objects, report.parts + 2);
}
END_TEST

START_TEST(a_head_that_never_rests_is_left_alone)
{
    const struct pack_options few = {.always = true, .tries_max = 3};
    meanwhile = land_one;
    times = UINT32_MAX;
    uint64_t before = forge_position(&h.forge);
    struct pack_report report = pack(&few, ERR_CONFLICT);
    times = 0;
    ck_assert(!report.packed);
    ck_assert_uint_eq(report.tries, 3);
    ck_assert_uint_eq(forge_position(&h.forge), before + 3);
    check_clean();
}
END_TEST

static void pack_too(void)
{
    struct pack_report report;
    ck_assert_int_eq(pack_project(&h.forge.repo, &h.forge.project, &small_parts, &report), OK);
    ck_assert(report.packed);
}

START_TEST(two_that_pack_at_once)
{
    meanwhile = pack_too;
    times = 1;
    struct pack_report report = pack(&small_parts, OK);
    ck_assert(!report.packed && report.by_other);
    ck_assert_uint_eq(report.tries, 1);
    check_clean();
}
END_TEST

static enum fault head_fault;

static void fail_head_put(void)
{
    faulty_plan(faulty, faulty_calls(faulty), head_fault);
}

/* What became of the put of the head is told by the chain. */
START_TEST(a_head_put_that_nobody_knows_of)
{
    static const struct {
        enum fault fault;
        unsigned tries;
    } cases[] = {{FAULT_AGAIN, 2},
                 {FAULT_UNKNOWN_DONE, 1},
                 {FAULT_UNKNOWN_LOST, 2},
                 {FAULT_UNKNOWN_LATE, 2}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        head_fault = cases[i].fault;
        meanwhile = fail_head_put;
        faulty_late_calls(faulty, 1);
        times = 1;
        struct pack_report report = pack(&small_parts, OK);
        struct head head;
        (void)digest_now(&head);
        ck_assert_msg(report.packed, "%s", fault_name(head_fault));
        ck_assert_msg(report.tries == cases[i].tries, "%s: %u tries", fault_name(head_fault),
                      (unsigned)report.tries);
        ck_assert(hash_equal(&head.tree_hash, &report.tree));
    }
    check_clean();
}
END_TEST

START_TEST(a_damaged_page_changes_nothing)
{
    struct head before;
    struct head after;
    (void)digest_now(&before);
    struct tree tree = forge_tree(&h.forge);
    AUTO(arena_release) struct arena arena = {0};
    AUTO_BUF bytes = {0};
    struct entry dir;
    ck_assert_int_eq(tree_find(&tree, bytes_str("wide"), &arena, &dir), OK);
    struct key key = key_tree(&h.forge.project, &dir.where.tree);
    ck_assert_int_eq(store_get(h.forge.mem, key.s, range_all(), &bytes, NULL, NULL), OK);
    bytes.data[dir.where.offset + dir.where.len / 2] ^= 1;
    ck_assert_int_eq(store_put(h.forge.mem, key.s, buf_bytes(&bytes), PUT_ANY, NULL), OK);
    log_to_fd(open("/dev/null", O_WRONLY | O_CLOEXEC));
    (void)pack(&small_parts, ERR_CORRUPT);
    ck_assert_int_eq(chain_head(&packer.repo, &packer.project, &after, NULL), OK);
    ck_assert(hash_equal(&before.tree_hash, &after.tree_hash));
}
END_TEST

START_TEST(more_parts_than_a_footer_names)
{
    struct forge *f = &h.forge;
    const struct pack_options tiny = {.always = true, .part_bytes = 1};
    struct draft d = draft_open(f, "ann", "many", forge_position(f));
    for (unsigned i = 0; i <= COMPANIONS_MAX; i++)
        draft_write(&d, arena_printf(&f->arena, "many/%u/f", i), "x", NULL);
    (void)forge_submit(f, &d, 1);
    (void)forge_drain(f);
    struct head before;
    struct head after;
    struct hash digest = digest_now(&before);
    struct pack_report report = pack(&tiny, ERR_LIMIT);
    ck_assert(!report.packed);
    struct hash same = digest_now(&after);
    ck_assert(hash_equal(&before.tree_hash, &after.tree_hash) && hash_equal(&digest, &same));
    const struct pack_options some = {.always = true, .part_bytes = 500};
    report = pack(&some, OK);
    ck_assert(report.packed);
    same = digest_now(&after);
    ck_assert(hash_equal(&digest, &same));
}
END_TEST

/* Two directories of equal content that landed at different positions. */
START_TEST(equal_directories_keep_their_stamps)
{
    struct forge *f = &h.forge;
    struct head head;
    forge_land_text(f, "twin 1", "twin-1/sub/file", "same", NULL);
    forge_land_text(f, "twin 2", "twin-2/sub/file", "same", NULL);
    struct hash before = digest_now(&head);
    (void)pack(&small_parts, OK);
    struct hash after = digest_now(&head);
    ck_assert(hash_equal(&before, &after));
    struct tree tree = forge_tree(f);
    struct entry one;
    struct entry two;
    ck_assert_int_eq(tree_find(&tree, bytes_str("twin-1/sub"), &f->arena, &one), OK);
    ck_assert_int_eq(tree_find(&tree, bytes_str("twin-2/sub"), &f->arena, &two), OK);
    ck_assert(hash_equal(&one.hash, &two.hash));
    ck_assert_uint_eq(one.stamp + 1, two.stamp);
}
END_TEST

START_TEST(nothing_to_pack)
{
    struct forge f;
    struct pack_report report;
    const struct pack_options always = {.always = true};
    forge_init(&f);
    ck_assert_int_eq(pack_project(&f.repo, &f.project, &always, &report), OK);
    ck_assert(!report.packed);
    forge_land_text(&f, "one", "one", "1", NULL);
    ck_assert_int_eq(pack_project(&f.repo, &f.project, &always, &report), OK);
    ck_assert(!report.packed);
    forge_land_text(&f, "two", "two/three", "1", NULL);
    ck_assert_int_eq(pack_project(&f.repo, &f.project, &(struct pack_options){0}, &report), OK);
    ck_assert(!report.packed);
    ck_assert_int_eq(pack_project(&f.repo, &f.project, &always, &report), OK);
    ck_assert(report.packed);
    ck_assert_uint_eq(report.parts, 1);
    ck_assert_str_eq(forge_text(&f, "two/three"), "1");
    forge_release(&f);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        a_packed_tree_is_the_same,
        landing_goes_on_from_a_packed_tree,
        nothing_is_written_where_it_would_not_help,
        after_a_landing_only_what_it_changed_is_packed_again,
        parts_are_given_up_when_gc_has_changed,
        gc_that_stands_still_is_no_reason,
        a_head_that_never_rests_is_left_alone,
        two_that_pack_at_once,
        a_head_put_that_nobody_knows_of,
        a_damaged_page_changes_nothing,
        more_parts_than_a_footer_names,
        equal_directories_keep_their_stamps,
        nothing_to_pack,
    };
    Suite *suite = suite_create("pack");
    TCase *tcase = tcase_create("pack");
    tcase_set_timeout(tcase, 120);
    tcase_add_checked_fixture(tcase, setup, teardown);
    for (size_t i = 0; i < ARRAY_LEN(tests); i++)
        tcase_add_test(tcase, tests[i]);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
