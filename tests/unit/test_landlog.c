#include "pipeline/repo/history/landlog.h"

#include <stdlib.h>

#include "formats/base/hash.h"
#include "formats/base/hex.h"
#include "formats/base/limits.h"
#include "formats/key.h"
#include "pipeline/repo/history/landlog_segment.h"
#include "pipeline/stages/stages.h"
#include "tests/support/build_chain.h"
#include "tests/support/chance.h"
#include "tests/support/log_maker.h"
#include "tests/support/suite.h"

/* Makes all segments that are due. */
static void append(struct build_chain *bc)
{
    struct stage *stage = stage_append_open(&bc->repo);
    int did;
    while ((did = stage->run(stage)) > 0) {
    }
    ck_assert_int_eq(did, 0);
    stage->close(stage);
}

static void entry_print(const struct log_entry *entry, struct buf *out)
{
    buf_printf(out, "%llu %s %s %s", (unsigned long long)entry->position,
               verdict_name(entry->verdict), id16_hex(&entry->session).s,
               hash_hex(&entry->tree).s);
    for (uint32_t i = 0; i < entry->n_effects; i++)
        buf_printf(out, " %.*s", (int)entry->effects[i].path.len,
                   (const char *)entry->effects[i].path.data);
    buf_append(out, "\n", 1);
}

/* What a reader gets, newest first: a line an entry. Gives the reader's last error. */
static int log_text(struct build_chain *bc, uint64_t before, struct buf *out)
{
    struct landlog *log;
    const struct log_entry *entry;
    int err = landlog_open(&bc->repo, &bc->project, before, &log);
    if (err != OK)
        return err;
    while ((err = landlog_next(log, &entry)) == OK)
        entry_print(entry, out);
    landlog_close(log);
    return err == ERR_NOT_FOUND ? OK : err;
}

/* Batches of all kinds: of one landing, of many, with answers that land nothing, without
 * any. */
static void mixed(struct build_chain *bc, uint64_t upto)
{
    struct build_answer seven[7] = {{0}};
    seven[0].verdict = VERDICT_REFUSED;
    seven[3].verdict = VERDICT_CONFLICTED;
    seven[6].verdict = VERDICT_NOT_TRIED;
    struct build_answer refused = {.verdict = VERDICT_REFUSED};
    build_chain_put(bc, &refused, 1);
    while (bc->head.position < upto) {
        build_chain_grow(bc, 1);
        if (bc->head.position % 5 == 0)
            build_chain_put(bc, &refused, 1);
        if (bc->head.position % 7 == 0)
            build_chain_put(bc, NULL, 0);
        if (bc->head.position % 3 == 0)
            build_chain_put(bc, seven, ARRAY_LEN(seven));
    }
}

START_TEST(log_is_the_same_with_and_without_segments)
{
    struct build_chain bc;
    build_chain_init(&bc);
    mixed(&bc, 320);
    const uint64_t before[] = {0, 1, 50, 100, 101, 150, 200, 201, 300, 301, 310, UINT64_MAX};
    struct buf plain[ARRAY_LEN(before)] = {0};
    for (size_t i = 0; i < ARRAY_LEN(before); i++)
        ck_assert_int_eq(log_text(&bc, before[i], &plain[i]), OK);
    append(&bc);
    build_chain_cold(&bc);
    AUTO(arena_release) struct arena arena = {0};
    struct landlog_segment_ref *segments;
    size_t n;
    ck_assert_int_eq(landlog_segments(&bc.repo, &bc.project, &arena, &segments, &n), OK);
    ck_assert_uint_eq(n, 3);
    ck_assert_uint_eq(segments[2].end, 301);
    for (size_t i = 0; i < ARRAY_LEN(before); i++) {
        AUTO_BUF text = {0};
        ck_assert_int_eq(log_text(&bc, before[i], &text), OK);
        ck_assert_msg(bytes_equal(buf_bytes(&text), buf_bytes(&plain[i])), "before %llu",
                      (unsigned long long)before[i]);
        ck_assert_uint_gt(text.len, 0);
        buf_release(&plain[i]);
    }
    build_chain_release(&bc);
}
END_TEST

/* ---- runs ---- */

