/* Landing whole sessions through the service: what the front fills in, what it refuses, and who
 * is told what. */
#include "formats/base/limits.h"
#include "formats/key.h"
#include "pipeline/repo/chain.h"
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

/* Lands one write and expects that it does. */
static void given(const char *key, const char *path, const char *text)
{
    struct asked asked = asked_open(&front, key, UINT64_MAX);
    asked_write(&asked, path, text);
    struct reply reply = front_landed(&front, "ann", &asked, 1);
    ck_assert_int_eq(reply.verdicts[0], VERDICT_LANDED);
}

static enum verdict verdict_of(struct asked *asked)
{
    return front_landed(&front, "ann", asked, 1).verdicts[0];
}

START_TEST(seen_is_filled_in_from_the_base)
{
    setup();
    struct asked first = asked_open(&front, "first", 0);
    asked_write(&first, "a", "one");
    struct reply reply = front_landed(&front, "ann", &first, 1);
    ck_assert_int_eq(reply.verdicts[0], VERDICT_LANDED);
    ck_assert_uint_eq(reply.positions[0], 1);
    /* From what it was at 1. */
    struct asked second = asked_open(&front, "second", 1);
    asked_write(&second, "a", "two");
    ck_assert_int_eq(verdict_of(&second), VERDICT_LANDED);
    /* From what it was at 0: somebody else's a stands there now. */
    struct asked late = asked_open(&front, "late", 0);
    asked_write(&late, "a", "three");
    reply = front_landed(&front, "bob", &late, 1);
    ck_assert_int_eq(reply.verdicts[0], VERDICT_CONFLICTED);
    ck_assert_uint_eq(reply.conflicts[0], 1);
    ck_assert_str_eq(reply.reasons[0], "conflict");
    ck_assert_str_eq(forge_text(&forge, "a"), "two");
    teardown();
}
END_TEST

START_TEST(seen_is_never_from_the_sessions_own_writes)
{
    setup();
    given("a", "a", "one");
    given("b", "a", "two");
    struct asked asked = asked_open(&front, "twice", 1);
    asked_write(&asked, "a", "three");
    asked_write(&asked, "a", "four");
    ck_assert_int_eq(verdict_of(&asked), VERDICT_CONFLICTED);
    asked = asked_open(&front, "again", 2);
    asked_write(&asked, "a", "three");
    asked_write(&asked, "a", "four");
    ck_assert_int_eq(verdict_of(&asked), VERDICT_LANDED);
    ck_assert_str_eq(forge_text(&forge, "a"), "four");
    teardown();
}
END_TEST

/* Schedule 11: the base is inside a batch. */
START_TEST(a_base_inside_a_batch)
{
    setup();
    struct reply replies[3];
    const char *texts[] = {"one", "two", "three"};
    const char *paths[] = {"d/p", "d/q", "d/p"};
    struct asked asked[3];
    for (unsigned i = 0; i < 3; i++) {
        asked[i] = asked_open(&front, texts[i], 0);
        asked_write(&asked[i], paths[i], texts[i]);
    }
    /* One series, one batch: positions 1 to 3. */
    front_land(&front, "ann", asked, 3, 30000, &replies[0]);
    front_settle(&front);
    ck_assert_int_eq(replies[0].verdicts[2], VERDICT_LANDED);
    ck_assert_uint_eq(replies[0].positions[2], 3);
    struct asked at_two = asked_open(&front, "at two", 2);
    asked_write(&at_two, "d/p", "mine");
    ck_assert_int_eq(verdict_of(&at_two), VERDICT_CONFLICTED);
    struct asked q_at_two = asked_open(&front, "q at two", 2);
    asked_write(&q_at_two, "d/q", "mine");
    ck_assert_int_eq(verdict_of(&q_at_two), VERDICT_LANDED);
    struct asked q_at_one = asked_open(&front, "q at one", 1);
    asked_write(&q_at_one, "d/q", "absent at one");
    ck_assert_int_eq(verdict_of(&q_at_one), VERDICT_CONFLICTED);
    struct asked guard_at_two = asked_open(&front, "guard at two", 2);
    asked_guard(&guard_at_two, "d");
    asked_write(&guard_at_two, "e", "relies on d as it was at 2");
    ck_assert_int_eq(verdict_of(&guard_at_two), VERDICT_CONFLICTED);
    teardown();
}
END_TEST

