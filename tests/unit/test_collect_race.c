/* Landers and fronts beside a collector: what a run condemns, and the schedules that are about
 * it. */
#include <check.h>

#include "formats/blob.h"
#include "tests/support/collect_rig.h"
#include "tests/support/faulty.h"
#include "tests/support/suite.h"

#define MEGABYTES (1u << 20)

static struct collect_rig rig;

static struct trace_counts counts(void)
{
    return trace_store_counts(rig.f.trace, true);
}

/* --- a lander --- */

static struct hash second_chunk(const struct content *content)
{
    AUTO(arena_release) struct arena arena = {0};
    AUTO_BUF bytes = {0};
    struct manifest manifest;
    struct key key = key_blob(&rig.f.project, &content->hash);
    ck_assert_int_eq(store_get(rig.f.store, key.s, range_all(), &bytes, NULL, NULL), OK);
    ck_assert_int_eq(manifest_decode(buf_bytes(&bytes), &arena, &manifest), OK);
    return manifest.chunks[1];
}

/* While it may go at any time the session waits, and others land. Then it lands, or is refused,
 * by what is there. */
START_TEST(a_session_that_names_a_condemned_upload_waits)
{
    bool large = _i % 2 == 1;
    bool deleted = _i >= 2;
    collect_rig_open(&rig);
    struct content content = collect_rig_upload(&rig, 1, large ? 3 * MEGABYTES : 1000);
    struct hash condemned = large ? second_chunk(&content) : content.hash;
    collect_rig_condemn(&rig, GC_OPEN, &condemned);
    struct draft draft;
    struct id16 request = collect_rig_submit(&rig.f, "big", &content, &draft);
    (void)forge_drain(&rig.f);
    ck_assert_uint_eq(forge_answers(&rig.f, &draft.session.id, &request), 0);
    forge_land_text(&rig.f, "one", "a", "1", NULL);
    collect_rig_condemn(&rig, GC_COOLING, &condemned);
    (void)forge_drain(&rig.f);
    ck_assert_uint_eq(forge_answers(&rig.f, &draft.session.id, &request), 0);
    struct key key = key_blob(&rig.f.project, &condemned);
    if (deleted)
        ck_assert_int_eq(store_delete(rig.f.store, key.s), OK);
    collect_rig_condemn(&rig, GC_CLOSED, &condemned);
    (void)forge_drain(&rig.f);
    struct landing landing = forge_answer(&rig.f, &draft.session.id, &request);
    ck_assert_int_eq(landing.verdict, deleted ? VERDICT_REFUSED : VERDICT_LANDED);
    if (deleted)
        ck_assert(bytes_equal(landing.reason, bytes_str("blob_missing")));
    collect_rig_close(&rig);
}
END_TEST

/* The gc is read for a batch that names uploads, once, and then after the head; what was found
 * there is not looked at again while it is the same. */
START_TEST(one_look_a_batch)
{
    collect_rig_open(&rig);
    struct content contents[2] = {collect_rig_upload(&rig, 1, 1000),
                                  collect_rig_upload(&rig, 2, 1000)};
    struct draft drafts[3];
    (void)counts();
    forge_land_text(&rig.f, "one", "a", "1", NULL);
    struct trace_counts c = counts();
    ck_assert_uint_eq(c.gets[TRACE_GC], 0);
    (void)collect_rig_submit(&rig.f, "x", &contents[0], &drafts[0]);
    (void)collect_rig_submit(&rig.f, "y", &contents[1], &drafts[1]);
    (void)counts();
    ck_assert_int_gt(rig.f.land->run(rig.f.land), 0);
    c = counts();
    ck_assert_uint_eq(c.gets[TRACE_GC], 1);
    ck_assert_uint_eq(c.gets[TRACE_BLOB], 0);
    const struct hash other = {{7}};
    collect_rig_condemn(&rig, GC_OPEN, &other);
    (void)collect_rig_submit(&rig.f, "z", &contents[0], &drafts[2]);
    (void)counts();
    ck_assert_int_gt(rig.f.land->run(rig.f.land), 0);
    c = counts();
    ck_assert_uint_eq(c.gets[TRACE_GC], 1); /* it is short: all of it at once */
    ck_assert_uint_eq(c.gets[TRACE_BLOB], 1);
    ck_assert_uint_eq(forge_position(&rig.f), 4);
    collect_rig_close(&rig);
}
END_TEST

