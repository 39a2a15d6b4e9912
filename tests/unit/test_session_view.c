#include "formats/session.h"

#include <stdio.h>
#include <stdlib.h>

#include "tests/support/sample_session.h"
#include "tests/support/suite.h"

static struct arena arena;

/* What the session of these records comes to; their ids are given in the order of the array. */
static struct session_view view_of(struct record *records, size_t n)
{
    struct session *session = arena_new(&arena, struct session);
    *session = sample_session_empty("k", 41);
    for (size_t i = 0; i < n; i++) {
        if (id16_is_zero(&records[i].id))
            records[i].id = sample_id((uint8_t)(i + 1));
    }
    ck_assert_uint_eq(session_merge(session, &arena, records, n), n);
    struct session_view view;
    session_view(session, &arena, &view);
    return view;
}

static const struct effect *effect_at(const struct session_view *view, const char *path)
{
    const struct effect *found = NULL;
    for (size_t i = 0; i < view->n_effects; i++) {
        if (bytes_equal(view->effects[i].path, bytes_str(path))) {
            ck_assert_ptr_null(found);
            found = &view->effects[i];
        }
    }
    ck_assert_msg(found != NULL, "nothing happens to %s", path);
    return found;
}

static void is_text(struct bytes found, const char *expected)
{
    ck_assert_msg(bytes_equal(found, bytes_str(expected)), "it is \"%.*s\", not \"%s\"",
                  (int)found.len, found.len == 0 ? "" : (const char *)found.data, expected);
}

static void is_write(const struct effect *effect, const char *text)
{
    struct hash hash = sample_hash(text);
    ck_assert_int_eq(effect->kind, EFFECT_WRITE);
    ck_assert(hash_equal(&effect->content.hash, &hash));
}

START_TEST(an_empty_view)
{
    struct session_view view = view_of(NULL, 0);
    ck_assert_ptr_null(view.start);
    ck_assert_uint_eq(view.n_effects + view.n_guards + view.n_decisions + view.n_turns, 0);
}
END_TEST

START_TEST(the_highest_per_path_wins_with_its_seen)
{
    struct record records[] = {
        sample_write(20, "b", "late"),
        sample_write(10, "b", "early"),
        sample_delete(30, "a", sample_seen("old")),
        sample_write(10, "a", "x"),
        sample_write(10, "c", "by id 5"),
        sample_write(10, "c", "by id 6"),
    };
    records[0].operation.seen = sample_seen("late saw");
    records[1].operation.seen = sample_seen("early saw");
    struct session_view view = view_of(records, ARRAY_LEN(records));
    ck_assert_uint_eq(view.n_effects, 3);
    is_text(view.effects[0].path, "a");
    is_text(view.effects[1].path, "b");
    is_text(view.effects[2].path, "c");
    ck_assert_int_eq(view.effects[0].kind, EFFECT_DELETE);
    struct seen expected = sample_seen("old");
    ck_assert(seen_equal(&view.effects[0].seen, &expected));
    is_write(&view.effects[1], "late");
    expected = sample_seen("late saw");
    ck_assert(seen_equal(&view.effects[1].seen, &expected));
    ck_assert_uint_eq(view.effects[1].by->hlc, 20);
    is_write(&view.effects[2], "by id 6");
}
END_TEST

START_TEST(a_rename_moves_away_and_writes)
{
    struct record rename = sample_rename(10, "p", "q", "content of p");
    rename.operation.seen = sample_seen("content of p");
    rename.operation.target_seen = sample_seen("what was at q");
    struct session_view view = view_of(&rename, 1);
    ck_assert_uint_eq(view.n_effects, 2);
    const struct effect *source = effect_at(&view, "p");
    ck_assert_int_eq(source->kind, EFFECT_MOVED);
    ck_assert_uint_eq(source->source.len, 0);
    ck_assert(seen_equal(&source->seen, &rename.operation.seen));
    const struct effect *target = effect_at(&view, "q");
    is_write(target, "content of p");
    is_text(target->source, "p");
    ck_assert_int_eq(target->content.carrier, CARRIER_SOURCE);
    ck_assert(seen_equal(&target->seen, &rename.operation.target_seen));
}
END_TEST