/* Schedule 13: two renames of one source. */
START_TEST(two_renames_of_one_source)
{
    setup();
    given("p", "p", "text");
    struct asked one = asked_open(&front, "one", 1);
    struct asked two = asked_open(&front, "two", 1);
    asked_rename(&one, "p", "q");
    asked_rename(&two, "p", "r");
    struct reply first;
    struct reply second;
    front_land(&front, "ann", &one, 1, 30000, &first);
    front_land(&front, "bob", &two, 1, 30000, &second);
    front_settle(&front);
    ck_assert_int_eq(first.verdicts[0], VERDICT_LANDED);
    ck_assert_int_eq(second.verdicts[0], VERDICT_CONFLICTED);
    ck_assert_str_eq(forge_text(&forge, "q"), "text");
    ck_assert_ptr_null(forge_text(&forge, "r"));
    teardown();
}
END_TEST

START_TEST(renames_keep_what_was_there)
{
    setup();
    given("p", "p", "text");
    struct asked asked = asked_open(&front, "chain", 1);
    asked_rename(&asked, "p", "q");
    asked_rename(&asked, "q", "r");
    asked_write(&asked, "new", "made here");
    asked_rename(&asked, "new", "moved");
    ck_assert_int_eq(verdict_of(&asked), VERDICT_LANDED);
    ck_assert_str_eq(forge_text(&forge, "r"), "text");
    ck_assert_str_eq(forge_text(&forge, "moved"), "made here");
    ck_assert_ptr_null(forge_text(&forge, "p"));
    ck_assert_ptr_null(forge_text(&forge, "q"));
    ck_assert_ptr_null(forge_text(&forge, "new"));
    /* A write that keeps its bytes changes the mode. */
    struct asked mode = asked_open(&front, "mode", UINT64_MAX);
    struct record chmod = record_write_of(&front, "r", "", UINT64_MAX);
    chmod.operation.content =
        (struct content){.kind = KIND_FILE, .mode = MODE_EXEC, .carrier = CARRIER_SOURCE};
    (void)asked_add(&mode, chmod);
    ck_assert_int_eq(verdict_of(&mode), VERDICT_LANDED);
    struct tree tree = forge_tree(&forge);
    struct entry entry;
    ck_assert_int_eq(tree_find(&tree, bytes_str("r"), &forge.arena, &entry), OK);
    ck_assert_uint_eq(entry.mode, MODE_EXEC);
    ck_assert_str_eq(forge_text(&forge, "r"), "text");
    teardown();
}
END_TEST

/* Schedule 37: write p/x, then rename the directory p to q, which is its files one by one: x is
 * neither lost nor doubled. A directory has no operations of its own. */
START_TEST(a_directory_is_renamed_by_its_files)
{
    setup();
    given("p", "p/a", "text");
    struct asked asked = asked_open(&front, "whole", 1);
    asked_write(&asked, "p/x", "new");
    asked_rename(&asked, "p", "q");
    ck_assert_str_eq(front_refused(&front, &asked, 1), "path_is_directory");
    asked = asked_open(&front, "files", 1);
    asked_write(&asked, "p/x", "new");
    asked_rename(&asked, "p/a", "q/a");
    asked_rename(&asked, "p/x", "q/x");
    ck_assert_int_eq(verdict_of(&asked), VERDICT_LANDED);
    ck_assert_str_eq(forge_text(&forge, "q/a"), "text");
    ck_assert_str_eq(forge_text(&forge, "q/x"), "new");
    ck_assert_ptr_null(forge_text(&forge, "p/x"));
    ck_assert_ptr_null(forge_text(&forge, "p"));
    teardown();
}
END_TEST

