/* What the collector finds, leaves and deletes, where nobody else is at work. */
#include "pipeline/repo/collect/collect.h"

#include <check.h>

#include "formats/derive_object.h"
#include "formats/derive_segment.h"
#include "pipeline/repo/chain.h"
#include "pipeline/repo/collect/fence.h"
#include "pipeline/repo/collect/gc_put.h"
#include "pipeline/repo/collect/reach.h"
#include "pipeline/repo/project.h"
#include "pipeline/store/mem.h"
#include "tests/support/collect_rig.h"
#include "tests/support/plant.h"
#include "tests/support/suite.h"

#define MEGABYTES (1u << 20)

static struct collect_rig rig;

static void sum_is(const struct collect_sum *sum, uint64_t n)
{
    ck_assert_uint_eq(sum->n, n);
    ck_assert((sum->bytes > 0) == (n > 0));
}

static size_t objects(void)
{
    return forge_count(&rig.f, "");
}

START_TEST(what_nothing_names_goes_when_it_is_old)
{
    collect_rig_open(&rig);
    forge_land_text(&rig.f, "one", "a", "1", NULL);
    size_t before = objects();
    struct key tree = collect_rig_orphan(&rig, 1);
    struct content small = collect_rig_upload(&rig, 1, 1000);
    struct content large = collect_rig_upload(&rig, 2, 3 * MEGABYTES);
    ck_assert_int_eq(collect_rig_run(&rig), OK);
    sum_is(&rig.report.young, 1 + 1 + 4);
    sum_is(&rig.report.old, 0);
    sum_is(&rig.report.deleted, 0);
    ck_assert_uint_eq(rig.report.runs, 0);
    /* Nothing is to be done: there is no gc object, and no fence. */
    ck_assert_uint_eq(objects(), before + 1 + 1 + 4);
    collect_rig_age(&rig);
    struct key young = collect_rig_orphan(&rig, 2);
    ck_assert_int_eq(collect_rig_look(&rig), OK);
    sum_is(&rig.report.young, 1);
    sum_is(&rig.report.old, 1 + 1 + 4);
    ck_assert_uint_eq(objects(), before + 1 + 1 + 4 + 1);
    ck_assert_int_eq(collect_rig_run(&rig), OK);
    sum_is(&rig.report.deleted, 1 + 1 + 4);
    ck_assert_uint_eq(rig.report.runs, 1);
    ck_assert_int_eq(rig.report.end, COLLECT_DONE);
    ck_assert(!rig.report.left_open);
    ck_assert(!collect_rig_there(&rig, &tree) && collect_rig_there(&rig, &young));
    ck_assert(!collect_rig_has(&rig, &small) && !collect_rig_has(&rig, &large));
    /* The young one, the gc object and the fence. */
    ck_assert_uint_eq(objects(), before + 1 + 2);
    ck_assert_str_eq(forge_text(&rig.f, "a"), "1");
    collect_rig_close(&rig);
}
END_TEST

/* What was put again is as young as that. */
START_TEST(an_upload_that_is_renewed_stays)
{
    collect_rig_open(&rig);
    struct content content = collect_rig_upload(&rig, 1, 1000);
    collect_rig_age(&rig);
    (void)collect_rig_upload(&rig, 1, 1000);
    ck_assert_int_eq(collect_rig_run(&rig), OK);
    sum_is(&rig.report.young, 1);
    ck_assert(collect_rig_has(&rig, &content));
    collect_rig_close(&rig);
}
END_TEST

/* --- roots --- */

static void root_landed(const struct content *content)
{
    struct draft draft;
    struct id16 request = collect_rig_submit(&rig.f, "big", content, &draft);
    (void)forge_drain(&rig.f);
    ck_assert_int_eq(forge_answer(&rig.f, &draft.session.id, &request).verdict, VERDICT_LANDED);
}

