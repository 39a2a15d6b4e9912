/* Open sessions through the service: several writers, several fronts, and what a land lands. */
#include <stdio.h>

#include "formats/base/limits.h"
#include "formats/key.h"
#include "pipeline/repo/intake/pending.h"
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

static void given(struct front *by, const char *key, const char *path, const char *text)
{
    struct asked asked = asked_open(by, key, UINT64_MAX);
    asked_write(&asked, path, text);
    struct reply reply = front_landed(by, "ann", &asked, 1);
    ck_assert_int_eq(reply.verdicts[0], VERDICT_LANDED);
}

static struct id16 started(const char *key)
{
    struct reply reply = front_start(&front, "ann", key, UINT64_MAX);
    ck_assert_msg(reply.err == OK, "%s", reply.problem.message);
    return reply.sessions[0];
}

/* One write without seen, with a base of its own. Its id. */
static struct id16 wrote(struct front *by, const struct id16 *sid, const char *path,
                         const char *text, uint64_t base)
{
    struct record record = record_write_of(by, path, text, base);
    struct reply reply = front_write(by, "ann", sid, &record, 1);
    ck_assert_msg(reply.err == OK, "%s", reply.problem.message);
    ck_assert_uint_eq(reply.n, 1);
    return reply.records[0];
}

static struct session_current current_of(struct front *by, const struct id16 *sid)
{
    struct session_current current;
    ck_assert_int_eq(
        session_read(&by->forge->repo, &by->project, sid, &by->forge->arena, &current), OK);
    return current;
}

START_TEST(an_open_session_is_written_and_landed)
{
    setup();
    given(&front, "a", "a", "one");
    struct id16 sid = started("work");
    (void)wrote(&front, &sid, "a", "two", UINT64_MAX);
    struct record decision = {.kind = RECORD_DECISION, .decision = bytes_str("because")};
    ck_assert_int_eq(front_write(&front, "ann", &sid, &decision, 1).err, OK);
    struct session_current current = current_of(&front, &sid);
    ck_assert_uint_eq(current.session.n_records, 3);
    ck_assert_int_eq(current.session.state, SESSION_OPEN);
    ck_assert_uint_eq(current.session.base, 1);
    ck_assert(!current.answered);
    ck_assert_uint_eq(current.view.n_effects, 1);
    ck_assert_uint_eq(current.view.n_decisions, 1);
    struct reply reply = front_session_land(&front, "ann", &sid, NULL);
    ck_assert_int_eq(reply.err, OK);
    ck_assert_int_eq(reply.verdicts[0], VERDICT_LANDED);
    ck_assert_uint_eq(reply.positions[0], 2);
    ck_assert_str_eq(forge_text(&forge, "a"), "two");
    current = current_of(&front, &sid);
    ck_assert_int_eq(current.session.state, SESSION_LANDED);
    ck_assert_uint_eq(current.session.position, 2);
    ck_assert_uint_eq(current.session.n_records, 3);
    ck_assert(current.answered);
    /* A plain retry is the same request. */
    struct reply again = front_session_land(&front, "ann", &sid, NULL);
    ck_assert_int_eq(again.err, OK);
    ck_assert(id16_equal(&again.request, &reply.request));
    ck_assert_uint_eq(again.positions[0], 2);
    /* And it takes nothing more. */
    struct record late = record_write_of(&front, "b", "late", UINT64_MAX);
    struct reply refused = front_write(&front, "ann", &sid, &late, 1);
    ck_assert_int_eq(refused.err, ERR_CONFLICT);
    ck_assert_str_eq(refused.problem.code, "session_closed");
    teardown();
}
END_TEST

/* Schedule 12: the operation carries its own base, whatever the session was rebased to
 * meanwhile. */