START_TEST(what_a_user_would_not_expect_is_refused)
{
    setup();
    given("f", "f", "a file");
    given("d", "d/x", "in a directory");
    struct asked asked = asked_open(&front, "1", 2);
    asked_delete(&asked, "gone");
    ck_assert_str_eq(front_refused(&front, &asked, 1), "path_absent");
    asked = asked_open(&front, "2", 2);
    asked_rename(&asked, "gone", "there");
    ck_assert_str_eq(front_refused(&front, &asked, 1), "path_absent");
    asked = asked_open(&front, "3", 2);
    asked_delete(&asked, "d");
    ck_assert_str_eq(front_refused(&front, &asked, 1), "path_is_directory");
    asked = asked_open(&front, "4", 2);
    asked_write(&asked, "f/below", "x");
    ck_assert_str_eq(front_refused(&front, &asked, 1), "path_clash");
    asked = asked_open(&front, "5", 2);
    asked_write(&asked, "d", "x");
    ck_assert_str_eq(front_refused(&front, &asked, 1), "path_clash");
    asked = asked_open(&front, "6", 2);
    asked_write(&asked, "n", "x");
    asked_write(&asked, "n/m", "x");
    ck_assert_str_eq(front_refused(&front, &asked, 1), "path_clash");
    asked = asked_open(&front, "7", 3);
    asked_write(&asked, "n", "x");
    ck_assert_str_eq(front_refused(&front, &asked, 1), "base_ahead");
    asked = asked_open(&front, "8", 2);
    asked_write(&asked, "../n", "x");
    ck_assert_str_eq(front_refused(&front, &asked, 1), "path_invalid");
    asked = asked_open(&front, "9", 2);
    asked_write(&asked, "n", "x");
    (void)asked_add(&asked, asked.session.records[0]);
    ck_assert_str_eq(front_refused(&front, &asked, 1), "start_twice");
    asked = asked_open(&front, "10", 2);
    asked.session.records++;
    asked.session.n_records--;
    ck_assert_str_eq(front_refused(&front, &asked, 1), "start_missing");
    ck_assert_str_eq(front_refused(&front, &asked, 0), "sessions_empty");
    ck_assert_uint_eq(forge_count(&forge, "queue/"), 0);
    /* Deletes come first. */
    asked = asked_open(&front, "11", 2);
    asked_delete(&asked, "f");
    asked_write(&asked, "f/below", "x");
    asked_delete(&asked, "d/x");
    asked_write(&asked, "d", "a file now");
    asked_write(&asked, "temporary", "x");
    asked_delete(&asked, "temporary");
    ck_assert_int_eq(verdict_of(&asked), VERDICT_LANDED);
    ck_assert_str_eq(forge_text(&forge, "d"), "a file now");
    teardown();
}
END_TEST

START_TEST(contents_are_checked)
{
    setup();
    struct asked asked = asked_open(&front, "1", 0);
    asked_write(&asked, "n", "text");
    asked.session.records[1].operation.content.hash.b[3] ^= 1;
    ck_assert_str_eq(front_refused(&front, &asked, 1), "content_mismatch");
    asked = asked_open(&front, "2", 0);
    asked_write(&asked, "n", "text");
    struct content *content = &asked.session.records[1].operation.content;
    content->carrier = CARRIER_BLOB;
    content->data = bytes_of(NULL, 0);
    ck_assert_str_eq(front_refused(&front, &asked, 1), "blob_missing");
    struct upload *upload = upload_open(&forge.repo, &forge.project);
    struct content uploaded;
    ck_assert_int_eq(upload_write(upload, bytes_str("text")), OK);
    ck_assert_int_eq(upload_finish(upload, NULL, &uploaded), OK);
    upload_close(upload);
    content->size = 0; /* only the hash counts */
    ck_assert_int_eq(verdict_of(&asked), VERDICT_LANDED);
    ck_assert_str_eq(forge_text(&forge, "n"), "text");
    asked = asked_open(&front, "3", 0);
    asked_write(&asked, "m", "text");
    asked.session.records[1].operation.content.carrier = CARRIER_TREE_RAW;
    ck_assert_str_eq(front_refused(&front, &asked, 1), "content_invalid");
    asked = asked_open(&front, "4", 0);
    asked_write(&asked, "m", "text");
    asked.session.records[1].operation.content.size = INLINE_CONTENT_MAX + 1;
    asked.session.records[1].operation.content.carrier = CARRIER_INLINE_ZSTD;
    ck_assert_str_eq(front_refused(&front, &asked, 1), "content_too_large");
    teardown();
}
END_TEST

