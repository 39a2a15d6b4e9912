/* Fails every store call of a collection in turn, in every way a call can fail, and at every
 * call lets others land, upload and name what it is about to take: nothing that was landed or
 * told of is lost, and in the end all that may go is gone. */
#include <check.h>
#include <stdio.h>

#include "formats/base/err.h"
#include "pipeline/repo/collect/collect.h"
#include "tests/support/collect_rig.h"
#include "tests/support/faulty.h"
#include "tests/support/suite.h"

/* No collection of a scene makes more calls than this. */
#define CALLS_MAX 200u

static struct collect_rig rig;
static struct forge collector;
static struct store *faulty;
static struct content kept;   /* landed */
static struct content queued; /* named by what waits in the queue */
static struct content lost;   /* that nothing names */
static struct key orphan;
static struct draft waiting;
static struct id16 waiting_request;

static void scene_open(void)
{
    struct draft draft;
    collect_rig_open(&rig);
    kept = collect_rig_upload(&rig, 1, 1000);
    queued = collect_rig_upload(&rig, 2, 1000);
    lost = collect_rig_upload(&rig, 3, 1000);
    struct id16 request = collect_rig_submit(&rig.f, "kept", &kept, &draft);
    (void)forge_drain(&rig.f);
    ck_assert_int_eq(forge_answer(&rig.f, &draft.session.id, &request).verdict, VERDICT_LANDED);
    waiting_request = collect_rig_submit(&rig.f, "queued", &queued, &waiting);
    orphan = collect_rig_orphan(&rig, 1);
    collect_rig_age(&rig);
    faulty = faulty_store_open(rig.f.trace);
    forge_join(&collector, &rig.f, faulty);
    faulty_reset(faulty);
}

static void scene_close(void)
{
    forge_release(&collector);
    store_close(faulty);
    collect_rig_close(&rig);
}

/* Time goes by where somebody sleeps, and then for both. */
static void clocks_join(void)
{
    struct clock_manual *here = &rig.f.clock;
    struct clock_manual *there = &collector.clock;
    here->ms = there->ms = here->ms > there->ms ? here->ms : there->ms;
}

static int collect(void)
{
    const struct collect_options options = {.grace_ms = COLLECT_RIG_GRACE_MS};
    clocks_join();
    int err = collect_run(&collector.repo, &rig.f.project, &options, &rig.report);
    clocks_join();
    return err;
}

/* What must be there is; and the session in the queue has landed, or lands. */
static void scene_check(const char *name)
{
    (void)forge_drain(&rig.f);
    ck_assert_msg(collect_rig_has(&rig, &kept) && collect_rig_has(&rig, &queued),
                  "%s: an upload that is named is gone", name);
    struct landing landing = forge_answer(&rig.f, &waiting.session.id, &waiting_request);
    ck_assert_msg(landing.verdict == VERDICT_LANDED, "%s: refused", name);
}

/* Until nothing is open and nothing that may go is left. */
static void scene_end(const char *name)
{
    const struct collect_options options = {.grace_ms = COLLECT_RIG_GRACE_MS};
    faulty_reset(faulty);
    faulty_flush(faulty);
    ck_assert_int_eq(collect(), OK);
    if (rig.report.end == COLLECT_BUSY) {
        struct id16 run = rig.report.run;
        ck_assert_int_eq(
            collect_resume(&collector.repo, &rig.f.project, &run, &options, &rig.report), OK);
    }
    for (unsigned i = 0; i < 2; i++) {
        rig.f.clock.ms += COLLECT_COOL_MS + 1;
        collect_rig_age(&rig);
        ck_assert_int_eq(collect(), OK);
    }
    ck_assert_int_eq(rig.report.end, COLLECT_DONE);
    ck_assert_msg(rig.report.young.n + rig.report.old.n == 0, "%s: something is left", name);
    ck_assert(!collect_rig_there(&rig, &orphan));
    scene_check(name);
    collect_rig_clean(&rig);
}

/* --- failing --- */

START_TEST(each_call_fails)
{
    enum fault fault = (enum fault)_i;
    uint64_t calls = 0;
    for (uint64_t call = 1; call <= CALLS_MAX && (calls == 0 || call <= calls); call++) {
        char name[100];
        (void)snprintf(name, sizeof(name), "call %llu: %s", (unsigned long long)call,
                       fault_name(fault));
        scene_open();
        faulty_plan(faulty, call, fault);
        int err = collect();
        if (faulty_hits(faulty, fault) == 0)
            calls = call - 1;
        bool told = err == OK || err == ERR_AGAIN || err == ERR_UNKNOWN || err == ERR_CORRUPT;
        ck_assert_msg(told, "%s: %s", name, err_name(err));
        /* What is late comes while the names are still kept from use. */
        faulty_reset(faulty);
        faulty_flush(faulty);
        scene_end(name);
        scene_close();
    }
    ck_assert_uint_gt(calls, 20);
}
END_TEST