START_TEST(seen_is_not_laundered_by_a_rebase)
{
    setup();
    given(&front, "p", "p", "one");
    struct id16 sid = started("work");
    given(&front, "p2", "p", "two");
    struct record rebase = {.kind = RECORD_REBASE, .rebase = 2};
    ck_assert_int_eq(front_write(&front, "ann", &sid, &rebase, 1).err, OK);
    ck_assert_uint_eq(current_of(&front, &sid).session.base, 2);
    /* Another worker, who still has the tree of 1. */
    (void)wrote(&front, &sid, "p", "by the old view", 1);
    struct reply reply = front_session_land(&front, "ann", &sid, NULL);
    ck_assert_int_eq(reply.verdicts[0], VERDICT_CONFLICTED);
    ck_assert_str_eq(forge_text(&forge, "p"), "two");
    /* It stays open; with the new view and a new request it lands. */
    (void)wrote(&front, &sid, "p", "by the new view", UINT64_MAX);
    reply = front_session_land(&front, "ann", &sid, NULL);
    ck_assert_int_eq(reply.verdicts[0], VERDICT_LANDED);
    ck_assert_str_eq(forge_text(&forge, "p"), "by the new view");
    struct record ahead = {.kind = RECORD_REBASE, .rebase = 100};
    struct id16 other = started("other");
    ck_assert_str_eq(front_write(&front, "ann", &other, &ahead, 1).problem.code, "base_ahead");
    teardown();
}
END_TEST

/* Schedule 16: a land lands exactly the records that it names. */
START_TEST(a_land_lands_what_it_names)
{
    setup();
    struct forge other;
    struct front second;
    forge_join(&other, &forge, NULL);
    front_open(&second, &other);
    struct id16 sid = started("work");
    (void)wrote(&front, &sid, "one", "1", 0);
    (void)wrote(&front, &sid, "two", "2", 0);
    struct session_current current = current_of(&front, &sid);
    struct hash named =
        records_hash(current.session.records, current.session.n_records, &forge.arena);
    struct caller caller = caller_of("ann");
    struct problem problem;
    struct reply reply = {0};
    ck_assert_int_eq(service_session_land(front.service, &caller, &front.project, &sid, &named,
                                          bytes_of(NULL, 0), 30000, reply_landed, &reply,
                                          &problem),
                     OK);
    (void)!service_step(front.service);
    /* Accepted through another front, before any drain has looked. */
    (void)wrote(&second, &sid, "three", "3", 0);
    /* Who names the records of before is told that there are others. */
    struct reply differ = {0};
    ck_assert_int_eq(service_session_land(second.service, &caller, &front.project, &sid, &named,
                                          bytes_str("another"), 30000, reply_landed, &differ,
                                          &differ.problem),
                     ERR_CONFLICT);
    ck_assert_str_eq(differ.problem.code, "records_differ");
    front_settle(&front);
    ck_assert_uint_eq(reply.calls, 1);
    ck_assert_int_eq(reply.verdicts[0], VERDICT_LANDED);
    ck_assert_str_eq(forge_text(&forge, "one"), "1");
    ck_assert_str_eq(forge_text(&forge, "two"), "2");
    ck_assert_ptr_null(forge_text(&forge, "three"));
    front_close(&second);
    forge_release(&other);
    teardown();
}
END_TEST

/* Schedule 18: one key and content is one record, whatever the front or the time; other content
 * is another. */
START_TEST(a_retried_write_is_one_record)
{
    setup();
    struct id16 sid = started("work");
    struct id16 again = started("work");
    ck_assert(id16_equal(&sid, &again));
    struct id16 one = wrote(&front, &sid, "a", "1", 0);
    struct id16 same = wrote(&front, &sid, "a", "1", 0);
    struct id16 other = wrote(&front, &sid, "a", "2", 0);
    ck_assert(id16_equal(&one, &same));
    ck_assert(!id16_equal(&one, &other));
    struct session_current current = current_of(&front, &sid);
    ck_assert_uint_eq(current.session.n_records, 3);
    struct reply bob = front_start(&front, "bob", "work", 0);
    ck_assert(!id16_equal(&bob.sessions[0], &sid));
    teardown();
}
END_TEST