START_TEST(a_series_sees_its_earlier_sessions)
{
    setup();
    given("a", "a", "one");
    struct asked asked[4];
    for (unsigned i = 0; i < 4; i++) {
        char key[8] = {(char)('0' + i)};
        asked[i] = asked_open(&front, key, 1);
    }
    asked_write(&asked[0], "a", "two");
    asked_write(&asked[0], "d/x", "x");
    asked_delete(&asked[1], "a");
    asked_rename(&asked[1], "d/x", "d/y");
    asked_write(&asked[2], "a", "three");
    asked_delete(&asked[2], "d/y");
    asked_write(&asked[2], "d", "a file now");
    asked_rename(&asked[3], "d", "e");
    struct reply reply = front_landed(&front, "ann", asked, 4);
    for (unsigned i = 0; i < 4; i++) {
        ck_assert_int_eq(reply.verdicts[i], VERDICT_LANDED);
        ck_assert_uint_eq(reply.positions[i], 2 + i);
    }
    ck_assert_str_eq(forge_text(&forge, "a"), "three");
    ck_assert_str_eq(forge_text(&forge, "e"), "a file now");
    ck_assert_ptr_null(forge_text(&forge, "d"));
    teardown();
}
END_TEST

START_TEST(a_series_ends_at_the_first_that_does_not_land)
{
    setup();
    given("p", "p", "one");
    given("q", "p", "two");
    struct asked asked[4];
    const char *paths[] = {"w", "x", "p", "z"};
    for (unsigned i = 0; i < 4; i++) {
        asked[i] = asked_open(&front, paths[i], 1);
        asked_write(&asked[i], paths[i], "series");
    }
    struct reply reply = front_landed(&front, "ann", asked, 4);
    ck_assert_int_eq(reply.verdicts[0], VERDICT_LANDED);
    ck_assert_int_eq(reply.verdicts[1], VERDICT_LANDED);
    ck_assert_int_eq(reply.verdicts[2], VERDICT_CONFLICTED);
    ck_assert_int_eq(reply.verdicts[3], VERDICT_NOT_TRIED);
    struct service_stats stats;
    service_stats(front.service, &stats);
    ck_assert_uint_eq(stats.sessions_landed, 4);
    ck_assert_uint_eq(stats.sessions_conflicted, 1);
    ck_assert_uint_eq(stats.waiters, 0);
    asked[3] = asked[1];
    ck_assert_str_eq(front_refused(&front, asked, 4), "session_twice");
    struct asked guard[2] = {asked_open(&front, "g1", 1), asked_open(&front, "g2", 1)};
    asked_write(&guard[0], "d/x", "x");
    asked_guard(&guard[1], "d");
    ck_assert_str_eq(front_refused(&front, guard, 2), "guard_seen_missing");
    teardown();
}
END_TEST

START_TEST(a_guard_on_a_directory_has_its_content_hash)
{
    setup();
    given("x", "d/x", "one");
    struct asked same = asked_open(&front, "same", 1);
    asked_guard(&same, "d");
    asked_write(&same, "e", "relies on d");
    ck_assert_int_eq(verdict_of(&same), VERDICT_LANDED);
    given("y", "d/y", "two");
    struct asked changed = asked_open(&front, "changed", 2);
    asked_guard(&changed, "d");
    asked_write(&changed, "f", "relied on d");
    ck_assert_int_eq(verdict_of(&changed), VERDICT_CONFLICTED);
    struct asked whole = asked_open(&front, "whole", 3);
    asked_guard(&whole, "");
    asked_guard(&whole, "nothing/here");
    asked_write(&whole, "g", "relies on all");
    ck_assert_int_eq(verdict_of(&whole), VERDICT_LANDED);
    teardown();
}
END_TEST

