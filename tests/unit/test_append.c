#include "formats/key.h"
#include "formats/log_segment.h"
#include "pipeline/repo/history/landlog_segment.h"
#include "pipeline/repo/project.h"
#include "pipeline/stages/stages.h"
#include "pipeline/sys/log.h"
#include "tests/support/build_chain.h"
#include "tests/support/suite.h"
#include <fcntl.h>

static int run_once(struct build_chain *bc)
{
    struct stage *stage = stage_append_open(&bc->repo);
    int did = stage->run(stage);
    stage->close(stage);
    return did;
}

static void run_all(struct build_chain *bc)
{
    struct stage *stage = stage_append_open(&bc->repo);
    while (stage->run(stage) > 0) {
    }
    stage->close(stage);
}

/* All segments there are, as "1-101 101-201 ". */
static const char *segments_of(struct build_chain *bc)
{
    struct landlog_segment_ref *keys;
    size_t n;
    const char *text = "";
    ck_assert_int_eq(landlog_keys(&bc->repo, &bc->project, &bc->arena, &keys, &n), OK);
    for (size_t i = 0; i < n; i++)
        text = arena_printf(&bc->arena, "%s%llu-%llu ", text, (unsigned long long)keys[i].first,
                            (unsigned long long)keys[i].end);
    return text;
}

static void land_many(struct build_chain *bc, size_t n)
{
    build_chain_put(bc, arena_array(&bc->arena, n, struct build_answer), n);
}

START_TEST(nothing_to_do)
{
    struct build_chain bc;
    build_chain_init(&bc);
    ck_assert_int_eq(run_once(&bc), 0);
    land_many(&bc, 50);
    ck_assert_int_eq(run_once(&bc), 0);
    ck_assert_str_eq(segments_of(&bc), "");
    build_chain_release(&bc);
}
END_TEST

START_TEST(segment_waits_for_the_answers_of_its_last_position)
{
    struct build_chain bc;
    build_chain_init(&bc);
    struct build_answer early = {.verdict = VERDICT_REFUSED, .key = "early"};
    struct build_answer late = {.verdict = VERDICT_REFUSED, .key = "late"};
    build_chain_put(&bc, &early, 1);
    land_many(&bc, 100);
    ck_assert_int_eq(run_once(&bc), 0);
    build_chain_put(&bc, &late, 1);
    ck_assert_int_eq(run_once(&bc), 0);
    land_many(&bc, 1);
    ck_assert_int_eq(run_once(&bc), 1);
    ck_assert_str_eq(segments_of(&bc), "1-101 ");
    struct landlog_segment_ref ref = {1, 101};
    struct log_segment segment;
    ck_assert_int_eq(landlog_segment_get(&bc.repo, &bc.project, &ref, &bc.arena, &segment), OK);
    ck_assert_uint_eq(segment.n, 102);
    struct id16 sid = build_chain_session(&bc, "early", 0);
    ck_assert(id16_equal(&segment.entries[0].session, &sid));
    ck_assert_uint_eq(segment.entries[0].position, 0);
    sid = build_chain_session(&bc, "late", 0);
    ck_assert(id16_equal(&segment.entries[101].session, &sid));
    ck_assert_uint_eq(segment.entries[101].position, 100);
    ck_assert_int_eq(run_once(&bc), 0);
    build_chain_release(&bc);
}
END_TEST

START_TEST(segments_have_what_the_chain_has)
{
    struct build_chain bc;
    build_chain_init(&bc);
    build_chain_grow(&bc, 30);
    land_many(&bc, 150);
    build_chain_grow(&bc, 30);
    run_all(&bc);
    ck_assert_str_eq(segments_of(&bc), "1-101 101-201 ");
    for (uint64_t first = 1; first < 201; first += 100) {
        struct landlog_segment_ref ref = {first, first + 100};
        struct log_segment segment;
        struct log_entry *entries;
        uint32_t n;
        ck_assert_int_eq(landlog_segment_get(&bc.repo, &bc.project, &ref, &bc.arena, &segment),
                         OK);
        ck_assert_int_eq(landlog_collect(&bc.repo, &bc.project, &bc.head, first, first + 100,
                                         &bc.arena, &entries, &n),
                         OK);
        ck_assert_uint_eq(segment.n, n);
        for (uint32_t i = 0; i < n; i++) {
            ck_assert(id16_equal(&segment.entries[i].request, &entries[i].request));
            ck_assert(hash_equal(&segment.entries[i].tree, &entries[i].tree));
            ck_assert(bytes_equal(segment.entries[i].goal, entries[i].goal));
            ck_assert_uint_eq(segment.entries[i].n_effects, entries[i].n_effects);
        }
    }
    build_chain_release(&bc);
}
END_TEST

