/* The tree at a base answers as a snapshot of that position does, whichever way it is come
 * by. */
#include "pipeline/repo/tree/base_tree.h"

#include <stdio.h>

#include "pipeline/repo/tree/snapshot.h"
#include "tests/support/chance.h"
#include "tests/support/forge.h"
#include "tests/support/suite.h"

#define SESSIONS 120u

static const char *const paths[] = {"a",     "b",     "d",     "d/x",   "d/y", "d/e",
                                    "d/e/x", "d/e/y", "d/e/z", "f/g/h", "f/g", ""};

/* Changes a few paths by chance. What clashes with the tree is refused when it lands, which is
 * as good. */
static void session_by_chance(struct forge *forge, struct chance *chance, struct draft *draft)
{
    for (unsigned i = 0; i < 3; i++) {
        const char *path = paths[chance_below(chance, ARRAY_LEN(paths) - 1)];
        const char *text = forge_text(forge, path);
        char *fresh = arena_printf(&forge->arena, "%u", (unsigned)chance_below(chance, 50));
        if (chance_below(chance, 3) == 0)
            draft_delete(draft, path, text);
        else
            draft_write(draft, path, fresh, text);
    }
}

static void compare(struct forge *forge, struct base_cache *cache, uint64_t position)
{
    struct base_tree *base;
    struct snapshot *snapshot;
    ck_assert_int_eq(base_open(cache, &forge->project, position, &base), OK);
    ck_assert_int_eq(snapshot_open(&forge->repo, &forge->project, position, &snapshot), OK);
    ck_assert_uint_eq(base_position(base), position);
    for (unsigned i = 0; i < ARRAY_LEN(paths); i++) {
        struct entry entry;
        struct entry expected;
        struct bytes path = bytes_str(paths[i]);
        enum kind kind;
        ck_assert_int_eq(base_kind(base, path, &kind), OK);
        int err = base_find(base, path, &entry);
        int wanted = snapshot_find(snapshot, path, &forge->arena, &expected);
        ck_assert_msg(err == wanted, "%s at %u: %d, not %d", paths[i], (unsigned)position, err,
                      wanted);
        ck_assert_int_eq(kind, err == OK ? expected.kind : KIND_NONE);
        if (err != OK)
            continue;
        struct seen seen = seen_of(&entry);
        struct seen seen_expected = seen_of(&expected);
        ck_assert_msg(seen_equal(&seen, &seen_expected), "%s at %u", paths[i],
                      (unsigned)position);
        ck_assert_uint_eq(entry.size, expected.size);
        ck_assert_uint_eq(entry.files, expected.files);
    }
    snapshot_close(snapshot);
    base_drop(cache, base);
}

START_TEST(every_position_is_as_a_snapshot_of_it)
{
    struct forge forge;
    struct chance chance;
    chance_init(&chance, "base_tree");
    forge_init(&forge);
    for (unsigned made = 0; made < SESSIONS;) {
        size_t n = 1 + chance_below(&chance, 12);
        for (size_t i = 0; i < n; i++, made++) {
            char key[16];
            (void)snprintf(key, sizeof(key), "%u", made);
            struct draft draft = draft_open(&forge, "ann", key, forge_position(&forge));
            session_by_chance(&forge, &chance, &draft);
            (void)forge_submit(&forge, &draft, 1);
        }
        ck_assert_int_ge(forge_drain(&forge), 0);
    }
    uint64_t last = forge_position(&forge);
    ck_assert_uint_gt(last, SESSIONS / 8);
    struct base_cache *cache = base_cache_open(&forge.repo);
    for (unsigned i = 0; i < 300; i++)
        compare(&forge, cache, chance_below(&chance, last + 1));
    struct base_tree *base;
    ck_assert_int_eq(base_open(cache, &forge.project, last + 1, &base), ERR_INVALID);
    ck_assert_int_eq(base_open(cache, &forge.project, UINT64_MAX, &base), OK);
    ck_assert_uint_eq(base_position(base), last);
    base_drop(cache, base);
    struct id16 nowhere = {.b = {1}};
    ck_assert_int_eq(base_open(cache, &nowhere, 0, &base), ERR_NOT_FOUND);
    base_cache_close(cache);
    forge_release(&forge);
}
END_TEST