/* Schedules 5 and 34: a retry is the same request; with another base it is another session. */
START_TEST(a_retry_keeps_its_answer)
{
    setup();
    struct asked asked = asked_open(&front, "key", 0);
    asked_write(&asked, "a", "one");
    struct reply first = front_landed(&front, "ann", &asked, 1);
    given("b", "a", "two");
    /* A front that knows nothing of it. */
    struct forge other;
    struct front second;
    forge_join(&other, &forge, NULL);
    front_open(&second, &other);
    struct asked again = asked;
    again.front = &second;
    struct reply retried;
    front_land(&second, "ann", &again, 1, 30000, &retried);
    front_settle(&second);
    ck_assert_uint_eq(retried.calls, 0); /* nothing new in the chain */
    clock_manual_init(&other.clock, forge.clock.ms);
    other.clock.us = 3000000;
    front_settle(&second);
    ck_assert_uint_eq(retried.calls, 1);
    ck_assert(!retried.pending);
    ck_assert(id16_equal(&retried.request, &first.request));
    ck_assert_int_eq(retried.verdicts[0], VERDICT_LANDED);
    ck_assert_uint_eq(retried.positions[0], 1);
    ck_assert_uint_eq(forge_position(&forge), 2);
    struct asked newer = asked_open(&front, "key", 1);
    asked_write(&newer, "a", "one");
    struct reply another = front_landed(&front, "ann", &newer, 1);
    ck_assert(!id16_equal(&another.request, &first.request));
    ck_assert(!id16_equal(&another.sessions[0], &first.sessions[0]));
    ck_assert_int_eq(another.verdicts[0], VERDICT_CONFLICTED);
    front_close(&second);
    forge_release(&other);
    teardown();
}
END_TEST

START_TEST(who_does_not_wait_is_told_when_it_is_durable)
{
    setup();
    struct asked asked = asked_open(&front, "key", 0);
    asked_write(&asked, "a", "one");
    struct reply now;
    struct reply later;
    struct reply copy;
    front_land(&front, "ann", &asked, 1, 0, &now);
    front_land(&front, "ann", &asked, 1, 1000, &later);
    front_land(&front, "ann", &asked, 1, 30000, &copy);
    ck_assert_uint_eq(now.calls, 0);
    (void)!service_step(front.service);
    ck_assert_uint_eq(now.calls, 1);
    ck_assert_int_eq(now.err, OK);
    ck_assert(now.pending);
    ck_assert_uint_eq(later.calls, 0);
    forge.clock.us += 1500000;
    (void)!service_step(front.service);
    ck_assert_uint_eq(later.calls, 1);
    ck_assert(later.pending);
    /* Three copies are one request. */
    front_settle(&front);
    ck_assert_uint_eq(copy.calls, 1);
    ck_assert_int_eq(copy.verdicts[0], VERDICT_LANDED);
    ck_assert_uint_eq(forge_position(&forge), 1);
    ck_assert_uint_eq(forge_answers(&forge, &copy.sessions[0], &copy.request), 1);
    teardown();
}
END_TEST

START_TEST(those_who_wait_at_the_end_are_told)
{
    setup();
    struct asked asked = asked_open(&front, "key", 0);
    asked_write(&asked, "a", "one");
    struct reply reply;
    front_land(&front, "ann", &asked, 1, 30000, &reply);
    service_stop(front.service);
    ck_assert_uint_eq(reply.calls, 1);
    ck_assert_int_eq(reply.err, OK);
    ck_assert(reply.pending);
    ck_assert_uint_eq(forge_count(&forge, "queue/"), 1);
    front_land(&front, "ann", &asked, 1, 30000, &reply);
    ck_assert_str_eq(reply.problem.code, "too_many_waiters");
    teardown();
}
END_TEST