/* History counts as much as what is there now. */
static void root_landed_and_deleted(const struct content *content)
{
    root_landed(content);
    struct draft gone = draft_open(&rig.f, "ann", "gone", forge_position(&rig.f));
    draft_delete_seen(
        &gone, "big",
        (struct seen){
            .said = true, .kind = KIND_FILE, .mode = MODE_PLAIN, .hash = content->hash});
    struct id16 request = forge_submit(&rig.f, &gone, 1);
    (void)forge_drain(&rig.f);
    ck_assert_int_eq(forge_answer(&rig.f, &gone.session.id, &request).verdict, VERDICT_LANDED);
}

static void root_queued(const struct content *content)
{
    struct draft draft = draft_open(&rig.f, "ann", "open", 0);
    draft_put(&draft, "big", *content, seen_text(NULL));
    forge_write(&rig.f, &draft);
}

/* As the drain puts it there. */
static void root_dead(const struct content *content)
{
    AUTO(arena_release) struct arena arena = {0};
    AUTO_BUF bytes = {0};
    struct store_list list;
    uint32_t shard;
    uint64_t hlc, agent, seq;
    root_queued(content);
    ck_assert_int_eq(store_list(rig.f.store, &arena, "queue/", "", 2, &list), OK);
    ck_assert_uint_eq(list.n, 1);
    const char *key = list.keys[0].key;
    ck_assert_int_eq(store_get(rig.f.store, key, range_all(), &bytes, NULL, NULL), OK);
    ck_assert_int_eq(key_queue_parse(key, &shard, &hlc, &agent, &seq), OK);
    struct key dead = key_dead(shard, hlc, agent, seq);
    ck_assert_int_eq(store_put(rig.f.store, dead.s, buf_bytes(&bytes), PUT_IF_ABSENT, NULL),
                     OK);
    ck_assert_int_eq(store_delete(rig.f.store, key), OK);
}

static void root_open(const struct content *content)
{
    root_queued(content);
    rig.f.clock.ms += rig.f.land_options.fold_after_ms + 1;
    (void)forge_drain(&rig.f);
    ck_assert_uint_eq(forge_count(&rig.f, "queue/"), 0);
}

static void told_object(const struct content *content, uint64_t seq, struct buf *out)
{
    struct derive_item item = {
        .kind = DERIVE_UPLOAD, .address = content->hash, .size = content->size};
    derive_object_begin(out, &rig.f.project, 7, seq, 1);
    derive_item_write(out, &item);
    derive_object_finish(out, 1);
}

static void told_put(const struct content *content, uint64_t seq)
{
    AUTO_BUF bytes = {0};
    struct key key = key_derive(&rig.f.project, 7, seq);
    told_object(content, seq, &bytes);
    ck_assert_int_eq(store_put(rig.f.store, key.s, buf_bytes(&bytes), PUT_IF_ABSENT, NULL), OK);
}

/* A leaf of derivation. */
static void root_told(const struct content *content)
{
    told_put(content, 1);
}

static void root_merged(const struct content *content)
{
    AUTO_BUF object = {0};
    AUTO_BUF bytes = {0};
    struct key key = key_derive_segment(&rig.f.project, 1);
    told_object(content, 3, &object);
    uint32_t len = (uint32_t)object.len;
    struct derive_run run = {.agent = 7, .first = 3, .n = 1, .lens = &len};
    struct derive_segment segment = {
        .project = rig.f.project, .number = 1, .runs = &run, .n = 1};
    derive_segment_encode(&segment, &bytes);
    buf_append_bytes(&bytes, buf_bytes(&object));
    ck_assert_int_eq(store_put(rig.f.store, key.s, buf_bytes(&bytes), PUT_IF_ABSENT, NULL), OK);
}

static void (*const roots[])(const struct content *) = {
    root_landed, root_landed_and_deleted, root_queued, root_dead, root_open, root_told,
    root_merged,
};

