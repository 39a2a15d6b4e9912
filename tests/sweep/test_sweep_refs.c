/* Fails every store call of a project's first bind in turn, and of one that compares and sets,
 * in every way a call can fail, and lets another process go on: what was answered holds, the
 * tree of references is made whole, and nothing is damaged. */
#include <check.h>
#include <fcntl.h>
#include <stdio.h>

#include "pipeline/derive/refs/refs_history.h"
#include "pipeline/sys/log.h"
#include "tests/support/faulty.h"
#include "tests/support/fsck_rig.h"
#include "tests/support/ref_rig.h"
#include "tests/support/suite.h"

#define CALLS_MAX  200u
#define ROUNDS_MAX 20u

/* As long as it takes, unless the process is dead. */
static void settle(struct ref_rig *rig)
{
    for (unsigned i = 0; i < ROUNDS_MAX; i++) {
        (void)!service_step(rig->front.service);
        (void)!rig->forge.land->run(rig->forge.land);
    }
}

static struct hash address_now(struct ref_rig *rig, const char *name)
{
    struct hash address = {{0}};
    struct refs_snapshot *snap =
        service_refs_snapshot(rig->front.service, &(struct caller){0}, &rig->forge.project);
    int err = refs_snapshot_bound(snap, bytes_str(name), &address);
    ck_assert(err == OK || err == ERR_NOT_FOUND);
    refs_snapshot_close(snap);
    return address;
}

/* Whether it was said that it is bound. */
static bool answered(const struct ref_reply *reply)
{
    return reply->err == OK && reply->calls == 1 && !reply->pending;
}

static void clean_check(struct store *store, struct clock_manual *clock, const char *name)
{
    struct fsck_result found;
    clock->ms += 600000;
    fsck_rig_run(store, &clock->clock, true, 0, &found);
    ck_assert_msg(found.err == OK && found.counts.damages == 0, "%s: %s", name,
                  fsck_rig_text(&found));
}

/* Every value that the name had is one that was meant. */
static void history_check(struct ref_rig *rig, const struct hash *one, const struct hash *two)
{
    struct refs_history history;
    ck_assert_int_eq(refs_history(&rig->forge.repo, &rig->forge.project, bytes_str("a"),
                                  UINT64_MAX, 100, &rig->arena, &history),
                     OK);
    for (size_t i = 0; i < history.n; i++) {
        const struct hash *address = &history.changes[i].address;
        ck_assert(history.changes[i].bound &&
                  (hash_equal(address, one) || hash_equal(address, two)));
    }
}

/* `rebinds`: the ref is there, and is bound anew by compare and set. Gives how many calls there
 * were, until the fault or in all. */
static uint64_t scene_run(bool rebinds, uint64_t call, enum fault fault)
{
    struct ref_rig rig;
    struct ref_rig next;
    struct hash one = ref_rig_leaf(1);
    struct hash two = ref_rig_leaf(2);
    struct ref_expected is_one = ref_bound_to(&one);
    const struct hash *wanted = rebinds ? &two : &one;
    const struct ref_expected *expected = rebinds ? &is_one : &ref_unbound;
    char name[100];
    (void)snprintf(name, sizeof(name), "call %llu: %s", (unsigned long long)call,
                   fault_name(fault));
    ref_rig_open(&rig);
    if (rebinds)
        (void)ref_rig_bind(&rig, "a", &one);
    struct store *faulty = faulty_store_open(rig.forge.mem);
    struct store *trace = rig.forge.repo.store;
    struct ref_reply reply;
    faulty_plan(faulty, call, fault);
    rig.forge.repo.store = faulty;
    ref_rig_send(&rig, "a", wanted, expected, &reply);
    settle(&rig);
    uint64_t calls = faulty_calls(faulty);
    rig.forge.repo.store = trace;
    ref_rig_join(&next, &rig);
    if (answered(&reply)) {
        struct hash there = address_now(&next, "a");
        ck_assert_msg(hash_equal(&there, wanted), "%s: what was answered is not so", name);
    }
    faulty_reset(faulty);
    faulty_flush(faulty);
    settle(&next);
    struct ref_reply again = ref_rig_put(&next, "a", wanted, expected);
    ck_assert_msg(again.err == OK, "%s: %s", name, again.problem.message);
    ref_rig_is(&next, "a", wanted);
    (void)ref_rig_bind(&next, "b", &one);
    history_check(&next, &one, wanted);
    clean_check(rig.forge.mem, &next.forge.clock, name);
    ref_rig_close(&next);
    ref_rig_close(&rig);
    store_close(faulty);
    return calls;
}

static void scene_sweep(bool rebinds)
{
    int fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
    ck_assert_int_ge(fd, 0);
    log_to_fd(fd);
    uint64_t calls = scene_run(rebinds, CALLS_MAX + 1, FAULT_NONE);
    ck_assert_uint_gt(calls, 5);
    ck_assert_uint_lt(calls, CALLS_MAX);
    for (unsigned fault = FAULT_NONE + 1; fault < FAULTS; fault++) {
        for (uint64_t call = 1; call <= calls; call++)
            (void)scene_run(rebinds, call, (enum fault)fault);
    }
    printf("sweep: %llu calls, each in %u ways\n", (unsigned long long)calls, FAULTS - 1);
}

START_TEST(the_first_bind)
{
    scene_sweep(false);
}
END_TEST

START_TEST(a_bind_that_compares)
{
    scene_sweep(true);
}
END_TEST

int main(void)
{
    const TTest *tests[] = {the_first_bind, a_bind_that_compares};
    return suite_run("sweep_refs", tests, ARRAY_LEN(tests));
}
