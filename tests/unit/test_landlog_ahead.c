#include "pipeline/repo/history/landlog_ahead.h"

#include <fcntl.h>

#include "formats/key.h"
#include "pipeline/sys/log.h"
#include "tests/support/faulty.h"
#include "tests/support/log_maker.h"
#include "tests/support/suite.h"

static struct log_maker m;

static void log_be_quiet(void)
{
    int fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
    ck_assert_int_ge(fd, 0);
    log_to_fd(fd);
}

static void make(uint64_t end)
{
    log_maker_init(&m, 5, 1, 1000);
    log_maker_grow(&m, end);
}

static struct landlog *log_of(struct repo *repo)
{
    struct landlog *log;
    (void)build_chain_counts(&m.bc);
    ck_assert_int_eq(landlog_open(repo, &m.bc.project, m.end - 1, &log), OK);
    return log;
}

/* All landings of the range are there, and nothing else. */
static int range_check(struct landlog *log, const struct landlog_range *range)
{
    const struct log_entry *entry;
    uint64_t next = range->end;
    int err = landlog_run(log, range->from, range->end);
    while (err == OK && (err = landlog_next(log, &entry)) == OK) {
        if (entry->verdict == VERDICT_LANDED)
            ck_assert_uint_eq(entry->position, --next);
    }
    if (err != ERR_NOT_FOUND)
        return err;
    ck_assert_uint_eq(next, range->from > 0 ? range->from : 1);
    return OK;
}

struct costs {
    uint64_t gets;
    uint64_t rounds;
};

/* Of opening the log, a head and a list, there are two rounds. */
static struct costs runs(const struct landlog_range *expected, size_t n_expected,
                         unsigned segments, const struct landlog_range *ranges, size_t n)
{
    struct landlog *log = log_of(&m.bc.repo);
    landlog_expect(log, expected, n_expected, segments);
    for (size_t i = 0; i < n; i++)
        ck_assert_int_eq(range_check(log, &ranges[i]), OK);
    landlog_close(log);
    struct trace_counts counts = build_chain_counts(&m.bc);
    ck_assert_uint_eq(counts.gets[TRACE_TREE], 0);
    return (struct costs){counts.gets[TRACE_LOG], counts.rounds - 2};
}

/* Six segments, one of them short, and two ranges in one of them. */
static const struct landlog_range apart[] = {
    {20450, 20460}, {15901, 15902}, {14500, 14501}, {13050, 13051},
    {13010, 13020}, {5001, 5101},   {0, 3},
};

START_TEST(what_is_expected_is_read_side_by_side)
{
    static const struct {
        unsigned segments;
        uint64_t rounds;
    } cases[] = {{0, 6}, {1, 6}, {2, 3}, {4, 2}, {6, 1}, {8, 1}, {100, 1}};
    make(20501);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct costs costs =
            runs(apart, ARRAY_LEN(apart), cases[i].segments, apart, ARRAY_LEN(apart));
        ck_assert_uint_eq(costs.gets, 6);
        ck_assert_msg(costs.rounds == cases[i].rounds, "case %zu: %llu rounds", i,
                      (unsigned long long)costs.rounds);
    }
    log_maker_release(&m);
}
END_TEST

START_TEST(a_long_range_is_read_some_segments_at_a_time)
{
    static const struct landlog_range all = {0, 20501};
    make(20501);
    struct costs costs = runs(&all, 1, LANDLOG_AHEAD_MAX, &all, 1);
    ck_assert_uint_eq(costs.gets, 25);
    ck_assert_uint_eq(costs.rounds, 4);
    log_maker_release(&m);
}
END_TEST

/* What comes is what the log has, whatever was foreseen. */
START_TEST(what_was_not_foreseen_is_read_when_it_is_wanted)
{
    static const struct landlog_range others[] = {{19000, 19001}, {18000, 18001}, {5001, 5002}};
    static const struct landlog_range backward[] = {{5, 6}, {15901, 15902}, {7, 7}};
    make(20501);
    struct costs costs = runs(others, ARRAY_LEN(others), 8, apart, ARRAY_LEN(apart));
    /* With the first one three that are not wanted all, of which one is. */
    ck_assert_uint_eq(costs.gets, 8);
    ck_assert_uint_eq(costs.rounds, 5);
    costs = runs(backward, ARRAY_LEN(backward), 8, apart, ARRAY_LEN(apart));
    ck_assert_uint_eq(costs.gets, 6);
    log_maker_release(&m);
}
END_TEST