/* Schedule 19: a session's id is public, and its owner's alone to write. */
START_TEST(foreign_records_are_not_taken)
{
    setup();
    struct id16 sid = started("work");
    (void)wrote(&front, &sid, "a", "1", 0);
    struct record foreign = record_write_of(&front, "a", "evil", 0);
    struct reply reply = front_write(&front, "bob", &sid, &foreign, 1);
    ck_assert_int_eq(reply.err, ERR_DENIED);
    ck_assert_str_eq(reply.problem.code, "not_owner");
    ck_assert_int_eq(front_session_land(&front, "bob", &sid, NULL).err, ERR_DENIED);
    /* Even one that got into the queue, stamped later, counts for nothing. */
    foreign.operation.base = 0;
    foreign.operation.seen.said = true;
    foreign.hlc = repo_hlc(&forge.repo) + 1000;
    foreign.id.b[0] = 1;
    struct queue_group group = {.project = forge.project,
                                .session = sid,
                                .owner = owner_of(bytes_str("bob")),
                                .records = &foreign,
                                .n = 1};
    forge_queue(&forge, &group, 1);
    ck_assert_uint_eq(current_of(&front, &sid).session.n_records, 2);
    ck_assert_int_eq(front_session_land(&front, "ann", &sid, NULL).verdicts[0], VERDICT_LANDED);
    ck_assert_str_eq(forge_text(&forge, "a"), "1");
    struct id16 unknown = {.b = {[15] = 9}};
    reply = front_write(&front, "ann", &unknown, &foreign, 1);
    ck_assert_int_eq(reply.err, ERR_NOT_FOUND);
    teardown();
}
END_TEST

/* --- schedule 20: a drain between the steps of a reader --- */

struct meddler {
    struct forge *drain;
    uint64_t at; /* the call before which the drain runs */
};

static void meddle(void *arg, uint64_t call, const struct store_op *op)
{
    struct meddler *meddler = arg;
    (void)op;
    if (call == meddler->at)
        (void)forge_drain(meddler->drain);
}

/* A reader with nothing in memory reads while the drain lands the session, or folds it into its
 * object. */
static void read_while(bool lands, uint64_t at)
{
    setup();
    struct id16 sid = started("work");
    (void)wrote(&front, &sid, "a", "1", 0);
    struct caller caller = caller_of("ann");
    struct reply reply = {0};
    if (lands)
        ck_assert_int_eq(service_session_land(front.service, &caller, &front.project, &sid,
                                              NULL, bytes_of(NULL, 0), 0, reply_landed, &reply,
                                              &reply.problem),
                         OK);
    else
        clock_manual_init(&forge.clock, forge.clock.ms + 40000);
    (void)!service_step(front.service);
    struct store *faulty = faulty_store_open(forge.trace);
    struct forge reader;
    forge_join(&reader, &forge, faulty);
    struct meddler meddler = {.drain = &forge, .at = at};
    faulty_reset(faulty);
    faulty_watch(faulty, meddle, &meddler);
    struct session_current current;
    int err = session_read(&reader.repo, &front.project, &sid, &reader.arena, &current);
    ck_assert_msg(err == OK, "hidden by a drain before call %u", (unsigned)at);
    ck_assert_uint_eq(current.session.n_records, 2);
    ck_assert(current.session.state == SESSION_OPEN || current.session.state == SESSION_LANDED);
    forge_release(&reader);
    store_close(faulty);
    teardown();
}

START_TEST(a_drain_in_between_hides_nothing)
{
    for (uint64_t at = 1; at < 12; at++) {
        read_while(true, at);
        read_while(false, at);
    }
}
END_TEST

START_TEST(an_abandoned_session_is_closed)
{
    setup();
    struct id16 sid = started("work");
    (void)wrote(&front, &sid, "a", "1", 0);
    struct caller caller = caller_of("ann");
    struct problem problem;
    for (unsigned i = 0; i < 2; i++) {
        struct reply reply = {0};
        ck_assert_int_eq(service_session_abandon(front.service, &caller, &front.project, &sid,
                                                 bytes_str("no use"), 30000, reply_landed,
                                                 &reply, &problem),
                         OK);
        front_settle(&front);
        ck_assert_uint_eq(reply.calls, 1);
        ck_assert_int_eq(reply.verdicts[0], VERDICT_ABANDONED);
    }
    ck_assert_int_eq(current_of(&front, &sid).session.state, SESSION_ABANDONED);
    struct reply land = front_session_land(&front, "ann", &sid, NULL);
    ck_assert_int_eq(land.err, ERR_CONFLICT);
    ck_assert_str_eq(land.problem.code, "session_closed");
    ck_assert_ptr_null(forge_text(&forge, "a"));
    teardown();
}
END_TEST

static struct session_list listed(size_t max, const struct id16 *after)
{
    static const struct id16 first;
    struct session_list list;
    ck_assert_int_eq(session_list(&forge.repo, &forge.project, after == NULL ? &first : after,
                                  max, &forge.arena, &list),
                     OK);
    return list;
}

