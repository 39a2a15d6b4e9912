/* What questions to rollups cost, in reads, lists and rounds. */
#include "pipeline/repo/history/rollup_read.h"

#include "formats/key.h"
#include "tests/support/long_history.h"
#include "tests/support/suite.h"

/* A key that nothing has. */
#define NOWHERE 12345678901234567u

static uint64_t ask(struct rollup_reader *reader, uint64_t key, uint64_t from, uint64_t end)
{
    struct rollup_range range;
    uint64_t ranges = 0;
    rollup_reader_ask(reader, key, from, end);
    while (rollup_reader_next(reader, &range))
        ranges++;
    return ranges;
}

/* A history of 2,636,300 landings, 63 columns over what is full on two levels: more parts than
 * any other number has. */
#define HISTORY 2636301u

static void history_put(struct build_chain *bc)
{
    for (uint64_t first = 1; first < 2000001; first += 1000000) {
        bare_rollup_put(bc, 3, first, 1, 1);
        bare_rollup_put(bc, 2, first, 100, 1);
    }
    for (uint64_t first = 1; first < 2630001; first += 10000)
        bare_rollup_put(bc, 1, first, 100, 1);
    bare_group_put(bc, 2, 2000001, 63, 0);
    bare_group_put(bc, 1, 2630001, 63, 0);
    bare_rollup_put(bc, 1, 2633101, 1, 1); /* left behind: 32 columns take its place */
}

START_TEST(a_question_costs_a_few_reads_whatever_is_asked)
{
    struct build_chain bc;
    build_chain_init(&bc);
    history_put(&bc);
    static const struct {
        uint64_t from;
        uint64_t end;
        uint64_t gets;
        uint64_t lists;
    } cases[] = {
        {0, 1000001, 1, 2},               /* the first million, far from the head */
        {1, 2000001, 2, 1},               /* both */
        {500123, 1499877, 2, 1},          /* the ends of both */
        {123, 124, 1, 2},                 /* one landing */
        {1636301, HISTORY, 1 + 6 + 6, 1}, /* a million, up to the end */
        {HISTORY - 1, HISTORY, 1, 1},     /* the last */
        {2630001, HISTORY, 6, 1},
        {2000001, 2630001, 6, 1},
        {0, HISTORY, 2 + 6 + 6, 1},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct rollup_reader *reader = rollup_reader_open(&bc.repo, &bc.project);
        (void)build_chain_counts(&bc);
        ck_assert_uint_eq(ask(reader, NOWHERE, cases[i].from, cases[i].end), 0);
        struct trace_counts counts = build_chain_counts(&bc);
        ck_assert_msg(counts.gets[TRACE_ROLLUP] == cases[i].gets, "case %zu: %llu gets", i,
                      (unsigned long long)counts.gets[TRACE_ROLLUP]);
        ck_assert_msg(counts.lists == cases[i].lists, "case %zu: %llu lists", i,
                      (unsigned long long)counts.lists);
        ck_assert_uint_eq(counts.bytes_out, cases[i].gets * ROLLUP_SECTOR);
        ck_assert_uint_eq(counts.failed, 0);
        /* The names are known now. */
        ck_assert_uint_eq(ask(reader, NOWHERE + 1, cases[i].from, cases[i].end), 0);
        counts = build_chain_counts(&bc);
        ck_assert_uint_eq(counts.gets[TRACE_ROLLUP], cases[i].gets);
        ck_assert_uint_eq(counts.lists, 0);
        rollup_reader_close(reader);
    }
    /* Full on two levels and not on the third: a read for the group, and its end in parts. */
    struct rollup_reader *reader = rollup_reader_open(&bc.repo, &bc.project);
    struct key key = key_rollup(&bc.project, 3, 1000001, 2000001);
    ck_assert_int_eq(store_delete(bc.mem, key.s), OK);
    (void)build_chain_counts(&bc);
    ck_assert_uint_eq(ask(reader, NOWHERE, 1500000, 2000001), 0);
    ck_assert_uint_eq(build_chain_counts(&bc).gets[TRACE_ROLLUP], 1);
    rollup_reader_close(reader);
    build_chain_release(&bc);
}
END_TEST

/* The same reads in fewer rounds; and what the first ones leave behind is not read for nothing.
 */
START_TEST(objects_are_read_side_by_side)
{
    struct build_chain bc;
    build_chain_init(&bc);
    history_put(&bc);
    static const struct {
        unsigned first;
        unsigned most;
        uint64_t rounds;
    } cases[] = {{1, 1, 14}, {1, 100, 4}, {2, 4, 4}, {8, 8, 2}, {16, 16, 1}, {99, 99, 1}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct rollup_reader *reader = rollup_reader_open(&bc.repo, &bc.project);
        rollup_reader_ahead(reader, cases[i].first, cases[i].most);
        (void)build_chain_counts(&bc);
        ck_assert_uint_eq(ask(reader, NOWHERE, 0, HISTORY), 0);
        struct trace_counts counts = build_chain_counts(&bc);
        ck_assert_uint_eq(counts.gets[TRACE_ROLLUP], 2 + 6 + 6);
        ck_assert_uint_eq(counts.lists, 1);
        ck_assert_msg(counts.rounds == 1 + cases[i].rounds, "case %zu: %llu rounds", i,
                      (unsigned long long)counts.rounds);
        rollup_reader_close(reader);
    }
    build_chain_release(&bc);
}
END_TEST

/* An answer that is there is given before anything more is read. */
START_TEST(an_answer_waits_for_no_read)
{
    struct build_chain bc;
    struct rollup_range range;
    build_chain_init(&bc);
    history_put(&bc);
    struct rollup_reader *reader = rollup_reader_open(&bc.repo, &bc.project);
    rollup_reader_ahead(reader, 8, 8);
    (void)build_chain_counts(&bc);
    rollup_reader_ask(reader, NOWHERE, 0, HISTORY + 50);
    ck_assert(rollup_reader_next(reader, &range));
    ck_assert_uint_eq(range.from, HISTORY);
    ck_assert_uint_eq(build_chain_counts(&bc).gets[TRACE_ROLLUP], 0);
    ck_assert(!rollup_reader_next(reader, &range));
    ck_assert_uint_eq(build_chain_counts(&bc).rounds, 2);
    rollup_reader_close(reader);
    build_chain_release(&bc);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        a_question_costs_a_few_reads_whatever_is_asked,
        objects_are_read_side_by_side,
        an_answer_waits_for_no_read,
    };
    return suite_run("rollup_costs", tests, ARRAY_LEN(tests));
}