/* Of `all`, the whole log as text, the lines of positions [from, end). */
static void lines_between(struct bytes all, uint64_t from, uint64_t end, struct buf *out)
{
    for (size_t at = 0; at < all.len;) {
        const uint8_t *line = all.data + at;
        const uint8_t *stop = memchr(line, '\n', all.len - at);
        ck_assert_ptr_nonnull(stop);
        size_t len = (size_t)(stop - line) + 1;
        uint64_t position = strtoull((const char *)line, NULL, 10);
        if (position >= from && position < end)
            buf_append(out, line, len);
        at += len;
    }
}

/* Runs from the newest on, some of them side by side, some empty, some far apart. */
static void runs_check(struct build_chain *bc, struct chance *chance, struct bytes all)
{
    AUTO_BUF want = {0};
    AUTO_BUF got = {0};
    struct landlog *log;
    uint64_t end = bc->head.position + 2;
    ck_assert_int_eq(landlog_open(&bc->repo, &bc->project, UINT64_MAX, &log), OK);
    while (end > 0) {
        const struct log_entry *entry;
        int err;
        if (chance_below(chance, 3) > 0)
            end -= chance_below(chance, end < 300 ? end : 300);
        uint64_t from = end - chance_below(chance, end < 80 ? end + 1 : 80);
        lines_between(all, from, end, &want);
        ck_assert_int_eq(landlog_run(log, from, end), OK);
        while ((err = landlog_next(log, &entry)) == OK)
            entry_print(entry, &got);
        ck_assert_int_eq(err, ERR_NOT_FOUND);
        ck_assert_int_eq(landlog_next(log, &entry), ERR_NOT_FOUND);
        end = end == from ? from - (from > 0) : from;
    }
    landlog_close(log);
    ck_assert(bytes_equal(buf_bytes(&want), buf_bytes(&got)));
}

START_TEST(runs_are_what_the_whole_log_has_there)
{
    struct build_chain bc;
    struct chance chance;
    AUTO_BUF all = {0};
    chance_init(&chance, "runs_are_what_the_whole_log_has_there");
    build_chain_init(&bc);
    mixed(&bc, 120);
    ck_assert_int_eq(log_text(&bc, UINT64_MAX, &all), OK);
    for (unsigned i = 0; i < 20; i++)
        runs_check(&bc, &chance, buf_bytes(&all));
    append(&bc);
    mixed(&bc, 1230);
    buf_clear(&all);
    ck_assert_int_eq(log_text(&bc, UINT64_MAX, &all), OK);
    for (unsigned i = 0; i < 10; i++)
        runs_check(&bc, &chance, buf_bytes(&all));
    append(&bc);
    build_chain_cold(&bc);
    for (unsigned i = 0; i < 50; i++)
        runs_check(&bc, &chance, buf_bytes(&all));
    build_chain_release(&bc);
}
END_TEST

/* A run in the middle of a long log, however much lies around it. */
START_TEST(a_run_costs_a_few_requests)
{
    static const struct {
        uint64_t from;
        uint64_t end;
        uint64_t gets; /* of segments */
    } cases[] = {
        {41, 42, 1},       {0, 1, 1},         {500, 1500, 2},
        {95990, 96010, 2}, {99920, 99921, 2}, {99301, 99401, 1},
    };
    struct log_maker m;
    log_maker_init(&m, 5, 2, 1000);
    log_maker_grow(&m, 99401);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct landlog *log;
        const struct log_entry *entry;
        uint64_t n = 0;
        /* No tree object lies below, so nothing of the chain may be read. */
        (void)build_chain_counts(&m.bc);
        ck_assert_int_eq(landlog_open(&m.bc.repo, &m.bc.project, 99400, &log), OK);
        ck_assert_uint_eq(landlog_end(log), 99401);
        ck_assert_int_eq(landlog_run(log, cases[i].from, cases[i].end), OK);
        while (landlog_next(log, &entry) == OK) {
            ck_assert_uint_ge(entry->position, cases[i].from);
            ck_assert_uint_lt(entry->position, cases[i].end);
            n++;
        }
        struct trace_counts counts = build_chain_counts(&m.bc);
        bool is_there = cases[i].from < m.end;
        ck_assert(is_there == (n > 0));
        ck_assert_uint_eq(counts.lists, 1);
        ck_assert_uint_eq(counts.gets[TRACE_HEAD], 1);
        ck_assert_uint_eq(counts.gets[TRACE_LOG], is_there ? cases[i].gets : 0);
        ck_assert_uint_eq(counts.gets[TRACE_TREE], 0);
        landlog_close(log);
    }
    log_maker_release(&m);
}
END_TEST

