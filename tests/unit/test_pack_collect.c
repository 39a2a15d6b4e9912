/* A pack beside a collection: a run that finds the parts of a pack which stands still deletes
 * them, or leaves them, but no head ever names what it has taken. */
#include <check.h>

#include "pipeline/repo/chain.h"
#include "pipeline/repo/pack/pack.h"
#include "tests/support/collect_rig.h"
#include "tests/support/faulty.h"
#include "tests/support/suite.h"
#include "tests/support/tree_digest.h"

static struct collect_rig rig;
static struct forge packer;
static struct store *faulty;
static void (*meanwhile)(const struct store_op *);

/* When the pack is about to put the head, once. */
static void on_call(void *arg UNUSED, uint64_t call UNUSED, const struct store_op *op)
{
    if (op == NULL || op->verb != STORE_PUT || op->condition != PUT_IF_MATCH ||
        meanwhile == NULL)
        return;
    void (*now)(const struct store_op *) = meanwhile;
    meanwhile = NULL;
    now(op);
}

static void open_all(void)
{
    collect_rig_open(&rig);
    for (unsigned i = 0; i < 12; i++) {
        const char *path = arena_printf(&rig.f.arena, "dir%u/sub/file", i);
        forge_land_text(&rig.f, path, path, "text", NULL);
    }
    faulty = faulty_store_open(rig.f.store);
    faulty_watch(faulty, on_call, NULL);
    rig.f.seq += 10;
    forge_join(&packer, &rig.f, faulty);
}

static void close_all(void)
{
    forge_release(&packer);
    store_close(faulty);
    collect_rig_close(&rig);
}

static struct hash digest_now(void)
{
    struct forge fresh;
    rig.f.seq += 10;
    forge_join(&fresh, &rig.f, rig.f.store);
    struct tree tree = forge_tree(&fresh);
    struct hash digest = tree_digest(&tree);
    forge_release(&fresh);
    return digest;
}

static struct pack_report pack(void)
{
    const struct pack_options options = {.always = true, .part_bytes = 700};
    struct pack_report report;
    /* What was aged for the collector is as old for who packs. */
    ck_assert_int_eq(pack_project(&packer.repo, &packer.project, &options, &report), OK);
    ck_assert(report.packed);
    ck_assert_uint_gt(report.parts, 3);
    return report;
}

static void collect(const struct store_op *op UNUSED)
{
    collect_rig_age(&rig);
    packer.clock.ms = rig.f.clock.ms;
    ck_assert_int_eq(collect_rig_run(&rig), OK);
}

/* The parts are old when the run begins, and nothing names them: they go. */
START_TEST(parts_that_were_collected_are_not_named)
{
    open_all();
    struct hash before = digest_now();
    meanwhile = collect;
    struct pack_report report = pack();
    ck_assert_uint_eq(report.dropped, 1);
    ck_assert_uint_eq(report.tries, 2);
    ck_assert_uint_eq(rig.report.deleted.n, report.parts + 1);
    struct hash after = digest_now();
    ck_assert(hash_equal(&before, &after));
    collect_rig_clean(&rig);
    close_all();
}
END_TEST

/* --- the pack is faster than the fence --- */

static struct store_op *head_op;

static void head_put_in_between(struct store *store)
{
    struct store_op op = *head_op;
    head_op = NULL;
    ck_assert_int_eq(store_one(store, &op), OK);
}

/* The head of the pack is put when the run has put its `gc`, and is about to fence. */
static void on_collect(void *arg, uint64_t call UNUSED, const struct store_op *op)
{
    struct key key = key_head(&rig.f.project);
    if (op != NULL && op->verb == STORE_PUT && head_op != NULL && strcmp(op->key, key.s) == 0)
        head_put_in_between(arg);
}

static void collect_late(const struct store_op *op)
{
    const struct collect_options options = {.grace_ms = COLLECT_RIG_GRACE_MS};
    struct store_op copy = *op;
    struct store *watched = faulty_store_open(rig.f.store);
    struct forge collector;
    collect_rig_age(&rig);
    packer.clock.ms = rig.f.clock.ms;
    head_op = &copy;
    faulty_watch(watched, on_collect, rig.f.store);
    rig.f.seq += 10;
    forge_join(&collector, &rig.f, watched);
    ck_assert_int_eq(collect_run(&collector.repo, &collector.project, &options, &rig.report),
                     OK);
    ck_assert_ptr_null(head_op);
    forge_release(&collector);
    store_close(watched);
}

/* The run has condemned the parts, and finds them named when it marks again. */
START_TEST(parts_that_are_named_before_the_fence_stay)
{
    open_all();
    struct hash before = digest_now();
    meanwhile = collect_late;
    struct pack_report report = pack();
    ck_assert_uint_eq(report.dropped, 0);
    ck_assert_uint_eq(report.tries, 1);
    ck_assert_uint_eq(rig.report.deleted.n, 0);
    struct hash after = digest_now();
    ck_assert(hash_equal(&before, &after));
    collect_rig_clean(&rig);
    close_all();
}
END_TEST

/* What a pack has put and the head names is part of the history from then on. */
START_TEST(a_packed_tree_is_never_collected)
{
    open_all();
    struct pack_report report = pack();
    struct hash before = digest_now();
    forge_land_text(&rig.f, "more", "dir3/more", "text", NULL);
    (void)pack();
    collect(NULL);
    ck_assert_uint_eq(rig.report.deleted.n, 0);
    const struct batch *batch;
    ck_assert_int_eq(chain_batch(&rig.f.repo, &rig.f.project, &report.tree, &batch), OK);
    struct tree tree = chain_tree(&rig.f.repo, &rig.f.project, batch);
    struct hash then = tree_digest(&tree);
    chain_drop(&rig.f.repo, batch);
    ck_assert(hash_equal(&before, &then));
    collect_rig_clean(&rig);
    close_all();
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        parts_that_were_collected_are_not_named,
        parts_that_are_named_before_the_fence_stay,
        a_packed_tree_is_never_collected,
    };
    return suite_run("pack_collect", tests, ARRAY_LEN(tests));
}
