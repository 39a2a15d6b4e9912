#include <fcntl.h>
#include <stdlib.h>

#include "formats/key.h"
#include "pipeline/repo/history/rollup_list.h"
#include "pipeline/repo/history/rollup_read.h"
#include "pipeline/stages/rollup_project.h"
#include "pipeline/stages/stages.h"
#include "pipeline/sys/log.h"
#include "tests/support/chance.h"
#include "tests/support/log_maker.h"
#include "tests/support/suite.h"

static void log_be_quiet(void)
{
    int fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
    ck_assert_int_ge(fd, 0);
    log_to_fd(fd);
}

static struct stage *stage_open(struct build_chain *bc, bool rebuild)
{
    struct rollup_options options = {.rebuild = rebuild};
    return stage_rollup_open(&bc->repo, &options);
}

/* Runs until there is nothing to do; gives how many it put. */
static unsigned run_all(struct build_chain *bc, bool rebuild)
{
    struct stage *stage = stage_open(bc, rebuild);
    unsigned put = 0;
    int did;
    while ((did = stage->run(stage)) > 0)
        put += (unsigned)did;
    ck_assert_int_eq(did, 0);
    stage->close(stage);
    return put;
}

/* All there are of a level, as "1-101 101-201 ". */
static const char *rollups_of(struct build_chain *bc, unsigned level)
{
    struct rollup_ref *refs;
    size_t n;
    const char *text = "";
    ck_assert_int_eq(
        rollup_list(&bc->repo, &bc->project, level, 1, UINT64_MAX, &bc->arena, &refs, &n), OK);
    for (size_t i = 0; i < n; i++)
        text = arena_printf(&bc->arena, "%s%llu-%llu ", text, (unsigned long long)refs[i].first,
                            (unsigned long long)refs[i].end);
    return text;
}

/* ---- against the log ---- */

struct misses {
    struct rollup_reader *reader;
    uint64_t end;
    uint64_t asked;
    uint64_t missed;
    uint64_t ranges;
};

static void ask(void *arg, uint64_t position, uint64_t key)
{
    struct misses *misses = arg;
    struct rollup_range range;
    bool found = false;
    rollup_reader_ask(misses->reader, key, 0, misses->end);
    while (rollup_reader_next(misses->reader, &range)) {
        found = found || (range.from <= position && position < range.end);
        misses->ranges++;
    }
    misses->missed += !found;
    misses->asked++;
}

/* Every key of some positions is found; and nothing is "may contain" for want of a filter. */
static void keys_check(struct log_maker *m, struct chance *chance)
{
    struct misses misses = {.reader = rollup_reader_open(&m->bc.repo, &m->bc.project),
                            .end = m->end};
    struct rollup_range range;
    log_maker_keys(m, 0, 1, ask, &misses);
    for (unsigned i = 0; i < 10; i++) {
        uint64_t position = chance_below(chance, m->end);
        log_maker_keys(m, position, position + 1, ask, &misses);
    }
    ck_assert_uint_eq(misses.missed, 0);
    uint64_t wrong = 0;
    for (unsigned i = 0; i < 100; i++) {
        rollup_reader_ask(misses.reader, chance_u64(chance), 0, m->end);
        while (rollup_reader_next(misses.reader, &range))
            wrong += range.end - range.from;
    }
    /* A false positive in a thousand questions of each column. */
    ck_assert_uint_le(wrong, 2000 + m->end / 2);
    rollup_reader_close(misses.reader);
}

/* ---- which there are ---- */