/* The head is far beyond the log's end: a list for each factor of ten that lies between. */
START_TEST(a_log_that_is_behind_is_found)
{
    struct log_maker m;
    log_maker_init(&m, 5, 0, 10);
    log_maker_grow(&m, 2301);
    static const uint64_t heads[] = {2301, 2900, 3500, 13000, 140000, 2000000};
    static const uint64_t lists[] = {1, 1, 1, 2, 4, 5};
    for (size_t i = 0; i < ARRAY_LEN(heads); i++) {
        AUTO(arena_release) struct arena arena = {0};
        struct landlog_segment_ref *segments;
        size_t n;
        (void)build_chain_counts(&m.bc);
        ck_assert_int_eq(
            landlog_newest(&m.bc.repo, &m.bc.project, heads[i], &arena, &segments, &n), OK);
        ck_assert_uint_gt(n, 0);
        ck_assert_uint_eq(segments[n - 1].end, 2301);
        ck_assert_uint_eq(build_chain_counts(&m.bc).lists, lists[i]);
    }
    log_maker_release(&m);
}
END_TEST

START_TEST(log_of_an_empty_project)
{
    struct build_chain bc;
    build_chain_init(&bc);
    AUTO_BUF text = {0};
    ck_assert_int_eq(log_text(&bc, UINT64_MAX, &text), OK);
    ck_assert_uint_eq(text.len, 0);
    struct id16 none = {{1}};
    struct landlog *log;
    ck_assert_int_eq(landlog_open(&bc.repo, &none, UINT64_MAX, &log), ERR_NOT_FOUND);
    build_chain_release(&bc);
}
END_TEST

START_TEST(schedule_23_hole_between_segments_is_corrupt)
{
    struct build_chain bc;
    build_chain_init(&bc);
    build_chain_grow(&bc, 310);
    append(&bc);
    const uint64_t holes[] = {1, 101};
    for (size_t i = 0; i < ARRAY_LEN(holes); i++) {
        AUTO_BUF object = {0};
        AUTO_BUF text = {0};
        AUTO(arena_release) struct arena arena = {0};
        struct landlog_segment_ref *segments;
        size_t n;
        struct key key = key_log(&bc.project, holes[i], holes[i] + 100);
        ck_assert_int_eq(store_get(bc.mem, key.s, range_all(), &object, NULL, NULL), OK);
        ck_assert_int_eq(store_delete(bc.mem, key.s), OK);
        ck_assert_int_eq(landlog_segments(&bc.repo, &bc.project, &arena, &segments, &n),
                         ERR_CORRUPT);
        ck_assert_int_eq(log_text(&bc, UINT64_MAX, &text), ERR_CORRUPT);
        ck_assert_int_eq(store_put(bc.mem, key.s, buf_bytes(&object), PUT_ANY, NULL), OK);
        ck_assert_int_eq(log_text(&bc, UINT64_MAX, &text), OK);
    }
    build_chain_release(&bc);
}
END_TEST

/* Names that no segment has stand in nobody's way. */
START_TEST(foreign_names_are_no_segments)
{
    const struct landlog_segment_ref names[] = {{1, 301},  {1, 1000000}, {50, 150},
                                                {51, 151}, {101, 1101},  {301, 311}};
    struct build_chain bc;
    build_chain_init(&bc);
    build_chain_grow(&bc, 310);
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        struct key key = key_log(&bc.project, names[i].first, names[i].end);
        ck_assert_int_eq(store_put(bc.mem, key.s, bytes_str("garbage"), PUT_ANY, NULL), OK);
    }
    append(&bc);
    build_chain_cold(&bc);
    struct landlog_segment_ref *segments;
    size_t n;
    ck_assert_int_eq(landlog_segments(&bc.repo, &bc.project, &bc.arena, &segments, &n), OK);
    ck_assert_uint_eq(n, 3);
    ck_assert_uint_eq(segments[n - 1].end, 301);
    AUTO_BUF text = {0};
    ck_assert_int_eq(log_text(&bc, UINT64_MAX, &text), OK);
    build_chain_release(&bc);
}
END_TEST

