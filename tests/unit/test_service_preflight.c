/* Would it land? What a preflight says, whom it names, and that a landing at the same head says
 * the same. */
#include <stdio.h>

#include "formats/base/hash.h"
#include "formats/key.h"
#include "pipeline/repo/chain.h"
#include "pipeline/repo/tree/dir_pages.h"
#include "tests/support/faulty.h"
#include "tests/support/front.h"
#include "tests/support/suite.h"

static struct forge forge;
static struct front front;

static void setup(void)
{
    forge_init(&forge);
    front_open(&front, &forge);
}

static void teardown(void)
{
    front_close(&front);
    forge_release(&forge);
}

/* Lands one write (text NULL: a delete), based on the head. */
static void given(const char *author, const char *key, const char *path, const char *text)
{
    struct asked asked = asked_open(&front, key, UINT64_MAX);
    if (text != NULL)
        asked_write(&asked, path, text);
    else
        asked_delete(&asked, path);
    struct reply reply = front_landed(&front, author, &asked, 1);
    ck_assert_int_eq(reply.verdicts[0], VERDICT_LANDED);
}

static struct preflight preflight_of(const struct asked *asked, size_t n)
{
    struct preflight preflight;
    const char *code = front_preflight(&front, asked, n, false, &preflight);
    ck_assert_msg(code == NULL, "%s", code);
    ck_assert_uint_eq(preflight.n, n);
    return preflight;
}

static bool is_clean(const struct preflight *preflight)
{
    for (size_t i = 0; i < preflight->n; i++) {
        if (preflight->results[i].answered ||
            preflight->results[i].landing.verdict != VERDICT_LANDED)
            return false;
    }
    return true;
}

/* The only conflict of the only session. */
static const struct preflight_cause *conflict_of(const struct preflight *preflight,
                                                 enum conflict_what what, const char *path)
{
    const struct preflight_result *result = &preflight->results[0];
    ck_assert(!result->answered);
    ck_assert_int_eq(result->landing.verdict, VERDICT_CONFLICTED);
    conflict_is(&result->landing, what, path);
    return &result->causes[0];
}

static const char *reason_of(const struct preflight *preflight)
{
    ck_assert_int_eq(preflight->results[0].landing.verdict, VERDICT_REFUSED);
    return arena_str(&forge.arena, preflight->results[0].landing.reason);
}

/* --- what it says --- */

START_TEST(it_is_decided_at_the_head_and_changes_nothing)
{
    setup();
    given("bob", "a", "a", "one");
    struct head_info head;
    struct problem problem;
    ck_assert_int_eq(service_head(front.service, &front.project, &head, &problem), OK);
    struct asked asked = asked_open(&front, "mine", 1);
    asked_write(&asked, "a", "two");
    asked_write(&asked, "new/file", "x");
    (void)trace_store_counts(forge.trace, true);
    struct preflight preflight = preflight_of(&asked, 1);
    struct trace_counts c = trace_store_counts(forge.trace, true);
    for (unsigned kind = 0; kind < TRACE_KINDS; kind++)
        ck_assert_uint_eq(c.puts[kind] + c.deletes[kind], 0);
    ck_assert(is_clean(&preflight));
    ck_assert(!preflight.results[0].has_session);
    ck_assert_uint_eq(preflight.head.position, 1);
    ck_assert_uint_eq(preflight.head.hlc, head.head.hlc);
    ck_assert(hash_equal(&preflight.head.tree_hash, &head.head.tree_hash));
    ck_assert_str_eq(forge_text(&forge, "a"), "one");
    teardown();
}
END_TEST