START_TEST(columns_of_a_group)
{
    static const struct {
        unsigned level;
        uint64_t number, full;
        unsigned columns;
    } cases[] = {
        {1, 0, 1, 1},      {1, 0, 2, 2},       {1, 0, 3, 2},      {1, 2, 3, 1},
        {1, 0, 64, 64},    {1, 0, 99, 64},     {1, 64, 99, 32},   {1, 96, 99, 2},
        {1, 98, 99, 1},    {1, 0, 100, 100},   {1, 0, 1000, 100}, {1, 100, 101, 1},
        {2, 300, 364, 64}, {2, 200, 300, 100}, {3, 0, 250, 1},    {3, 100, 101, 1},
        {1, 96, 100, 4},   {1, 64, 100, 32},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        ck_assert_msg(rollup_columns_at(cases[i].level, cases[i].number, cases[i].full) ==
                          cases[i].columns,
                      "case %zu", i);
    for (uint64_t full = 1; full < 250; full++) {
        unsigned objects = 0;
        for (uint64_t at = 0; at < full; objects++)
            at += rollup_columns_at(1, at, full);
        ck_assert_uint_le(objects, full / 100 + 6);
    }
}
END_TEST

START_TEST(they_follow_the_log)
{
    struct chance chance;
    struct log_maker m;
    chance_init(&chance, "they_follow_the_log");
    log_maker_init(&m, chance_u64(&chance), 2, 3000);
    ck_assert_uint_eq(run_all(&m.bc, false), 0);
    static const struct {
        uint64_t end;
        const char *level_1;
        const char *level_2;
    } steps[] = {
        {101, "1-101 ", ""},
        {201, "1-201 ", ""},
        {301, "1-201 201-301 ", ""},
        {401, "1-401 ", ""},
        {1001, "1-801 801-1001 ", ""},
        {9901, "1-6401 6401-9601 9601-9801 9801-9901 ", ""},
        {10001, "1-10001 ", "1-10001 "},
        {10101, "1-10001 10001-10101 ", "1-10001 "},
        {30301, "1-10001 10001-20001 20001-30001 30001-30201 30201-30301 ",
         "1-20001 20001-30001 "},
    };
    struct stage *stage = stage_open(&m.bc, false);
    for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
        log_maker_grow(&m, steps[i].end);
        /* It rests when nothing has happened, so a few runs may do nothing. */
        for (unsigned runs = 0; runs < 6; runs++)
            ck_assert_int_ge(stage->run(stage), 0);
        ck_assert_str_eq(rollups_of(&m.bc, 1), steps[i].level_1);
        ck_assert_str_eq(rollups_of(&m.bc, 2), steps[i].level_2);
        ck_assert_str_eq(rollups_of(&m.bc, 3), "");
        keys_check(&m, &chance);
        ck_assert_uint_eq(run_all(&m.bc, false), 0);
    }
    stage->close(stage);
    log_maker_release(&m);
}
END_TEST

START_TEST(a_million)
{
    struct chance chance;
    struct log_maker m;
    chance_init(&chance, "a_million");
    log_maker_init(&m, chance_u64(&chance), 0, 1);
    log_maker_grow(&m, 1000001);
    struct stage *stage = stage_open(&m.bc, false);
    ck_assert_int_eq(stage->run(stage), 10); /* of 100 columns each, and then it is enough */
    stage->close(stage);
    ck_assert_uint_eq(run_all(&m.bc, false), 90 + 1 + 1);
    ck_assert_str_eq(rollups_of(&m.bc, 2), "1-1000001 ");
    ck_assert_str_eq(rollups_of(&m.bc, 3), "1-1000001 ");
    keys_check(&m, &chance);
    /* The one above is made by itself, too. */
    struct key key = key_rollup(&m.bc.project, 3, 1, 1000001);
    AUTO_BUF before = {0};
    AUTO_BUF after = {0};
    ck_assert_int_eq(store_get(m.bc.mem, key.s, range_all(), &before, NULL, NULL), OK);
    ck_assert_int_eq(store_delete(m.bc.mem, key.s), OK);
    ck_assert_uint_eq(run_all(&m.bc, false), 1);
    ck_assert_int_eq(store_get(m.bc.mem, key.s, range_all(), &after, NULL, NULL), OK);
    ck_assert(bytes_equal(buf_bytes(&before), buf_bytes(&after)));
    log_maker_release(&m);
}
END_TEST

/* ---- what it costs ---- */

START_TEST(what_a_run_costs)
{
    struct log_maker m;
    log_maker_init(&m, 1, 2, 3000);
    log_maker_grow(&m, 10301);
    (void)run_all(&m.bc, false);
    build_chain_cold(&m.bc);
    struct stage *stage = stage_open(&m.bc, false);
    ck_assert_int_eq(stage->run(stage), 0);
    struct trace_counts counts = build_chain_counts(&m.bc);
    /* Handles, the log, two levels; the third has nothing yet. */
    ck_assert_uint_eq(counts.lists, 4);
    ck_assert_uint_eq(counts.gets[TRACE_LOG] + counts.gets[TRACE_ROLLUP], 0);
    for (unsigned i = 0; i < 3; i++)
        ck_assert_int_eq(stage->run(stage), 0);
    counts = build_chain_counts(&m.bc);
    ck_assert_uint_eq(counts.lists, 3); /* handles only */
    /* The fourth column: made with the three before it, whose objects go. */
    log_maker_grow(&m, 10401);
    int did = 0;
    for (unsigned i = 0; i < 5 && did == 0; i++) {
        (void)build_chain_counts(&m.bc);
        did = stage->run(stage);
    }
    ck_assert_int_eq(did, 1);
    counts = build_chain_counts(&m.bc);
    ck_assert_uint_eq(counts.lists, 3);
    ck_assert_uint_eq(counts.gets[TRACE_LOG], 4);
    ck_assert_uint_eq(counts.puts[TRACE_ROLLUP], 1);
    ck_assert_uint_eq(counts.gets[TRACE_ROLLUP], 1);
    ck_assert_uint_eq(counts.deletes[TRACE_ROLLUP], 2);
    stage->close(stage);
    log_maker_release(&m);
}
END_TEST

