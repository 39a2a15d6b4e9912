/* Fails every store call of a landing round in turn, in every way a call can fail, and lets
 * another process go on: whatever broke, each request has one answer in the end, and the chain
 * is what a serial model says. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "formats/key.h"
#include "pipeline/repo/tree/page_cache.h"
#include "tests/support/faulty.h"
#include "tests/support/forge.h"
#include "tests/support/oracle.h"

/* Rounds that a process with a fault gets before it is given up. */
#define ROUNDS_MAX 20
#define LEASE_MS   10000u
/* No scenario makes more calls than this. */
#define CALLS_MAX 2000

enum { requests_max = 16 };

struct scene {
    struct forge forge;
    struct {
        struct id16 session;
        struct id16 request;
    } asked[requests_max];
    size_t n_asked;
};

static void ask(struct scene *s, const struct draft *d, struct id16 request)
{
    ck_assert_uint_lt(s->n_asked, requests_max);
    s->asked[s->n_asked].session = d->session.id;
    s->asked[s->n_asked++].request = request;
}

static int id_order(const void *a, const void *b)
{
    return id16_compare(a, b);
}

/* Every kind of work that a drain can find: whole sessions that land and conflict, a series
 * that ends, open sessions that land, conflict, are abandoned, and are to be folded. */
static void scene_open(struct scene *s)
{
    *s = (struct scene){0};
    struct forge *f = &s->forge;
    forge_init(f);
    forge_land_text(f, "base", "dir/base", "0", NULL);
    forge_land_text(f, "two", "two/base", "0", NULL);
    struct draft folded = draft_open(f, "ann", "folded", 1);
    draft_write(&folded, "folded", "1", NULL);
    struct id16 ids[3] = {folded.session.records[0].id, folded.session.records[1].id};
    forge_write(f, &folded);
    struct draft waiting = draft_open(f, "ben", "waiting", 1);
    draft_write(&waiting, "waiting", "1", NULL);
    forge_write(f, &waiting);
    f->clock.ms += 31000;
    forge_drain(f);
    draft_write(&folded, "dir/more", "2", NULL);
    ids[2] = folded.session.records[0].id;
    forge_write(f, &folded);
    draft_write(&waiting, "waiting", "2", NULL);
    forge_write(f, &waiting);
    f->clock.ms += 31000;

    struct draft a = draft_open(f, "ann", "a", 1);
    draft_write(&a, "dir/base", "a", "0");
    ask(s, &a, forge_submit(f, &a, 1));
    struct draft b = draft_open(f, "ben", "b", 1);
    draft_write(&b, "dir/base", "b", "0");
    ask(s, &b, forge_submit(f, &b, 1));
    struct draft series[3];
    for (int i = 0; i < 3; i++)
        series[i] = draft_open(f, "cy", arena_printf(&f->arena, "series%d", i), 1);
    draft_write(&series[0], "series", "0", NULL);
    draft_write(&series[0], "two/more", "0", NULL); /* it can be applied by half */
    draft_write(&series[1], "series", "1", "not so");
    draft_write(&series[2], "series", "2", "1");
    struct id16 request = forge_submit(f, series, 3);
    for (int i = 0; i < 3; i++)
        ask(s, &series[i], request);
    qsort(ids, 3, sizeof(ids[0]), id_order);
    ask(s, &folded, forge_land(f, &folded, ids, 3));
    struct draft open = draft_open(f, "dan", "open", 1);
    draft_write(&open, "dir/base", "d", "0");
    struct id16 open_ids[2] = {open.session.records[0].id, open.session.records[1].id};
    qsort(open_ids, 2, sizeof(open_ids[0]), id_order);
    forge_write(f, &open);
    ask(s, &open, forge_land(f, &open, open_ids, 2));
    struct draft gone = draft_open(f, "eve", "gone", 1);
    draft_write(&gone, "gone", "1", NULL);
    forge_write(f, &gone);
    ask(s, &gone, forge_abandon(f, &gone));
    forge_submit(f, &a, 1); /* a retry */
}

static size_t sessions_in(struct forge *f, enum session_state state)
{
    struct key prefix = key_session_prefix(&f->project);
    struct store_list list;
    size_t n = 0;
    ck_assert_int_eq(store_list(f->trace, &f->arena, prefix.s, "", 100, &list), OK);
    for (size_t i = 0; i < list.n; i++) {
        AUTO_BUF bytes = {0};
        struct session session;
        ck_assert_int_eq(store_get(f->trace, list.keys[i].key, range_all(), &bytes, NULL, NULL),
                         OK);
        ck_assert_int_eq(session_decode(buf_bytes(&bytes), &f->arena, &session), OK);
        n += session.state == state;
    }
    return n;
}