/* Each root, a blob and a manifest with its chunks. */
START_TEST(what_a_root_names_stays)
{
    collect_rig_open(&rig);
    forge_land_text(&rig.f, "one", "a", "1", NULL);
    struct content content =
        collect_rig_upload(&rig, 1, (unsigned)_i % 2 == 0 ? 1000 : 3 * MEGABYTES + 1);
    roots[_i / 2](&content);
    collect_rig_age(&rig);
    struct key orphan = collect_rig_orphan(&rig, 1);
    collect_rig_age(&rig);
    size_t before = objects();
    ck_assert_int_eq(collect_rig_run(&rig), OK);
    sum_is(&rig.report.deleted, 1);
    sum_is(&rig.report.young, 0);
    ck_assert(!collect_rig_there(&rig, &orphan));
    ck_assert(collect_rig_has(&rig, &content));
    ck_assert_uint_eq(objects(), before - 1 + 2);
    collect_rig_close(&rig);
}
END_TEST

static bool marked(struct reach *reach, const struct content *content)
{
    const struct gc_name name = {.what = GC_BLOB, .hash = content->hash};
    return reach_has(reach, &name);
}

/* Marking again reads what the derive log has more, and misses no number that was not listed
 * the first time. */
START_TEST(a_second_mark_reads_on)
{
    collect_rig_open(&rig);
    struct content contents[5];
    struct reach reach;
    reach_init(&reach, &rig.f.repo, &rig.f.project);
    for (unsigned i = 1; i < ARRAY_LEN(contents); i++)
        contents[i] = collect_rig_upload(&rig, i, 1000);
    told_put(&contents[1], 1);
    told_put(&contents[3], 3);
    ck_assert_int_eq(reach_mark(&reach), OK);
    ck_assert(marked(&reach, &contents[1]) && marked(&reach, &contents[3]));
    ck_assert(!marked(&reach, &contents[2]));
    ck_assert_uint_eq(reach.counts.derive_objects, 2);
    told_put(&contents[2], 2);
    told_put(&contents[4], 4);
    ck_assert_int_eq(reach_mark(&reach), OK);
    for (unsigned i = 1; i < ARRAY_LEN(contents); i++)
        ck_assert(marked(&reach, &contents[i]));
    ck_assert_uint_eq(reach.counts.derive_objects, 2 + 3);
    ck_assert_int_eq(reach_mark(&reach), OK);
    ck_assert_uint_eq(reach.counts.derive_objects, 2 + 3);
    reach_release(&reach);
    collect_rig_close(&rig);
}
END_TEST

/* Whoever puts tree objects along with one names them in its footer. */
START_TEST(companions_stay)
{
    collect_rig_open(&rig);
    struct hash companion;
    struct key key = collect_rig_orphan(&rig, 1);
    struct key other = collect_rig_orphan(&rig, 2);
    ck_assert_int_eq(key_tree_parse(key.s, &companion), OK);
    struct plant plant;
    plant_begin(&plant, &rig.f);
    plant.footer.companions = &companion;
    plant.footer.n_companions = 1;
    plant_end(&plant);
    forge_land_text(&rig.f, "one", "a", "1", NULL);
    collect_rig_age(&rig);
    ck_assert_int_eq(collect_rig_run(&rig), OK);
    sum_is(&rig.report.deleted, 1);
    ck_assert(collect_rig_there(&rig, &key) && !collect_rig_there(&rig, &other));
    collect_rig_close(&rig);
}
END_TEST

/* Another project's collector leaves it alone, whatever it has. */
START_TEST(other_projects_are_left_alone)
{
    collect_rig_open(&rig);
    struct content mine = collect_rig_upload(&rig, 1, 1000);
    struct id16 project = rig.f.project;
    ck_assert_int_eq(project_create(&rig.f.repo, bytes_str("other"), &rig.f.project), OK);
    struct content others = collect_rig_upload(&rig, 1, 1000);
    collect_rig_age(&rig);
    struct key key = key_blob(&rig.f.project, &others.hash);
    rig.f.project = project;
    ck_assert_int_eq(collect_rig_run(&rig), OK);
    sum_is(&rig.report.deleted, 1);
    ck_assert(!collect_rig_has(&rig, &mine) && collect_rig_there(&rig, &key));
    collect_rig_close(&rig);
}
END_TEST