START_TEST(ten_become_one)
{
    struct build_chain bc;
    build_chain_init(&bc);
    land_many(&bc, 1000);
    ck_assert_int_eq(run_once(&bc), 9);
    land_many(&bc, 1250);
    run_all(&bc);
    ck_assert_str_eq(segments_of(&bc), "1-1001 1001-2001 2001-2101 2101-2201 ");
    struct landlog *log;
    const struct log_entry *entry;
    uint64_t want = 2250;
    ck_assert_int_eq(landlog_open(&bc.repo, &bc.project, UINT64_MAX, &log), OK);
    while (landlog_next(log, &entry) == OK)
        ck_assert_uint_eq(entry->position, want--);
    ck_assert_uint_eq(want, 0);
    landlog_close(log);
    build_chain_release(&bc);
}
END_TEST

START_TEST(run_is_bounded_and_reads_a_batch_once)
{
    struct build_chain bc;
    build_chain_init(&bc);
    land_many(&bc, 1500);
    land_many(&bc, 1500);
    build_chain_cold(&bc);
    struct stage *stage = stage_append_open(&bc.repo);
    ck_assert_int_eq(stage->run(stage), 10 + 1);
    struct trace_counts counts = build_chain_counts(&bc);
    ck_assert_uint_eq(counts.puts[TRACE_LOG], 10 + 1);
    ck_assert_uint_eq(counts.deletes[TRACE_LOG], 10);
    ck_assert_uint_eq(counts.gets[TRACE_LOG], 10 + 1);
    ck_assert_uint_eq(counts.gets[TRACE_HEAD], 2); /* the second: it has no references */
    ck_assert_uint_eq(counts.lists, 2);            /* handles, segments */
    /* Three batches' tails, and the records four times: walks of 1, 2, 4 and 3 segments. */
    ck_assert_uint_le(counts.gets[TRACE_TREE], 3 + 4);
    ck_assert_int_eq(stage->run(stage), 10 + 1);
    stage->close(stage);
    build_chain_release(&bc);
}
END_TEST

/* A store whose calls on log objects fail in a way that a test chooses. */
struct failing_store {
    struct store store;
    struct store *below;
    enum store_verb verb;
    int after;    /* so many calls go well before */
    int err;      /* what the failing ones answer */
    bool happens; /* they take effect all the same */
};

static int failing_one(struct store *store, struct store_op *op)
{
    struct failing_store *failing = (struct failing_store *)store;
    bool mine = op->verb == failing->verb && strstr(op->key, "landing-log/") != NULL;
    if (!mine || failing->after-- > 0)
        return failing->below->calls->one(failing->below, op);
    if (failing->happens)
        (void)failing->below->calls->one(failing->below, op);
    op->err = failing->err;
    return op->err;
}

static int failing_many(struct store *store, struct store_op *ops, size_t n)
{
    int first = OK;
    for (size_t i = 0; i < n; i++) {
        int err = failing_one(store, &ops[i]);
        first = first == OK ? err : first;
    }
    return first;
}

static int failing_list(struct store *store, struct arena *arena, const char *prefix,
                        const char *after, size_t max, struct store_list *out)
{
    return store_list(((struct failing_store *)store)->below, arena, prefix, after, max, out);
}

static uint64_t failing_date_ms(struct store *store)
{
    return store_date_ms(((struct failing_store *)store)->below);
}

static const struct store_calls failing_calls = {
    .name = "failing",
    .one = failing_one,
    .many = failing_many,
    .list = failing_list,
    .date_ms = failing_date_ms,
};

static void log_be_quiet(void)
{
    int fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
    ck_assert_int_ge(fd, 0);
    log_to_fd(fd);
}

/* Every put and delete of the log fails once, in each way, and another process goes on from
 * what is there: no hole ever, and the same segments in the end. */