/* All positions inside a batch cost one read of its records, and none of the head once it is
 * known. */
START_TEST(budget_inside_a_batch)
{
    struct forge forge;
    forge_init(&forge);
    for (unsigned i = 0; i < 20; i++) {
        char key[16];
        (void)snprintf(key, sizeof(key), "d/p%u", i);
        struct draft draft = draft_open(&forge, "ann", key, 0);
        draft_write(&draft, key, "text", NULL);
        (void)forge_submit(&forge, &draft, 1);
    }
    ck_assert_int_eq(forge_drain(&forge), 0);
    struct forge other; /* a process that remembers nothing of it */
    forge_join(&other, &forge, NULL);
    struct base_cache *cache = base_cache_open(&other.repo);
    struct base_tree *base;
    ck_assert_int_eq(base_open(cache, &forge.project, 20, &base), OK);
    base_drop(cache, base);
    (void)trace_store_counts(forge.trace, true);
    for (uint64_t position = 1; position < 20; position++) {
        struct entry entry;
        enum kind kind;
        ck_assert_int_eq(base_open(cache, &forge.project, position, &base), OK);
        ck_assert_int_eq(base_find(base, bytes_str("d/p9"), &entry),
                         position >= 10 ? OK : ERR_NOT_FOUND);
        ck_assert_int_eq(base_kind(base, bytes_str("d"), &kind), OK);
        ck_assert_int_eq(kind, KIND_DIR);
        base_drop(cache, base);
    }
    struct trace_counts counts = trace_store_counts(forge.trace, true);
    ck_assert_uint_eq(counts.gets[TRACE_HEAD], 0);
    ck_assert_uint_eq(counts.gets[TRACE_TREE], 1); /* the batch before */
    base_cache_close(cache);
    forge_release(&other);
    forge_release(&forge);
}
END_TEST

/* More bases than are kept: one that is held stays, and each is what its position says. */
START_TEST(more_bases_than_are_kept)
{
    enum { n = 300 };
    struct forge forge;
    forge_init(&forge);
    for (unsigned i = 0; i < n; i++)
        forge_land_text(&forge, arena_printf(&forge.arena, "k%u", i),
                        arena_printf(&forge.arena, "p%u", i), "text", NULL);
    struct base_cache *cache = base_cache_open(&forge.repo);
    struct base_tree *held;
    struct entry entry;
    ck_assert_int_eq(base_open(cache, &forge.project, 7, &held), OK);
    for (unsigned round = 0; round < 2; round++) {
        for (unsigned position = 1; position <= n; position++) {
            struct base_tree *base;
            ck_assert_int_eq(base_open(cache, &forge.project, position, &base), OK);
            ck_assert_uint_eq(base_position(base), position);
            ck_assert(position != 7 || base == held);
            const char *last = arena_printf(&forge.arena, "p%u", position - 1);
            const char *next = arena_printf(&forge.arena, "p%u", position);
            ck_assert_int_eq(base_find(base, bytes_str(last), &entry), OK);
            ck_assert_int_eq(base_find(base, bytes_str(next), &entry), ERR_NOT_FOUND);
            base_drop(cache, base);
        }
    }
    struct id16 other = {.b = {1}}; /* has no such position */
    struct base_tree *none;
    ck_assert_int_eq(base_open(cache, &other, 7, &none), ERR_NOT_FOUND);
    base_drop(cache, held);
    base_cache_close(cache);
    forge_release(&forge);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        every_position_is_as_a_snapshot_of_it,
        budget_inside_a_batch,
        more_bases_than_are_kept,
    };
    return suite_run("base_tree", tests, ARRAY_LEN(tests));
}