/* ---- what lies there already ---- */

START_TEST(two_at_once_do_no_harm)
{
    struct chance chance;
    struct log_maker m;
    chance_init(&chance, "two_at_once_do_no_harm");
    log_maker_init(&m, chance_u64(&chance), 2, 3000);
    struct stage *stages[] = {stage_open(&m.bc, false), stage_open(&m.bc, false)};
    for (uint64_t end = 201; end < 11000; end += 100 * (1 + chance_below(&chance, 12))) {
        log_maker_grow(&m, end);
        for (unsigned i = 0; i < 4; i++)
            ck_assert_int_ge(stages[0]->run(stages[chance_below(&chance, 2)]), 0);
        keys_check(&m, &chance);
    }
    (void)run_all(&m.bc, false);
    ck_assert_uint_eq(run_all(&m.bc, false), 0);
    for (unsigned i = 0; i < 2; i++)
        stages[i]->close(stages[i]);
    log_maker_release(&m);
}
END_TEST

/* Parts go only where what takes their place is whole. */
START_TEST(nothing_is_deleted_for_what_is_damaged)
{
    struct log_maker m;
    log_be_quiet();
    log_maker_init(&m, 1, 2, 3000);
    log_maker_grow(&m, 301);
    (void)run_all(&m.bc, false);
    struct key key = key_rollup(&m.bc.project, 1, 1, 401);
    ck_assert_int_eq(store_put(m.bc.mem, key.s, bytes_str("other"), PUT_ANY, NULL), OK);
    log_maker_grow(&m, 401);
    (void)run_all(&m.bc, false);
    ck_assert_str_eq(rollups_of(&m.bc, 1), "1-201 1-401 201-301 ");
    /* Whoever makes all anew mends it; then the parts may go. */
    ck_assert_uint_eq(run_all(&m.bc, true), 1);
    ck_assert_str_eq(rollups_of(&m.bc, 1), "1-401 ");
    /* What is not of this stage stays. */
    AUTO_BUF bytes = {0};
    ck_assert_int_eq(store_get(m.bc.mem, key.s, range_all(), &bytes, NULL, NULL), OK);
    key = key_rollup(&m.bc.project, 1, 1, 301);
    ck_assert_int_eq(store_put(m.bc.mem, key.s, buf_bytes(&bytes), PUT_ANY, NULL), OK);
    log_maker_grow(&m, 801);
    (void)run_all(&m.bc, false);
    ck_assert_str_eq(rollups_of(&m.bc, 1), "1-301 1-801 ");
    log_maker_release(&m);
}
END_TEST

START_TEST(rebuild_replaces_what_is_damaged)
{
    struct log_maker m;
    log_be_quiet();
    log_maker_init(&m, 1, 2, 3000);
    log_maker_grow(&m, 20701);
    (void)run_all(&m.bc, false);
    AUTO(arena_release) struct arena arena = {0};
    unsigned n = 0;
    struct key keys[16];
    struct buf bytes[16] = {0};
    for (unsigned level = 1; level <= 2; level++) {
        struct rollup_ref *refs;
        size_t count;
        ck_assert_int_eq(
            rollup_list(&m.bc.repo, &m.bc.project, level, 1, UINT64_MAX, &arena, &refs, &count),
            OK);
        for (size_t i = 0; i < count; i++, n++) {
            keys[n] = key_rollup(&m.bc.project, level, refs[i].first, refs[i].end);
            ck_assert_int_eq(store_get(m.bc.mem, keys[n].s, range_all(), &bytes[n], NULL, NULL),
                             OK);
        }
    }
    ck_assert_uint_eq(n, 2 + 3 + 1);
    build_chain_cold(&m.bc);
    ck_assert_uint_eq(run_all(&m.bc, true), n);
    ck_assert_uint_eq(build_chain_counts(&m.bc).puts[TRACE_ROLLUP], 0);
    for (unsigned i = 0; i < n; i++) {
        build_chain_flip(&m.bc, keys[i].s, -(long)(1 + 700 * i));
        build_chain_cold(&m.bc);
        ck_assert_uint_eq(run_all(&m.bc, false), 0);
        ck_assert_uint_eq(run_all(&m.bc, true), n);
        ck_assert_uint_eq(build_chain_counts(&m.bc).puts[TRACE_ROLLUP], 1);
    }
    ck_assert_int_eq(store_delete(m.bc.mem, keys[0].s), OK);
    ck_assert_uint_eq(run_all(&m.bc, true), n);
    for (unsigned i = 0; i < n; i++) {
        AUTO_BUF now = {0};
        ck_assert_int_eq(store_get(m.bc.mem, keys[i].s, range_all(), &now, NULL, NULL), OK);
        ck_assert(bytes_equal(buf_bytes(&now), buf_bytes(&bytes[i])));
        buf_release(&bytes[i]);
    }
    log_maker_release(&m);
}
END_TEST

