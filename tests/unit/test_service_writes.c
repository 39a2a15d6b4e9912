/* Writes to sessions that a front knows: what they cost, and what is refused all the same. */
#include <stdio.h>

#include "formats/base/limits.h"
#include "pipeline/repo/chain.h"
#include "pipeline/repo/intake/pending.h"
#include "tests/support/front.h"
#include "tests/support/suite.h"

#define LATELY_US 10000u

/* Two fronts on one bucket, each with a memory and a clock of its own; the drain is the
 * first's. */
static struct forge forge;
static struct forge joined;
static struct front front;
static struct front other;

static void setup(void)
{
    forge_init(&forge);
    forge_join(&joined, &forge, NULL);
    front_open(&front, &forge);
    front_open(&other, &joined);
}

static void teardown(void)
{
    front_close(&other);
    front_close(&front);
    forge_release(&joined);
    forge_release(&forge);
}

static struct id16 started(struct front *by, const char *key)
{
    struct reply reply = front_start(by, "ann", key, 0);
    ck_assert_msg(reply.err == OK, "%s", reply.problem.message);
    return reply.sessions[0];
}

static struct reply write_as(struct front *by, const char *author, const struct id16 *sid,
                             const char *path)
{
    struct record record = record_write_of(by, path, path, 0);
    return front_write(by, author, sid, &record, 1);
}

static void wrote(struct front *by, const struct id16 *sid, unsigned from, unsigned n)
{
    char path[16];
    for (unsigned i = from; i < from + n; i++) {
        snprintf(path, sizeof(path), "f/%u", i);
        struct reply reply = write_as(by, "ann", sid, path);
        ck_assert_msg(reply.err == OK, "%s", reply.problem.message);
    }
}

static size_t records_of(const struct id16 *sid)
{
    struct session_current current;
    ck_assert_int_eq(session_read(&forge.repo, &front.project, sid, &forge.arena, &current),
                     OK);
    return current.session.n_records;
}

static struct trace_counts counts(void)
{
    return trace_store_counts(forge.trace, true);
}

static uint64_t requests(const struct trace_counts *c)
{
    uint64_t n = c->lists;
    for (unsigned kind = 0; kind < TRACE_KINDS; kind++)
        n += c->gets[kind] + c->puts[kind] + c->deletes[kind];
    return n;
}

/* DESIGN, budgets: a share of one put, and none of its own. Of the head, one read for all that
 * are written within a moment. */
START_TEST(budget_of_a_write)
{
    setup();
    struct id16 sid = started(&front, "");
    wrote(&front, &sid, 0, 1);
    (void)counts();
    wrote(&front, &sid, 1, 20);
    struct trace_counts c = counts();
    ck_assert_uint_eq(c.puts[TRACE_QUEUE], 20); /* each is flushed by itself here */
    ck_assert_uint_eq(requests(&c), 20);
    forge.clock.us += LATELY_US;
    wrote(&front, &sid, 21, 20);
    c = counts();
    ck_assert_uint_eq(c.puts[TRACE_QUEUE], 20);
    ck_assert_uint_eq(c.gets[TRACE_HEAD], 1);
    ck_assert_uint_eq(requests(&c), 21);
    ck_assert_uint_eq(records_of(&sid), 1 + 41);
    teardown();
}
END_TEST

/* One that may have begun before, or at another front, is read once. */
START_TEST(budget_of_the_first_write)
{
    setup();
    struct id16 sid = started(&front, "a key that may have been used before");
    struct front *fronts[] = {&front, &other};
    for (unsigned i = 0; i < 2; i++) {
        (void)counts();
        wrote(fronts[i], &sid, i * 10, 1);
        struct trace_counts c = counts();
        ck_assert_uint_eq(c.lists, 1);
        ck_assert_uint_eq(c.gets[TRACE_SESSION], 1);
        ck_assert_uint_eq(c.gets[TRACE_HEAD] > 0, 1);
        wrote(fronts[i], &sid, i * 10 + 1, 5);
        c = counts();
        ck_assert_uint_eq(requests(&c), 5);
    }
    ck_assert_uint_eq(records_of(&sid), 1 + 12);
    teardown();
}
END_TEST

/* What others have landed since costs a get of each new batch, for all sessions together. */
START_TEST(budget_while_others_land)
{
    setup();
    struct id16 sids[8];
    for (unsigned i = 0; i < ARRAY_LEN(sids); i++)
        sids[i] = started(&other, "");
    forge_land_text(&forge, "more", "x", "1", NULL);
    forge_land_text(&forge, "and more", "y", "1", NULL);
    joined.clock.us += LATELY_US;
    (void)counts();
    for (unsigned i = 0; i < ARRAY_LEN(sids); i++)
        wrote(&other, &sids[i], 0, 3);
    struct trace_counts c = counts();
    ck_assert_uint_eq(c.gets[TRACE_HEAD], 1);
    ck_assert_uint_le(c.gets[TRACE_TREE], 3); /* two batches, and the base that is asked for */
    ck_assert_uint_eq(c.lists, 0);
    ck_assert_uint_eq(c.gets[TRACE_SESSION], 0);
    /* However many they are, while it is written to. */
    for (unsigned i = 0; i < 80; i++) {
        const char *name = arena_printf(&forge.arena, "z/%u", i);
        forge_land_text(&forge, name, name, "1", NULL);
        joined.clock.us += LATELY_US;
        wrote(&other, &sids[0], 10 + i, 1);
    }
    c = counts();
    ck_assert_uint_eq(c.gets[TRACE_SESSION], 0);
    teardown();
}
END_TEST

