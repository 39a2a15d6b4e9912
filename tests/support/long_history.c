#include "tests/support/long_history.h"

#include <check.h>
#include <stdlib.h>

#include "formats/key.h"
#include "formats/log_segment.h"
#include "formats/rollup.h"

void bare_rollup_put(struct build_chain *bc, unsigned level, uint64_t first, unsigned columns,
                     uint32_t sectors)
{
    struct rollup rollup = {.shape = {.project = bc->project,
                                      .level = level,
                                      .columns = columns,
                                      .first = first,
                                      .sectors = sectors}};
    size_t len = (size_t)rollup_len(&rollup.shape);
    uint8_t *object = calloc(1, len);
    ck_assert_ptr_nonnull(object);
    rollup_seal(&rollup, object);
    struct key key = key_rollup(&bc->project, level, first, rollup_end(&rollup.shape));
    ck_assert_int_eq(store_put(bc->mem, key.s, bytes_of(object, len), PUT_ANY, NULL), OK);
    free(object);
}

void bare_group_put(struct build_chain *bc, unsigned level, uint64_t first, unsigned n,
                    unsigned keys)
{
    uint64_t span = rollup_span(level);
    for (unsigned columns = n == 100 ? 100 : 64; n > 0; columns /= 2) {
        if (n < columns)
            continue;
        bare_rollup_put(bc, level, first, columns, rollup_sectors(span * keys, columns));
        first += columns * span;
        n -= columns;
    }
}

static void rollups_put(struct build_chain *bc, uint64_t end, unsigned keys)
{
    for (unsigned level = 1; level <= ROLLUP_LEVELS; level++) {
        uint64_t span = rollup_span(level);
        uint64_t full = (end - 1) / span;
        unsigned most = level == ROLLUP_LEVELS ? 1 : ROLLUP_COLUMNS_MAX;
        for (uint64_t at = 0; at < full; at += most) {
            unsigned n = full - at < most ? (unsigned)(full - at) : most;
            if (level < ROLLUP_LEVELS)
                bare_group_put(bc, level, 1 + at * span, n, keys);
            else
                bare_rollup_put(bc, level, 1 + at * span, 1, rollup_sectors(span * keys, 1));
        }
    }
}

/* Positions whose landings have no effect. */
static void segment_put(struct build_chain *bc, uint64_t first, uint64_t end)
{
    AUTO(arena_release) struct arena arena = {0};
    AUTO_BUF bytes = {0};
    struct log_segment segment = {
        .project = bc->project, .first = first, .end = end, .n = (uint32_t)(end - first)};
    segment.entries = arena_array(&arena, segment.n, struct log_entry);
    for (uint32_t i = 0; i < segment.n; i++)
        segment.entries[i] =
            (struct log_entry){.verdict = VERDICT_LANDED, .position = first + i};
    log_segment_encode(&segment, &arena, &bytes);
    struct key key = key_log(&bc->project, first, end);
    ck_assert_int_eq(store_put(bc->mem, key.s, buf_bytes(&bytes), PUT_ANY, NULL), OK);
}

static void segments_put(struct build_chain *bc, uint64_t end)
{
    uint64_t large = 1 + (end - 1) / LOG_SPAN_LARGE * LOG_SPAN_LARGE;
    for (uint64_t i = 3; i > 0; i--) {
        if (large > i * LOG_SPAN_LARGE)
            segment_put(bc, large - i * LOG_SPAN_LARGE, large - (i - 1) * LOG_SPAN_LARGE);
    }
    for (; large < end; large += LOG_SPAN_SMALL)
        segment_put(bc, large, large + LOG_SPAN_SMALL);
}

/* A segment is made when the head is at its end. */
static uint64_t log_end(uint64_t landings)
{
    return 1 + (landings - 1) / LOG_SPAN_SMALL * LOG_SPAN_SMALL;
}

void long_history_chain(struct build_chain *bc, uint64_t landings)
{
    static const struct build_answer answers[LONG_HISTORY_BATCH];
    uint8_t head[HEAD_LEN];
    uint64_t tail = landings - log_end(landings) + LONG_HISTORY_BELOW * LONG_HISTORY_BATCH;
    ck_assert_uint_gt(landings, (LONG_HISTORY_BELOW + 5) * LONG_HISTORY_BATCH);
    /* The head may have been put by others. */
    bc->head.position = 0;
    head_encode(&bc->head, head);
    struct key key = key_head(&bc->project);
    ck_assert_int_eq(
        store_put(bc->mem, key.s, bytes_of(head, sizeof(head)), PUT_ANY, &bc->etag), OK);
    bc->landings_before = landings - tail / LONG_HISTORY_BATCH * LONG_HISTORY_BATCH;
    bc->batches_before = 1 + bc->landings_before / LONG_HISTORY_BATCH;
    while (bc->head.position < landings)
        build_chain_put(bc, answers, LONG_HISTORY_BATCH);
    build_chain_cold(bc);
}

void long_history_put(struct build_chain *bc, uint64_t landings, unsigned keys)
{
    uint64_t end = log_end(landings);
    segments_put(bc, end);
    rollups_put(bc, end, keys);
    long_history_chain(bc, landings);
}