START_TEST(a_conflict_names_who_was_there_first)
{
    setup();
    given("ann", "first", "d/a", "one");
    given("bob", "second", "d/a", "two");
    given("eve", "elsewhere", "d/b", "x");
    given("dan", "third", "d/a", "three");
    struct asked asked = asked_open(&front, "late", 1);
    asked_write(&asked, "d/a", "mine");
    struct preflight preflight = preflight_of(&asked, 1);
    const struct preflight_cause *cause = conflict_of(&preflight, CONFLICT_OPERATION, "d/a");
    const struct conflict *conflict = &preflight.results[0].landing.conflicts[0];
    struct seen one = seen_text("one");
    struct seen three = seen_text("three");
    ck_assert(seen_equal(&conflict->seen, &one));
    ck_assert(seen_equal(&conflict->there, &three));
    ck_assert_uint_eq(conflict->by, 4);
    ck_assert_uint_eq(cause->base, 1);
    ck_assert(!cause->more);
    ck_assert_uint_eq(cause->n, 2);
    ck_assert_uint_eq(cause->landings[0].position, 4);
    ck_assert_str_eq(arena_str(&forge.arena, cause->landings[0].author), "dan");
    ck_assert_str_eq(arena_str(&forge.arena, cause->landings[0].goal), "third");
    ck_assert_uint_eq(cause->landings[1].position, 2);
    ck_assert_str_eq(arena_str(&forge.arena, cause->landings[1].author), "bob");
    ck_assert(!id16_equal(&cause->landings[0].session, &cause->landings[1].session));
    ck_assert_uint_lt(cause->landings[1].hlc, cause->landings[0].hlc);
    /* A guard on the directory counts what lies below. */
    asked = asked_open(&front, "guard", 2);
    asked_guard(&asked, "d");
    preflight = preflight_of(&asked, 1);
    cause = conflict_of(&preflight, CONFLICT_GUARD, "d");
    ck_assert_uint_eq(cause->base, 2);
    ck_assert_uint_eq(cause->n, 2);
    ck_assert_uint_eq(cause->landings[0].position, 4);
    ck_assert_uint_eq(cause->landings[1].position, 3);
    teardown();
}
END_TEST

START_TEST(of_many_landings_the_newest_are_named)
{
    setup();
    for (unsigned i = 0; i < PREFLIGHT_LANDINGS_MAX + 2; i++) {
        char text[8];
        (void)snprintf(text, sizeof(text), "%u", i);
        given("bob", text, "a", text);
        if (i + 1 < PREFLIGHT_LANDINGS_MAX)
            continue;
        struct asked asked = asked_open(&front, "late", 0);
        asked_write(&asked, "a", "mine");
        struct preflight preflight = preflight_of(&asked, 1);
        const struct preflight_cause *cause = conflict_of(&preflight, CONFLICT_OPERATION, "a");
        ck_assert_uint_eq(cause->n, PREFLIGHT_LANDINGS_MAX);
        ck_assert_uint_eq(cause->landings[0].position, i + 1);
        ck_assert(cause->more == (i + 1 > PREFLIGHT_LANDINGS_MAX));
    }
    teardown();
}
END_TEST

START_TEST(of_many_conflicts_the_first_come_with_their_landings)
{
    setup();
    size_t n = PREFLIGHT_NAMED_MAX + 3;
    struct asked theirs = asked_open(&front, "theirs", 0);
    struct asked mine = asked_open(&front, "mine", 0);
    for (size_t i = 0; i < n; i++) {
        char *path = arena_printf(&forge.arena, "f%03zu", i);
        asked_write(&theirs, path, "theirs");
        asked_write(&mine, path, "mine");
    }
    (void)front_landed(&front, "bob", &theirs, 1);
    struct preflight preflight = preflight_of(&mine, 1);
    ck_assert_uint_eq(preflight.results[0].landing.n_listed, n);
    for (size_t i = 0; i < n; i++) {
        const struct preflight_cause *cause = &preflight.results[0].causes[i];
        ck_assert_uint_eq(cause->n, i < PREFLIGHT_NAMED_MAX);
        ck_assert(cause->more == (i >= PREFLIGHT_NAMED_MAX));
    }
    teardown();
}
END_TEST

/* A path that nobody has touched since the base is as it was there; but a client may say that
 * it has seen something else. */
START_TEST(what_was_never_there_conflicts)
{
    setup();
    given("bob", "a", "a", "one");
    struct asked asked = asked_open(&front, "mine", 1);
    asked_write(&asked, "a", "two");
    asked.session.records[1].operation.seen = seen_text("never");
    struct preflight preflight = preflight_of(&asked, 1);
    const struct preflight_cause *cause = conflict_of(&preflight, CONFLICT_OPERATION, "a");
    ck_assert_uint_eq(cause->n, 0);
    ck_assert(!cause->more);
    teardown();
}
END_TEST

