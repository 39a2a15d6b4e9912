#include "pipeline/repo/history/path_log.h"

#include <fcntl.h>
#include <stdlib.h>

#include "formats/key.h"
#include "pipeline/repo/history/rollup_list.h"
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

static void rollups_make(struct build_chain *bc)
{
    struct rollup_options options = {.rebuild = false};
    struct stage *stage = stage_rollup_open(&bc->repo, &options);
    int did;
    while ((did = stage->run(stage)) > 0)
        continue;
    ck_assert_int_eq(did, 0);
    stage->close(stage);
}

/* ---- against the plainest way ---- */

/* The positions at which the path was touched, as log_maker tells. */
struct touches {
    uint64_t *positions; /* newest first */
    size_t n;
};

static struct touches touches_of(struct log_maker *m, struct bytes path, uint64_t from,
                                 uint64_t before)
{
    struct touches touches = {.positions =
                                  arena_array(&m->bc.arena, before - from + 1, uint64_t)};
    for (uint64_t p = before; p + 1 > from && p > 0; p--) {
        AUTO(arena_release) struct arena arena = {0};
        uint32_t n;
        const struct log_entry *entries = log_maker_entries(m, p, &arena, &n);
        for (uint32_t i = 0; i < n; i++) {
            if (entries[i].verdict == VERDICT_LANDED && path_log_touches(&entries[i], path))
                touches.positions[touches.n++] = p;
        }
    }
    return touches;
}

/* Of what is read ahead, too, more or less. */
static int log_open(struct build_chain *bc, const char *path, uint64_t from, uint64_t before,
                    struct path_log **out)
{
    const struct path_asked asked = {
        .path = bytes_str(path), .from = from, .before = before, .wanted = before % 40};
    return path_log_open(&bc->repo, &bc->project, &asked, out);
}

static void path_check(struct log_maker *m, const char *path, uint64_t from, uint64_t before)
{
    struct touches want = touches_of(m, bytes_str(path), from, before);
    struct path_log *log;
    const struct log_entry *entry;
    ck_assert_int_eq(log_open(&m->bc, path, from, before, &log), OK);
    for (size_t i = 0; i < want.n; i++) {
        ck_assert_int_eq(path_log_next(log, &entry), OK);
        ck_assert_uint_eq(entry->position, want.positions[i]);
    }
    ck_assert_int_eq(path_log_next(log, &entry), ERR_NOT_FOUND);
    ck_assert_int_eq(path_log_next(log, &entry), ERR_NOT_FOUND);
    path_log_close(log);
}

static void paths_check(struct log_maker *m, struct chance *chance, unsigned rounds)
{
    for (unsigned i = 0; i < rounds; i++) {
        unsigned name = (unsigned)chance_below(chance, m->names);
        const char *paths[] = {
            arena_printf(&m->bc.arena, "d%u/f%u", name / 10 % 100, name),
            arena_printf(&m->bc.arena, "d%u/e%u/f%u", name / 50 % 20, name / 10 % 5, name),
            arena_printf(&m->bc.arena, "d%u/e%u", name / 50 % 20, name / 10 % 5),
            arena_printf(&m->bc.arena, "f%u", name),
            "never/was",
            "",
        };
        uint64_t before = chance_below(chance, m->end);
        uint64_t from = chance_below(chance, before + 1);
        path_check(m, paths[i % ARRAY_LEN(paths)], from, before);
    }
}

/* Some of the rollups go, and some others are damaged. */
static void rollups_harm(struct log_maker *m, struct chance *chance)
{
    for (unsigned level = 1; level <= 2; level++) {
        struct rollup_ref *refs;
        size_t n;
        ck_assert_int_eq(
            rollup_list(&m->bc.repo, &m->bc.project, level, 1, m->end, &m->bc.arena, &refs, &n),
            OK);
        for (size_t i = 0; i < n; i++) {
            struct key key = key_rollup(&m->bc.project, level, refs[i].first, refs[i].end);
            uint64_t way = chance_below(chance, 4);
            if (way == 0)
                ck_assert_int_eq(store_delete(m->bc.mem, key.s), OK);
            for (uint64_t at = 0; way == 1 && at < refs[i].size; at += ROLLUP_SECTOR)
                build_chain_flip(&m->bc, key.s,
                                 (long)(at + chance_below(chance, ROLLUP_SECTOR)));
        }
    }
}

