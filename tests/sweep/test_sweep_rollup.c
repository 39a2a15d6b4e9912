/* Fails every store call of the rollup stage in turn, in every way a call can fail, and lets
 * another process go on: at no time is a key missed, and in the end the same rollups lie there.
 */
#include <check.h>
#include <fcntl.h>
#include <stdio.h>

#include "formats/key.h"
#include "pipeline/repo/history/rollup_list.h"
#include "pipeline/repo/history/rollup_read.h"
#include "pipeline/stages/stages.h"
#include "pipeline/sys/log.h"
#include "tests/support/faulty.h"
#include "tests/support/log_maker.h"
#include "tests/support/suite.h"

/* No scene makes more calls than this. */
#define CALLS_MAX 500u
#define RUNS_MAX  30u

struct scene {
    uint64_t before; /* the log has so much, and all rollups of it lie there */
    uint64_t after;  /* and now so much */
    unsigned effects;
    bool rebuild; /* one of them is damaged, and all are made anew */
    const char *level_1;
    const char *level_2;
};

static void runs(struct log_maker *m, bool rebuild)
{
    struct rollup_options options = {.rebuild = rebuild};
    struct stage *stage = stage_rollup_open(&m->bc.repo, &options);
    for (unsigned i = 0; i < RUNS_MAX && stage->run(stage) > 0; i++) {
    }
    stage->close(stage);
}

static void rollups_check(struct log_maker *m, unsigned level, const char *want,
                          const char *name)
{
    AUTO(arena_release) struct arena arena = {0};
    struct rollup_ref *refs;
    size_t n;
    const char *text = "";
    ck_assert_int_eq(
        rollup_list(&m->bc.repo, &m->bc.project, level, 1, UINT64_MAX, &arena, &refs, &n), OK);
    for (size_t i = 0; i < n; i++)
        text = arena_printf(&arena, "%s%llu-%llu ", text, (unsigned long long)refs[i].first,
                            (unsigned long long)refs[i].end);
    ck_assert_msg(strcmp(text, want) == 0, "%s: level %u has %s", name, level, text);
}

struct misses {
    struct rollup_reader *reader;
    uint64_t end;
    unsigned missed;
};

static void ask(void *arg, uint64_t position, uint64_t key)
{
    struct misses *misses = arg;
    struct rollup_range range;
    bool found = false;
    rollup_reader_ask(misses->reader, key, 0, misses->end);
    while (rollup_reader_next(misses->reader, &range))
        found = found || (range.from <= position && position < range.end);
    misses->missed += !found;
}

static void keys_check(struct log_maker *m, const char *name)
{
    struct misses misses = {.reader = rollup_reader_open(&m->bc.repo, &m->bc.project),
                            .end = m->end};
    log_maker_keys(m, 0, 2, ask, &misses);
    for (uint64_t p = 50; p < m->end; p += m->end / 7)
        log_maker_keys(m, p, p + 1, ask, &misses);
    rollup_reader_close(misses.reader);
    ck_assert_msg(misses.missed == 0, "%s: %u keys are missed", name, misses.missed);
}

/* Gives how many calls there were, until the fault or in all. */
static uint64_t scene_run(const struct scene *scene, uint64_t call, enum fault fault)
{
    struct log_maker m;
    char name[100];
    (void)snprintf(name, sizeof(name), "call %llu: %s", (unsigned long long)call,
                   fault_name(fault));
    log_maker_init(&m, 1, scene->effects, 500);
    log_maker_grow(&m, scene->before);
    runs(&m, false);
    if (scene->rebuild) {
        struct key key = key_rollup(&m.bc.project, 1, 1, 201);
        build_chain_flip(&m.bc, key.s, 4999);
    }
    log_maker_grow(&m, scene->after);
    struct store *faulty = faulty_store_open(m.bc.mem);
    struct store *trace = m.bc.repo.store;
    faulty_plan(faulty, call, fault);
    m.bc.repo.store = faulty;
    runs(&m, scene->rebuild);
    m.bc.repo.store = trace;
    uint64_t calls = faulty_calls(faulty);
    keys_check(&m, name);
    runs(&m, scene->rebuild);
    keys_check(&m, name);
    faulty_reset(faulty);
    faulty_flush(faulty);
    keys_check(&m, name);
    /* An effect that was late may have put what had gone, or taken what had been put. */
    runs(&m, scene->rebuild);
    keys_check(&m, name);
    rollups_check(&m, 1, scene->level_1, name);
    rollups_check(&m, 2, scene->level_2, name);
    store_close(faulty);
    log_maker_release(&m);
    return calls;
}

static void scene_sweep(const struct scene *scene)
{
    int fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
    ck_assert_int_ge(fd, 0);
    log_to_fd(fd);
    uint64_t calls = scene_run(scene, CALLS_MAX + 1, FAULT_NONE);
    ck_assert_uint_gt(calls, 5);
    ck_assert_uint_lt(calls, CALLS_MAX);
    for (unsigned fault = FAULT_NONE + 1; fault < FAULTS; fault++) {
        for (uint64_t call = 1; call <= calls; call++)
            (void)scene_run(scene, call, (enum fault)fault);
    }
    printf("sweep: %llu calls, each in %u ways\n", (unsigned long long)calls, FAULTS - 1);
}

START_TEST(parts_become_one)
{
    static const struct scene scene = {
        .before = 701, .after = 801, .effects = 2, .level_1 = "1-801 ", .level_2 = ""};
    scene_sweep(&scene);
}
END_TEST

START_TEST(a_group_becomes_full)
{
    static const struct scene scene = {.before = 9901,
                                       .after = 10101,
                                       .level_1 = "1-10001 10001-10101 ",
                                       .level_2 = "1-10001 "};
    scene_sweep(&scene);
}
END_TEST

START_TEST(all_are_made_anew)
{
    static const struct scene scene = {.before = 301,
                                       .after = 301,
                                       .effects = 2,
                                       .rebuild = true,
                                       .level_1 = "1-201 201-301 ",
                                       .level_2 = ""};
    scene_sweep(&scene);
}
END_TEST

int main(void)
{
    const TTest *tests[] = {parts_become_one, a_group_becomes_full, all_are_made_anew};
    return suite_run("sweep_rollup", tests, ARRAY_LEN(tests));
}