START_TEST(segment_under_another_name_is_corrupt)
{
    struct build_chain bc;
    build_chain_init(&bc);
    build_chain_grow(&bc, 210);
    append(&bc);
    struct key first = key_log(&bc.project, 1, 101);
    struct key second = key_log(&bc.project, 101, 201);
    AUTO_BUF object = {0};
    AUTO_BUF text = {0};
    ck_assert_int_eq(store_get(bc.mem, first.s, range_all(), &object, NULL, NULL), OK);
    ck_assert_int_eq(store_put(bc.mem, second.s, buf_bytes(&object), PUT_ANY, NULL), OK);
    ck_assert_int_eq(log_text(&bc, UINT64_MAX, &text), ERR_CORRUPT);
    const struct landlog_segment_ref names[] = {{2, 101}, {1, 102}};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        AUTO(arena_release) struct arena arena = {0};
        struct log_segment segment;
        struct key key = key_log(&bc.project, names[i].first, names[i].end);
        ck_assert_int_eq(store_put(bc.mem, key.s, buf_bytes(&object), PUT_ANY, NULL), OK);
        ck_assert_int_eq(
            landlog_segment_get(&bc.repo, &bc.project, &names[i], &arena, &segment),
            ERR_CORRUPT);
    }
    build_chain_release(&bc);
}
END_TEST

START_TEST(flipped_bit_of_a_segment_shows)
{
    struct build_chain bc;
    build_chain_init(&bc);
    build_chain_grow(&bc, 110);
    append(&bc);
    struct key key = key_log(&bc.project, 1, 101);
    uint64_t size;
    ck_assert_int_eq(store_get(bc.mem, key.s, range_none(), NULL, NULL, &size), OK);
    for (uint64_t at = 0; at < size; at += 97) {
        AUTO_BUF text = {0};
        build_chain_flip(&bc, key.s, (long)at);
        ck_assert_int_eq(log_text(&bc, UINT64_MAX, &text), ERR_CORRUPT);
        /* What lies beyond it was given, and the chain does not need it. */
        ck_assert_uint_gt(text.len, 0);
        AUTO(arena_release) struct arena arena = {0};
        struct log_entry entry;
        ck_assert_int_eq(landlog_at(&bc.repo, &bc.project, 50, &arena, &entry), OK);
        build_chain_flip(&bc, key.s, (long)at);
    }
    build_chain_release(&bc);
}
END_TEST

START_TEST(schedule_36_a_fence_is_a_batch)
{
    struct build_chain bc;
    build_chain_init(&bc);
    build_chain_grow(&bc, 2);
    AUTO_BUF before = {0};
    AUTO_BUF after = {0};
    ck_assert_int_eq(log_text(&bc, UINT64_MAX, &before), OK);
    struct head head = bc.head;
    build_chain_put(&bc, NULL, 0);
    build_chain_cold(&bc);
    ck_assert_uint_eq(bc.head.position, head.position);
    ck_assert_uint_gt(bc.head.hlc, head.hlc);
    const struct batch *batch;
    ck_assert_int_eq(chain_tip(&bc.repo, &bc.project, &bc.head, &batch), OK);
    ck_assert_uint_eq(batch->footer.n_records, 0);
    chain_drop(&bc.repo, batch);
    ck_assert_int_eq(log_text(&bc, UINT64_MAX, &after), OK);
    ck_assert(bytes_equal(buf_bytes(&before), buf_bytes(&after)));
    build_chain_release(&bc);
}
END_TEST

START_TEST(collect_gives_a_run_of_positions)
{
    struct build_chain bc;
    build_chain_init(&bc);
    mixed(&bc, 60);
    const uint64_t runs[][2] = {{0, 1}, {0, 61}, {1, 2}, {5, 6}, {5, 8}, {17, 44}, {50, 1000}};
    for (size_t i = 0; i < ARRAY_LEN(runs); i++) {
        AUTO(arena_release) struct arena arena = {0};
        struct log_entry *entries;
        uint32_t n;
        ck_assert_int_eq(landlog_collect(&bc.repo, &bc.project, &bc.head, runs[i][0],
                                         runs[i][1], &arena, &entries, &n),
                         OK);
        /* As many as a reader meets between the two, in the reverse order. */
        struct landlog *log;
        const struct log_entry *entry;
        ck_assert_int_eq(landlog_open(&bc.repo, &bc.project, runs[i][1] - 1, &log), OK);
        while (landlog_next(log, &entry) == OK && entry->position >= runs[i][0]) {
            ck_assert_uint_gt(n, 0);
            n--;
            ck_assert(id16_equal(&entries[n].request, &entry->request));
            ck_assert_uint_eq(entries[n].n_effects, entry->n_effects);
        }
        ck_assert_uint_eq(n, 0);
        landlog_close(log);
    }
    build_chain_release(&bc);
}
END_TEST