START_TEST(open_sessions_are_listed)
{
    setup();
    ck_assert_uint_eq(listed(10, NULL).n, 0);
    struct id16 ids[5];
    const char *keys[] = {"1", "2", "3", "4", "5"};
    for (unsigned i = 0; i < 5; i++)
        ids[i] = started(keys[i]);
    (void)wrote(&front, &ids[0], "a", "1", 0);
    /* Two are folded into their objects. */
    clock_manual_init(&forge.clock, forge.clock.ms + 40000);
    front_settle(&front);
    ck_assert_uint_eq(forge_count(&forge, "queue/"), 0);
    (void)wrote(&front, &ids[0], "b", "1", 0);
    struct id16 sixth = started("6");
    ck_assert_uint_eq(listed(10, NULL).n, 6);
    ck_assert(!listed(10, NULL).more);
    size_t found = 0;
    struct id16 after = {0};
    for (;;) {
        struct session_list list = listed(2, &after);
        for (size_t i = 0; i < list.n; i++) {
            ck_assert_int_gt(id16_compare(&list.sessions[i].id, &after), 0);
            after = list.sessions[i].id;
            found++;
            if (id16_equal(&after, &ids[0]))
                ck_assert_uint_eq(list.sessions[i].n_records, 3);
        }
        if (!list.more)
            break;
        ck_assert_uint_eq(list.n, 2);
    }
    ck_assert_uint_eq(found, 6);
    /* One that came whole and waits is not open, and one that has landed is not. */
    struct asked whole = asked_open(&front, "whole", 0);
    asked_write(&whole, "w", "w");
    struct reply reply;
    front_land(&front, "ann", &whole, 1, 0, &reply);
    (void)!service_step(front.service);
    ck_assert_uint_eq(listed(10, NULL).n, 6);
    ck_assert_int_eq(front_session_land(&front, "ann", &ids[0], NULL).verdicts[0],
                     VERDICT_LANDED);
    ck_assert_int_eq(front_session_land(&front, "ann", &sixth, NULL).verdicts[0],
                     VERDICT_LANDED);
    ck_assert_uint_eq(listed(10, NULL).n, 4);
    teardown();
}
END_TEST

START_TEST(an_open_session_holds_little_inline)
{
    setup();
    struct id16 sid = started("work");
    char *text = arena_alloc(&forge.arena, INLINE_CONTENT_MAX);
    struct rng_seeded rng;
    rng_seeded_init(&rng, 3);
    int err = OK;
    unsigned n = 0;
    for (; err == OK && n < 100; n++) {
        rng.rng.fill(&rng.rng, text, INLINE_CONTENT_MAX);
        struct record record = record_write_of(&front, "a", "", 0);
        record.operation.content = content_inline(&forge.arena, KIND_FILE, MODE_PLAIN,
                                                  bytes_of(text, INLINE_CONTENT_MAX));
        struct reply reply = front_write(&front, "ann", &sid, &record, 1);
        err = reply.err;
        if (err != OK)
            ck_assert_str_eq(reply.problem.code, "session_full");
    }
    ck_assert_int_eq(err, ERR_LIMIT);
    ck_assert_uint_eq(n, 1 + SESSION_INLINE_MAX / INLINE_CONTENT_MAX);
    teardown();
}
END_TEST

/* Sends turns number [from, from + n) of a long conversation, all of one length. */
static struct reply said(const struct id16 *sid, char *text, unsigned from, unsigned n)
{
    struct record turns[REPLY_SESSIONS_MAX] = {0};
    struct arena arena = {0};
    for (unsigned i = 0; i < n; i++) {
        (void)snprintf(text, TEXT_LEN_MAX, "%08u", from + i);
        text[8] = ' ';
        turns[i].kind = RECORD_CONVERSATION;
        turns[i].conversation.role = bytes_str("agent");
        turns[i].conversation.text = arena_copy(&arena, bytes_of(text, TEXT_LEN_MAX));
    }
    struct reply reply = front_write(&front, "ann", sid, turns, n);
    arena_release(&arena);
    return reply;
}

/* Refused before anybody asks how much it would take: what is over a limit cannot be encoded.
 */
