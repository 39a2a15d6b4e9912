/* What looks after a bucket finds a project's references, through the project, and keeps
 * them. */
#include <stdio.h>

#include "formats/key.h"
#include "formats/project_id.h"
#include "pipeline/repo/collect/collect.h"
#include "pipeline/repo/pack/pack.h"
#include "pipeline/repo/project.h"
#include "pipeline/repo/replay/replay.h"
#include "pipeline/stages/stages.h"
#include "pipeline/store/mem.h"
#include "tests/support/fsck_rig.h"
#include "tests/support/ref_rig.h"
#include "tests/support/suite.h"

static struct ref_rig rig;
static struct id16 refs;
static struct fsck_result found;

static void run_stage(struct stage *stage)
{
    while (stage->run(stage) > 0) {
    }
    stage->close(stage);
}

/* A project with landings and references, and what is made of their logs. */
static void setup(void)
{
    ref_rig_open(&rig);
    mem_store_date(rig.forge.mem, &rig.forge.clock.clock);
    refs = project_id_refs(&rig.forge.project);
    forge_land_text(&rig.forge, "one", "a", "text", NULL);
    for (unsigned i = 1; i <= 120; i++) {
        char name[32];
        struct hash address = ref_rig_leaf(i);
        (void)snprintf(name, sizeof(name), "all/%u", i % 7);
        (void)ref_rig_bind(&rig, name, &address);
    }
    const struct rollup_options options = {0};
    run_stage(stage_append_open(&rig.forge.repo));
    run_stage(stage_rollup_open(&rig.forge.repo, &options));
    rig.forge.clock.ms += 600000;
}

static void teardown(void)
{
    ref_rig_close(&rig);
}

static void check(void)
{
    fsck_rig_run(rig.forge.mem, &rig.forge.clock.clock, true, 0, &found);
    ck_assert_int_eq(found.err, OK);
}

static void is_clean(void)
{
    check();
    ck_assert_msg(found.n == 0, "%s", fsck_rig_text(&found));
}

static void finds(const char *invariant, const char *problem, const char *key)
{
    check();
    const char *text = fsck_rig_text(&found);
    for (size_t i = 0; i < found.n; i++) {
        if (strcmp(found.kept[i].problem, problem) == 0 &&
            strcmp(found.kept[i].invariant, invariant) == 0 &&
            strcmp(found.kept[i].key, key) == 0)
            return;
    }
    ck_abort_msg("not %s at %s: %s", problem, key, text);
}

START_TEST(the_log_of_references_is_made)
{
    setup();
    struct key segment = key_log(&refs, 1, 101);
    struct key rollup = key_rollup(&refs, 1, 1, 101);
    ck_assert_int_eq(store_get(rig.forge.mem, segment.s, range_none(), NULL, NULL, NULL), OK);
    ck_assert_int_eq(store_get(rig.forge.mem, rollup.s, range_none(), NULL, NULL, NULL), OK);
    teardown();
}
END_TEST

START_TEST(references_are_checked)
{
    setup();
    is_clean();
    ck_assert_uint_eq(found.counts.projects, 1);
    ck_assert_uint_eq(found.counts.landings, 121);
    ck_assert_uint_eq(found.counts.segments, 1);
    ck_assert_uint_eq(found.counts.rollups, 1);
    struct key stray = key_project(&refs);
    stray.s[strlen(stray.s) - 1] = 'x';
    ck_assert_int_eq(store_put(rig.forge.mem, stray.s, bytes_str("x"), PUT_ANY, NULL), OK);
    finds("", "unknown_key", stray.s);
    ck_assert_int_eq(store_delete(rig.forge.mem, stray.s), OK);
    struct key segment = key_log(&refs, 1, 101);
    ck_assert_int_eq(store_put(rig.forge.mem, segment.s, bytes_str("x"), PUT_ANY, NULL), OK);
    finds("named", "log_damaged", segment.s);
    ck_assert_int_eq(store_delete(rig.forge.mem, segment.s), OK);
    struct key info = key_project(&refs);
    ck_assert_int_eq(store_delete(rig.forge.mem, info.s), OK);
    finds("durable", "project_missing", info.s);
    teardown();
}
END_TEST

START_TEST(a_lost_head_of_references_is_found)
{
    setup();
    struct key head = key_head(&refs);
    ck_assert_int_eq(store_delete(rig.forge.mem, head.s), OK);
    finds("durable", "head_missing", head.s);
    teardown();
}
END_TEST

/* Its making stopped before its end: nothing is wrong, and it is said. */
START_TEST(references_that_were_half_made_are_noted)
{
    ref_rig_open(&rig);
    refs = project_id_refs(&rig.forge.project);
    struct project_info info = {
        .id = refs, .hlc_created = repo_hlc(&rig.forge.repo), .handle = bytes_str("demo")};
    ck_assert_int_eq(project_begin(&rig.forge.repo, &info), OK);
    rig.forge.clock.ms += 600000;
    finds("", "project_unnamed", key_project(&refs).s);
    ck_assert_uint_eq(found.counts.damages, 0);
    struct hash one = ref_rig_leaf(1);
    (void)ref_rig_bind(&rig, "a", &one);
    rig.forge.clock.ms += 600000;
    is_clean();
    teardown();
}
END_TEST