START_TEST(stopped_anywhere_it_is_done_again)
{
    log_be_quiet();
    const enum store_verb verbs[] = {STORE_PUT, STORE_DELETE, STORE_GET};
    const struct {
        int err;
        bool happens;
    } ways[] = {{ERR_AGAIN, false}, {ERR_UNKNOWN, false}, {ERR_UNKNOWN, true}};
    for (size_t v = 0; v < ARRAY_LEN(verbs); v++) {
        for (size_t w = 0; w < ARRAY_LEN(ways); w++) {
            for (int after = 0; after < 12; after++) {
                struct build_chain bc;
                build_chain_init(&bc);
                land_many(&bc, 1150);
                struct failing_store failing = {.store = {.calls = &failing_calls},
                                                .below = bc.trace,
                                                .verb = verbs[v],
                                                .after = after,
                                                .err = ways[w].err,
                                                .happens = ways[w].happens};
                bc.repo.store = &failing.store;
                (void)run_once(&bc);
                bc.repo.store = bc.trace;
                struct landlog_segment_ref *segments;
                size_t n;
                ck_assert_int_eq(
                    landlog_segments(&bc.repo, &bc.project, &bc.arena, &segments, &n), OK);
                run_all(&bc);
                ck_assert_str_eq(segments_of(&bc), "1-1001 1001-1101 ");
                build_chain_release(&bc);
            }
        }
    }
}
END_TEST

START_TEST(same_stage_goes_on_after_an_error)
{
    log_be_quiet();
    struct build_chain bc;
    build_chain_init(&bc);
    land_many(&bc, 450);
    struct failing_store failing = {.store = {.calls = &failing_calls},
                                    .below = bc.trace,
                                    .verb = STORE_PUT,
                                    .after = 2,
                                    .err = ERR_UNKNOWN,
                                    .happens = true};
    bc.repo.store = &failing.store;
    struct stage *stage = stage_append_open(&bc.repo);
    ck_assert_int_ge(stage->run(stage), 0);
    failing.after = 1000;
    for (unsigned i = 0; i < 5; i++)
        ck_assert_int_ge(stage->run(stage), 0);
    stage->close(stage);
    bc.repo.store = bc.trace;
    ck_assert_str_eq(segments_of(&bc), "1-101 101-201 201-301 301-401 ");
    build_chain_release(&bc);
}
END_TEST

START_TEST(two_appenders_do_not_mind_each_other)
{
    struct build_chain bc;
    build_chain_init(&bc);
    struct stage *slow = stage_append_open(&bc.repo);
    land_many(&bc, 150);
    ck_assert_int_eq(slow->run(slow), 1);
    land_many(&bc, 300);
    run_all(&bc);
    /* What the other has put since counts as put. */
    ck_assert_int_eq(slow->run(slow), 3);
    land_many(&bc, 500);
    ck_assert_int_eq(slow->run(slow), 5);
    ck_assert_int_eq(slow->run(slow), 0);
    land_many(&bc, 200);
    run_all(&bc);
    ck_assert_str_eq(segments_of(&bc), "1-1001 1001-1101 ");
    /* It puts one that has gone already, cannot join what is joined, and looks again. */
    for (unsigned i = 0; i < 4; i++)
        ck_assert_int_ge(slow->run(slow), 0);
    ck_assert_str_eq(segments_of(&bc), "1-1001 1001-1101 ");
    slow->close(slow);
    build_chain_release(&bc);
}
END_TEST

START_TEST(damaged_large_segment_keeps_the_small_ones)
{
    log_be_quiet();
    struct build_chain bc;
    build_chain_init(&bc);
    land_many(&bc, 1050);
    struct key key = key_log(&bc.project, 1, 1001);
    ck_assert_int_eq(store_put(bc.mem, key.s, bytes_str("damaged"), PUT_ANY, NULL), OK);
    /* It is there, so nothing is due but what follows it. */
    run_all(&bc);
    ck_assert_str_eq(segments_of(&bc), "1-1001 ");
    ck_assert_int_eq(store_delete(bc.mem, key.s), OK);
    struct stage *stage = stage_append_open(&bc.repo);
    struct failing_store failing = {.store = {.calls = &failing_calls},
                                    .below = bc.trace,
                                    .verb = STORE_GET,
                                    .after = 10,
                                    .err = ERR_CORRUPT};
    bc.repo.store = &failing.store;
    ck_assert_int_ge(stage->run(stage), 0);
    bc.repo.store = bc.trace;
    stage->close(stage);
    ck_assert_uint_eq(strlen(segments_of(&bc)), strlen("1-101 1-1001 ") + 8 * 8 + 9);
    build_chain_release(&bc);
}
END_TEST

