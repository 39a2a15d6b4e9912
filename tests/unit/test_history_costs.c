/* What a question to a history costs, at a thousand landings and at a million: the same, but
 * for a few requests for each factor of ten. */
#include <check.h>

#include "formats/key.h"
#include "pipeline/repo/history/path_log.h"
#include "pipeline/repo/history/rollup_build.h"
#include "pipeline/stages/rollup_project.h"
#include "pipeline/stages/stages.h"
#include "tests/support/log_maker.h"
#include "tests/support/long_history.h"
#include "tests/support/suite.h"

/* Requests that a factor of ten may cost more: for the parts of a group that fills up, on one
 * level, and for what is wrong by chance. */
#define MORE_MAX 10u

static struct log_maker maker;

static int rollup_put(void *arg, const struct rollup *rollup, struct bytes object)
{
    struct log_maker *m = arg;
    const struct rollup_shape *shape = &rollup->shape;
    struct key key = key_rollup(&shape->project, shape->level, shape->first, rollup_end(shape));
    return store_put(m->bc.mem, key.s, object, PUT_ANY, NULL);
}

/* All that the rollup stage would make of a log up to `end`. */
static void rollups_make(uint64_t end)
{
    for (unsigned level = 1; level <= ROLLUP_LEVELS; level++) {
        uint64_t full = (end - 1) / rollup_span(level);
        for (uint64_t at = 0; at < full;) {
            struct rollup_plan plan = {.project = maker.bc.project,
                                       .level = level,
                                       .first = 1 + at * rollup_span(level),
                                       .columns = rollup_columns_at(level, at, full)};
            ck_assert_int_eq(rollup_build(&maker.bc.repo, &plan, rollup_put, &maker), OK);
            at += plan.columns;
        }
    }
}

static void history_make(uint64_t landings)
{
    log_maker_init(&maker, 9, 1, 20000000); /* hardly a path twice */
    maker.touched = landings / 5;
    log_maker_grow(&maker, landings - 99);
    rollups_make(landings - 99);
    long_history_chain(&maker.bc, landings);
}

/* Requests of all kinds since the last time; rollups must be among what was asked. */
static uint64_t requests(void)
{
    struct trace_counts c = build_chain_counts(&maker.bc);
    uint64_t n = c.lists;
    for (unsigned kind = 0; kind < TRACE_KINDS; kind++)
        n += c.gets[kind] + c.puts[kind] + c.deletes[kind];
    ck_assert_uint_gt(c.gets[TRACE_ROLLUP], 0);
    return n;
}

/* The newest `wanted` of the landings that touched a path, which are five. */
static void path_ask(uint64_t wanted)
{
    struct path_log *log;
    const struct log_entry *entry;
    const struct path_asked asked = {.path = bytes_str(LOG_MAKER_TOUCHED),
                                     .from = 1,
                                     .before = UINT64_MAX,
                                     .wanted = wanted};
    uint64_t n = 0;
    build_chain_cold(&maker.bc);
    ck_assert_int_eq(path_log_open(&maker.bc.repo, &maker.bc.project, &asked, &log), OK);
    while (n < wanted && path_log_next(log, &entry) == OK)
        n++;
    ck_assert_uint_eq(n, wanted < 5 ? wanted : 5);
    path_log_close(log);
}

static uint64_t path_requests(void)
{
    path_ask(100);
    return requests();
}

static uint64_t session_requests(void)
{
    AUTO(arena_release) struct arena arena = {0};
    struct id16 session = build_chain_session(&maker.bc, "nobody", 1);
    struct landing landing;
    struct hash tree;
    build_chain_cold(&maker.bc);
    ck_assert_int_eq(
        landlog_session(&maker.bc.repo, &maker.bc.project, &session, &arena, &landing, &tree),
        ERR_NOT_FOUND);
    return requests();
}

/* Of the oldest content that there is; and of one that there is not. */
static uint64_t content_requests(void)
{
    AUTO(arena_release) struct arena arena = {0};
    struct repo *repo = &maker.bc.repo;
    const struct log_effect *oldest = NULL;
    for (uint64_t p = 1; oldest == NULL; p++) {
        uint32_t n;
        const struct log_entry *entry = log_maker_entries(&maker, p, &arena, &n);
        if (entry->n_effects > 0 && entry->effects->where.place == PLACE_BLOB)
            oldest = entry->effects;
    }
    struct hash hash = oldest->hash;
    struct log_effect effect;
    build_chain_cold(&maker.bc);
    ck_assert_int_eq(landlog_content(repo, &maker.bc.project, &hash, &arena, &effect), OK);
    ck_assert(bytes_equal(effect.path, oldest->path));
    hash.b[0] ^= 1;
    ck_assert_int_eq(landlog_content(repo, &maker.bc.project, &hash, &arena, &effect),
                     ERR_NOT_FOUND);
    return requests();
}