/* A collection of either tree leaves the other alone, and takes what nothing names. */
START_TEST(collection_keeps_references)
{
    setup();
    const struct collect_options options = {.grace_ms = 86400000};
    struct collect_report report;
    struct hash hash = ref_rig_leaf(7);
    struct key orphans[] = {key_tree(&rig.forge.project, &hash), key_tree(&refs, &hash)};
    for (unsigned i = 0; i < 2; i++)
        ck_assert_int_eq(
            store_put(rig.forge.mem, orphans[i].s, bytes_str("orphan"), PUT_ANY, NULL), OK);
    rig.forge.clock.ms += 2 * options.grace_ms;
    rig.forge.clock.us += 2000 * options.grace_ms;
    ck_assert_int_eq(collect_run(&rig.forge.repo, &rig.forge.project, &options, &report), OK);
    ck_assert_uint_eq(report.deleted.n, 1);
    ck_assert_int_eq(store_get(rig.forge.mem, orphans[1].s, range_none(), NULL, NULL, NULL),
                     OK);
    ck_assert_int_eq(collect_run(&rig.forge.repo, &refs, &options, &report), OK);
    ck_assert_uint_eq(report.deleted.n, 1);
    ck_assert_int_eq(store_get(rig.forge.mem, orphans[1].s, range_none(), NULL, NULL, NULL),
                     ERR_NOT_FOUND);
    rig.forge.clock.ms += 600000;
    is_clean();
    struct hash last = ref_rig_leaf(120);
    ref_rig_is(&rig, "all/1", &last);
    teardown();
}
END_TEST

/* While a bind is in the queue what it brings is kept: it lies inside the queue's object, and a
 * fence between its two reads of the head only makes it land a moment later. */
START_TEST(a_bind_lands_over_a_collection)
{
    setup();
    const struct collect_options options = {.grace_ms = 86400000};
    struct collect_report report;
    struct ref_reply reply;
    struct hash one = ref_rig_leaf(1);
    ref_rig_send(&rig, "new", &one, &ref_unbound, &reply);
    (void)!service_step(rig.front.service);
    struct hash hash = ref_rig_leaf(7);
    struct key orphan = key_tree(&refs, &hash);
    ck_assert_int_eq(store_put(rig.forge.mem, orphan.s, bytes_str("orphan"), PUT_ANY, NULL),
                     OK);
    rig.forge.clock.ms += 2 * options.grace_ms;
    ck_assert_int_eq(collect_run(&rig.forge.repo, &refs, &options, &report), OK);
    ck_assert_uint_eq(report.runs, 1);
    front_settle(&rig.front);
    ref_rig_is(&rig, "new", &one);
    teardown();
}
END_TEST

START_TEST(references_are_packed)
{
    setup();
    const struct pack_options options = {.always = true};
    struct pack_report report;
    ck_assert_int_eq(pack_project(&rig.forge.repo, &refs, &options, &report), OK);
    ck_assert(report.packed);
    is_clean();
    struct ref_rig cold;
    ref_rig_join(&cold, &rig);
    struct hash last = ref_rig_leaf(120);
    ref_rig_is(&cold, "all/1", &last);
    ref_rig_close(&cold);
    teardown();
}
END_TEST

/* Both, as mic-replay does it: the references first. */
START_TEST(references_are_replayed)
{
    setup();
    const struct replay_options options = {.to = UINT64_MAX};
    struct replay_report report;
    struct id16 made[2];
    struct bytes handle = bytes_str("copy");
    ck_assert_int_eq(replay_verify(&rig.forge.repo, &refs, &options, &report), OK);
    ck_assert_uint_eq(report.position, 120);
    ck_assert_int_eq(replay_into(&rig.forge.repo, &refs, handle, &options, &report, &made[0]),
                     OK);
    struct id16 there;
    ck_assert_int_eq(project_find(&rig.forge.repo, handle, &there), ERR_NOT_FOUND);
    ck_assert_int_eq(
        replay_into(&rig.forge.repo, &rig.forge.project, handle, &options, &report, &made[1]),
        OK);
    ck_assert(!report.done_before);
    ck_assert_int_eq(project_find(&rig.forge.repo, handle, &there), OK);
    ck_assert(id16_equal(&there, &made[1]) && !project_id_is_refs(&there));
    struct id16 its_refs = project_id_refs(&there);
    ck_assert(id16_equal(&made[0], &its_refs));
    /* Again: all was done. */
    ck_assert_int_eq(replay_into(&rig.forge.repo, &refs, handle, &options, &report, &made[0]),
                     OK);
    ck_assert(report.done_before);
    is_clean();
    ck_assert_uint_eq(found.counts.projects, 2);
    rig.forge.project = there;
    struct hash last = ref_rig_leaf(120);
    ref_rig_is(&rig, "all/1", &last);
    ck_assert_uint_eq(ref_rig_bind(&rig, "all/new", &last), 121);
    teardown();
}
END_TEST

int main(void)
{
    const TTest *tests[] = {
        the_log_of_references_is_made,
        references_are_checked,
        a_lost_head_of_references_is_found,
        references_that_were_half_made_are_noted,
        collection_keeps_references,
        a_bind_lands_over_a_collection,
        references_are_packed,
        references_are_replayed,
    };
    return suite_run("refs_kept", tests, ARRAY_LEN(tests));
}