/* What is being made has objects that nothing names yet. */
START_TEST(a_project_without_a_name_is_left_alone)
{
    collect_rig_open(&rig);
    (void)collect_rig_orphan(&rig, 1);
    collect_rig_age(&rig);
    struct key handle = key_handle(bytes_str("demo"));
    ck_assert_int_eq(store_delete(rig.f.mem, handle.s), OK);
    ck_assert_int_eq(collect_rig_run(&rig), ERR_NOT_FOUND);
    ck_assert_int_eq(collect_rig_look(&rig), ERR_NOT_FOUND);
    collect_rig_close(&rig);
}
END_TEST

/* --- damage --- */

static void damage_session(void)
{
    const struct id16 sid = {.b = {5}};
    struct key key = key_session(&rig.f.project, &sid);
    ck_assert_int_eq(store_put(rig.f.store, key.s, bytes_str("?"), PUT_ANY, NULL), OK);
}

static void damage_queue(void)
{
    struct key key = key_queue(0, 1, 2, 3);
    ck_assert_int_eq(store_put(rig.f.store, key.s, bytes_str("?"), PUT_ANY, NULL), OK);
}

static void damage_dead(void)
{
    struct key key = key_dead(0, 1, 2, 3);
    ck_assert_int_eq(store_put(rig.f.store, key.s, bytes_str("?"), PUT_ANY, NULL), OK);
}

static void damage_head(void)
{
    struct key key = key_head(&rig.f.project);
    ck_assert_int_eq(store_put(rig.f.store, key.s, bytes_str("?"), PUT_ANY, NULL), OK);
}

static void damage_chain(void)
{
    AUTO_BUF bytes = {0};
    struct head head;
    struct etag etag;
    ck_assert_int_eq(chain_head(&rig.f.repo, &rig.f.project, &head, &etag), OK);
    struct key key = key_tree(&rig.f.project, &head.tree_hash);
    ck_assert_int_eq(store_get(rig.f.store, key.s, range_all(), &bytes, NULL, NULL), OK);
    struct bytes half = bytes_of(bytes.data, bytes.len / 2);
    ck_assert_int_eq(store_put(rig.f.mem, key.s, half, PUT_ANY, NULL), OK);
}

static void damage_gc(void)
{
    struct key key = key_gc(&rig.f.project);
    ck_assert_int_eq(store_put(rig.f.store, key.s, bytes_str("?"), PUT_ANY, NULL), OK);
}

static void damage_manifest(void)
{
    struct content content = collect_rig_upload(&rig, 5, 2 * MEGABYTES);
    root_landed(&content);
    struct key key = key_blob(&rig.f.project, &content.hash);
    ck_assert_int_eq(store_put(rig.f.store, key.s, bytes_str("MMAN?"), PUT_ANY, NULL), OK);
}

static void damage_told(void)
{
    struct key key = key_derive(&rig.f.project, 7, 1);
    ck_assert_int_eq(store_put(rig.f.store, key.s, bytes_str("?"), PUT_ANY, NULL), OK);
}

static void damage_merged(void)
{
    struct key key = key_derive_segment(&rig.f.project, 1);
    ck_assert_int_eq(store_put(rig.f.store, key.s, bytes_str("?"), PUT_ANY, NULL), OK);
}

static void (*const damages[])(void) = {
    damage_session, damage_queue,    damage_dead, damage_head,   damage_chain,
    damage_gc,      damage_manifest, damage_told, damage_merged,
};

/* Nobody knows what it names. */
START_TEST(where_a_root_is_damaged_nothing_goes)
{
    collect_rig_open(&rig);
    forge_land_text(&rig.f, "one", "a", "1", NULL);
    (void)collect_rig_orphan(&rig, 1);
    damages[_i]();
    collect_rig_age(&rig);
    size_t before = objects();
    ck_assert_int_eq(collect_rig_run(&rig), ERR_CORRUPT);
    ck_assert_uint_eq(rig.report.runs, 0);
    ck_assert_uint_eq(objects(), before);
    collect_rig_close(&rig);
}
END_TEST

/* --- the fence --- */

