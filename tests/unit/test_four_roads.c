/* What was at a path, what its stamp says, what the rollups lead to and what the whole log has
 * are four answers to related questions. They agree, with rollups, with damaged ones and with
 * none. */
#include <check.h>
#include <fcntl.h>

#include "formats/key.h"
#include "pipeline/repo/history/path_log.h"
#include "pipeline/repo/history/rollup_list.h"
#include "pipeline/repo/history/touched.h"
#include "pipeline/repo/tree/snapshot.h"
#include "pipeline/sys/log.h"
#include "tests/support/history.h"
#include "tests/support/suite.h"

static struct history h;

static void log_be_quiet(void)
{
    int fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
    ck_assert_int_ge(fd, 0);
    log_to_fd(fd);
}

static void rollups_make(void)
{
    struct rollup_options options = {.rebuild = false};
    struct stage *stage = stage_rollup_open(&h.forge.repo, &options);
    while (stage->run(stage) > 0)
        continue;
    stage->close(stage);
}

/* Each of them in another way. */
static void rollups_harm(void)
{
    struct forge *f = &h.forge;
    struct rollup_ref *refs;
    size_t n;
    ck_assert_int_eq(rollup_list(&f->repo, &f->project, 1, 1, UINT64_MAX, &f->arena, &refs, &n),
                     OK);
    ck_assert_uint_ge(n, 2);
    for (size_t i = 0; i < n; i++) {
        struct key key = key_rollup(&f->project, 1, refs[i].first, refs[i].end);
        AUTO_BUF bytes = {0};
        ck_assert_int_eq(store_get(f->mem, key.s, range_all(), &bytes, NULL, NULL), OK);
        for (size_t at = ROLLUP_SECTOR + 7; at < bytes.len; at += 2 * ROLLUP_SECTOR)
            bytes.data[at] ^= 1;
        if (i % 2 == 0)
            ck_assert_int_eq(store_put(f->mem, key.s, buf_bytes(&bytes), PUT_ANY, NULL), OK);
        else
            ck_assert_int_eq(store_delete(f->mem, key.s), OK);
    }
}

static struct bytes path_any(void)
{
    struct arena *arena = &h.forge.arena;
    unsigned i = (unsigned)chance_below(&h.chance, HISTORY_PATHS);
    const char *paths[] = {
        arena_printf(arena, "d%u/e%u/f%u", i % 3, i % 7, i),
        arena_printf(arena, "d%u/e%u", i % 3, i % 7),
        arena_printf(arena, "d%u", i % 3),
        "wide",
        arena_printf(arena, "wide/name%u", i),
        arena_printf(arena, "between-%u", i),
        "d1/never",
        "",
    };
    return bytes_str(paths[chance_below(&h.chance, ARRAY_LEN(paths))]);
}

/* What is there at a position. */
static struct entry entry_at(uint64_t position, struct bytes path, struct seen *seen)
{
    struct snapshot *snapshot;
    struct entry entry = {0};
    ck_assert_int_eq(snapshot_open(&h.forge.repo, &h.forge.project, position, &snapshot), OK);
    int err = snapshot_find(snapshot, path, &h.forge.arena, &entry);
    ck_assert(err == OK || err == ERR_NOT_FOUND);
    ck_assert_int_eq(snapshot_seen(snapshot, path, seen), OK);
    snapshot_close(snapshot);
    return entry;
}

/* The positions of (base, head] that touched the path, newest first, as the whole log has
 * them. */
static size_t scan(struct bytes path, uint64_t base, uint64_t head, uint64_t *out)
{
    struct landlog *log;
    const struct log_entry *entry;
    size_t n = 0;
    ck_assert_int_eq(landlog_open(&h.forge.repo, &h.forge.project, head, &log), OK);
    while (landlog_next(log, &entry) == OK) {
        if (entry->position > base && entry->verdict == VERDICT_LANDED &&
            path_log_touches(entry, path))
            out[n++] = entry->position;
    }
    landlog_close(log);
    return n;
}

static void path_log_check(struct bytes path, uint64_t base, uint64_t head,
                           const uint64_t *want, size_t n)
{
    struct path_log *log;
    const struct log_entry *entry;
    const struct path_asked asked = {
        .path = path, .from = base + 1, .before = head, .wanted = 1 + base % 20};
    ck_assert_int_eq(path_log_open(&h.forge.repo, &h.forge.project, &asked, &log), OK);
    for (size_t i = 0; i < n; i++) {
        ck_assert_int_eq(path_log_next(log, &entry), OK);
        ck_assert_uint_eq(entry->position, want[i]);
    }
    ck_assert_int_eq(path_log_next(log, &entry), ERR_NOT_FOUND);
    path_log_close(log);
}

/* Those of the newest head. */
static void touched_check(struct bytes path, uint64_t base, const uint64_t *want, size_t n)
{
    AUTO(arena_release) struct arena arena = {0};
    struct touched_ask ask = {.path = path, .since = base, .max = UINT32_MAX};
    struct touched *out;
    uint64_t at;
    ck_assert_int_eq(touched_since(&h.forge.repo, &h.forge.project, &ask, 1, &arena, &out, &at),
                     OK);
    ck_assert_uint_eq(out->n, n);
    for (size_t i = 0; i < n; i++)
        ck_assert_uint_eq(out->landings[i].position, want[i]);
}

static void agree(struct bytes path, uint64_t base, uint64_t head)
{
    uint64_t positions[1000];
    struct seen seen;
    struct seen seen_base;
    struct seen before;
    size_t n = scan(path, base, head, positions);
    path_log_check(path, base, head, positions, n);
    if (head == forge_position(&h.forge))
        touched_check(path, base, positions, n);
    struct entry entry = entry_at(head, path, &seen);
    (void)entry_at(base, path, &seen_base);
    if (n == 0)
        ck_assert(seen_equal(&seen, &seen_base));
    /* The stamp is the newest landing that changed anything: those that came after it wrote
     * what was there already. Of the root it is the tree's position. */
    size_t newer = 0;
    while (newer < n && entry.kind != KIND_NONE && path.len > 0 &&
           positions[newer] > entry.stamp)
        newer++;
    if (newer > 0) {
        (void)entry_at(positions[newer - 1] - 1, path, &before);
        ck_assert(seen_equal(&seen, &before));
    }
    if (entry.kind == KIND_NONE || path.len == 0)
        return;
    if (entry.stamp > base) {
        ck_assert_uint_lt(newer, n);
        ck_assert_uint_eq(positions[newer], entry.stamp);
    } else {
        ck_assert_uint_eq(newer, n);
        ck_assert(seen_equal(&seen, &seen_base));
    }
}

static void all_agree(unsigned rounds)
{
    uint64_t last = forge_position(&h.forge);
    for (unsigned i = 0; i < rounds; i++) {
        uint64_t head = i % 2 == 0 ? last : 1 + chance_below(&h.chance, last);
        uint64_t base = chance_below(&h.chance, head + 1);
        /* Near ones, too: nothing was touched in many of them. */
        if (i % 3 == 0)
            base = head - chance_below(&h.chance, head < 20 ? head : 20);
        agree(path_any(), base, head);
    }
}

START_TEST(all_four_agree)
{
    log_be_quiet();
    history_init(&h, "all_four_agree");
    history_grow(&h, 330);
    all_agree(40);
    history_append(&h);
    all_agree(40);
    rollups_make();
    all_agree(150);
    rollups_harm();
    all_agree(100);
    history_release(&h);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        all_four_agree,
    };
    return suite_run("four_roads", tests, ARRAY_LEN(tests));
}