/* write p, rename p q, write p: q has what the first write brought, and p what the last did. */
START_TEST(write_rename_write)
{
    struct record records[] = {
        sample_write(4, "p", "first"),
        sample_rename(5, "p", "q", "first"),
        sample_write(6, "p", "second"),
    };
    records[1].operation.content.mode = MODE_EXEC;
    struct session_view view = view_of(records, ARRAY_LEN(records));
    ck_assert_uint_eq(view.n_effects, 2);
    is_write(effect_at(&view, "p"), "second");
    const struct effect *q = effect_at(&view, "q");
    is_write(q, "first");
    is_text(q->source, "p");
    ck_assert_int_eq(q->content.carrier, CARRIER_INLINE_RAW);
    is_text(q->content.data, "first");
    ck_assert_uint_eq(q->content.mode, MODE_EXEC);
}
END_TEST

START_TEST(a_later_write_wins_at_both_ends_of_a_rename)
{
    struct record records[] = {
        sample_rename(5, "p", "q", "moved"),
        sample_write(6, "q", "new q"),
        sample_delete(7, "p", sample_seen("moved")),
    };
    struct session_view view = view_of(records, ARRAY_LEN(records));
    ck_assert_uint_eq(view.n_effects, 2);
    ck_assert_int_eq(effect_at(&view, "p")->kind, EFFECT_DELETE);
    is_write(effect_at(&view, "q"), "new q");
    ck_assert_uint_eq(effect_at(&view, "q")->source.len, 0);
}
END_TEST

/* Two renames of one source: both targets are written, and the source goes once, by the
 * later. */
START_TEST(two_renames_of_one_source)
{
    struct record records[] = {
        sample_rename(5, "p", "q", "moved"),
        sample_rename(6, "p", "r", "moved"),
    };
    records[1].operation.seen = sample_seen("moved");
    struct session_view view = view_of(records, ARRAY_LEN(records));
    ck_assert_uint_eq(view.n_effects, 3);
    const struct effect *p = effect_at(&view, "p");
    ck_assert_int_eq(p->kind, EFFECT_MOVED);
    ck_assert_uint_eq(p->by->hlc, 6);
    is_write(effect_at(&view, "q"), "moved");
    is_write(effect_at(&view, "r"), "moved");
}
END_TEST

/* delete a; write a/b: both are there, whatever their order in time, and the view does not call
 * it a conflict. */
START_TEST(a_file_becomes_a_directory)
{
    struct record records[] = {
        sample_write(5, "a/b", "x"),
        sample_delete(6, "a", sample_seen("a")),
    };
    struct session_view view = view_of(records, ARRAY_LEN(records));
    ck_assert_uint_eq(view.n_effects, 2);
    is_text(view.effects[0].path, "a");
    ck_assert_int_eq(view.effects[0].kind, EFFECT_DELETE);
    is_text(view.effects[1].path, "a/b");
    is_write(&view.effects[1], "x");
}
END_TEST

START_TEST(a_kept_source_takes_what_the_session_brings)
{
    static const enum carrier better[] = {CARRIER_TREE_RAW, CARRIER_INLINE_RAW, CARRIER_BLOB};
    struct record kept = sample_write(50, "kept", "same");
    kept.operation.content = sample_source("same");
    kept.operation.content.kind = KIND_LINK;
    kept.operation.content.mode = 0;
    kept.operation.seen = sample_seen("same");
    for (size_t i = 0; i < ARRAY_LEN(better); i++) {
        struct record records[ARRAY_LEN(better) + 1] = {kept};
        /* Later and earlier ones, in renames and in writes that another record beats. */
        size_t n = 1;
        for (size_t j = i; j < ARRAY_LEN(better); j++) {
            records[n] = sample_write(60 - j, "beaten", "same");
            records[n].operation.content.carrier = better[j];
            n++;
        }
        struct session_view view = view_of(records, n);
        const struct effect *effect = effect_at(&view, "kept");
        is_write(effect, "same");
        ck_assert_int_eq(effect->content.carrier, better[i]);
        ck_assert_int_eq(effect->content.kind, KIND_LINK);
        ck_assert_uint_eq(effect->content.mode, 0);
    }
    struct record other[] = {kept, sample_write(60, "a", "other")};
    struct session_view view = view_of(other, 2);
    ck_assert_int_eq(effect_at(&view, "kept")->content.carrier, CARRIER_SOURCE);
    ck_assert_uint_eq(effect_at(&view, "kept")->source.len, 0);
}
END_TEST

