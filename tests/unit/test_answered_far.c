/* Looking up answers that lie far back, in a long log with rollups and without. */
#include <check.h>
#include <fcntl.h>

#include "formats/base/hash.h"
#include "formats/key.h"
#include "pipeline/repo/history/answered.h"
#include "pipeline/repo/history/rollup_list.h"
#include "pipeline/stages/stages.h"
#include "pipeline/sys/log.h"
#include "tests/support/chance.h"
#include "tests/support/log_maker.h"
#include "tests/support/long_history.h"
#include "tests/support/suite.h"

#define LANDINGS 23333u

static struct log_maker maker;
static struct chance chance;

static void log_be_quiet(void)
{
    int fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
    ck_assert_int_ge(fd, 0);
    log_to_fd(fd);
}

static void rollups_make(void)
{
    struct rollup_options options = {.rebuild = false};
    struct stage *stage = stage_rollup_open(&maker.bc.repo, &options);
    while (stage->run(stage) > 0)
        continue;
    stage->close(stage);
}

static void history_make(const char *test, bool rollups)
{
    log_be_quiet();
    chance_init(&chance, test);
    log_maker_init(&maker, chance_u64(&chance), 2, 5000);
    log_maker_grow(&maker, LANDINGS - 32);
    if (rollups)
        rollups_make();
    long_history_chain(&maker.bc, LANDINGS);
}

static struct answered *answered_make(void)
{
    struct build_chain *bc = &maker.bc;
    const struct batch *tip;
    struct answered *answered = answered_open(&bc->repo, &bc->project);
    ck_assert_int_eq(chain_tip(&bc->repo, &bc->project, &bc->head, &tip), OK);
    ck_assert_int_eq(answered_advance(answered, tip), OK);
    chain_drop(&bc->repo, tip);
    (void)build_chain_counts(bc);
    return answered;
}

/* Who is asked for: some were answered, at any position, and some never. */
enum { asked_max = 300 };
static struct id16 sessions[asked_max];
static struct id16 requests[asked_max];
static bool is_there[asked_max];

static void asked_make(size_t n)
{
    for (size_t i = 0; i < n; i++) {
        AUTO(arena_release) struct arena arena = {0};
        uint32_t count;
        /* The chain has others than the log at the newest positions. */
        uint64_t p = i == 0 ? 0 : chance_below(&chance, maker.end - 800);
        const struct log_entry *entries = log_maker_entries(&maker, p, &arena, &count);
        const struct log_entry *entry = &entries[chance_below(&chance, count)];
        sessions[i] = entry->session;
        requests[i] = entry->request;
        is_there[i] = i % 3 != 1;
        if (!is_there[i])
            sessions[i].b[15] ^= 1;
    }
}

static bool all_told(const struct answered *answered, size_t n)
{
    bool told = true;
    for (size_t i = 0; i < n; i++) {
        struct answer answer;
        told = told && answered_find(answered, &sessions[i], &requests[i], &answer);
    }
    return told;
}

static void told_check(const struct answered *answered, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct answer answer;
        ck_assert(answered_find(answered, &sessions[i], &requests[i], &answer));
        ck_assert(answer.answered == is_there[i]);
    }
}

static struct trace_counts look_up(size_t n, size_t entries)
{
    struct answered *answered = answered_make();
    asked_make(n);
    for (unsigned i = 0; !all_told(answered, n); i++) {
        ck_assert_uint_lt(i, 3000);
        ck_assert_int_eq(answered_look_up(answered, sessions, n, entries), OK);
    }
    told_check(answered, n);
    answered_close(answered);
    return build_chain_counts(&maker.bc);
}

START_TEST(every_answer_is_found_through_the_rollups)
{
    history_make("every_answer_is_found_through_the_rollups", true);
    for (unsigned i = 0; i < 6; i++) {
        size_t n = 1 + (size_t)chance_below(&chance, i < 3 ? 5 : asked_max);
        struct trace_counts c = look_up(n, i % 2 == 0 ? 20000 : 100);
        if (n == 1)
            ck_assert_uint_le(c.gets[TRACE_LOG], 3);
    }
    struct trace_counts few = look_up(3, 20000);
    /* A segment for each that is there, and next to none for the others. */
    ck_assert_uint_le(few.gets[TRACE_LOG], 6);
    log_maker_release(&maker);
}
END_TEST

START_TEST(every_answer_is_found_through_damaged_rollups)
{
    struct rollup_ref *refs;
    size_t n;
    history_make("every_answer_is_found_through_damaged_rollups", true);
    struct build_chain *bc = &maker.bc;
    for (unsigned level = 1; level <= 2; level++) {
        ck_assert_int_eq(
            rollup_list(&bc->repo, &bc->project, level, 1, UINT64_MAX, &bc->arena, &refs, &n),
            OK);
        ck_assert_uint_gt(n, 0);
        for (size_t i = 0; i < n; i++) {
            struct key key = key_rollup(&bc->project, level, refs[i].first, refs[i].end);
            if (i % 3 == 0)
                ck_assert_int_eq(store_delete(bc->mem, key.s), OK);
            for (uint64_t at = 100; i % 3 == 1 && at < refs[i].size; at += 2 * ROLLUP_SECTOR)
                build_chain_flip(bc, key.s, (long)at);
        }
    }
    for (unsigned i = 0; i < 4; i++)
        (void)look_up(1 + (size_t)chance_below(&chance, 100), i % 2 == 0 ? 20000 : 300);
    log_maker_release(&maker);
}
END_TEST

/* Without rollups the log is gone through once, for however many. */
START_TEST(without_rollups_it_is_one_pass)
{
    history_make("without_rollups_it_is_one_pass", false);
    struct trace_counts c = look_up(asked_max, SIZE_MAX);
    ck_assert_uint_ge(c.gets[TRACE_LOG], 23);
    ck_assert_uint_le(c.gets[TRACE_LOG], 26);
    log_maker_release(&maker);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        every_answer_is_found_through_the_rollups,
        every_answer_is_found_through_damaged_rollups,
        without_rollups_it_is_one_pass,
    };
    return suite_run("answered_far", tests, ARRAY_LEN(tests));
}