/* It is a batch that lands nothing: positions go on, answers stay, and nothing is wrong. */
START_TEST(schedule_36_fence_is_a_batch)
{
    collect_rig_open(&rig);
    struct head heads[3];
    struct etag etag;
    forge_land_text(&rig.f, "one", "a", "1", NULL);
    for (unsigned i = 0; i < 2; i++) {
        ck_assert_int_eq(chain_head(&rig.f.repo, &rig.f.project, &heads[i], &etag), OK);
        ck_assert_int_eq(fence_put(&rig.f.repo, &rig.f.project), OK);
    }
    ck_assert_int_eq(chain_head(&rig.f.repo, &rig.f.project, &heads[2], &etag), OK);
    for (unsigned i = 0; i < 2; i++) {
        ck_assert_uint_eq(heads[i + 1].position, heads[i].position);
        ck_assert_uint_gt(heads[i + 1].hlc, heads[i].hlc);
        ck_assert(!hash_equal(&heads[i + 1].tree_hash, &heads[i].tree_hash));
    }
    for (unsigned i = 0; i < 205; i++) {
        const char *name = arena_printf(&rig.f.arena, "f%u", i);
        forge_land_text(&rig.f, name, name, "1", NULL);
        if (i % 50 == 0)
            ck_assert_int_eq(fence_put(&rig.f.repo, &rig.f.project), OK);
    }
    ck_assert_uint_eq(forge_position(&rig.f), 206);
    struct stage *append = stage_append_open(&rig.f.repo);
    ck_assert_int_ge(append->run(append), 0);
    append->close(append);
    ck_assert_uint_gt(forge_count(&rig.f, "projects/"), 206);
    ck_assert_int_eq(fence_put(&rig.f.repo, &rig.f.project), OK);
    (void)collect_rig_orphan(&rig, 1);
    collect_rig_age(&rig);
    ck_assert_int_eq(collect_rig_run(&rig), OK);
    sum_is(&rig.report.deleted, 1);
    collect_rig_clean(&rig);
    collect_rig_close(&rig);
}
END_TEST

/* --- the run --- */

START_TEST(a_run_that_is_open_is_left_to_who_opened_it)
{
    collect_rig_open(&rig);
    struct content content = collect_rig_upload(&rig, 1, 1000);
    collect_rig_condemn(&rig, _i == 0 ? GC_OPEN : GC_COOLING, &content.hash);
    rig.f.clock.ms += COLLECT_COOL_MS - 1;
    for (unsigned i = 0; i < 2; i++) {
        ck_assert_int_eq(collect_rig_run(&rig), OK);
        ck_assert_int_eq(rig.report.end, _i == 0 ? COLLECT_BUSY : COLLECT_COOLING);
        ck_assert_uint_eq(rig.report.run.b[0], 9);
        ck_assert_uint_eq(rig.report.runs, 0);
    }
    collect_rig_age(&rig);
    ck_assert_int_eq(collect_rig_run(&rig), OK);
    ck_assert_int_eq(rig.report.end, _i == 0 ? COLLECT_BUSY : COLLECT_DONE);
    ck_assert_int_eq(collect_rig_has(&rig, &content), _i == 0);
    collect_rig_close(&rig);
}
END_TEST

/* A process has died with a run open. What it may have sent may still take effect: its names
 * cool, however it is ended. */