/* What is there and is still to come stays there. */
START_TEST(what_is_at_hand_is_not_read_again)
{
    static const struct landlog_range ranges[] = {{15901, 15902}, {5001, 5101}, {5, 6}};
    struct landlog_slot *slot;
    make(20501);
    struct landlog_ahead ahead = {.repo = &m.bc.repo, .project = m.bc.project};
    (void)build_chain_counts(&m.bc);
    ck_assert_int_eq(landlog_ahead_get(&ahead, 5, &slot), OK);
    ck_assert_uint_eq(slot->ref.end, 1001);
    memcpy(ahead.ranges, ranges, sizeof(ranges));
    ahead.n_ranges = ARRAY_LEN(ranges);
    ahead.most = 3;
    static const uint64_t ends[] = {16001, 6001, 1001};
    for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
        ck_assert_int_eq(landlog_ahead_get(&ahead, ranges[i].end - 1, &slot), OK);
        ck_assert_uint_eq(slot->ref.end, ends[i]);
        ck_assert_uint_gt(slot->bytes.len, 0);
    }
    ck_assert_uint_eq(build_chain_counts(&m.bc).gets[TRACE_LOG], 3);
    landlog_ahead_release(&ahead);
    log_maker_release(&m);
}
END_TEST

/* Damage shows where it is read, and not before; what is gone, too. */
START_TEST(damage_shows_when_its_turn_comes)
{
    log_be_quiet();
    make(20501);
    struct key gone = key_log(&m.bc.project, 13001, 14001);
    struct key damaged = key_log(&m.bc.project, 5001, 6001);
    ck_assert_int_eq(store_delete(m.bc.mem, gone.s), OK);
    build_chain_flip(&m.bc, damaged.s, 100);
    struct landlog *log = log_of(&m.bc.repo);
    landlog_expect(log, apart, ARRAY_LEN(apart), 8);
    static const int errs[] = {OK, OK, OK, ERR_CORRUPT, ERR_CORRUPT, ERR_CORRUPT, OK};
    for (size_t i = 0; i < ARRAY_LEN(apart); i++)
        ck_assert_msg(range_check(log, &apart[i]) == errs[i], "range %zu", i);
    landlog_close(log);
    log_maker_release(&m);
}
END_TEST

/* Of those that are read ahead one cannot be read now: that is no failure of those before, and
 * it is read again in its turn. */
START_TEST(what_fails_ahead_is_read_again)
{
    make(20501);
    struct repo repo = m.bc.repo;
    struct store *faulty = faulty_store_open(m.bc.mem);
    repo.store = faulty;
    /* The head and a list, then the segments. */
    for (uint64_t call = 3; call <= 8; call++) {
        faulty_reset(faulty);
        faulty_plan(faulty, call, FAULT_AGAIN);
        struct landlog *log = log_of(&repo);
        landlog_expect(log, apart, ARRAY_LEN(apart), 8);
        int first = range_check(log, &apart[0]);
        ck_assert_int_eq(first, call == 3 ? ERR_AGAIN : OK);
        for (size_t i = first == OK; i < ARRAY_LEN(apart); i++)
            ck_assert_int_eq(range_check(log, &apart[i]), OK);
        ck_assert_uint_eq(faulty_hits(faulty, FAULT_AGAIN), 1);
        landlog_close(log);
    }
    store_close(faulty);
    log_maker_release(&m);
}
END_TEST

/* So that little memory is taken for what may not be wanted. */
START_TEST(long_segments_are_read_one_by_one)
{
    static const struct landlog_range ranges[] = {
        {4900, 4901}, {3900, 3901}, {2900, 2901}, {1900, 1901}, {LOG_MAKER_HEAVY, 9}};
    log_maker_init(&m, 5, 1, 1000);
    m.heavy = 400000;
    log_maker_grow(&m, 5001);
    struct costs costs = runs(ranges, ARRAY_LEN(ranges), 3, ranges, ARRAY_LEN(ranges));
    ck_assert_uint_eq(costs.gets, 5 + 1);
    ck_assert_uint_eq(costs.rounds, 3);
    struct trace_counts counts;
    struct landlog *log = log_of(&m.bc.repo);
    landlog_expect(log, ranges, ARRAY_LEN(ranges), 8);
    ck_assert_int_eq(range_check(log, &ranges[0]), OK);
    counts = build_chain_counts(&m.bc);
    ck_assert_uint_eq(counts.gets[TRACE_LOG], 5);
    ck_assert_uint_lt(counts.bytes_out, 5 * 1024 * 1024);
    landlog_close(log);
    log_maker_release(&m);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        what_is_expected_is_read_side_by_side,
        a_long_range_is_read_some_segments_at_a_time,
        what_was_not_foreseen_is_read_when_it_is_wanted,
        what_is_at_hand_is_not_read_again,
        damage_shows_when_its_turn_comes,
        what_fails_ahead_is_read_again,
        long_segments_are_read_one_by_one,
    };
    return suite_run("landlog_ahead", tests, ARRAY_LEN(tests));
}