START_TEST(what_holds_all_the_same)
{
    setup();
    given("bob", "a", "a", "one");
    given("bob", "b", "b", "one");
    given("bob", "c", "c", "one");
    given("bob", "a2", "a", "wanted");
    given("bob", "b2", "b", NULL);
    given("bob", "c2", "c", NULL);
    struct asked asked = asked_open(&front, "mine", 3);
    asked_write(&asked, "a", "wanted");
    asked_delete(&asked, "b");
    struct preflight preflight = preflight_of(&asked, 1);
    ck_assert(is_clean(&preflight));
    /* A rename's delete does not hold on a gone path. */
    asked = asked_open(&front, "rename", 3);
    asked_rename(&asked, "c", "e");
    preflight = preflight_of(&asked, 1);
    (void)conflict_of(&preflight, CONFLICT_OPERATION, "c");
    teardown();
}
END_TEST

/* A path that was absent, and that nobody has touched: its place has been taken. */
START_TEST(what_stands_in_the_way)
{
    setup();
    given("bob", "x", "x", "a file");
    given("bob", "d", "d/f", "in a directory");
    struct asked asked = asked_open(&front, "ancestor", 0);
    asked_write(&asked, "x/y/z", "mine");
    struct preflight preflight = preflight_of(&asked, 1);
    const struct preflight_cause *cause = conflict_of(&preflight, CONFLICT_ANCESTOR, "x");
    ck_assert_uint_eq(cause->base, 0);
    ck_assert_uint_eq(cause->n, 1);
    ck_assert_uint_eq(cause->landings[0].position, 1);
    asked = asked_open(&front, "directory", 0);
    asked_write(&asked, "d", "mine");
    preflight = preflight_of(&asked, 1);
    cause = conflict_of(&preflight, CONFLICT_DIRECTORY, "d");
    ck_assert_uint_eq(cause->n, 1);
    ck_assert_uint_eq(cause->landings[0].position, 2);
    teardown();
}
END_TEST

START_TEST(what_a_landing_refuses)
{
    setup();
    given("bob", "f", "f", "a file");
    struct preflight preflight;
    struct asked asked = asked_open(&front, "1", 1);
    asked_delete(&asked, "gone");
    ck_assert_str_eq(front_preflight(&front, &asked, 1, false, &preflight), "path_absent");
    asked = asked_open(&front, "2", 1);
    asked_write(&asked, "f/below", "x");
    ck_assert_str_eq(front_preflight(&front, &asked, 1, false, &preflight), "path_clash");
    asked = asked_open(&front, "3", 2);
    asked_write(&asked, "n", "x");
    ck_assert_str_eq(front_preflight(&front, &asked, 1, false, &preflight), "base_ahead");
    asked = asked_open(&front, "4", 1);
    asked_write(&asked, "../n", "x");
    ck_assert_str_eq(front_preflight(&front, &asked, 1, false, &preflight), "path_invalid");
    asked = asked_open(&front, "5", 1);
    asked_write(&asked, "n", "text");
    asked.session.records[1].operation.content.carrier = CARRIER_BLOB;
    ck_assert_str_eq(front_preflight(&front, &asked, 1, false, &preflight), "blob_missing");
    ck_assert_str_eq(front_preflight(&front, &asked, 0, false, &preflight), "sessions_empty");
    struct asked twice[2] = {asked_open(&front, "6", 1), asked_open(&front, "6", 1)};
    ck_assert_str_eq(front_preflight(&front, twice, 2, true, &preflight), "session_twice");
    ck_assert_str_eq(front_refused(&front, twice, 2), "session_twice");
    /* The drain refuses what keeps a content that is not there. */
    asked = asked_open(&front, "7", 1);
    asked_write(&asked, "n", "text");
    asked.session.records[1].operation.content.carrier = CARRIER_SOURCE;
    preflight = preflight_of(&asked, 1);
    ck_assert_str_eq(reason_of(&preflight), "source_missing");
    ck_assert_str_eq(front_landed(&front, "ann", &asked, 1).reasons[0], "source_missing");
    teardown();
}
END_TEST