/* Schedule 35: a poisoned clock. */
START_TEST(a_stamp_from_the_future_is_refused)
{
    setup();
    struct caller caller = caller_of("ann");
    struct problem problem;
    caller.hlc = UINT64_MAX;
    ck_assert_int_eq(service_admit(front.service, &caller, &problem), ERR_INVALID);
    ck_assert_str_eq(problem.code, "hlc_ahead");
    uint64_t now = forge.clock.ms;
    ck_assert_uint_lt(hlc_ms(repo_hlc(&forge.repo)), now + 1000);
    caller.hlc = hlc_make(now + CLOCK_SKEW_MAX_MS - 1, 7);
    ck_assert_int_eq(service_admit(front.service, &caller, &problem), OK);
    ck_assert_uint_gt(repo_hlc(&forge.repo), caller.hlc);
    caller = caller_of("");
    ck_assert_int_eq(service_admit(front.service, &caller, &problem), ERR_INVALID);
    ck_assert_str_eq(problem.code, "author_invalid");
    teardown();
}
END_TEST

START_TEST(a_damaged_project_is_said_to_be)
{
    setup();
    struct asked asked = asked_open(&front, "key", 0);
    asked_write(&asked, "a", "one");
    struct reply reply;
    front_land(&front, "ann", &asked, 1, 30000, &reply);
    struct key head = key_head(&forge.project);
    ck_assert_int_eq(store_put(forge.mem, head.s, bytes_str("damaged"), PUT_ANY, NULL), OK);
    front_settle(&front);
    ck_assert_uint_eq(reply.calls, 1);
    ck_assert_int_eq(reply.err, ERR_CORRUPT);
    ck_assert_str_eq(reply.problem.code, "project_damaged");
    struct asked next = asked_open(&front, "next", UINT64_MAX);
    ck_assert_str_eq(front_refused(&front, &next, 1), "project_damaged");
    struct front nowhere = front;
    nowhere.project.b[0] ^= 1;
    ck_assert_str_eq(front_refused(&nowhere, &next, 1), "not_found");
    teardown();
}
END_TEST

/* DESIGN, budgets: a landing request has a share of one put, and waiting reads one head a
 * poll. */
START_TEST(budget_of_a_landing_request)
{
    setup();
    given("a", "d/a", "one");
    given("b", "d/b", "two");
    (void)trace_store_counts(forge.trace, true);
    struct asked asked[8];
    struct reply replies[8];
    for (unsigned i = 0; i < 8; i++) {
        char key[8] = {'k', (char)('0' + i)};
        char path[8] = {'d', '/', 'n', (char)('0' + i)};
        asked[i] = asked_open(&front, key, 2);
        asked_write(&asked[i], path, key);
        asked_write(&asked[i], "d/a", "the same from all");
        front_land(&front, "ann", &asked[i], 1, 30000, &replies[i]);
    }
    struct trace_counts counts = trace_store_counts(forge.trace, true);
    for (unsigned kind = 0; kind < TRACE_KINDS; kind++) {
        ck_assert_uint_eq(counts.gets[kind], 0);
        ck_assert_uint_eq(counts.puts[kind], 0);
    }
    (void)!service_step(front.service);
    counts = trace_store_counts(forge.trace, true);
    ck_assert_uint_eq(counts.puts[TRACE_QUEUE], 1);
    ck_assert_uint_eq(counts.gets[TRACE_HEAD], 1);
    ck_assert_uint_eq(counts.gets[TRACE_TREE], 0);
    ck_assert_uint_eq(counts.lists, 0);
    (void)forge_drain(&forge);
    (void)trace_store_counts(forge.trace, true);
    (void)!service_step(front.service);
    counts = trace_store_counts(forge.trace, true);
    ck_assert_uint_eq(counts.gets[TRACE_HEAD], 1);
    ck_assert_uint_eq(counts.gets[TRACE_TREE], 0); /* the drain is of this process */
    for (unsigned i = 0; i < 8; i++) {
        ck_assert_uint_eq(replies[i].calls, 1);
        ck_assert_int_eq(replies[i].verdicts[0], VERDICT_LANDED);
        ck_assert_uint_eq(replies[i].positions[0], 3 + i);
    }
    teardown();
}
END_TEST