START_TEST(a_log_that_is_damaged_holds_up_what_lies_behind)
{
    struct log_maker m;
    log_be_quiet();
    log_maker_init(&m, 1, 2, 3000);
    log_maker_grow(&m, 701);
    struct key key = key_log(&m.bc.project, 501, 601);
    AUTO_BUF segment = {0};
    ck_assert_int_eq(store_get(m.bc.mem, key.s, range_all(), &segment, NULL, NULL), OK);
    build_chain_flip(&m.bc, key.s, -9);
    struct stage *stage = stage_open(&m.bc, false);
    ck_assert_int_eq(stage->run(stage), 0);
    ck_assert_str_eq(rollups_of(&m.bc, 1), "1-401 ");
    ck_assert_int_eq(store_put(m.bc.mem, key.s, buf_bytes(&segment), PUT_ANY, NULL), OK);
    for (unsigned i = 0; i < 4; i++)
        ck_assert_int_ge(stage->run(stage), 0);
    ck_assert_str_eq(rollups_of(&m.bc, 1), "1-401 401-601 601-701 ");
    stage->close(stage);
    log_maker_release(&m);
}
END_TEST

/* ---- with a chain ---- */

static bool may_have(struct build_chain *bc, uint64_t key, uint64_t from, uint64_t end)
{
    struct rollup_reader *reader = rollup_reader_open(&bc->repo, &bc->project);
    struct rollup_range range;
    rollup_reader_ask(reader, key, from, end);
    bool any = rollup_reader_next(reader, &range);
    rollup_reader_close(reader);
    return any;
}

/* Number 38: a request that was refused long ago is found as one that landed is, whatever it
 * was answered, and before the first landing, too. */
START_TEST(schedule_38_every_answer_is_found)
{
    static const enum verdict verdicts[] = {VERDICT_CONFLICTED, VERDICT_REFUSED,
                                            VERDICT_NOT_TRIED, VERDICT_ABANDONED,
                                            VERDICT_LANDED};
    static const char *const early[] = {"early 0", "early 1", "early 2", "early 3"};
    static const char *const later[] = {"later 0", "later 1", "later 2", "later 3", "later 4"};
    struct build_chain bc;
    build_chain_init(&bc);
    for (unsigned i = 0; i < ARRAY_LEN(early); i++) {
        struct build_answer answer = {.verdict = verdicts[i], .key = early[i]};
        build_chain_put(&bc, &answer, 1);
    }
    build_chain_put(&bc, arena_array(&bc.arena, 130, struct build_answer), 130);
    for (unsigned i = 0; i < ARRAY_LEN(later); i++) {
        struct build_answer answer = {.verdict = verdicts[i], .key = later[i], .base = 130};
        build_chain_put(&bc, &answer, 1);
    }
    build_chain_put(&bc, arena_array(&bc.arena, 270, struct build_answer), 270);
    struct stage *append = stage_append_open(&bc.repo);
    while (append->run(append) > 0) {
    }
    append->close(append);
    ck_assert_uint_eq(run_all(&bc, false), 1);
    ck_assert_str_eq(rollups_of(&bc, 1), "1-401 ");
    for (unsigned i = 0; i < ARRAY_LEN(early); i++) {
        struct id16 sid = build_chain_session(&bc, early[i], 0);
        ck_assert(may_have(&bc, rollup_key_session(&sid), 0, 1));
        ck_assert(!may_have(&bc, rollup_key_session(&sid), 101, 401));
    }
    for (unsigned i = 0; i < ARRAY_LEN(later); i++) {
        struct id16 sid = build_chain_session(&bc, later[i], 130);
        ck_assert(may_have(&bc, rollup_key_session(&sid), 130, 132));
        ck_assert(!may_have(&bc, rollup_key_session(&sid), 0, 101));
    }
    build_chain_release(&bc);
}
END_TEST

int main(void)
{
    const TTest *tests[] = {
        columns_of_a_group,
        they_follow_the_log,
        a_million,
        what_a_run_costs,
        two_at_once_do_no_harm,
        nothing_is_deleted_for_what_is_damaged,
        rebuild_replaces_what_is_damaged,
        a_log_that_is_damaged_holds_up_what_lies_behind,
        schedule_38_every_answer_is_found,
    };
    return suite_run("rollup_stage", tests, ARRAY_LEN(tests));
}