/* What is to be brought when it lands is named. */
START_TEST(a_content_is_named)
{
    setup();
    given("bob", "a", "a", "one");
    struct asked asked = asked_open(&front, "named", 1);
    asked_write(&asked, "a", "x");
    struct content *content = &asked.session.records[1].operation.content;
    *content = (struct content){.kind = KIND_FILE,
                                .mode = MODE_PLAIN,
                                .size = 1u << 30,
                                .hash = sha256(bytes_str("large")),
                                .carrier = CARRIER_TREE_RAW};
    struct preflight preflight = preflight_of(&asked, 1);
    ck_assert(is_clean(&preflight));
    ck_assert_str_eq(front_refused(&front, &asked, 1), "content_invalid");
    /* It holds where it is there already. */
    given("bob", "b", "a", "two");
    preflight = preflight_of(&asked, 1);
    (void)conflict_of(&preflight, CONFLICT_OPERATION, "a");
    content->hash = sha256(bytes_str("two"));
    preflight = preflight_of(&asked, 1);
    ck_assert(is_clean(&preflight));
    teardown();
}
END_TEST

START_TEST(a_series_is_decided_in_its_order)
{
    setup();
    given("bob", "a", "a", "one");
    struct asked asked[4];
    for (unsigned i = 0; i < 4; i++)
        asked[i] = asked_open(&front, arena_printf(&forge.arena, "s%u", i), 1);
    asked_write(&asked[0], "a", "two");
    asked_write(&asked[0], "d/x", "x");
    asked_delete(&asked[1], "a");
    asked_rename(&asked[1], "d/x", "d/y");
    asked_write(&asked[2], "a", "three");
    asked_delete(&asked[2], "d/y");
    asked_write(&asked[2], "d", "a file now");
    asked_rename(&asked[3], "d", "e");
    struct preflight preflight = preflight_of(asked, 4);
    ck_assert(is_clean(&preflight));
    asked[1].session.records[1].operation.seen = seen_text("something else");
    preflight = preflight_of(asked, 4);
    ck_assert_int_eq(preflight.results[0].landing.verdict, VERDICT_LANDED);
    ck_assert_int_eq(preflight.results[1].landing.verdict, VERDICT_CONFLICTED);
    ck_assert_int_eq(preflight.results[2].landing.verdict, VERDICT_NOT_TRIED);
    ck_assert_int_eq(preflight.results[3].landing.verdict, VERDICT_NOT_TRIED);
    teardown();
}
END_TEST

/* --- open sessions --- */

static struct id16 started(const char *key, const char *path, const char *text)
{
    struct id16 sid = front_start(&front, "ann", key, UINT64_MAX).sessions[0];
    struct record record = record_write_of(&front, path, text, UINT64_MAX);
    ck_assert_int_eq(front_write(&front, "ann", &sid, &record, 1).err, OK);
    return sid;
}

START_TEST(an_open_session_is_asked_about)
{
    setup();
    given("bob", "a", "a", "one");
    struct id16 sid = started("mine", "a", "mine");
    struct preflight preflight = front_session_preflight(&front, &sid);
    ck_assert(is_clean(&preflight));
    ck_assert_uint_eq(preflight.head.position, 1);
    given("bob", "b", "a", "two");
    preflight = front_session_preflight(&front, &sid);
    const struct preflight_cause *cause = conflict_of(&preflight, CONFLICT_OPERATION, "a");
    ck_assert_uint_eq(cause->base, 1);
    ck_assert_uint_eq(cause->landings[0].position, 2);
    /* It stays open after the conflict, and is asked about as before; others put it right. */
    struct reply reply = front_session_land(&front, "ann", &sid, NULL);
    ck_assert_int_eq(reply.verdicts[0], VERDICT_CONFLICTED);
    preflight = front_session_preflight(&front, &sid);
    (void)conflict_of(&preflight, CONFLICT_OPERATION, "a");
    given("bob", "c", "a", "one");
    preflight = front_session_preflight(&front, &sid);
    ck_assert(is_clean(&preflight));
    struct problem problem;
    struct id16 nobody = {{1}};
    ck_assert_int_eq(service_session_preflight(front.service, &front.project, &nobody,
                                               &forge.arena, &preflight, &problem),
                     ERR_NOT_FOUND);
    ck_assert_str_eq(problem.code, "not_found");
    teardown();
}
END_TEST