struct costs {
    uint64_t path;
    uint64_t session;
    uint64_t content;
};

static struct costs costs_at(uint64_t landings)
{
    history_make(landings);
    struct costs costs = {path_requests(), session_requests(), content_requests()};
    log_maker_release(&maker);
    return costs;
}

START_TEST(requests_grow_by_a_constant_for_a_factor_of_ten)
{
    struct costs last = {0};
    for (uint64_t landings = 1000; landings <= 1000000; landings *= 10) {
        struct costs now = costs_at(landings);
        if (landings > 1000) {
            ck_assert_msg(now.path <= last.path + MORE_MAX &&
                              now.session <= last.session + MORE_MAX &&
                              now.content <= last.content + MORE_MAX,
                          "%llu landings: %llu, %llu, %llu", (unsigned long long)landings,
                          (unsigned long long)now.path, (unsigned long long)now.session,
                          (unsigned long long)now.content);
        }
        last = now;
    }
}
END_TEST

/* In a far store a question takes the time of its rounds: requests that do not wait for each
 * other are made side by side. */
START_TEST(a_path_log_waits_a_few_times)
{
    history_make(100000);
    path_ask(100);
    struct trace_counts c = build_chain_counts(&maker.bc);
    ck_assert_uint_ge(c.gets[TRACE_LOG], 5);
    ck_assert_uint_ge(c.gets[TRACE_ROLLUP], 6);
    /* Head, list, the batches that the log does not have, list of rollups, two levels of these,
     * and the segments. */
    ck_assert_uint_eq(c.rounds, 1 + 1 + c.gets[TRACE_TREE] + 1 + 3 + 1);
    ck_assert_uint_le(c.gets[TRACE_TREE], 4);
    /* Who wants one reads nothing ahead. */
    uint64_t rollups = c.gets[TRACE_ROLLUP];
    path_ask(1);
    c = build_chain_counts(&maker.bc);
    ck_assert_uint_eq(c.gets[TRACE_LOG], 1);
    ck_assert_uint_lt(c.gets[TRACE_ROLLUP], rollups);
    ck_assert_uint_eq(c.rounds, 1 + 1 + c.gets[TRACE_TREE] + 1 + c.gets[TRACE_ROLLUP] + 1);
    log_maker_release(&maker);
}
END_TEST

static void stage_finish(struct stage *stage)
{
    while (stage->run(stage) > 0)
        continue;
    stage->close(stage);
}

static int find_session(struct build_chain *bc, const char *key, uint64_t base,
                        struct landing *out)
{
    struct id16 sid = build_chain_session(bc, key, base);
    struct hash tree;
    return landlog_session(&bc->repo, &bc->project, &sid, &bc->arena, out, &tree);
}

/* With rollups the segments are read that may hold the answer, and no others. */
START_TEST(rollups_tell_where_an_answer_lies)
{
    struct build_chain bc;
    build_chain_init(&bc);
    struct build_answer refused = {.key = "late", .verdict = VERDICT_REFUSED};
    build_chain_grow(&bc, 130);
    build_chain_put(&bc, &refused, 1);
    refused.request = 1;
    build_chain_grow(&bc, 100);
    build_chain_put(&bc, &refused, 1);
    build_chain_grow(&bc, 190);
    struct rollup_options options = {.rebuild = false};
    stage_finish(stage_append_open(&bc.repo));
    stage_finish(stage_rollup_open(&bc.repo, &options));
    build_chain_cold(&bc);
    struct landing landing;
    ck_assert_int_eq(find_session(&bc, "late", 0, &landing), OK);
    ck_assert_uint_eq(landing.position, 230); /* the newest */
    struct trace_counts counts = build_chain_counts(&bc);
    ck_assert_uint_eq(counts.gets[TRACE_LOG], 2); /* an older one could count for more */
    ck_assert_int_eq(find_session(&bc, "never", 0, &landing), ERR_NOT_FOUND);
    ck_assert_uint_eq(build_chain_counts(&bc).gets[TRACE_LOG], 0);
    /* One that is damaged may contain it. */
    struct key key = key_rollup(&bc.project, 1, 1, 401);
    build_chain_flip(&bc, key.s, -100); /* of its one sector */
    build_chain_cold(&bc);
    ck_assert_int_eq(find_session(&bc, "late", 0, &landing), OK);
    ck_assert_uint_eq(landing.position, 230);
    ck_assert_uint_eq(build_chain_counts(&bc).gets[TRACE_LOG], 4);
    build_chain_release(&bc);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        requests_grow_by_a_constant_for_a_factor_of_ten,
        a_path_log_waits_a_few_times,
        rollups_tell_where_an_answer_lies,
    };
    return suite_run("history_costs", tests, ARRAY_LEN(tests));
}
