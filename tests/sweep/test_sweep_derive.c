/* Fails every store call of a node that tells, reads and merges in turn, in every way a call
 * can fail, and lets another node read what is there: all that was answered once, nothing that
 * was refused, and at no time a number without the one below it. */
#include <fcntl.h>
#include <stdio.h>

#include "formats/base/limits.h"
#include "formats/key.h"
#include "pipeline/derive/log/derive_follow.h"
#include "pipeline/derive/log/derive_merge.h"
#include "pipeline/store/mem.h"
#include "pipeline/sys/log.h"
#include "tests/support/derive_rig.h"
#include "tests/support/faulty.h"
#include "tests/support/suite.h"

#define CALLS_MAX 200u
#define OLD_MS    3600000u
#define STEPS_MAX 200u
#define OLD       7u /* objects that are merged */
#define TELLS     6u
#define SEEDS     500u

struct scene {
    struct derive_rig rig;
    struct derive_node node;
    struct id16 project;
    char name[100];
    struct derive_outcome told[TELLS];
    bool refused[TELLS];
};

/* --- what a reader finds --- */

struct found {
    struct derive_cursor cursor;
    unsigned old[OLD];
    unsigned told[TELLS];
};

static int take(void *arg, const struct derive_object *object, struct bytes encoded UNUSED)
{
    struct found *found = arg;
    for (uint32_t i = 0; i < object->n; i++) {
        uint64_t n = derive_leaf_number(&object->items[i]);
        ck_assert(n < OLD || (n >= 100 && n < 100 + TELLS));
        if (n < OLD)
            found->old[n]++;
        else
            found->told[n - 100]++;
    }
    return OK;
}

static void found_check(const struct scene *s, const struct found *found)
{
    for (unsigned i = 0; i < OLD; i++)
        ck_assert_msg(found->old[i] == 1, "%s: an old one came %u times", s->name,
                      found->old[i]);
    for (unsigned i = 0; i < TELLS; i++) {
        unsigned n = found->told[i];
        bool good = s->refused[i] || s->told[i].told == 0 ? n <= 1
                    : s->told[i].err == OK                ? n == 1
                    : s->told[i].err == ERR_AGAIN         ? n == 0
                                                          : n <= 1;
        ck_assert_msg(good, "%s: number %u, which was told %d, came %u times", s->name, i,
                      s->told[i].err, n);
    }
    for (size_t i = 0; i < found->cursor.n; i++)
        ck_assert_msg(found->cursor.agents[i].n_holes == 0, "%s: a hole", s->name);
}

static void reader_check(struct scene *s, struct derive_node *node)
{
    struct found found = {0};
    ck_assert_int_eq(derive_follow(&node->repo, &s->project, &found.cursor, take, &found), OK);
    found_check(s, &found);
    derive_cursor_release(&found.cursor);
}

/* --- the node that has bad luck --- */

/* Number 27: what is below it lies there when a number is put. */
static void watch(void *arg, uint64_t call UNUSED, const struct store_op *op)
{
    struct scene *s = arg;
    uint64_t agent;
    uint64_t seq;
    if (op == NULL || op->verb != STORE_PUT || key_derive_parse(op->key, &agent, &seq) != OK ||
        seq == 1)
        return;
    struct key below = key_derive(&s->project, agent, seq - 1);
    ck_assert_msg(store_get(s->rig.mem, below.s, range_none(), NULL, NULL, NULL) == OK,
                  "%s: number %llu is put before the one below it", s->name,
                  (unsigned long long)seq);
}

static void tell(struct scene *s, unsigned i)
{
    struct clock_manual *clock = &s->rig.clock;
    if (derive_node_tell(&s->node, 1, 100 + i, &s->told[i]) != OK) {
        s->refused[i] = true;
        return;
    }
    for (unsigned step = 0; step < STEPS_MAX && s->told[i].told == 0; step++) {
        uint64_t wait_us = derive_log_wait_us(s->node.log);
        clock->us += wait_us == UINT64_MAX ? 0 : wait_us;
        (void)!derive_log_step(s->node.log);
    }
    ck_assert_msg(s->told[i].told == 1, "%s: nobody is told", s->name);
}

