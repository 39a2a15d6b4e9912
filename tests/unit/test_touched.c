#include "pipeline/repo/history/touched.h"

#include "formats/path.h"
#include "formats/rollup.h"
#include "pipeline/repo/history/path_log.h"
#include "tests/support/history.h"
#include "tests/support/long_history.h"
#include "tests/support/suite.h"

static struct history h;
static struct arena arena;

static void begin(const char *test, uint64_t position)
{
    history_init(&h, test);
    history_grow(&h, position);
    history_append(&h);
}

static void end(void)
{
    history_release(&h);
    arena_release(&arena);
}

static struct touched *ask(const struct touched_ask *asks, size_t n)
{
    struct touched *out;
    uint64_t at;
    ck_assert_int_eq(touched_since(&h.forge.repo, &h.forge.project, asks, n, &arena, &out, &at),
                     OK);
    ck_assert_uint_eq(at, forge_position(&h.forge));
    return out;
}

/* The same from the whole log, in the plainest way: path_log_touches tells for files and
 * directories. */
static void check_below(const struct touched_ask *ask, const struct touched *got)
{
    struct landlog *log;
    const struct log_entry *entry;
    uint32_t n = 0;
    ck_assert_int_eq(landlog_open(&h.forge.repo, &h.forge.project, UINT64_MAX, &log), OK);
    while (landlog_next(log, &entry) == OK) {
        if (entry->position <= ask->since || entry->verdict != VERDICT_LANDED ||
            !path_log_touches(entry, ask->path) || n == ask->max)
            continue;
        ck_assert_uint_lt(n, got->n);
        const struct log_entry *found = &got->landings[n++];
        ck_assert_uint_eq(found->position, entry->position);
        ck_assert(id16_equal(&found->session, &entry->session));
        ck_assert_uint_ge(found->n_effects, 1);
        for (uint32_t i = 0; i < found->n_effects; i++)
            ck_assert(bytes_equal(found->effects[i].path, ask->path) ||
                      path_below(found->effects[i].path, ask->path));
    }
    ck_assert_uint_eq(n, got->n);
    landlog_close(log);
}

START_TEST(each_path_has_its_own_since)
{
    begin("each_path_has_its_own_since", 320);
    static const char *const paths[] = {"d0/e0/f0", "d1/e3/f10", "d2", "", "wide", "never/was"};
    uint64_t head = forge_position(&h.forge);
    for (unsigned round = 0; round < 20; round++) {
        struct touched_ask asks[ARRAY_LEN(paths)] = {0};
        for (size_t i = 0; i < ARRAY_LEN(paths); i++)
            asks[i] = (struct touched_ask){.path = bytes_str(paths[i]),
                                           .since = chance_below(&h.chance, head + 2),
                                           .max = 1 + (uint32_t)chance_below(&h.chance, 20)};
        struct touched *got = ask(asks, ARRAY_LEN(asks));
        for (size_t i = 0; i < ARRAY_LEN(asks); i++)
            check_below(&asks[i], &got[i]);
    }
    end();
}
END_TEST

START_TEST(a_path_itself_is_not_what_lies_below)
{
    begin("a_path_itself_is_not_what_lies_below", 120);
    struct touched_ask asks[] = {
        {.what = TOUCHED_ITSELF, .path = bytes_str("d0"), .max = 1},
        {.what = TOUCHED_BELOW, .path = bytes_str("d0"), .max = 1},
        {.what = TOUCHED_ITSELF, .path = bytes_str("wide/name7"), .max = 9},
    };
    struct touched *got = ask(asks, ARRAY_LEN(asks));
    ck_assert_uint_eq(got[0].n, 0);
    ck_assert_uint_eq(got[1].n, 1);
    ck_assert_uint_eq(got[2].n, 1);
    ck_assert_uint_eq(got[2].landings[0].position, 1);
    ck_assert_uint_eq(got[2].landings[0].n_effects, 1);
    ck_assert(bytes_equal(got[2].landings[0].effects[0].path, bytes_str("wide/name7")));
    end();
}
END_TEST

START_TEST(keys_are_asked_as_they_are)
{
    begin("keys_are_asked_as_they_are", 120);
    struct touched_ask first = {
        .what = TOUCHED_ITSELF, .path = bytes_str("wide/name7"), .max = 1};
    const struct log_entry *landing = ask(&first, 1)->landings;
    struct touched_ask asks[] = {
        {.what = TOUCHED_KEY, .key = rollup_key_session(&landing->session), .max = 5},
        {.what = TOUCHED_KEY, .key = rollup_key_content(&landing->effects->hash), .max = 500},
        {.what = TOUCHED_KEY, .key = rollup_key_path(bytes_str("wide")), .max = 5},
        {.what = TOUCHED_KEY, .key = 5, .max = 5},
        {.what = TOUCHED_KEY, .key = rollup_key_path(bytes_str("wide")), .since = 1, .max = 5},
    };
    struct touched *got = ask(asks, ARRAY_LEN(asks));
    for (size_t i = 0; i < 3; i++) {
        ck_assert_uint_ge(got[i].n, 1);
        const struct log_entry *last = &got[i].landings[got[i].n - 1];
        ck_assert_uint_eq(last->position, 1);
        ck_assert_uint_eq(last->n_effects, 1500);
    }
    ck_assert_uint_eq(got[3].n + got[4].n, 0);
    end();
}
END_TEST