/* rename a b, rename b c, and a new mode for c: what c has lies in the tree at a. */
START_TEST(a_chain_of_renames_leads_to_where_it_began)
{
    struct record records[] = {
        sample_rename(5, "a", "b", "moved"),
        sample_rename(6, "b", "c", "moved"),
        sample_rename(7, "c", "d", "moved"),
        sample_write(8, "d", "moved"),
    };
    records[0].operation.seen = sample_seen("moved");
    records[3].operation.content = sample_source("moved");
    records[3].operation.content.mode = MODE_EXEC;
    for (size_t n = 1; n <= ARRAY_LEN(records); n++) {
        struct session_view view = view_of(records, n);
        size_t last = n < 3 ? n : 3;
        const char *target = (const char *[]){"a", "b", "c", "d"}[last];
        const struct effect *effect = effect_at(&view, target);
        is_write(effect, "moved");
        ck_assert_int_eq(effect->content.carrier, CARRIER_SOURCE);
        is_text(effect->source, "a");
        ck_assert_uint_eq(effect->content.mode, n == 4 ? MODE_EXEC : MODE_PLAIN);
        for (size_t i = 0; i < last; i++) {
            const char *gone = (const char *[]){"a", "b", "c"}[i];
            ck_assert_int_eq(effect_at(&view, gone)->kind, EFFECT_MOVED);
        }
    }
}
END_TEST

START_TEST(guards_are_one_a_path)
{
    struct record records[] = {
        sample_guard(20, "src", sample_seen("late")),
        sample_guard(10, "src", sample_seen("early")),
        sample_guard(10, "", sample_absent()),
        sample_guard(10, "a", sample_absent()),
        sample_write(5, "src", "no guard"),
    };
    struct session_view view = view_of(records, ARRAY_LEN(records));
    ck_assert_uint_eq(view.n_guards, 3);
    is_text(view.guards[0]->guard.path, "");
    is_text(view.guards[1]->guard.path, "a");
    is_text(view.guards[2]->guard.path, "src");
    ck_assert_uint_eq(view.guards[2]->hlc, 20);
    ck_assert_uint_eq(view.n_effects, 1);
}
END_TEST

START_TEST(what_was_said_is_in_order_of_time)
{
    struct record records[] = {
        {.hlc = 30, .kind = RECORD_DECISION},
        {.hlc = 10, .kind = RECORD_DECISION},
        {.hlc = 25, .kind = RECORD_CONVERSATION},
        {.hlc = 20, .kind = RECORD_CONVERSATION},
        {.hlc = 20, .kind = RECORD_CONVERSATION},
        sample_start(9, "k", 41),
        sample_start(8, "k", 41),
        {.hlc = 40, .kind = RECORD_REBASE, .rebase = 50},
    };
    struct session_view view = view_of(records, ARRAY_LEN(records));
    ck_assert_uint_eq(view.n_decisions, 2);
    ck_assert_uint_eq(view.decisions[0]->hlc, 10);
    ck_assert_uint_eq(view.decisions[1]->hlc, 30);
    ck_assert_uint_eq(view.n_turns, 3);
    ck_assert(id16_equal(&view.turns[0]->id, &records[3].id));
    ck_assert(id16_equal(&view.turns[1]->id, &records[4].id));
    ck_assert_uint_eq(view.turns[2]->hlc, 25);
    ck_assert_uint_eq(view.start->hlc, 8);
}
END_TEST

#define PATHS 6u