START_TEST(a_role_is_bounded)
{
    setup();
    struct id16 sid = started("work");
    char role[1000];
    memset(role, 'r', sizeof(role));
    const size_t lengths[] = {ROLE_LEN_MAX, ROLE_LEN_MAX + 1, 255, 256, sizeof(role)};
    for (size_t i = 0; i < ARRAY_LEN(lengths); i++) {
        struct record turn = {
            .kind = RECORD_CONVERSATION,
            .conversation = {.role = bytes_of(role, lengths[i]), .text = bytes_str("text")}};
        struct reply reply = front_write(&front, "ann", &sid, &turn, 1);
        ck_assert_int_eq(reply.err, i == 0 ? OK : ERR_INVALID);
        if (i > 0)
            ck_assert_str_eq(reply.problem.code, "field_too_large");
    }
    teardown();
}
END_TEST

START_TEST(an_open_session_holds_so_much_text)
{
    setup();
    struct id16 sid = started("work");
    char *text = arena_alloc(&forge.arena, TEXT_LEN_MAX);
    memset(text, 'x', TEXT_LEN_MAX);
    const unsigned whole = SESSION_OPEN_MAX / TEXT_LEN_MAX - 1; /* beside the rest of them */
    unsigned n = 0;
    for (; n + 7 <= whole; n += 7)
        ck_assert_int_eq(said(&sid, text, n, 7).err, OK);
    ck_assert_uint_eq(n, whole);
    struct reply reply = said(&sid, text, n, 1);
    ck_assert_int_eq(reply.err, ERR_LIMIT);
    ck_assert_str_eq(reply.problem.code, "session_full");
    /* What it has is taken again, and so is what still fits. */
    ck_assert_int_eq(said(&sid, text, n - 7, 7).err, OK);
    struct record decision = {.kind = RECORD_DECISION, .decision = bytes_str("enough")};
    ck_assert_int_eq(front_write(&front, "ann", &sid, &decision, 1).err, OK);
    /* A drain folds it, and another front counts what is in the object. */
    clock_manual_init(&forge.clock, forge.clock.ms + 40000);
    front_settle(&front);
    ck_assert_uint_eq(forge_count(&forge, "queue/"), 0);
    ck_assert_str_eq(said(&sid, text, n, 1).problem.code, "session_full");
    ck_assert_uint_eq(current_of(&front, &sid).session.n_records, n + 2);
    teardown();
}
END_TEST

START_TEST(a_rename_of_what_the_session_wrote)
{
    setup();
    given(&front, "a", "a", "one");
    struct id16 sid = started("work");
    (void)wrote(&front, &sid, "n", "new", UINT64_MAX);
    struct asked asked = {.front = &front};
    asked_rename(&asked, "n", "m");
    asked_rename(&asked, "a", "b");
    ck_assert_int_eq(front_write(&front, "ann", &sid, asked.session.records, 2).err, OK);
    asked = (struct asked){.front = &front};
    asked_rename(&asked, "b", "c");
    ck_assert_int_eq(front_write(&front, "ann", &sid, asked.session.records, 1).err, OK);
    asked = (struct asked){.front = &front};
    asked_delete(&asked, "nothing");
    ck_assert_str_eq(front_write(&front, "ann", &sid, asked.session.records, 1).problem.code,
                     "path_absent");
    ck_assert_int_eq(front_session_land(&front, "ann", &sid, NULL).verdicts[0], VERDICT_LANDED);
    ck_assert_str_eq(forge_text(&forge, "m"), "new");
    ck_assert_str_eq(forge_text(&forge, "c"), "one");
    ck_assert_ptr_null(forge_text(&forge, "a"));
    ck_assert_ptr_null(forge_text(&forge, "b"));
    teardown();
}
END_TEST

START_TEST(a_damaged_queue_object_holds_nobody_up)
{
    setup();
    struct id16 sid = started("work");
    struct key key = key_queue(0, 1, 2, 3);
    ck_assert_int_eq(store_put(forge.mem, key.s, bytes_str("garbage"), PUT_ANY, NULL), OK);
    (void)wrote(&front, &sid, "a", "1", 0);
    ck_assert_uint_eq(current_of(&front, &sid).session.n_records, 2);
    ck_assert_uint_eq(listed(10, NULL).n, 1);
    teardown();
}
END_TEST