static void object_get(struct build_chain *bc, uint64_t first, uint64_t end, struct buf *out)
{
    struct key key = key_log(&bc->project, first, end);
    buf_clear(out);
    ck_assert_int_eq(store_get(bc->mem, key.s, range_all(), out, NULL, NULL), OK);
}

/* Runs it to its end; gives how many segments it has put. */
static uint64_t rebuild(struct build_chain *bc)
{
    build_chain_cold(bc);
    struct stage *stage = stage_append_rebuild_open(&bc->repo);
    while (stage->run(stage) > 0) {
    }
    stage->close(stage);
    return build_chain_counts(bc).puts[TRACE_LOG];
}

START_TEST(rebuild_replaces_what_is_damaged)
{
    static const struct landlog_segment_ref refs[] = {
        {1, 1001}, {1001, 1101}, {1101, 1201}, {1201, 1301}};
    log_be_quiet();
    struct build_chain bc;
    struct buf whole[ARRAY_LEN(refs)] = {0};
    AUTO_BUF now = {0};
    build_chain_init(&bc);
    struct build_answer early = {.verdict = VERDICT_REFUSED, .key = "early"};
    build_chain_put(&bc, &early, 1);
    build_chain_grow(&bc, 40);
    land_many(&bc, 700);
    land_many(&bc, 600);
    run_all(&bc);
    ck_assert_str_eq(segments_of(&bc), "1-1001 1001-1101 1101-1201 1201-1301 ");
    for (size_t i = 0; i < ARRAY_LEN(refs); i++)
        object_get(&bc, refs[i].first, refs[i].end, &whole[i]);
    /* All is as it should be: the chain makes the same bytes. */
    ck_assert_uint_eq(rebuild(&bc), 0);
    for (size_t i = 0; i < ARRAY_LEN(refs); i++) {
        struct key key = key_log(&bc.project, refs[i].first, refs[i].end);
        for (unsigned how = 0; how < 3; how++) {
            if (how == 0)
                build_chain_flip(&bc, key.s, -100);
            else if (how == 1)
                ck_assert_int_eq(
                    store_put(bc.mem, key.s, buf_bytes(&whole[(i + 1) % 4]), PUT_ANY, NULL),
                    OK);
            else if (i == 3) /* the newest is only not there yet, as are all without it */
                ck_assert_int_eq(store_delete(bc.mem, key.s), OK);
            else
                continue;
            ck_assert_uint_eq(rebuild(&bc), 1);
            object_get(&bc, refs[i].first, refs[i].end, &now);
            ck_assert(bytes_equal(buf_bytes(&now), buf_bytes(&whole[i])));
        }
    }
    for (size_t i = 0; i < ARRAY_LEN(refs); i++)
        buf_release(&whole[i]);
    build_chain_release(&bc);
}
END_TEST

/* What is missing before others is made again, and then becomes what it was. */
START_TEST(rebuild_fills_holes)
{
    struct build_chain bc;
    log_be_quiet();
    build_chain_init(&bc);
    land_many(&bc, 2350);
    run_all(&bc);
    ck_assert_str_eq(segments_of(&bc), "1-1001 1001-2001 2001-2101 2101-2201 2201-2301 ");
    const uint64_t lost[][2] = {{1, 1001}, {1001, 2001}, {2101, 2201}};
    for (size_t i = 0; i < ARRAY_LEN(lost); i++) {
        struct key key = key_log(&bc.project, lost[i][0], lost[i][1]);
        ck_assert_int_eq(store_delete(bc.mem, key.s), OK);
        run_all(&bc);
        ck_assert_uint_ge(rebuild(&bc), 1);
        run_all(&bc);
        ck_assert_str_eq(segments_of(&bc), "1-1001 1001-2001 2001-2101 2101-2201 2201-2301 ");
    }
    build_chain_release(&bc);
}
END_TEST