/* What wins at each path, found the slow way: the last operation in time that touches it. */
static void compare_slowly(const struct record *records, size_t n,
                           const struct session_view *view)
{
    size_t expected = 0;
    for (size_t p = 0; p < PATHS; p++) {
        char path[] = {(char)('a' + p), '\0'};
        const struct record *last = NULL;
        for (size_t i = 0; i < n; i++) {
            const struct record_operation *operation = &records[i].operation;
            bool touches =
                bytes_equal(operation->path, bytes_str(path)) ||
                (operation->op == OP_RENAME && bytes_equal(operation->target, bytes_str(path)));
            if (touches && (last == NULL || record_time_compare(&records[i], last) > 0))
                last = &records[i];
        }
        if (last == NULL)
            continue;
        expected++;
        const struct effect *effect = effect_at(view, path);
        ck_assert(id16_equal(&effect->by->id, &last->id));
        bool at_target = last->operation.op == OP_RENAME &&
                         bytes_equal(last->operation.target, bytes_str(path));
        enum effect_kind kind = last->operation.op == OP_DELETE               ? EFFECT_DELETE
                                : last->operation.op == OP_WRITE || at_target ? EFFECT_WRITE
                                                                              : EFFECT_MOVED;
        ck_assert_int_eq(effect->kind, kind);
        if (kind == EFFECT_WRITE)
            ck_assert(hash_equal(&effect->content.hash, &last->operation.content.hash));
    }
    ck_assert_uint_eq(view->n_effects, expected);
}

START_TEST(random_operations_agree_with_a_slow_fold)
{
    const char *given = getenv("MIC_SEED");
    unsigned seed = given == NULL ? 20261122u : (unsigned)strtoul(given, NULL, 10);
    printf("seed %u\n", seed);
    srand(seed);
    static const char *const paths[PATHS] = {"a", "b", "c", "d", "e", "f"};
    for (int round = 0; round < 500; round++) {
        struct record records[24];
        size_t n = (size_t)rand() % ARRAY_LEN(records);
        for (size_t i = 0; i < n; i++) {
            const char *path = paths[(size_t)rand() % PATHS];
            const char *text = rand() % 2 ? "one" : "two";
            uint64_t hlc = (uint64_t)(rand() % 8);
            size_t other = (size_t)rand() % PATHS;
            switch (rand() % 3) {
            case 0:
                records[i] = sample_write(hlc, path, text);
                if (rand() % 2)
                    records[i].operation.content = sample_source(text);
                break;
            case 1:
                records[i] = sample_delete(hlc, path, sample_absent());
                break;
            default:
                other += bytes_equal(bytes_str(paths[other]), bytes_str(path));
                records[i] = sample_rename(hlc, path, paths[other % PATHS], text);
                break;
            }
        }
        struct session_view view = view_of(records, n);
        compare_slowly(records, n, &view);
        arena_release(&arena);
    }
}
END_TEST

/* A quarter of a million renames and writes that all keep their source: seconds would mean a
 * quadratic scan. */
START_TEST(many_records)
{
    const size_t n = 250000;
    struct session session = sample_session_empty("k", 41);
    session.records = arena_array(&arena, n, struct record);
    session.n_records = n;
    for (size_t i = 0; i < n; i++) {
        char *path = arena_printf(&arena, "dir%zu/file%zu", i % 97, i);
        char *text = arena_printf(&arena, "%zu", i / 2);
        session.records[i] =
            i % 2 ? sample_rename(i, path, arena_printf(&arena, "%s.new", path), text)
                  : sample_write(i, path, text);
        uint32_t number = (uint32_t)i;
        memcpy(session.records[i].id.b, &number, sizeof(number));
    }
    struct session_view view;
    session_view(&session, &arena, &view);
    ck_assert_uint_eq(view.n_effects, n + n / 2);
    for (size_t i = 0; i < view.n_effects; i++) {
        const struct effect *effect = &view.effects[i];
        ck_assert(effect->kind == EFFECT_MOVED ||
                  effect->content.carrier == CARRIER_INLINE_RAW);
        ck_assert(i == 0 || bytes_compare(effect[-1].path, effect->path) < 0);
    }
}
END_TEST

int main(void)
{
    const TTest *tests[] = {
        an_empty_view,
        the_highest_per_path_wins_with_its_seen,
        a_rename_moves_away_and_writes,
        write_rename_write,
        a_later_write_wins_at_both_ends_of_a_rename,
        two_renames_of_one_source,
        a_file_becomes_a_directory,
        a_kept_source_takes_what_the_session_brings,
        a_chain_of_renames_leads_to_where_it_began,
        guards_are_one_a_path,
        what_was_said_is_in_order_of_time,
        random_operations_agree_with_a_slow_fold,
        many_records,
    };
    int failed = suite_run("session_view", tests, ARRAY_LEN(tests));
    arena_release(&arena);
    return failed;
}