static void expect_closed(struct reply reply)
{
    ck_assert_int_eq(reply.err, ERR_CONFLICT);
    ck_assert_str_eq(reply.problem.code, "session_closed");
}

/* Who was told here that it has landed is told here that it is closed, at once. */
START_TEST(an_answered_session_is_closed_here)
{
    setup();
    struct id16 sid = started(&front, "");
    wrote(&front, &sid, 0, 3);
    struct reply reply = front_session_land(&front, "ann", &sid, NULL);
    ck_assert_int_eq(reply.verdicts[0], VERDICT_LANDED);
    expect_closed(write_as(&front, "ann", &sid, "late"));
    teardown();
}
END_TEST

/* Also where a drain of the same process told of the head, and nobody has read it. */
START_TEST(an_answered_session_is_closed_by_a_hint)
{
    setup();
    struct id16 sid = started(&front, "");
    wrote(&front, &sid, 0, 3);
    struct reply reply = front_session_land(&other, "ann", &sid, NULL);
    ck_assert_int_eq(reply.verdicts[0], VERDICT_LANDED);
    struct head head;
    ck_assert_int_eq(chain_head(&joined.repo, &front.project, &head, NULL), OK);
    service_landed(front.service, &front.project, &head);
    expect_closed(write_as(&front, "ann", &sid, "late"));
    teardown();
}
END_TEST

/* And elsewhere when he says how much he has seen; else a moment later. */
START_TEST(an_answered_session_is_closed_elsewhere)
{
    setup();
    struct id16 sid = started(&other, "");
    wrote(&other, &sid, 0, 3);
    struct reply reply = front_session_land(&front, "ann", &sid, NULL);
    ck_assert_int_eq(reply.verdicts[0], VERDICT_LANDED);
    struct caller caller = caller_of("ann");
    struct problem problem;
    struct bytes key = bytes_str("key");
    struct record record = record_write_of(&other, "late", "late", 0);
    caller.hlc = repo_hlc(&forge.repo);
    ck_assert_int_eq(service_session_write(other.service, &caller, &other.project, &sid,
                                           &record, &key, 1, reply_written, &reply, &problem),
                     ERR_CONFLICT);
    ck_assert_str_eq(problem.code, "session_closed");

    sid = started(&other, "");
    wrote(&other, &sid, 0, 3);
    reply = front_session_land(&front, "ann", &sid, NULL);
    ck_assert_int_eq(reply.verdicts[0], VERDICT_LANDED);
    joined.clock.us += LATELY_US;
    expect_closed(write_as(&other, "ann", &sid, "late"));
    teardown();
}
END_TEST

START_TEST(a_session_is_its_owners)
{
    setup();
    struct id16 sid = started(&front, "");
    wrote(&front, &sid, 0, 3);
    struct reply reply = write_as(&front, "ben", &sid, "mine");
    ck_assert_int_eq(reply.err, ERR_DENIED);
    ck_assert_str_eq(reply.problem.code, "not_owner");
    teardown();
}
END_TEST

/* What depends on what the session has is held to all of it, whichever front took it. */
START_TEST(a_session_knows_what_others_wrote)
{
    setup();
    struct id16 sid = started(&front, "");
    wrote(&front, &sid, 0, 1);
    wrote(&other, &sid, 1, 1);
    struct record record = {
        .kind = RECORD_OPERATION,
        .operation = {
            .op = OP_RENAME,
            .path = bytes_str("f/1"),
            .target = bytes_str("g"),
            .content = {.kind = KIND_FILE, .mode = MODE_PLAIN, .carrier = CARRIER_SOURCE}}};
    struct reply reply = front_write(&front, "ann", &sid, &record, 1);
    ck_assert_msg(reply.err == OK, "%s", reply.problem.message);
    record = (struct record){.kind = RECORD_OPERATION,
                             .operation = {.op = OP_DELETE, .path = bytes_str("g")}};
    reply = front_write(&other, "ann", &sid, &record, 1);
    ck_assert_msg(reply.err == OK, "%s", reply.problem.message);
    teardown();
}
END_TEST

/* Fronts that write in turns give away little more than the room that there is. */
START_TEST(a_session_fills_up_through_two_fronts)
{
    setup();
    struct id16 sid = started(&front, "");
    char text[4096];
    struct rng_seeded rng;
    rng_seeded_init(&rng, 3);
    size_t taken = 0;
    struct reply reply = {0};
    for (unsigned i = 0; reply.err == OK && i < 400; i++) {
        struct front *by = i % 2 == 0 ? &front : &other;
        rng.rng.fill(&rng.rng, text, sizeof(text));
        struct record record = record_write_of(by, "a", "", 0);
        record.operation.content =
            content_inline(&forge.arena, KIND_FILE, MODE_PLAIN, bytes_of(text, sizeof(text)));
        reply = front_write(by, "ann", &sid, &record, 1);
        taken += reply.err == OK ? record.operation.content.data.len : 0;
    }
    ck_assert_int_eq(reply.err, ERR_LIMIT);
    ck_assert_str_eq(reply.problem.code, "session_full");
    ck_assert_uint_ge(taken, SESSION_INLINE_MAX - sizeof(text));
    ck_assert_uint_le(taken, SESSION_INLINE_MAX + SESSION_INLINE_MAX / 16);
    teardown();
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        budget_of_a_write,
        budget_of_the_first_write,
        budget_while_others_land,
        an_answered_session_is_closed_here,
        an_answered_session_is_closed_by_a_hint,
        an_answered_session_is_closed_elsewhere,
        a_session_is_its_owners,
        a_session_knows_what_others_wrote,
        a_session_fills_up_through_two_fronts,
    };
    return suite_run("service_writes", tests, ARRAY_LEN(tests));
}