START_TEST(at_gives_the_landing_in_few_reads)
{
    struct build_chain bc;
    build_chain_init(&bc);
    mixed(&bc, 250);
    append(&bc);
    uint64_t last = bc.head.position;
    for (uint64_t p = 1; p <= last; p += 13) {
        AUTO(arena_release) struct arena arena = {0};
        struct log_entry entry;
        build_chain_cold(&bc);
        ck_assert_int_eq(landlog_at(&bc.repo, &bc.project, p, &arena, &entry), OK);
        ck_assert_uint_eq(entry.position, p);
        ck_assert_int_eq(entry.verdict, VERDICT_LANDED);
        ck_assert(bytes_equal(entry.author, bytes_str("ann")));
        struct trace_counts counts = build_chain_counts(&bc);
        ck_assert_uint_le(counts.gets[TRACE_TREE], 3 * 16 + 2);
        ck_assert_uint_eq(counts.gets[TRACE_LOG], 0);
    }
    AUTO(arena_release) struct arena arena = {0};
    struct log_entry entry;
    ck_assert_int_eq(landlog_at(&bc.repo, &bc.project, 0, &arena, &entry), ERR_NOT_FOUND);
    ck_assert_int_eq(landlog_at(&bc.repo, &bc.project, last + 1, &arena, &entry),
                     ERR_NOT_FOUND);
    build_chain_release(&bc);
}
END_TEST

static int find_session(struct build_chain *bc, const char *key, uint64_t base,
                        struct landing *out)
{
    struct id16 sid = build_chain_session(bc, key, base);
    struct hash tree;
    int err = landlog_session(&bc->repo, &bc->project, &sid, &bc->arena, out, &tree);
    if (err == OK)
        ck_assert(id16_equal(&out->session, &sid));
    return err;
}

START_TEST(schedule_20_settled_session_is_found_in_the_chain)
{
    struct build_chain bc;
    build_chain_init(&bc);
    build_chain_grow(&bc, 3);
    struct build_op op = {.op = OP_WRITE, .path = "mine", .text = "text"};
    struct build_answer answer = {.key = "mine", .base = 3, .ops = &op, .n_ops = 1};
    build_chain_put(&bc, &answer, 1);
    build_chain_grow(&bc, 3);
    build_chain_cold(&bc);
    struct landing landing;
    ck_assert_int_eq(find_session(&bc, "mine", 3, &landing), OK);
    ck_assert_int_eq(landing.verdict, VERDICT_LANDED);
    ck_assert_uint_eq(landing.position, 4);
    ck_assert_uint_eq(landing.landed.n_records, 2);
    ck_assert_int_eq(find_session(&bc, "other", 3, &landing), ERR_NOT_FOUND);
    ck_assert_int_eq(find_session(&bc, "mine", 100, &landing), ERR_NOT_FOUND);
    build_chain_release(&bc);
}
END_TEST

START_TEST(search_ends_at_the_base_in_the_id)
{
    struct build_chain bc;
    build_chain_init(&bc);
    build_chain_grow(&bc, 40);
    build_chain_cold(&bc);
    struct landing landing;
    ck_assert_int_eq(find_session(&bc, "nobody", 38, &landing), ERR_NOT_FOUND);
    /* The tip, 39, and 38, whose first position is below the base. */
    ck_assert_uint_eq(build_chain_counts(&bc).gets[TRACE_TREE], 3);
    build_chain_release(&bc);
}
END_TEST

START_TEST(landing_counts_for_more_than_later_answers)
{
    struct build_chain bc;
    build_chain_init(&bc);
    struct build_answer s = {.key = "s"};
    struct landing landing;
    const enum verdict verdicts[] = {VERDICT_CONFLICTED, VERDICT_NOT_TRIED, VERDICT_LANDED,
                                     VERDICT_REFUSED};
    const enum verdict want[] = {VERDICT_CONFLICTED, VERDICT_NOT_TRIED, VERDICT_LANDED,
                                 VERDICT_LANDED};
    for (size_t i = 0; i < ARRAY_LEN(verdicts); i++) {
        s.verdict = verdicts[i];
        s.request = (uint8_t)i;
        build_chain_put(&bc, &s, 1);
        build_chain_grow(&bc, 1);
        ck_assert_int_eq(find_session(&bc, "s", 0, &landing), OK);
        ck_assert_int_eq(landing.verdict, want[i]);
    }
    /* Two answers in one batch: the later one is the newest. */
    struct build_answer two[] = {
        {.key = "t", .verdict = VERDICT_CONFLICTED, .request = 1},
        {.key = "t", .verdict = VERDICT_REFUSED, .request = 2},
    };
    build_chain_put(&bc, two, ARRAY_LEN(two));
    ck_assert_int_eq(find_session(&bc, "t", 0, &landing), OK);
    ck_assert_int_eq(landing.verdict, VERDICT_REFUSED);
    build_chain_release(&bc);
}
END_TEST