static void answered_once(struct scene *s, struct forge *f)
{
    for (size_t i = 0; i < s->n_asked; i++)
        ck_assert_msg(forge_answers(f, &s->asked[i].session, &s->asked[i].request) == 1,
                      "durable: request %zu has no answer", i);
    ck_assert_uint_eq(forge_count(f, "queue/"), 0);
    /* Which of the three that want it comes first depends on what could be read: a and b, and
     * d. */
    ck_assert_ptr_nonnull(strstr("abd", forge_text(f, "dir/base")));
    ck_assert_str_eq(forge_text(f, "series"), "0");
    ck_assert_str_eq(forge_text(f, "folded"), "1");
    ck_assert_str_eq(forge_text(f, "dir/more"), "2");
    ck_assert_ptr_null(forge_text(f, "gone"));
    /* The conflicted one and the one that nobody landed are open, with all that was written to
     * them. */
    ck_assert_uint_eq(sessions_in(f, SESSION_OPEN), 2);
    ck_assert_uint_eq(sessions_in(f, SESSION_SETTLED), 2);
}

enum sweep_how {
    SWEEP_PLAIN,
    SWEEP_NO_PAGES, /* each look at the tree is a call, so that a fault comes in the middle of a
                       session that is being applied, too */
    SWEEP_LEASES,   /* the drains keep each other off by leases */
};

static void drain_join(struct forge *drain, const struct scene *s, struct store *over,
                       enum sweep_how how)
{
    forge_join(drain, &s->forge, over);
    if (how == SWEEP_NO_PAGES) {
        held_cache_close(drain->repo.pages);
        drain->repo.pages = page_cache_open(0);
    }
    if (how == SWEEP_LEASES) {
        drain->land->close(drain->land);
        drain->land_options.lease_ms = LEASE_MS;
        drain->land = stage_land_open(&drain->repo, &drain->land_options);
    }
}

/* The second drain, once it sees that the first does nothing any more. */
static void take_over(struct forge *drain)
{
    ck_assert_int_eq(forge_drain(drain), 0);
    for (unsigned ms = 0; drain->land->waits; ms += LEASE_MS / 10) {
        ck_assert_uint_le(ms, LEASE_MS);
        drain->clock.us += LEASE_MS * 100;
        ck_assert_int_eq(forge_drain(drain), 0);
    }
}

/* One run with `fault` at call `call`. Gives whether the fault was met. */
static bool run_with(uint64_t call, enum fault fault, enum sweep_how how)
{
    struct scene s;
    struct oracle oracle = {0};
    scene_open(&s);
    oracle_check(&oracle, &s.forge.repo, &s.forge.project);
    struct store *faulty = faulty_store_open(s.forge.trace);
    struct forge first;
    drain_join(&first, &s, faulty, how);
    faulty_reset(faulty);
    faulty_plan(faulty, call, fault);
    for (int i = 0; i < ROUNDS_MAX; i++) {
        int did = first.land->run(first.land);
        ck_assert_msg(did != ERR_CORRUPT, "named: the stage met something corrupt");
        if (did == 0 && faulty_hits(faulty, fault) > 0)
            break;
        if (did == 0) /* a lease is put anew, and released, by and by */
            first.clock.us += LEASE_MS * 400;
    }
    bool met = faulty_hits(faulty, fault) > 0;
    oracle_check(&oracle, &s.forge.repo, &s.forge.project);

    struct forge second;
    drain_join(&second, &s, NULL, how);
    second.clock.ms += 31000; /* what stays open is folded by then */
    take_over(&second);
    oracle_check(&oracle, &second.repo, &s.forge.project);
    faulty_flush(faulty); /* what was late comes now, and must change nothing */
    take_over(&second);
    oracle_check(&oracle, &second.repo, &s.forge.project);
    answered_once(&s, &second);

    forge_release(&second);
    forge_release(&first);
    store_close(faulty);
    oracle_release(&oracle);
    forge_release(&s.forge);
    return met;
}

static void sweep(enum fault fault, enum sweep_how how)
{
    static const char *const hows[] = {"", ", no pages kept", ", with leases"};
    uint64_t call = 1;
    while (run_with(call, fault, how))
        ck_assert_uint_lt(call++, CALLS_MAX);
    printf("%s%s: %lu calls\n", fault_name(fault), hows[how], (unsigned long)call - 1);
    ck_assert_uint_gt(call, 10);
}

START_TEST(test_every_call_fails_in_turn)
{
    sweep((enum fault)_i, SWEEP_PLAIN);
}
END_TEST

START_TEST(test_every_look_at_the_tree_fails_in_turn)
{
    sweep((enum fault)_i, SWEEP_NO_PAGES);
}
END_TEST

START_TEST(test_every_call_fails_in_turn_with_leases)
{
    sweep((enum fault)_i, SWEEP_LEASES);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("sweep_land");
    TCase *tcase = tcase_create("sweep_land");
    tcase_set_timeout(tcase, 120);
    tcase_add_loop_test(tcase, test_every_call_fails_in_turn, FAULT_AGAIN, FAULTS);
    tcase_add_loop_test(tcase, test_every_look_at_the_tree_fails_in_turn, FAULT_AGAIN, FAULTS);
    tcase_add_loop_test(tcase, test_every_call_fails_in_turn_with_leases, FAULT_AGAIN, FAULTS);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