/* A gc that cannot be read is no fault of the session's. */
START_TEST(a_damaged_gc_lets_sessions_wait)
{
    collect_rig_open(&rig);
    struct content content = collect_rig_upload(&rig, 1, 1000);
    struct key key = key_gc(&rig.f.project);
    ck_assert_int_eq(store_put(rig.f.store, key.s, bytes_str("?"), PUT_ANY, NULL), OK);
    struct draft draft;
    struct id16 request = collect_rig_submit(&rig.f, "big", &content, &draft);
    (void)forge_drain(&rig.f);
    ck_assert_uint_eq(forge_answers(&rig.f, &draft.session.id, &request), 0);
    ck_assert_int_eq(store_delete(rig.f.mem, key.s), OK);
    (void)forge_drain(&rig.f);
    ck_assert_int_eq(forge_answer(&rig.f, &draft.session.id, &request).verdict, VERDICT_LANDED);
    collect_rig_close(&rig);
}
END_TEST

/* --- a front --- */

START_TEST(a_condemned_upload_counts_as_missing)
{
    collect_rig_open(&rig);
    struct content content = collect_rig_upload(&rig, 1, _i == 0 ? 1000 : 3 * MEGABYTES);
    struct hash condemned = _i == 0 ? content.hash : second_chunk(&content);
    const enum gc_state states[] = {GC_OPEN, GC_COOLING, GC_CLOSED};
    for (size_t i = 0; i < ARRAY_LEN(states); i++) {
        bool gone = states[i] != GC_CLOSED;
        const struct condemned *now;
        struct content found;
        bool missing;
        bool awaits;
        collect_rig_condemn(&rig, states[i], &condemned);
        ck_assert_int_eq(condemned_read(&rig.f.repo, &rig.f.project, &now), OK);
        ck_assert_int_eq(
            blob_missing(&rig.f.repo, &rig.f.project, now, &content.hash, 1, &missing, &awaits),
            OK);
        ck_assert(missing == gone && awaits == gone);
        ck_assert_int_eq(blob_describe(&rig.f.repo, &rig.f.project, now, &content.hash, &found),
                         gone ? ERR_NOT_FOUND : OK);
        condemned_drop(now);
        ck_assert_int_eq(
            collect_rig_try_upload(&rig.f, 1, _i == 0 ? 1000 : 3 * MEGABYTES, &found),
            gone ? ERR_CONFLICT : OK);
    }
    collect_rig_close(&rig);
}
END_TEST

/* When its time is over by the store's clock nobody waits for the next collector. */
START_TEST(a_run_that_has_cooled_condemns_nothing)
{
    struct content again;
    collect_rig_open(&rig);
    struct content content = collect_rig_upload(&rig, 1, 1000);
    collect_rig_condemn(&rig, GC_COOLING, &content.hash);
    rig.f.clock.ms += COLLECT_COOL_MS - 1;
    ck_assert_int_eq(collect_rig_try_upload(&rig.f, 1, 1000, &again), ERR_CONFLICT);
    rig.f.clock.ms += 1;
    for (unsigned i = 0; i < 2; i++)
        ck_assert_int_eq(collect_rig_try_upload(&rig.f, 1, 1000, &again), OK);
    struct draft draft;
    struct id16 request = collect_rig_submit(&rig.f, "big", &content, &draft);
    (void)forge_drain(&rig.f);
    ck_assert_int_eq(forge_answer(&rig.f, &draft.session.id, &request).verdict, VERDICT_LANDED);
    /* And the next one closes it, though nothing is to be deleted. */
    ck_assert_int_eq(collect_rig_run(&rig), OK);
    const struct condemned *now;
    ck_assert_int_eq(condemned_read(&rig.f.repo, &rig.f.project, &now), OK);
    ck_assert_int_eq(now->gc.state, GC_CLOSED);
    ck_assert_uint_eq(now->gc.count, 2);
    condemned_drop(now);
    collect_rig_close(&rig);
}
END_TEST

/* --- schedules --- */

/* A process over a store that stops it at a call. */
static struct forge held;
static struct store *faulty;
static const char *stop_prefix;
static enum store_verb stop_verb;
static void (*meanwhile)(void);

static void stop(void *arg, uint64_t call, const struct store_op *op)
{
    (void)arg;
    (void)call;
    if (meanwhile == NULL || op == NULL || op->verb != stop_verb ||
        strncmp(op->key, stop_prefix, strlen(stop_prefix)) != 0)
        return;
    void (*now)(void) = meanwhile;
    meanwhile = NULL;
    now();
}

static void held_open(enum store_verb verb, const char *prefix, void (*then)(void))
{
    faulty = faulty_store_open(rig.f.trace);
    faulty_watch(faulty, stop, NULL);
    meanwhile = NULL;
    forge_join(&held, &rig.f, faulty);
    stop_verb = verb;
    stop_prefix = prefix;
    meanwhile = then;
}

static void held_close(void)
{
    ck_assert_ptr_null(meanwhile);
    forge_release(&held);
    store_close(faulty);
}