START_TEST(an_answered_session_has_its_answer)
{
    setup();
    struct id16 sid = started("mine", "a", "mine");
    struct reply reply = front_session_land(&front, "ann", &sid, NULL);
    ck_assert_int_eq(reply.verdicts[0], VERDICT_LANDED);
    given("bob", "b", "a", "two");
    struct preflight preflight = front_session_preflight(&front, &sid);
    ck_assert(preflight.results[0].answered);
    ck_assert_int_eq(preflight.results[0].landing.verdict, VERDICT_LANDED);
    ck_assert_uint_eq(preflight.results[0].landing.position, 1);
    ck_assert_uint_eq(preflight.head.position, 2);
    /* A whole one that a client calls by its key. */
    struct asked asked = asked_open(&front, "whole", 0);
    asked_write(&asked, "a", "late");
    ck_assert_int_eq(front_landed(&front, "ann", &asked, 1).verdicts[0], VERDICT_CONFLICTED);
    ck_assert_ptr_null(front_preflight(&front, &asked, 1, true, &preflight));
    ck_assert(preflight.results[0].has_session);
    ck_assert(preflight.results[0].answered);
    ck_assert_int_eq(preflight.results[0].landing.verdict, VERDICT_CONFLICTED);
    teardown();
}
END_TEST

/* --- what only the tree shows --- */

/* A page of a directory that the session needs is damaged: a landing refuses it. */
START_TEST(what_is_damaged_is_refused)
{
    setup();
    given("bob", "d", "d/a", "one");
    struct hash tree;
    struct head_info head;
    struct problem problem;
    ck_assert_int_eq(service_head(front.service, &front.project, &head, &problem), OK);
    tree = head.head.tree_hash;
    struct asked asked = asked_open(&front, "mine", 1);
    asked_write(&asked, "d/a", "two");
    asked.session.records[1].operation.seen = seen_text("one");
    given("bob", "e", "e", "so that the page lies in an older object");
    struct key key = key_tree(&front.project, &tree);
    AUTO_BUF bytes = {0};
    ck_assert_int_eq(store_get(forge.mem, key.s, range_all(), &bytes, NULL, NULL), OK);
    for (size_t i = 0; i < 40; i++)
        bytes.data[i] ^= 0xff;
    ck_assert_int_eq(store_put(forge.mem, key.s, buf_bytes(&bytes), PUT_ANY, NULL), OK);
    struct forge cold;
    struct front other;
    forge_join(&cold, &forge, NULL);
    front_open(&other, &cold);
    struct id16 sid = front_start(&front, "ann", "open", 2).sessions[0];
    ck_assert_int_eq(front_write(&front, "ann", &sid, &asked.session.records[1], 1).err, OK);
    struct preflight preflight = front_session_preflight(&other, &sid);
    ck_assert_str_eq(reason_of(&preflight), "damaged");
    struct reply reply = front_session_land(&other, "ann", &sid, NULL);
    ck_assert_int_eq(reply.verdicts[0], VERDICT_REFUSED);
    ck_assert_str_eq(reply.reasons[0], "damaged");
    front_close(&other);
    forge_release(&cold);
    teardown();
}
END_TEST

enum { names_wide = 24000 };

/* A page beside the one that changes, which is read only to make the new pages. */
START_TEST(what_only_new_pages_need_is_looked_at)
{
    setup();
    struct draft wide = draft_open(&forge, "bob", "wide", 0);
    for (int i = 0; i < names_wide; i++)
        draft_write(&wide, arena_printf(&forge.arena, "d/a-name-of-some-length-%05d", i), "1",
                    NULL);
    (void)forge_submit(&forge, &wide, 1);
    (void)forge_drain(&forge);
    struct tree tree = forge_tree(&forge);
    struct entry dir;
    struct dir_pages pages;
    ck_assert_int_eq(tree_find(&tree, bytes_str("d"), &forge.arena, &dir), OK);
    ck_assert_int_eq(dir_pages_open(&pages, &forge.repo, &forge.project, &dir), OK);
    ck_assert_int_eq(dir_pages_flatten(&pages, &forge.arena), OK);
    ck_assert_uint_ge(pages.n[0], 2);
    const struct location where = pages.at[0][0].says->where;
    struct bytes name = pages.at[0][1].says->name;
    struct asked asked = asked_open(&front, "mine", 1);
    asked_delete(&asked,
                 arena_printf(&forge.arena, "d/%.*s", (int)name.len, (const char *)name.data));
    asked.session.records[1].operation.seen = seen_text("1");
    dir_pages_release(&pages);
    struct key key = key_tree(&forge.project, &where.tree);
    AUTO_BUF bytes = {0};
    ck_assert_int_eq(store_get(forge.mem, key.s, range_all(), &bytes, NULL, NULL), OK);
    bytes.data[where.offset + where.len / 2] ^= 1;
    ck_assert_int_eq(store_put(forge.mem, key.s, buf_bytes(&bytes), PUT_ANY, NULL), OK);
    struct forge cold;
    struct front other;
    forge_join(&cold, &forge, NULL);
    front_open(&other, &cold);
    struct preflight preflight;
    ck_assert_ptr_null(front_preflight(&other, &asked, 1, false, &preflight));
    ck_assert_str_eq(reason_of(&preflight), "damaged");
    ck_assert_str_eq(front_landed(&other, "ann", &asked, 1).reasons[0], "damaged");
    front_close(&other);
    forge_release(&cold);
    teardown();
}
END_TEST