/* A request keeps its answer, also when the session has had another one since. */
START_TEST(an_older_request_keeps_its_answer)
{
    setup();
    given(&front, "p", "p", "one");
    struct id16 sid = started("work");
    (void)wrote(&front, &sid, "p", "mine", 0);
    struct caller caller = caller_of("ann");
    struct reply replies[3] = {0};
    const char *const keys[] = {"first", "second", "first"};
    for (unsigned i = 0; i < 3; i++) {
        ck_assert_int_eq(service_session_land(front.service, &caller, &front.project, &sid,
                                              NULL, bytes_str(keys[i]), 30000, reply_landed,
                                              &replies[i], &replies[i].problem),
                         OK);
        front_settle(&front);
        if (i == 2) {
            ck_assert_uint_eq(replies[i].calls, 0);
            forge.clock.us += 3000000;
            front_settle(&front);
        }
        ck_assert_uint_eq(replies[i].calls, 1);
        ck_assert(!replies[i].pending);
        ck_assert_int_eq(replies[i].verdicts[0], VERDICT_CONFLICTED);
    }
    ck_assert(id16_equal(&replies[0].request, &replies[2].request));
    ck_assert(!id16_equal(&replies[0].request, &replies[1].request));
    ck_assert_uint_eq(forge_answers(&forge, &sid, &replies[0].request), 1);
    teardown();
}
END_TEST

/* Asks for the session's landing with these records, or the abandoning with NULL; nothing runs
 * yet. */
static void ask(const struct id16 *sid, const struct hash *records, const char *key,
                struct reply *reply)
{
    struct caller caller = caller_of("ann");
    *reply = (struct reply){0};
    if (records == NULL)
        reply->err =
            service_session_abandon(front.service, &caller, &front.project, sid, bytes_str(key),
                                    30000, reply_landed, reply, &reply->problem);
    else
        reply->err =
            service_session_land(front.service, &caller, &front.project, sid, records,
                                 bytes_str(key), 30000, reply_landed, reply, &reply->problem);
}

static struct hash records_of(const struct id16 *sid)
{
    struct session_current current = current_of(&front, sid);
    return records_hash(current.session.records, current.session.n_records, &forge.arena);
}

/* Also when a later request has closed the session, or it has other records by now. */
START_TEST(a_closed_session_keeps_its_older_answers)
{
    setup();
    given(&front, "p", "p", "one");
    struct id16 sid = started("work");
    (void)wrote(&front, &sid, "p", "mine", 0);
    struct hash first = records_of(&sid);
    struct reply conflicted;
    ask(&sid, &first, "first", &conflicted);
    front_settle(&front);
    ck_assert_int_eq(conflicted.verdicts[0], VERDICT_CONFLICTED);
    (void)wrote(&front, &sid, "p", "mine, having seen it", 1);
    struct hash second = records_of(&sid);
    struct reply other;
    ask(&sid, &second, "second", &other);
    /* Taken before the session was landed, so it is refused. */
    struct reply abandoned;
    ask(&sid, NULL, "too late", &abandoned);
    struct reply again;
    front_settle(&front);
    ck_assert_int_eq(other.verdicts[0], VERDICT_LANDED);
    ck_assert_int_eq(abandoned.verdicts[0], VERDICT_REFUSED);
    ck_assert_str_eq(abandoned.reasons[0], "session_closed");
    ask(&sid, &first, "first", &again);
    front_settle(&front);
    ck_assert_int_eq(again.err, OK);
    ck_assert_uint_eq(again.calls, 1);
    ck_assert(id16_equal(&again.request, &conflicted.request));
    ck_assert_int_eq(again.verdicts[0], VERDICT_CONFLICTED);
    ck_assert_uint_eq(again.conflicts[0], 1);
    ask(&sid, NULL, "too late", &again);
    front_settle(&front);
    ck_assert_int_eq(again.err, OK);
    ck_assert_uint_eq(again.calls, 1);
    ck_assert_int_eq(again.verdicts[0], VERDICT_REFUSED);
    ck_assert(id16_equal(&again.request, &abandoned.request));
    ask(&sid, &first, "never asked", &again);
    ck_assert_str_eq(again.problem.code, "session_closed");
    ask(&sid, NULL, "never asked", &again);
    ck_assert_str_eq(again.problem.code, "session_closed");
    teardown();
}
END_TEST