static int merge(struct scene *s, struct derive_node *node)
{
    static const struct derive_merge_options options = {
        .age_ms = OLD_MS, .objects_min = 1, .bytes_max = 300};
    struct derive_merge_report report;
    int err = OK;
    for (unsigned i = 0; i < 10 && err == OK; i++) {
        err = derive_merge(&node->repo, &s->project, &options, &report);
        if (report.segments + report.deleted == 0)
            break;
    }
    return err;
}

static void node_runs(struct scene *s)
{
    struct found found = {0};
    for (unsigned i = 0; i < TELLS; i++) {
        tell(s, i);
        if (i == 1)
            (void)!merge(s, &s->node);
        if (i == 1 || i == 3)
            (void)!derive_follow(&s->node.repo, &s->project, &found.cursor, take, &found);
    }
    /* It reads on, whatever happened before. */
    if (derive_follow(&s->node.repo, &s->project, &found.cursor, take, &found) == OK)
        found_check(s, &found);
    derive_cursor_release(&found.cursor);
}

/* One call fails, or by chance many do. Gives how many calls there were, until the fault or in
 * all. */
static uint64_t scene_run(uint64_t call, enum fault fault, uint64_t seed)
{
    static const unsigned odds[FAULTS] = {[FAULT_AGAIN] = 100,
                                          [FAULT_UNKNOWN_DONE] = 100,
                                          [FAULT_UNKNOWN_LOST] = 100,
                                          [FAULT_UNKNOWN_LATE] = 100};
    struct scene s = {.project = derive_project(1)};
    struct derive_node old;
    struct derive_node after;
    (void)snprintf(s.name, sizeof(s.name), "call %llu: %s, seed %llu", (unsigned long long)call,
                   fault_name(fault), (unsigned long long)seed);
    derive_rig_open(&s.rig);
    mem_store_date(s.rig.mem, &s.rig.clock.clock);
    derive_node_open(&old, &s.rig, NULL, MIB, MIB);
    for (unsigned i = 0; i < OLD; i++)
        derive_node_put(&old, &s.rig, 1, i);
    s.rig.clock.ms += OLD_MS + 1;
    derive_node_open(&s.node, &s.rig, NULL, MIB, MIB);
    faulty_watch(s.node.faulty, watch, &s);
    if (seed == 0)
        faulty_plan(s.node.faulty, call, fault);
    else
        faulty_chance(s.node.faulty, seed, odds);
    node_runs(&s);
    uint64_t calls = faulty_calls(s.node.faulty);
    derive_node_open(&after, &s.rig, NULL, MIB, MIB);
    reader_check(&s, &after);
    faulty_flush(s.node.faulty);
    reader_check(&s, &after);
    s.rig.clock.ms += OLD_MS + 1;
    ck_assert_int_eq(merge(&s, &after), OK);
    reader_check(&s, &after);
    struct store_key *keys;
    size_t n = derive_rig_keys(&s.rig, key_derive_prefix(&s.project).s, &keys);
    ck_assert_msg(n == derive_rig_keys(&s.rig, key_derive_segment_prefix(&s.project).s, &keys),
                  "%s: not all is merged", s.name);
    derive_node_close(&after);
    derive_node_close(&s.node);
    derive_node_close(&old);
    derive_rig_close(&s.rig);
    return calls;
}

static void quiet(void)
{
    int fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
    ck_assert_int_ge(fd, 0);
    log_to_fd(fd);
}

START_TEST(nothing_is_lost_doubled_or_out_of_order)
{
    quiet();
    uint64_t calls = scene_run(CALLS_MAX + 1, FAULT_NONE, 0);
    ck_assert_uint_gt(calls, 20);
    ck_assert_uint_lt(calls, CALLS_MAX);
    for (unsigned fault = FAULT_NONE + 1; fault < FAULTS; fault++) {
        for (uint64_t call = 1; call <= calls; call++)
            (void)scene_run(call, (enum fault)fault, 0);
    }
    printf("sweep: %llu calls, each in %u ways\n", (unsigned long long)calls, FAULTS - 1);
}
END_TEST

START_TEST(nor_when_many_calls_fail)
{
    quiet();
    for (uint64_t seed = 1; seed <= SEEDS; seed++)
        (void)scene_run(0, FAULT_NONE, seed);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {nothing_is_lost_doubled_or_out_of_order,
                                  nor_when_many_calls_fail};
    return suite_run("sweep_derive", tests, ARRAY_LEN(tests));
}