/* Before each look at the head somebody lands: what is said is about one head. */
static void somebody_lands(void *arg, uint64_t call, const struct store_op *op)
{
    struct key head = key_head(&forge.project);
    if (op == NULL || op->verb != STORE_GET || strcmp(op->key, head.s) != 0)
        return;
    const char **there = arg;
    char *text = arena_printf(&forge.arena, "t%llu", (unsigned long long)call);
    forge_land_text(&forge, text, "a", text, *there);
    *there = text;
}

START_TEST(others_land_meanwhile)
{
    setup();
    given("bob", "a", "a", "one");
    struct id16 sid = started("mine", "a", "mine");
    const char *there = "one";
    struct store *faulty = faulty_store_open(forge.mem);
    struct forge cold;
    struct front other;
    forge_join(&cold, &forge, faulty);
    front_open(&other, &cold);
    faulty_watch(faulty, somebody_lands, &there);
    struct preflight preflight = front_session_preflight(&other, &sid);
    const struct preflight_cause *cause = conflict_of(&preflight, CONFLICT_OPERATION, "a");
    uint64_t at = preflight.head.position;
    ck_assert_uint_lt(at, forge_position(&forge));
    ck_assert_uint_eq(preflight.results[0].landing.conflicts[0].by, at);
    ck_assert_uint_eq(cause->n, at - 1);
    ck_assert_uint_eq(cause->landings[0].position, at);
    front_close(&other);
    forge_release(&cold);
    store_close(faulty);
    teardown();
}
END_TEST

/* Whatever call of the store fails: no verdict, or the right one. */
START_TEST(a_store_that_fails_gives_no_verdict)
{
    setup();
    given("bob", "d", "d/a", "one");
    given("bob", "e", "d/b", "two");
    struct id16 sid = started("mine", "d/a", "mine");
    given("bob", "late", "d/a", "three");
    uint64_t calls = 1;
    for (uint64_t call = 0; call <= calls; call++) {
        struct store *faulty = faulty_store_open(forge.mem);
        struct forge cold;
        struct front other;
        struct preflight preflight;
        struct problem problem;
        forge_join(&cold, &forge, faulty);
        front_open(&other, &cold);
        faulty_reset(faulty);
        if (call > 0)
            faulty_plan(faulty, call, FAULT_AGAIN);
        int err = service_session_preflight(other.service, &other.project, &sid, &cold.arena,
                                            &preflight, &problem);
        if (call == 0)
            calls = faulty_calls(faulty);
        if (err == OK)
            (void)conflict_of(&preflight, CONFLICT_OPERATION, "d/a");
        else
            ck_assert_str_eq(problem.code, "again");
        ck_assert(call > 0 || err == OK);
        front_close(&other);
        forge_release(&cold);
        store_close(faulty);
    }
    ck_assert_uint_gt(calls, 5);
    teardown();
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        it_is_decided_at_the_head_and_changes_nothing,
        a_conflict_names_who_was_there_first,
        of_many_landings_the_newest_are_named,
        of_many_conflicts_the_first_come_with_their_landings,
        what_was_never_there_conflicts,
        what_holds_all_the_same,
        what_stands_in_the_way,
        what_a_landing_refuses,
        a_content_is_named,
        a_series_is_decided_in_its_order,
        an_open_session_is_asked_about,
        an_answered_session_has_its_answer,
        what_is_damaged_is_refused,
        what_only_new_pages_need_is_looked_at,
        others_land_meanwhile,
        a_store_that_fails_gives_no_verdict,
    };
    return suite_run("service_preflight", tests, ARRAY_LEN(tests));
}