/* What is asked of a closed session is refused, and opens nothing. */
START_TEST(closing_counts_for_more_than_what_came_after)
{
    struct build_chain bc;
    build_chain_init(&bc);
    struct build_answer s = {.key = "s", .verdict = VERDICT_CONFLICTED, .closes = true};
    struct landing landing;
    build_chain_put(&bc, &s, 1);
    s = (struct build_answer){.key = "s", .verdict = VERDICT_REFUSED, .request = 1};
    build_chain_put(&bc, &s, 1);
    ck_assert_int_eq(find_session(&bc, "s", 0, &landing), OK);
    ck_assert_int_eq(landing.verdict, VERDICT_CONFLICTED);
    ck_assert(landing.closes);
    /* A landing counts for more than a refusal that closes, too. */
    struct build_answer t = {.key = "t"};
    build_chain_put(&bc, &t, 1);
    t = (struct build_answer){
        .key = "t", .verdict = VERDICT_REFUSED, .request = 1, .closes = true};
    build_chain_put(&bc, &t, 1);
    ck_assert_int_eq(find_session(&bc, "t", 0, &landing), OK);
    ck_assert_int_eq(landing.verdict, VERDICT_LANDED);
    build_chain_release(&bc);
}
END_TEST

/* Each request has its own answer, in the chain and in the segments. */
START_TEST(the_answer_to_one_request_is_found)
{
    struct build_chain bc;
    build_chain_init(&bc);
    const enum verdict verdicts[] = {VERDICT_CONFLICTED, VERDICT_NOT_TRIED, VERDICT_LANDED,
                                     VERDICT_REFUSED};
    struct id16 requests[ARRAY_LEN(verdicts) + 1];
    struct id16 sid = build_chain_session(&bc, "s", 0);
    AUTO(arena_release) struct arena arena = {0};
    for (size_t i = 0; i < ARRAY_LEN(verdicts); i++) {
        struct build_answer s = {.key = "s", .verdict = verdicts[i], .request = (uint8_t)i};
        build_chain_put(&bc, &s, 1);
        const struct batch *tip;
        ck_assert_int_eq(chain_tip(&bc.repo, &bc.project, &bc.head, &tip), OK);
        requests[i] = tip->ids[0].request;
        chain_drop(&bc.repo, tip);
        build_chain_grow(&bc, 1);
    }
    requests[ARRAY_LEN(verdicts)] = (struct id16){{1}};
    for (unsigned far = 0; far < 2; far++) {
        build_chain_grow(&bc, far * 400);
        append(&bc);
        build_chain_cold(&bc);
        for (size_t i = 0; i <= ARRAY_LEN(verdicts); i++) {
            struct landing landing;
            int err =
                landlog_request(&bc.repo, &bc.project, &sid, &requests[i], &arena, &landing);
            ck_assert_int_eq(err, i < ARRAY_LEN(verdicts) ? OK : ERR_NOT_FOUND);
            if (err == OK)
                ck_assert_int_eq(landing.verdict, verdicts[i]);
        }
    }
    ck_assert_uint_gt(build_chain_counts(&bc).gets[TRACE_LOG], 0);
    build_chain_release(&bc);
}
END_TEST

/* The log says the same as the chain: what a damaged batch keeps the search from is found
 * there. */
START_TEST(segments_tell_what_lies_behind_a_damaged_batch)
{
    struct build_chain bc;
    build_chain_init(&bc);
    struct build_answer refused = {.key = "late", .verdict = VERDICT_REFUSED};
    build_chain_put(&bc, &refused, 1);
    build_chain_grow(&bc, 97);
    struct key key = key_tree(&bc.project, &bc.head.tree_hash);
    build_chain_grow(&bc, 6);
    build_chain_flip(&bc, key.s, -1);
    build_chain_cold(&bc);
    struct landing landing;
    ck_assert_int_eq(find_session(&bc, "late", 0, &landing), ERR_CORRUPT);
    build_chain_flip(&bc, key.s, -1);
    append(&bc);
    build_chain_flip(&bc, key.s, -1);
    build_chain_cold(&bc);
    ck_assert_int_eq(find_session(&bc, "late", 0, &landing), OK);
    ck_assert_int_eq(landing.verdict, VERDICT_REFUSED);
    build_chain_release(&bc);
}
END_TEST

