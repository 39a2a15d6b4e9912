/* Fails every store call of a pack in turn, in every way a call can fail, while somebody lands:
 * whatever broke, the tree is the same, all of it can be read, and a pack after that works. */
#include <check.h>
#include <fcntl.h>
#include <stdio.h>

#include "formats/key.h"
#include "pipeline/repo/chain.h"
#include "pipeline/repo/pack/pack.h"
#include "pipeline/sys/log.h"
#include "tests/support/faulty.h"
#include "tests/support/forge.h"
#include "tests/support/fsck_rig.h"
#include "tests/support/suite.h"
#include "tests/support/tree_digest.h"

/* No scene makes more calls than this. */
#define CALLS_MAX 300u

struct scene {
    struct forge forge;
    struct forge packer;
    struct store *faulty;
    bool landed; /* what lands meanwhile */
};

static const struct pack_options options = {.always = true, .part_bytes = 700};

/* At the first put of the head somebody else is faster, in the middle of the tree. */
static void on_call(void *arg, uint64_t call UNUSED, const struct store_op *op)
{
    struct scene *s = arg;
    if (op == NULL || op->verb != STORE_PUT || op->condition != PUT_IF_MATCH || s->landed)
        return;
    s->landed = true;
    forge_land_text(&s->forge, "meanwhile", "b/b/file", "x", NULL);
}

static void scene_open(struct scene *s)
{
    static const char *const paths[] = {"a/a/1", "a/b/2", "a/c/3", "b/a/4",
                                        "b/b/5", "b/c/6", "c/7",   "8"};
    *s = (struct scene){0};
    forge_init(&s->forge);
    for (size_t i = 0; i < ARRAY_LEN(paths); i++)
        forge_land_text(&s->forge, paths[i], paths[i], "text", NULL);
    s->faulty = faulty_store_open(s->forge.trace);
    s->forge.seq += 10;
    forge_join(&s->packer, &s->forge, s->faulty);
    faulty_watch(s->faulty, on_call, s);
    faulty_reset(s->faulty);
}

static void scene_close(struct scene *s)
{
    forge_release(&s->packer);
    store_close(s->faulty);
    forge_release(&s->forge);
}

static void scene_check(struct scene *s, const struct hash *want, const char *name)
{
    struct forge fresh;
    struct fsck_result result;
    s->forge.seq += 10;
    forge_join(&fresh, &s->forge, NULL);
    struct tree tree = forge_tree(&fresh);
    struct hash digest = tree_digest(&tree);
    ck_assert_msg(hash_equal(want, &digest), "%s: the tree is another", name);
    ck_assert_msg(tree.position == 9, "%s: position %llu", name,
                  (unsigned long long)tree.position);
    forge_release(&fresh);
    fsck_rig_run(s->forge.mem, &s->forge.clock.clock, true, 0, &result);
    ck_assert_msg(result.err == OK && result.counts.damages == 0, "%s: %s", name,
                  fsck_rig_text(&result));
}

/* What the tree is when all has landed. */
static struct hash digest_wanted(void)
{
    struct scene s;
    scene_open(&s);
    forge_land_text(&s.forge, "meanwhile", "b/b/file", "x", NULL);
    struct tree tree = forge_tree(&s.forge);
    struct hash digest = tree_digest(&tree);
    scene_close(&s);
    return digest;
}

/* Whether the pack said that it is done. */
static bool is_told(int err, const struct pack_report *report)
{
    return err == OK && report->packed;
}

/* Gives how many calls there were. */
static uint64_t scene_run(const struct hash *want, uint64_t call, enum fault fault)
{
    struct scene s;
    struct pack_report report;
    char name[100];
    (void)snprintf(name, sizeof(name), "call %llu: %s", (unsigned long long)call,
                   fault_name(fault));
    scene_open(&s);
    faulty_plan(s.faulty, call, fault);
    int err = pack_project(&s.packer.repo, &s.packer.project, &options, &report);
    uint64_t calls = faulty_calls(s.faulty);
    bool dies = fault == FAULT_CRASH_BEFORE || fault == FAULT_CRASH_AFTER;
    ck_assert_msg(dies || is_told(err, &report), "%s: %s", name, err_name(err));
    if (!s.landed)
        on_call(&s, 0, &(struct store_op){.verb = STORE_PUT, .condition = PUT_IF_MATCH});
    scene_check(&s, want, name);
    faulty_reset(s.faulty);
    faulty_flush(s.faulty);
    scene_check(&s, want, name);
    err = pack_project(&s.packer.repo, &s.packer.project, &options, &report);
    ck_assert_msg(is_told(err, &report), "%s: then %s", name, err_name(err));
    scene_check(&s, want, name);
    scene_close(&s);
    return calls;
}

START_TEST(every_call_fails)
{
    struct hash want = digest_wanted();
    log_to_fd(open("/dev/null", O_WRONLY | O_CLOEXEC));
    uint64_t calls = scene_run(&want, CALLS_MAX + 1, FAULT_NONE);
    ck_assert_uint_gt(calls, 15);
    ck_assert_uint_lt(calls, CALLS_MAX);
    for (unsigned fault = FAULT_NONE + 1; fault < FAULTS; fault++) {
        for (uint64_t call = 1; call <= calls; call++)
            (void)scene_run(&want, call, (enum fault)fault);
    }
    printf("sweep: %llu calls, each in %u ways\n", (unsigned long long)calls, FAULTS - 1);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {every_call_fails};
    return suite_run("sweep_pack", tests, ARRAY_LEN(tests));
}