static void age_and_collect(void)
{
    collect_rig_age(&rig);
    held.clock.ms = rig.f.clock.ms;
    ck_assert_int_eq(collect_rig_run(&rig), OK);
    ck_assert_int_eq(rig.report.end, COLLECT_DONE);
    ck_assert_uint_eq(rig.report.runs, 1);
}

/* 1. A lander has put its tree object, and stops before the head put. */
START_TEST(schedule_1_stalled_lander)
{
    collect_rig_open(&rig);
    struct key head = key_head(&rig.f.project);
    held_open(STORE_PUT, head.s, age_and_collect);
    struct draft draft = draft_open(&rig.f, "ann", "one", 0);
    draft_write(&draft, "a", "1", NULL);
    struct id16 request = forge_submit(&rig.f, &draft, 1);
    (void)forge_drain(&held);
    ck_assert_uint_eq(rig.report.deleted.n, 1);
    ck_assert_int_eq(forge_answer(&rig.f, &draft.session.id, &request).verdict, VERDICT_LANDED);
    collect_rig_clean(&rig);
    held_close();
    collect_rig_close(&rig);
}
END_TEST

/* The same of a lander that has looked at the upload before its head put; the upload's record
 * came to the queue after the run had looked there for the last time. */
static struct content looked;
static struct draft looked_draft;
static struct id16 looked_request;

static void submit_late(void)
{
    looked_request = collect_rig_submit(&rig.f, "big", &looked, &looked_draft);
}

START_TEST(a_record_that_comes_behind_the_second_mark)
{
    collect_rig_open(&rig);
    const struct collect_options options = {.grace_ms = COLLECT_RIG_GRACE_MS};
    forge_land_text(&rig.f, "one", "a", "1", NULL);
    looked = collect_rig_upload(&rig, 1, 1000);
    collect_rig_age(&rig);
    struct key blobs = key_blob_prefix(&rig.f.project);
    held_open(STORE_DELETE, blobs.s, submit_late);
    ck_assert_int_eq(collect_run(&held.repo, &rig.f.project, &options, &rig.report), OK);
    ck_assert_uint_eq(rig.report.deleted.n, 1);
    (void)forge_drain(&rig.f);
    ck_assert_int_eq(forge_answer(&rig.f, &looked_draft.session.id, &looked_request).verdict,
                     VERDICT_REFUSED);
    collect_rig_clean(&rig);
    held_close();
    collect_rig_close(&rig);
}
END_TEST

/* 2. The upload is named by a record that moves while the collector marks. */
static void land_queued(void)
{
    (void)forge_drain(&rig.f);
}

START_TEST(schedule_2_upload_in_flight)
{
    static const char *const prefixes[] = {"queue/", "projects/"};
    const struct collect_options options = {.grace_ms = COLLECT_RIG_GRACE_MS};
    collect_rig_open(&rig);
    struct content content = collect_rig_upload(&rig, 1, 1000);
    struct draft draft;
    struct id16 request = collect_rig_submit(&rig.f, "big", &content, &draft);
    collect_rig_age(&rig);
    (void)collect_rig_orphan(&rig, 1);
    collect_rig_age(&rig);
    held_open(STORE_GET, prefixes[_i], land_queued);
    ck_assert_int_eq(collect_run(&held.repo, &rig.f.project, &options, &rig.report), OK);
    ck_assert_uint_eq(rig.report.deleted.n, 1);
    ck_assert_int_eq(forge_answer(&rig.f, &draft.session.id, &request).verdict, VERDICT_LANDED);
    collect_rig_clean(&rig);
    held_close();
    collect_rig_close(&rig);
}
END_TEST

/* 3. The collector's delete is unknown, and takes effect long after; meanwhile fronts are asked
 * to put the upload again, and refuse. */
static void delete_late(void *arg, uint64_t call, const struct store_op *op)
{
    bool *planned = arg;
    if (*planned || op == NULL || op->verb != STORE_DELETE)
        return;
    faulty_plan(faulty, call, FAULT_UNKNOWN_LATE);
    *planned = true;
}