START_TEST(schedule_38_old_refusal_is_found_in_the_segments)
{
    struct build_chain bc;
    build_chain_init(&bc);
    struct build_answer refused = {.key = "late", .verdict = VERDICT_REFUSED};
    build_chain_grow(&bc, 4);
    build_chain_put(&bc, &refused, 1);
    build_chain_grow(&bc, 420);
    append(&bc);
    build_chain_cold(&bc);
    struct landing landing;
    ck_assert_int_eq(find_session(&bc, "late", 0, &landing), OK);
    ck_assert_int_eq(landing.verdict, VERDICT_REFUSED);
    ck_assert_uint_eq(landing.position, 4);
    struct trace_counts counts = build_chain_counts(&bc);
    ck_assert_uint_eq(counts.gets[TRACE_LOG], 4);
    ck_assert_uint_lt(counts.gets[TRACE_TREE], 130); /* of 425 batches */
    /* Damage to the log sends the search back to the chain. */
    struct key key = key_log(&bc.project, 101, 201);
    build_chain_flip(&bc, key.s, 60);
    build_chain_cold(&bc);
    ck_assert_int_eq(find_session(&bc, "late", 0, &landing), OK);
    ck_assert_int_eq(landing.verdict, VERDICT_REFUSED);
    ck_assert_int_eq(store_delete(bc.mem, key.s), OK);
    build_chain_cold(&bc);
    ck_assert_int_eq(find_session(&bc, "late", 0, &landing), OK);
    ck_assert_int_eq(find_session(&bc, "never", 0, &landing), ERR_NOT_FOUND);
    build_chain_release(&bc);
}
END_TEST

START_TEST(content_is_found_where_it_landed_last)
{
    struct build_chain bc;
    build_chain_init(&bc);
    build_chain_write(&bc, "a", "wanted");
    build_chain_grow(&bc, 120);
    append(&bc);
    struct hash hash = sha256(bytes_str("wanted"));
    struct log_effect effect;
    AUTO(arena_release) struct arena arena = {0};
    ck_assert_int_eq(landlog_content(&bc.repo, &bc.project, &hash, &arena, &effect), OK);
    ck_assert(bytes_equal(effect.path, bytes_str("a")));
    ck_assert_int_eq(effect.where.place, PLACE_RAW);
    /* A rename names it without saying where it lies; a new write does. */
    struct build_op rename = {.op = OP_RENAME, .path = "a", .target = "b", .text = "wanted"};
    build_chain_put(&bc, &(struct build_answer){.ops = &rename, .n_ops = 1}, 1);
    ck_assert_int_eq(landlog_content(&bc.repo, &bc.project, &hash, &arena, &effect), OK);
    ck_assert(bytes_equal(effect.path, bytes_str("a")));
    build_chain_write(&bc, "c", "wanted");
    ck_assert_int_eq(landlog_content(&bc.repo, &bc.project, &hash, &arena, &effect), OK);
    ck_assert(bytes_equal(effect.path, bytes_str("c")));
    hash.b[0] ^= 1;
    ck_assert_int_eq(landlog_content(&bc.repo, &bc.project, &hash, &arena, &effect),
                     ERR_NOT_FOUND);
    build_chain_release(&bc);
}
END_TEST

/* A store in which an appender joins ten segments just after somebody has listed them. */
struct racing_store {
    struct store store;
    struct build_chain *bc;
    struct store *below;
    bool armed;
};

static int racing_one(struct store *store, struct store_op *op)
{
    struct racing_store *racing = (struct racing_store *)store;
    return racing->below->calls->one(racing->below, op);
}

static int racing_many(struct store *store, struct store_op *ops, size_t n)
{
    struct racing_store *racing = (struct racing_store *)store;
    return racing->below->calls->many(racing->below, ops, n);
}

