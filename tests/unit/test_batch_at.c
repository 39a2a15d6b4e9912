/* The batch of a position, by the log and without it: always the one that the chain has. */
#include "pipeline/repo/history/batch_at.h"

#include "formats/key.h"
#include "formats/log_segment.h"
#include "pipeline/repo/history/landlog_segment.h"
#include "pipeline/stages/stages.h"
#include "tests/support/build_chain.h"
#include "tests/support/suite.h"

#define BATCHES 1501u /* a segment is made when the head is at its end */

static struct build_chain bc;

static void log_make(void)
{
    struct stage *stage = stage_append_open(&bc.repo);
    int did;
    while ((did = stage->run(stage)) > 0)
        continue;
    ck_assert_int_eq(did, 0);
    stage->close(stage);
}

/* Landings one by one, with answers in between that land nothing. */
static void setup(void)
{
    const struct build_answer refused = {.verdict = VERDICT_REFUSED};
    build_chain_init(&bc);
    for (unsigned i = 0; i < BATCHES; i++) {
        build_chain_put(&bc, &(struct build_answer){0}, 1);
        if (i % 7 == 0)
            build_chain_put(&bc, &refused, 1);
    }
}

static uint64_t batch_number(uint64_t position)
{
    const struct batch *batch;
    ck_assert_int_eq(batch_at(&bc.repo, &bc.project, &bc.head, position, &batch), OK);
    uint64_t number = batch->footer.batch;
    chain_drop(&bc.repo, batch);
    return number;
}

static uint64_t chain_number(uint64_t position)
{
    const struct batch *batch;
    ck_assert_int_eq(chain_find(&bc.repo, &bc.project, &bc.head, position, &batch), OK);
    uint64_t number = batch->footer.batch;
    chain_drop(&bc.repo, batch);
    return number;
}

/* The most reads of trees and of the log for one position. */
static void same_as_chain(uint64_t *trees, uint64_t *logs)
{
    *trees = *logs = 0;
    for (uint64_t position = 0; position <= BATCHES; position += position < 3 ? 1 : 41) {
        uint64_t number = chain_number(position);
        build_chain_cold(&bc);
        ck_assert_uint_eq(batch_number(position), number);
        struct trace_counts counts = build_chain_counts(&bc);
        *trees = counts.gets[TRACE_TREE] > *trees ? counts.gets[TRACE_TREE] : *trees;
        *logs = counts.gets[TRACE_LOG] > *logs ? counts.gets[TRACE_LOG] : *logs;
    }
}

START_TEST(what_is_far_back_is_found_by_the_log_in_few_reads)
{
    uint64_t trees;
    uint64_t logs;
    setup();
    log_make();
    same_as_chain(&trees, &logs);
    ck_assert_uint_le(trees, 1 + 6 + 1);
    ck_assert_uint_eq(logs, 2);
    const struct batch *none;
    ck_assert_int_eq(batch_at(&bc.repo, &bc.project, &bc.head, BATCHES + 1, &none),
                     ERR_INVALID);
    build_chain_release(&bc);
}
END_TEST

START_TEST(without_a_log_the_chain_is_gone_along)
{
    uint64_t trees;
    uint64_t logs;
    setup();
    same_as_chain(&trees, &logs);
    ck_assert_uint_gt(trees, 1 + 6 + 1);
    ck_assert_uint_le(logs, 2);
    build_chain_release(&bc);
}
END_TEST

START_TEST(a_damaged_log_is_passed_over)
{
    uint64_t trees;
    uint64_t logs;
    setup();
    log_make();
    struct key key = key_log(&bc.project, 1, 1001);
    build_chain_flip(&bc, key.s, 5000);
    same_as_chain(&trees, &logs);
    ck_assert_uint_gt(trees, 1 + 6 + 1);
    build_chain_release(&bc);
}
END_TEST

/* Each landing says the batch of a later one, or of an earlier one. */
static void lie(int off)
{
    AUTO(arena_release) struct arena arena = {0};
    AUTO_BUF bytes = {0};
    struct log_segment segment;
    const struct landlog_segment_ref ref = {.first = 1, .end = 1001};
    uint64_t trees;
    uint64_t logs;
    setup();
    log_make();
    ck_assert_int_eq(landlog_segment_get(&bc.repo, &bc.project, &ref, &arena, &segment), OK);
    AUTO_BUF trees_said = {0};
    for (uint32_t i = 0; i < segment.n; i++)
        buf_append(&trees_said, &segment.entries[i].tree, sizeof(struct hash));
    for (int i = 5; i + 5 < (int)segment.n; i++)
        memcpy(&segment.entries[i].tree,
               trees_said.data + (size_t)(i + off) * sizeof(struct hash), sizeof(struct hash));
    log_segment_encode(&segment, &arena, &bytes);
    struct key key = key_log(&bc.project, 1, 1001);
    ck_assert_int_eq(store_put(bc.mem, key.s, buf_bytes(&bytes), PUT_ANY, NULL), OK);
    same_as_chain(&trees, &logs);
    build_chain_release(&bc);
}

START_TEST(a_log_that_says_what_is_not_so_is_passed_over)
{
    lie(4);
    lie(-4);
}
END_TEST

/* Once it was gone along, the way is in memory. */
START_TEST(what_is_known_is_not_read_again)
{
    setup();
    log_make();
    build_chain_cold(&bc);
    (void)chain_number(1);
    (void)build_chain_counts(&bc);
    (void)batch_number(1);
    struct trace_counts counts = build_chain_counts(&bc);
    ck_assert_uint_eq(counts.gets[TRACE_TREE], 0);
    ck_assert_uint_eq(counts.gets[TRACE_LOG], 0);
    build_chain_release(&bc);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        what_is_far_back_is_found_by_the_log_in_few_reads,
        without_a_log_the_chain_is_gone_along,
        a_damaged_log_is_passed_over,
        a_log_that_says_what_is_not_so_is_passed_over,
        what_is_known_is_not_read_again,
    };
    return suite_run("batch_at", tests, ARRAY_LEN(tests));
}