START_TEST(schedule_3_touch_against_delete)
{
    const struct collect_options options = {.grace_ms = COLLECT_RIG_GRACE_MS};
    struct content again;
    bool planned = false;
    collect_rig_open(&rig);
    struct content content = collect_rig_upload(&rig, 1, 1000);
    collect_rig_age(&rig);
    held_open(STORE_GET, "nothing", NULL);
    faulty_watch(faulty, delete_late, &planned);
    faulty_late_calls(faulty, 1000000);
    ck_assert_int_eq(collect_run(&held.repo, &rig.f.project, &options, &rig.report), OK);
    ck_assert_int_eq(rig.report.end, COLLECT_COOLING);
    ck_assert_uint_eq(rig.report.deleted.n, 1);
    struct draft draft;
    struct id16 request = collect_rig_submit(&rig.f, "big", &content, &draft);
    ck_assert_int_eq(collect_rig_try_upload(&rig.f, 1, 1000, &again), ERR_CONFLICT);
    (void)forge_drain(&rig.f);
    ck_assert_uint_eq(forge_answers(&rig.f, &draft.session.id, &request), 0);
    faulty_reset(faulty);
    faulty_flush(faulty);
    ck_assert_int_eq(collect_rig_try_upload(&rig.f, 1, 1000, &again), ERR_CONFLICT);
    rig.f.clock.ms += COLLECT_COOL_MS + 1;
    ck_assert_int_eq(collect_rig_run(&rig), OK);
    ck_assert_int_eq(rig.report.end, COLLECT_DONE);
    ck_assert_int_eq(collect_rig_try_upload(&rig.f, 1, 1000, &again), OK);
    (void)forge_drain(&rig.f);
    ck_assert_int_eq(forge_answer(&rig.f, &draft.session.id, &request).verdict, VERDICT_LANDED);
    collect_rig_clean(&rig);
    held_close();
    collect_rig_close(&rig);
}
END_TEST

/* 33. The manifest is renewed, its chunks are not, and nothing names it: it keeps them. */
START_TEST(schedule_33_young_manifest_with_old_chunks)
{
    AUTO_BUF bytes = {0};
    collect_rig_open(&rig);
    struct content content = collect_rig_upload(&rig, 1, 3 * MEGABYTES);
    struct key key = key_blob(&rig.f.project, &content.hash);
    (void)collect_rig_orphan(&rig, 1);
    collect_rig_age(&rig);
    ck_assert_int_eq(store_get(rig.f.store, key.s, range_all(), &bytes, NULL, NULL), OK);
    ck_assert_int_eq(store_put(rig.f.store, key.s, buf_bytes(&bytes), PUT_ANY, NULL), OK);
    ck_assert_int_eq(collect_rig_run(&rig), OK);
    ck_assert_uint_eq(rig.report.deleted.n, 1);
    ck_assert(collect_rig_has(&rig, &content));
    collect_rig_age(&rig);
    ck_assert_int_eq(collect_rig_run(&rig), OK);
    ck_assert_uint_eq(rig.report.deleted.n, 4);
    collect_rig_clean(&rig);
    collect_rig_close(&rig);
}
END_TEST

/* A run comes and goes while an upload is under way: what it took is told at its end. */
START_TEST(a_run_within_an_upload)
{
    collect_rig_open(&rig);
    (void)collect_rig_upload(&rig, 9, 100); /* so that there is something to condemn */
    struct upload *upload = upload_open(&rig.f.repo, &rig.f.project);
    uint8_t *data = arena_alloc(&rig.f.arena, 6 * MEGABYTES);
    memset(data, 'x', 6 * MEGABYTES);
    for (unsigned i = 0; i < 6; i++)
        data[i * MEGABYTES] = (uint8_t)i;
    struct content content;
    ck_assert_int_eq(upload_write(upload, bytes_of(data, 5 * MEGABYTES + 1)), OK);
    if (_i == 0)
        collect_rig_age(&rig);
    else
        rig.f.clock.ms += COLLECT_RIG_GRACE_MS / 2;
    (void)collect_rig_run(&rig);
    ck_assert_uint_eq(rig.report.deleted.n, _i == 0 ? 5 : 0);
    if (_i == 1) { /* and one that takes something else */
        (void)collect_rig_orphan(&rig, 1);
        rig.f.clock.ms += COLLECT_RIG_GRACE_MS / 4;
        ck_assert_int_eq(collect_rig_run(&rig), OK);
    }
    ck_assert_int_eq(upload_finish(upload, NULL, &content), _i == 0 ? ERR_CONFLICT : OK);
    upload_close(upload);
    collect_rig_close(&rig);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("collect_race");
    TCase *tcase = tcase_create("collect_race");
    tcase_set_timeout(tcase, 60);
    tcase_add_loop_test(tcase, a_session_that_names_a_condemned_upload_waits, 0, 4);
    tcase_add_test(tcase, one_look_a_batch);
    tcase_add_test(tcase, a_damaged_gc_lets_sessions_wait);
    tcase_add_loop_test(tcase, a_condemned_upload_counts_as_missing, 0, 2);
    tcase_add_test(tcase, a_run_that_has_cooled_condemns_nothing);
    tcase_add_test(tcase, schedule_1_stalled_lander);
    tcase_add_test(tcase, a_record_that_comes_behind_the_second_mark);
    tcase_add_loop_test(tcase, schedule_2_upload_in_flight, 0, 2);
    tcase_add_test(tcase, schedule_3_touch_against_delete);
    tcase_add_test(tcase, schedule_33_young_manifest_with_old_chunks);
    tcase_add_loop_test(tcase, a_run_within_an_upload, 0, 2);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