/* How many hints come yet. */
static int hints;

static void landed(void *arg, const struct id16 *project, const struct head *head)
{
    (void)arg;
    if (hints-- > 0)
        service_landed(front.service, project, head);
}

static void hints_come(int n)
{
    hints = n;
    forge.land->close(forge.land);
    forge.land_options.landed = landed;
    forge.land = stage_land_open(&forge.repo, &forge.land_options);
}

static void one_waits(const char *key, struct reply *reply)
{
    struct asked asked = asked_open(&front, key, 0);
    asked_write(&asked, key, key);
    front_land(&front, "ann", &asked, 1, 30000, reply);
    (void)!service_step(front.service);
    ck_assert_uint_eq(reply->calls, 0);
}

/* A drain of this process says where the head is: nothing is read for the answers. */
START_TEST(a_hint_saves_reading_the_head)
{
    setup();
    hints_come(1);
    struct reply reply;
    one_waits("one", &reply);
    (void)forge_drain(&forge);
    (void)trace_store_counts(forge.trace, true);
    ck_assert_int_eq(service_step(front.service), 1);
    struct trace_counts counts = trace_store_counts(forge.trace, true);
    ck_assert_uint_eq(counts.gets[TRACE_HEAD] + counts.gets[TRACE_TREE], 0);
    ck_assert_uint_eq(reply.calls, 1);
    ck_assert_uint_eq(reply.positions[0], 1);
    teardown();
}
END_TEST

/* A hint may come after a round that has read a newer head: then it says nothing, and the next
 * round reads the head as ever. */
START_TEST(a_hint_of_an_older_head_is_none)
{
    setup();
    given("base", "base", "base");
    struct head older;
    ck_assert_int_eq(chain_head(&forge.repo, &front.project, &older, NULL), OK);
    struct reply replies[2];
    one_waits("one", &replies[0]);
    one_waits("two", &replies[1]);
    (void)forge_drain(&forge);
    service_landed(front.service, &front.project, &older);
    (void)trace_store_counts(forge.trace, true);
    ck_assert_int_eq(service_step(front.service), 2);
    struct trace_counts counts = trace_store_counts(forge.trace, true);
    ck_assert_uint_eq(counts.gets[TRACE_HEAD], 1);
    teardown();
}
END_TEST

/* At the end those are answered, too, of whose answers no hint has told. */
START_TEST(the_last_round_reads_the_head)
{
    setup();
    forge.land_options.batch_max = 1;
    hints_come(1);
    struct reply replies[2];
    one_waits("one", &replies[0]);
    one_waits("two", &replies[1]);
    (void)forge_drain(&forge);
    ck_assert_int_eq(hints, -1);
    service_stop(front.service);
    for (unsigned i = 0; i < 2; i++) {
        ck_assert_uint_eq(replies[i].calls, 1);
        ck_assert(!replies[i].pending);
    }
    teardown();
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        seen_is_filled_in_from_the_base,
        seen_is_never_from_the_sessions_own_writes,
        a_base_inside_a_batch,
        two_renames_of_one_source,
        renames_keep_what_was_there,
        a_directory_is_renamed_by_its_files,
        what_a_user_would_not_expect_is_refused,
        contents_are_checked,
        a_series_sees_its_earlier_sessions,
        a_series_ends_at_the_first_that_does_not_land,
        a_guard_on_a_directory_has_its_content_hash,
        a_retry_keeps_its_answer,
        who_does_not_wait_is_told_when_it_is_durable,
        those_who_wait_at_the_end_are_told,
        a_stamp_from_the_future_is_refused,
        a_damaged_project_is_said_to_be,
        budget_of_a_landing_request,
        a_hint_saves_reading_the_head,
        a_hint_of_an_older_head_is_none,
        the_last_round_reads_the_head,
    };
    return suite_run("service_land", tests, ARRAY_LEN(tests));
}