START_TEST(an_operator_ends_a_run)
{
    const struct collect_options options = {.grace_ms = COLLECT_RIG_GRACE_MS};
    const struct id16 run = {.b = {9}};
    const struct id16 other = {.b = {8}};
    struct gc_object object;
    collect_rig_open(&rig);
    struct content content = collect_rig_upload(&rig, 1, 1000);
    collect_rig_age(&rig);
    collect_rig_condemn(&rig, GC_OPEN, &content.hash);
    struct repo *repo = &rig.f.repo;
    struct collect_report *report = &rig.report;
    ck_assert_int_eq(collect_resume(repo, &rig.f.project, &other, &options, report),
                     ERR_CONFLICT);
    ck_assert_int_eq(collect_close(repo, &rig.f.project, &other, &options, report),
                     ERR_CONFLICT);
    ck_assert(collect_rig_has(&rig, &content));
    if (_i == 0)
        ck_assert_int_eq(collect_resume(repo, &rig.f.project, &run, &options, report), OK);
    else
        ck_assert_int_eq(collect_close(repo, &rig.f.project, &run, &options, report), OK);
    ck_assert_int_eq(report->end, COLLECT_COOLING);
    ck_assert_int_eq(collect_rig_has(&rig, &content), _i == 1);
    ck_assert_int_eq(gc_object_read(&object, repo, &rig.f.project), OK);
    ck_assert_int_eq(object.gc.state, GC_COOLING);
    ck_assert_uint_eq(object.gc.n, 1);
    gc_object_release(&object);
    ck_assert_int_eq(collect_close(repo, &rig.f.project, &run, &options, report), ERR_CONFLICT);
    rig.f.clock.ms += COLLECT_COOL_MS + 1;
    collect_rig_age(&rig);
    ck_assert_int_eq(collect_rig_run(&rig), OK);
    ck_assert_int_eq(report->end, COLLECT_DONE);
    ck_assert(!collect_rig_has(&rig, &content));
    collect_rig_close(&rig);
}
END_TEST

/* As many runs as it takes. */
START_TEST(more_than_one_run_condemns)
{
    const struct collect_options options = {.grace_ms = COLLECT_RIG_GRACE_MS, .names_max = 2};
    collect_rig_open(&rig);
    for (unsigned i = 0; i < 5; i++)
        (void)collect_rig_orphan(&rig, (uint8_t)i);
    collect_rig_age(&rig);
    ck_assert_int_eq(collect_look(&rig.f.repo, &rig.f.project, &options, &rig.report), OK);
    sum_is(&rig.report.old, 5);
    ck_assert_int_eq(collect_run(&rig.f.repo, &rig.f.project, &options, &rig.report), OK);
    ck_assert_uint_eq(rig.report.runs, 3);
    sum_is(&rig.report.deleted, 5);
    /* Fences of two of the runs lie in the chain, below the third. */
    ck_assert_uint_eq(forge_count(&rig.f, key_tree_prefix(&rig.f.project).s), 1 + 3);
    collect_rig_close(&rig);
}
END_TEST

START_TEST(without_a_date_nothing_is_done)
{
    collect_rig_open(&rig);
    mem_store_date(rig.f.mem, NULL);
    (void)collect_rig_upload(&rig, 1, 1000);
    ck_assert_int_eq(collect_rig_run(&rig), ERR_AGAIN);
    mem_store_date(rig.f.mem, &rig.f.clock.clock);
    collect_rig_age(&rig);
    ck_assert_int_eq(collect_rig_run(&rig), OK);
    sum_is(&rig.report.undated, 1);
    sum_is(&rig.report.deleted, 0);
    collect_rig_close(&rig);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("collect");
    TCase *tcase = tcase_create("collect");
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, what_nothing_names_goes_when_it_is_old);
    tcase_add_test(tcase, an_upload_that_is_renewed_stays);
    tcase_add_loop_test(tcase, what_a_root_names_stays, 0, 2 * (int)ARRAY_LEN(roots));
    tcase_add_test(tcase, a_second_mark_reads_on);
    tcase_add_test(tcase, companions_stay);
    tcase_add_test(tcase, other_projects_are_left_alone);
    tcase_add_test(tcase, a_project_without_a_name_is_left_alone);
    tcase_add_loop_test(tcase, where_a_root_is_damaged_nothing_goes, 0,
                        (int)ARRAY_LEN(damages));
    tcase_add_test(tcase, schedule_36_fence_is_a_batch);
    tcase_add_loop_test(tcase, a_run_that_is_open_is_left_to_who_opened_it, 0, 2);
    tcase_add_loop_test(tcase, an_operator_ends_a_run, 0, 2);
    tcase_add_test(tcase, more_than_one_run_condemns);
    tcase_add_test(tcase, without_a_date_nothing_is_done);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