START_TEST(a_session_with_other_records_keeps_its_older_answers)
{
    setup();
    given(&front, "p", "p", "one");
    struct id16 sid = started("work");
    (void)wrote(&front, &sid, "p", "mine", 0);
    struct hash first = records_of(&sid);
    struct reply replies[3];
    ask(&sid, &first, "first", &replies[0]);
    front_settle(&front);
    (void)wrote(&front, &sid, "p", "and again", 0);
    struct hash second = records_of(&sid);
    ask(&sid, &second, "second", &replies[1]);
    front_settle(&front);
    (void)wrote(&front, &sid, "q", "more", 0);
    ask(&sid, &first, "first", &replies[2]);
    front_settle(&front);
    for (unsigned i = 0; i < 3; i++) {
        ck_assert_int_eq(replies[i].err, OK);
        ck_assert_uint_eq(replies[i].calls, 1);
        ck_assert_int_eq(replies[i].verdicts[0], VERDICT_CONFLICTED);
    }
    ck_assert(id16_equal(&replies[0].request, &replies[2].request));
    ask(&sid, &first, "never asked", &replies[2]);
    ck_assert_str_eq(replies[2].problem.code, "records_differ");
    teardown();
}
END_TEST

/* Reading again costs a list, and no queue object. */
START_TEST(budget_of_reading_a_session)
{
    setup();
    struct id16 sid = started("work");
    for (unsigned i = 0; i < 5; i++)
        (void)wrote(&front, &sid, "a", (const char[2]){(char)('0' + i)}, 0);
    (void)current_of(&front, &sid);
    (void)trace_store_counts(forge.trace, true);
    (void)current_of(&front, &sid);
    struct trace_counts counts = trace_store_counts(forge.trace, true);
    ck_assert_uint_eq(counts.gets[TRACE_QUEUE], 0);
    ck_assert_uint_eq(counts.lists, 1);
    ck_assert_uint_eq(counts.gets[TRACE_SESSION], 1);
    ck_assert_uint_eq(counts.gets[TRACE_HEAD], 1);
    ck_assert_uint_eq(counts.gets[TRACE_TREE], 0);
    teardown();
}
END_TEST

START_TEST(projects_are_made_and_found)
{
    setup();
    struct caller caller = caller_of("ann");
    struct problem problem;
    struct id16 made;
    struct id16 found;
    ck_assert_int_eq(
        service_project_create(front.service, &caller, bytes_str("second"), &made, &problem),
        OK);
    ck_assert_int_eq(service_project_find(front.service, bytes_str("second"), &found, &problem),
                     OK);
    ck_assert(id16_equal(&made, &found));
    ck_assert_int_eq(
        service_project_create(front.service, &caller, bytes_str("second"), &made, &problem),
        ERR_CONFLICT);
    ck_assert_str_eq(problem.code, "handle_taken");
    ck_assert_int_eq(
        service_project_create(front.service, &caller, bytes_str("-"), &made, &problem),
        ERR_INVALID);
    ck_assert_str_eq(problem.code, "handle_invalid");
    ck_assert_int_eq(service_project_find(front.service, bytes_str("third"), &found, &problem),
                     ERR_NOT_FOUND);
    struct head_info info;
    ck_assert_int_eq(service_head(front.service, &found, &info, &problem), OK);
    ck_assert_uint_eq(info.head.position, 0);
    found.b[0] ^= 1;
    ck_assert_int_eq(service_head(front.service, &found, &info, &problem), ERR_NOT_FOUND);
    given(&front, "a", "d/a", "four");
    ck_assert_int_eq(service_head(front.service, &front.project, &info, &problem), OK);
    ck_assert_uint_eq(info.head.position, 1);
    ck_assert_uint_eq(info.files, 1);
    ck_assert_uint_eq(info.bytes, 4);
    teardown();
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        an_open_session_is_written_and_landed,
        seen_is_not_laundered_by_a_rebase,
        a_land_lands_what_it_names,
        a_retried_write_is_one_record,
        foreign_records_are_not_taken,
        a_drain_in_between_hides_nothing,
        an_abandoned_session_is_closed,
        open_sessions_are_listed,
        an_open_session_holds_little_inline,
        a_role_is_bounded,
        an_open_session_holds_so_much_text,
        a_rename_of_what_the_session_wrote,
        a_damaged_queue_object_holds_nobody_up,
        an_older_request_keeps_its_answer,
        a_closed_session_keeps_its_older_answers,
        a_session_with_other_records_keeps_its_older_answers,
        budget_of_reading_a_session,
        projects_are_made_and_found,
    };
    return suite_run("service_sessions", tests, ARRAY_LEN(tests));
}