/* --- meanwhile --- */

static struct draft late;
static struct id16 late_request;
static bool late_submitted;
static bool late_uploaded;
static uint64_t meanwhile_at;
static void (*meanwhile)(void);

static void lands_what_waits(void)
{
    (void)forge_drain(&rig.f);
}

/* A client uploads what nothing names, and lands it. */
static void uploads_and_lands(void)
{
    struct content content;
    int err = collect_rig_try_upload(&rig.f, 3, 1000, &content);
    ck_assert(err == OK || err == ERR_CONFLICT);
    if (err != OK)
        return;
    late_request = collect_rig_submit(&rig.f, "late", &content, &late);
    late_submitted = true;
    (void)forge_drain(&rig.f);
}

/* The same, and it names what it was told is there when the collection is long over. */
static void uploads_only(void)
{
    struct content content;
    int err = collect_rig_try_upload(&rig.f, 3, 1000, &content);
    ck_assert(err == OK || err == ERR_CONFLICT);
    late_uploaded = err == OK;
}

/* The same, and a drain comes only afterwards. */
static void uploads_and_names(void)
{
    struct content content;
    int err = collect_rig_try_upload(&rig.f, 3, 1000, &content);
    ck_assert(err == OK || err == ERR_CONFLICT);
    if (err != OK)
        return;
    late_request = collect_rig_submit(&rig.f, "late", &content, &late);
    late_submitted = true;
}

/* A client relies on what somebody has uploaded long ago: a front looks, as it does. */
static void names_what_is_there(void)
{
    const struct condemned *now;
    bool missing;
    ck_assert_int_eq(condemned_read(&rig.f.repo, &rig.f.project, &now), OK);
    ck_assert_int_eq(
        blob_missing(&rig.f.repo, &rig.f.project, now, &lost.hash, 1, &missing, NULL), OK);
    condemned_drop(now);
    if (missing)
        return;
    late_request = collect_rig_submit(&rig.f, "late", &lost, &late);
    late_submitted = true;
}

static void folds(void)
{
    struct draft draft = draft_open(&rig.f, "ann", "open", forge_position(&rig.f));
    draft_put(&draft, "open", kept, seen_text(NULL));
    forge_write(&rig.f, &draft);
    rig.f.clock.ms += rig.f.land_options.fold_after_ms + 1;
    (void)forge_drain(&rig.f);
}

static void (*const deeds[])(void) = {lands_what_waits, uploads_and_lands,   uploads_and_names,
                                      uploads_only,     names_what_is_there, folds};

static void watch(void *arg, uint64_t call, const struct store_op *op)
{
    (void)arg;
    (void)op;
    if (call != meanwhile_at || meanwhile == NULL)
        return;
    void (*now)(void) = meanwhile;
    meanwhile = NULL;
    clocks_join();
    now();
    clocks_join();
}

START_TEST(others_go_on_at_each_call)
{
    bool more = true;
    for (uint64_t call = 1; call <= CALLS_MAX && more; call++) {
        char name[100];
        (void)snprintf(name, sizeof(name), "call %llu, deed %d", (unsigned long long)call, _i);
        scene_open();
        late_submitted = false;
        late_uploaded = false;
        meanwhile_at = call;
        meanwhile = deeds[_i];
        faulty_watch(faulty, watch, NULL);
        int err = collect();
        ck_assert_msg(err == OK && rig.report.end == COLLECT_DONE, "%s: %s", name,
                      err_name(err));
        more = meanwhile == NULL;
        meanwhile = NULL;
        scene_check(name);
        if (late_uploaded) {
            late_request = collect_rig_submit(&rig.f, "late", &lost, &late);
            late_submitted = true;
        }
        if (late_submitted) {
            (void)forge_drain(&rig.f);
            struct landing landing = forge_answer(&rig.f, &late.session.id, &late_request);
            ck_assert_msg(landing.verdict == VERDICT_LANDED, "%s: late, refused", name);
        }
        collect_rig_clean(&rig);
        scene_end(name);
        scene_close();
    }
    ck_assert(!more);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("sweep_collect");
    TCase *tcase = tcase_create("sweep_collect");
    tcase_set_timeout(tcase, 240);
    tcase_add_loop_test(tcase, each_call_fails, FAULT_AGAIN, FAULTS);
    tcase_add_loop_test(tcase, others_go_on_at_each_call, 0, (int)ARRAY_LEN(deeds));
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