START_TEST(of_no_project_nothing_is_told)
{
    begin("of_no_project_nothing_is_told", 0);
    struct touched_ask ask_one = {.path = bytes_str("a"), .max = 1};
    struct touched *out;
    uint64_t at;
    struct id16 none = {{1}};
    ck_assert_int_eq(touched_since(&h.forge.repo, &none, &ask_one, 1, &arena, &out, &at),
                     ERR_NOT_FOUND);
    ck_assert_uint_eq(ask(&ask_one, 1)->n, 0);
    end();
}
END_TEST

/* ---- what it costs ---- */

/* Requests of all kinds. */
static uint64_t requests(const struct trace_counts *c)
{
    uint64_t n = c->lists;
    for (unsigned kind = 0; kind < TRACE_KINDS; kind++)
        n += c->gets[kind] + c->puts[kind] + c->deletes[kind];
    return n;
}

/* Of a head that has not moved only the head is read; and what was found ends the search. */
START_TEST(no_more_is_read_than_is_needed)
{
    struct build_chain bc;
    struct touched *out;
    uint64_t at;
    build_chain_init(&bc);
    build_chain_grow(&bc, 30);
    build_chain_cold(&bc);
    struct touched_ask asks[] = {{.path = bytes_str("dir/1"), .since = 30, .max = 1},
                                 {.path = bytes_str("dir/2"), .since = 31, .max = 1}};
    ck_assert_int_eq(touched_since(&bc.repo, &bc.project, asks, 2, &arena, &out, &at), OK);
    ck_assert_uint_eq(out[0].n + out[1].n, 0);
    struct trace_counts c = build_chain_counts(&bc);
    ck_assert_uint_eq(requests(&c), 1);
    asks[0] = (struct touched_ask){.path = bytes_str("dir/29"), .max = 1};
    asks[1] = (struct touched_ask){.path = bytes_str("dir"), .max = 2};
    ck_assert_int_eq(touched_since(&bc.repo, &bc.project, asks, 2, &arena, &out, &at), OK);
    ck_assert_uint_eq(out[0].n, 1);
    ck_assert_uint_eq(out[0].landings[0].position, 29);
    ck_assert_uint_eq(out[1].n, 2);
    ck_assert_uint_eq(build_chain_counts(&bc).gets[TRACE_TREE], 2); /* two batches */
    arena_release(&arena);
    build_chain_release(&bc);
}
END_TEST

/* Three paths, a million landings back, where nothing is found: at each alignment that takes
 * more parts than others. */
START_TEST(three_paths_a_million_landings_back)
{
    static const uint64_t heads[] = {2636399, 1999999, 1990000, 1010101};
    for (size_t i = 0; i < ARRAY_LEN(heads); i++) {
        AUTO(arena_release) struct arena found = {0};
        struct build_chain bc;
        struct touched *out;
        uint64_t at;
        build_chain_init(&bc);
        long_history_put(&bc, heads[i], 10);
        struct touched_ask asks[3] = {
            {.path = bytes_str("d/one"), .max = 1},
            {.path = bytes_str("d/e/two"), .max = 1},
            {.path = bytes_str("d/e/f"), .max = 1},
        };
        for (size_t j = 0; j < ARRAY_LEN(asks); j++)
            asks[j].since = heads[i] - 1000000 + j;
        ck_assert_int_eq(touched_since(&bc.repo, &bc.project, asks, 3, &found, &out, &at), OK);
        ck_assert_uint_eq(at, heads[i]);
        ck_assert_uint_eq(out[0].n + out[1].n + out[2].n, 0);
        struct trace_counts c = build_chain_counts(&bc);
        ck_assert_msg(requests(&c) <= 40, "head %llu: %llu requests",
                      (unsigned long long)heads[i], (unsigned long long)requests(&c));
        ck_assert_uint_le(c.bytes_out, 2 * 1024 * 1024);
        /* Most of them are made side by side. */
        ck_assert_uint_le(c.rounds, 10);
        build_chain_release(&bc);
    }
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        each_path_has_its_own_since,    a_path_itself_is_not_what_lies_below,
        keys_are_asked_as_they_are,     of_no_project_nothing_is_told,
        no_more_is_read_than_is_needed, three_paths_a_million_landings_back,
    };
    return suite_run("touched", tests, ARRAY_LEN(tests));
}