START_TEST(quiet_projects_cost_less_and_less)
{
    struct build_chain bc;
    build_chain_init(&bc);
    struct id16 id;
    for (unsigned i = 0; i < 19; i++) {
        const char *handle = arena_printf(&bc.arena, "quiet%u", i);
        ck_assert_int_eq(project_create(&bc.repo, bytes_str(handle), &id), OK);
    }
    build_chain_cold(&bc);
    struct stage *stage = stage_append_open(&bc.repo);
    for (unsigned i = 0; i < 1000; i++)
        ck_assert_int_eq(stage->run(stage), 0);
    struct trace_counts counts = build_chain_counts(&bc);
    ck_assert_uint_eq(counts.gets[TRACE_HANDLE], 20);
    /* A list a run, and once the segments of each. */
    ck_assert_uint_le(counts.lists, 1000 + 20);
    /* 1 + 2 + … + 64 runs between the first visits, then 65 from one to the next; and those to
     * references, of which there are none, at once. */
    ck_assert_uint_le(counts.gets[TRACE_HEAD], 20 * (8 + 1000 / 65 + 1 + 1000 / 65));
    /* It wakes up by itself, and then it is visited in every run. */
    land_many(&bc, 350);
    int did = 0;
    for (unsigned i = 0; i < 66 && did == 0; i++)
        did = stage->run(stage);
    ck_assert_int_eq(did, 3);
    land_many(&bc, 100);
    ck_assert_int_eq(stage->run(stage), 1);
    stage->close(stage);
    build_chain_release(&bc);
}
END_TEST

START_TEST(damaged_project_holds_no_other_up)
{
    log_be_quiet();
    struct build_chain bc;
    build_chain_init(&bc);
    land_many(&bc, 150);
    const char *const handles[] = {"a-headless", "b-broken", "z-treeless"};
    for (size_t i = 0; i < ARRAY_LEN(handles); i++) {
        struct id16 id;
        struct head head;
        ck_assert_int_eq(project_create(&bc.repo, bytes_str(handles[i]), &id), OK);
        ck_assert_int_eq(chain_head(&bc.repo, &id, &head, NULL), OK);
        struct key key = key_head(&id);
        if (i == 0) {
            ck_assert_int_eq(store_delete(bc.mem, key.s), OK);
        } else if (i == 1) {
            ck_assert_int_eq(store_put(bc.mem, key.s, bytes_str("x"), PUT_ANY, NULL), OK);
        } else {
            uint8_t bytes[HEAD_LEN];
            head.position = 1000;
            head_encode(&head, bytes);
            ck_assert_int_eq(store_put(bc.mem, key.s, bytes_of(bytes, HEAD_LEN), PUT_ANY, NULL),
                             OK);
        }
    }
    ck_assert_int_eq(run_once(&bc), 1);
    ck_assert_str_eq(segments_of(&bc), "1-101 ");
    build_chain_release(&bc);
}
END_TEST

START_TEST(more_projects_than_a_page_are_all_visited)
{
    struct build_chain bc;
    build_chain_init(&bc);
    land_many(&bc, 150);
    /* Handles that all sort before "demo", of projects that are not there. */
    for (unsigned i = 0; i < 1010; i++) {
        AUTO_BUF bytes = {0};
        const char *handle = arena_printf(&bc.arena, "c%04u", i);
        struct id16 id = {{1, (uint8_t)(i >> 8), (uint8_t)i}};
        struct project_info info = {.id = id, .handle = bytes_str(handle)};
        handle_encode(&info, &bytes);
        struct key key = key_handle(info.handle);
        ck_assert_int_eq(store_put(bc.mem, key.s, buf_bytes(&bytes), PUT_ANY, NULL), OK);
    }
    log_be_quiet();
    struct stage *stage = stage_append_open(&bc.repo);
    ck_assert_int_eq(stage->run(stage), 1); /* one page done, another to go */
    ck_assert_str_eq(segments_of(&bc), "");
    ck_assert_int_eq(stage->run(stage), 1);
    ck_assert_str_eq(segments_of(&bc), "1-101 ");
    stage->close(stage);
    build_chain_release(&bc);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        nothing_to_do,
        segment_waits_for_the_answers_of_its_last_position,
        segments_have_what_the_chain_has,
        ten_become_one,
        run_is_bounded_and_reads_a_batch_once,
        stopped_anywhere_it_is_done_again,
        same_stage_goes_on_after_an_error,
        two_appenders_do_not_mind_each_other,
        damaged_large_segment_keeps_the_small_ones,
        rebuild_replaces_what_is_damaged,
        rebuild_fills_holes,
        quiet_projects_cost_less_and_less,
        damaged_project_holds_no_other_up,
        more_projects_than_a_page_are_all_visited,
    };
    return suite_run("append", tests, ARRAY_LEN(tests));
}