static int racing_list(struct store *store, struct arena *arena, const char *prefix,
                       const char *after, size_t max, struct store_list *out)
{
    struct racing_store *racing = (struct racing_store *)store;
    int err = store_list(racing->below, arena, prefix, after, max, out);
    if (racing->armed) {
        racing->armed = false;
        racing->bc->repo.store = racing->below;
        append(racing->bc);
        racing->bc->repo.store = store;
    }
    return err;
}

static uint64_t racing_date_ms(struct store *store)
{
    return store_date_ms(((struct racing_store *)store)->below);
}

static const struct store_calls racing_calls = {
    .name = "racing",
    .one = racing_one,
    .many = racing_many,
    .list = racing_list,
    .date_ms = racing_date_ms,
};

START_TEST(segments_that_vanish_are_looked_for_again)
{
    struct build_chain bc;
    build_chain_init(&bc);
    /* Ten segments that have not been joined: the appender stops after one run. */
    struct build_answer *many = arena_array(&bc.arena, 500, struct build_answer);
    build_chain_put(&bc, many, 500);
    build_chain_grow(&bc, 1);
    append(&bc);
    build_chain_put(&bc, many, 500);
    build_chain_grow(&bc, 5);
    AUTO_BUF want = {0};
    AUTO_BUF got = {0};
    ck_assert_int_eq(log_text(&bc, UINT64_MAX, &want), OK);
    struct racing_store racing = {
        .store = {.calls = &racing_calls}, .bc = &bc, .below = bc.trace, .armed = true};
    bc.repo.store = &racing.store;
    ck_assert_int_eq(log_text(&bc, UINT64_MAX, &got), OK);
    bc.repo.store = bc.trace;
    ck_assert(!racing.armed);
    ck_assert(bytes_equal(buf_bytes(&want), buf_bytes(&got)));
    AUTO(arena_release) struct arena arena = {0};
    struct landlog_segment_ref *segments;
    size_t n;
    ck_assert_int_eq(landlog_segments(&bc.repo, &bc.project, &arena, &segments, &n), OK);
    ck_assert_uint_eq(n, 1);
    build_chain_release(&bc);
}
END_TEST

START_TEST(readers_take_the_longest_of_those_that_begin_alike)
{
    const struct landlog_segment_ref keys[] = {{1, 101},    {1, 1001},    {101, 201},
                                               {901, 1001}, {1001, 1101}, {1101, 1201}};
    AUTO(arena_release) struct arena arena = {0};
    struct landlog_segment_ref *out;
    size_t n;
    ck_assert_int_eq(landlog_select(keys, ARRAY_LEN(keys), &arena, &out, &n), OK);
    ck_assert_uint_eq(n, 3);
    ck_assert_uint_eq(out[0].end, 1001);
    ck_assert_uint_eq(out[2].end, 1201);
    ck_assert_ptr_eq(landlog_segment_at(out, n, 0), &out[0]);
    ck_assert_ptr_eq(landlog_segment_at(out, n, 1000), &out[0]);
    ck_assert_ptr_eq(landlog_segment_at(out, n, 1001), &out[1]);
    ck_assert_ptr_eq(landlog_segment_at(out, n, 5000), &out[2]);
    ck_assert_int_eq(landlog_select(keys + 4, 2, &arena, &out, &n), ERR_CORRUPT);
    ck_assert_int_eq(landlog_select(NULL, 0, &arena, &out, &n), OK);
    ck_assert_uint_eq(n, 0);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        log_is_the_same_with_and_without_segments,
        runs_are_what_the_whole_log_has_there,
        a_run_costs_a_few_requests,
        a_log_that_is_behind_is_found,
        log_of_an_empty_project,
        schedule_23_hole_between_segments_is_corrupt,
        foreign_names_are_no_segments,
        segment_under_another_name_is_corrupt,
        flipped_bit_of_a_segment_shows,
        schedule_36_a_fence_is_a_batch,
        collect_gives_a_run_of_positions,
        at_gives_the_landing_in_few_reads,
        schedule_20_settled_session_is_found_in_the_chain,
        search_ends_at_the_base_in_the_id,
        landing_counts_for_more_than_later_answers,
        closing_counts_for_more_than_what_came_after,
        the_answer_to_one_request_is_found,
        segments_tell_what_lies_behind_a_damaged_batch,
        schedule_38_old_refusal_is_found_in_the_segments,
        content_is_found_where_it_landed_last,
        segments_that_vanish_are_looked_for_again,
        readers_take_the_longest_of_those_that_begin_alike,
    };
    return suite_run("landlog", tests, ARRAY_LEN(tests));
}