START_TEST(it_is_what_the_log_has)
{
    struct chance chance;
    struct log_maker m;
    log_be_quiet();
    chance_init(&chance, "it_is_what_the_log_has");
    log_maker_init(&m, chance_u64(&chance), 3, 2000);
    log_maker_grow(&m, 12701);
    paths_check(&m, &chance, 12);
    rollups_make(&m.bc);
    paths_check(&m, &chance, 120);
    rollups_harm(&m, &chance);
    paths_check(&m, &chance, 60);
    log_maker_release(&m);
}
END_TEST

/* What was not read shows: a hole in the log where the path may have been touched. */
START_TEST(a_hole_where_it_is_read_is_corrupt)
{
    struct log_maker m;
    struct path_log *log;
    const struct log_entry *entry;
    log_be_quiet();
    log_maker_init(&m, 4, 3, 300);
    log_maker_grow(&m, 3501);
    rollups_make(&m.bc);
    struct touches touches = touches_of(&m, bytes_str("d1/e1"), 1, 1000);
    ck_assert_uint_gt(touches.n, 0);
    struct key key = key_log(&m.bc.project, 1, 1001);
    ck_assert_int_eq(store_delete(m.bc.mem, key.s), OK);
    ck_assert_int_eq(log_open(&m.bc, "d1/e1", 1, 1000, &log), OK);
    ck_assert_int_eq(path_log_next(log, &entry), ERR_CORRUPT);
    path_log_close(log);
    ck_assert_int_eq(log_open(&m.bc, "never/was", 1, 1000, &log), OK);
    ck_assert_int_eq(path_log_next(log, &entry), ERR_NOT_FOUND);
    path_log_close(log);
    log_maker_release(&m);
}
END_TEST

/* The newest landings, which only the chain has; the cursor goes on below them. */
START_TEST(the_newest_come_from_the_chain)
{
    struct build_chain bc;
    build_chain_init(&bc);
    for (unsigned i = 0; i < 3; i++) {
        build_chain_grow(&bc, 60);
        build_chain_write(&bc, "now/and/then", i == 0 ? "a" : i == 1 ? "b" : "c");
    }
    struct stage *append = stage_append_open(&bc.repo);
    while (append->run(append) > 0)
        continue;
    append->close(append);
    rollups_make(&bc);
    build_chain_cold(&bc);
    static const uint64_t want[] = {183, 122, 61};
    uint64_t before = UINT64_MAX;
    for (size_t i = 0; i < ARRAY_LEN(want); i++) {
        struct path_log *log;
        const struct log_entry *entry;
        ck_assert_int_eq(log_open(&bc, "now/and", 1, before, &log), OK);
        for (size_t j = i; j < ARRAY_LEN(want); j++) {
            ck_assert_int_eq(path_log_next(log, &entry), OK);
            ck_assert_uint_eq(entry->position, want[j]);
        }
        ck_assert_int_eq(path_log_next(log, &entry), ERR_NOT_FOUND);
        path_log_close(log);
        before = want[i] - 1;
    }
    build_chain_release(&bc);
}
END_TEST

/* Where a path changes often, one segment has what is wanted, and one more is read at most. */
START_TEST(a_busy_path_is_not_read_far_ahead)
{
    struct log_maker m;
    struct path_log *log;
    const struct log_entry *entry;
    log_maker_init(&m, 4, 3, 20);
    log_maker_grow(&m, 20001);
    rollups_make(&m.bc);
    (void)build_chain_counts(&m.bc);
    const struct path_asked asked = {
        .path = bytes_str("d1"), .from = 1, .before = 19000, .wanted = 100};
    ck_assert_int_eq(path_log_open(&m.bc.repo, &m.bc.project, &asked, &log), OK);
    for (unsigned i = 0; i < 100; i++)
        ck_assert_int_eq(path_log_next(log, &entry), OK);
    ck_assert_uint_gt(entry->position, 18000);
    ck_assert_uint_le(build_chain_counts(&m.bc).gets[TRACE_LOG], 2);
    path_log_close(log);
    log_maker_release(&m);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        it_is_what_the_log_has,
        a_hole_where_it_is_read_is_corrupt,
        the_newest_come_from_the_chain,
        a_busy_path_is_not_read_far_ahead,
    };
    return suite_run("path_log", tests, ARRAY_LEN(tests));
}
