/* Which sessions are shown as open: those that nobody has answered for good, whatever lies in
 * the store of those that somebody has. */
#include "formats/key.h"
#include "pipeline/repo/chain.h"
#include "pipeline/repo/intake/pending.h"
#include "pipeline/repo/project.h"
#include "tests/support/front.h"
#include "tests/support/suite.h"

/* More batches than a listing looks through each time. */
#define BATCHES_MANY 40u

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

static void filled(const char *name, unsigned batches)
{
    for (unsigned i = 0; i < batches; i++)
        forge_land_text(&forge, arena_printf(&forge.arena, "%s%u", name, i),
                        arena_printf(&forge.arena, "%s/%u", name, i), "x", NULL);
}

/* An open session that writes the path of its key, in an object of its own. */
static struct id16 folded(const char *key)
{
    struct reply reply = front_start(&front, "ann", key, 0);
    ck_assert_int_eq(reply.err, OK);
    struct record write = record_write_of(&front, key, "text", 0);
    ck_assert_int_eq(front_write(&front, "ann", &reply.sessions[0], &write, 1).err, OK);
    forge.clock.ms += 40000;
    front_settle(&front);
    ck_assert_uint_eq(forge_count(&forge, "queue/"), 0);
    return reply.sessions[0];
}

/* The same session, whole with its land. */
static struct asked whole(const char *key)
{
    struct asked asked = asked_open(&front, key, 0);
    asked.session.records[0].start.goal = bytes_str("a goal");
    asked_write(&asked, key, "text");
    return asked;
}

static enum session_state object_state(const struct id16 *sid)
{
    struct key key = key_session(&forge.project, sid);
    AUTO_BUF bytes = {0};
    struct session session;
    ck_assert_int_eq(store_get(forge.mem, key.s, range_all(), &bytes, NULL, NULL), OK);
    ck_assert_int_eq(session_decode(buf_bytes(&bytes), &forge.arena, &session), OK);
    return session.state;
}

static enum session_state state_read(struct forge *by, const struct id16 *sid)
{
    struct session_current current;
    ck_assert_int_eq(session_read(&by->repo, &by->project, sid, &by->arena, &current), OK);
    return current.session.state;
}

static struct session_list listed(struct forge *by, size_t max, const struct id16 *after)
{
    static const struct id16 first;
    struct session_list list;
    ck_assert_int_eq(session_list(&by->repo, &by->project, after == NULL ? &first : after, max,
                                  &by->arena, &list),
                     OK);
    return list;
}

static void listed_only(struct forge *by, const struct id16 *sid)
{
    struct session_list list = listed(by, 10, NULL);
    ck_assert_uint_eq(list.n, 1);
    ck_assert(!list.more);
    ck_assert(id16_equal(&list.sessions[0].id, sid));
}

/* What came whole has no object that a drain would put away; one of the same key and base may
 * be there all the same. */
START_TEST(a_whole_landing_closes_the_open_session_of_its_key)
{
    setup();
    struct id16 open = folded("open");
    struct id16 sid = folded("same");
    struct asked asked = whole("same");
    struct reply reply = front_landed(&front, "ann", &asked, 1);
    ck_assert_int_eq(reply.verdicts[0], VERDICT_LANDED);
    ck_assert(id16_equal(&reply.sessions[0], &sid));
    listed_only(&forge, &open);
    filled("fill", BATCHES_MANY);
    ck_assert_int_eq(object_state(&sid), SESSION_OPEN);
    listed_only(&forge, &open);
    ck_assert_int_eq(state_read(&forge, &sid), SESSION_LANDED);
    ck_assert_int_eq(state_read(&forge, &open), SESSION_OPEN);
    /* For one who has nothing in memory, too. */
    struct forge reader;
    forge_join(&reader, &forge, NULL);
    listed_only(&reader, &open);
    ck_assert_int_eq(state_read(&reader, &sid), SESSION_LANDED);
    forge_release(&reader);
    teardown();
}
END_TEST

/* A request that came too late is refused, and does not open the session again. */
START_TEST(a_late_request_opens_nothing)
{
    setup();
    filled("fill", 1);
    struct id16 sid = folded("same");
    struct asked asked = whole("same");
    asked.session.records[1].operation.seen = seen_text("what is not there");
    struct reply closing;
    struct reply late;
    front_land(&front, "ann", &asked, 1, 30000, &closing);
    struct caller caller = caller_of("ann");
    ck_assert_int_eq(service_session_land(front.service, &caller, &front.project, &sid, NULL,
                                          bytes_of(NULL, 0), 30000, reply_landed, &late,
                                          &late.problem),
                     OK);
    late.calls = 0;
    front_settle(&front);
    ck_assert_int_eq(closing.verdicts[0], VERDICT_CONFLICTED);
    ck_assert_uint_eq(late.calls, 1);
    ck_assert_str_eq(late.reasons[0], "session_closed");
    ck_assert_int_eq(state_read(&forge, &sid), SESSION_SETTLED);
    filled("more", BATCHES_MANY);
    ck_assert_uint_eq(listed(&forge, 10, NULL).n, 0);
    ck_assert_int_eq(state_read(&forge, &sid), SESSION_SETTLED);
    struct record write = record_write_of(&front, "late", "text", 0);
    ck_assert_str_eq(front_write(&front, "ann", &sid, &write, 1).problem.code,
                     "session_closed");
    teardown();
}
END_TEST

/* A drain put the object, and ended before it noticed that another had closed the session. */
START_TEST(an_object_that_was_left_behind_is_not_shown)
{
    setup();
    struct id16 sid = folded("left");
    struct key key = key_session(&forge.project, &sid);
    AUTO_BUF object = {0};
    ck_assert_int_eq(store_get(forge.mem, key.s, range_all(), &object, NULL, NULL), OK);
    ck_assert_int_eq(front_session_land(&front, "ann", &sid, NULL).verdicts[0], VERDICT_LANDED);
    ck_assert_int_eq(object_state(&sid), SESSION_SETTLED);
    ck_assert_int_eq(store_put(forge.mem, key.s, buf_bytes(&object), PUT_ANY, NULL), OK);
    filled("fill", BATCHES_MANY);
    ck_assert_uint_eq(listed(&forge, 10, NULL).n, 0);
    ck_assert_int_eq(state_read(&forge, &sid), SESSION_LANDED);
    teardown();
}
END_TEST

/* An answer that leaves the session open leaves it in the list. */
START_TEST(a_conflict_closes_nothing)
{
    setup();
    filled("fill", 1);
    struct id16 sid = folded("fill/0");
    ck_assert_int_eq(front_session_land(&front, "ann", &sid, NULL).verdicts[0],
                     VERDICT_CONFLICTED);
    filled("more", BATCHES_MANY);
    listed_only(&forge, &sid);
    teardown();
}
END_TEST

#define STALE 70u
#define OPEN  5u

/* Pages are as full as they can be, however many are left out between. */
START_TEST(pages_of_what_is_open)
{
    setup();
    struct id16 open[OPEN];
    for (unsigned i = 0; i < STALE; i++) {
        char *key = arena_printf(&forge.arena, "s%u", i);
        ck_assert_int_eq(front_start(&front, "ann", key, 0).err, OK);
    }
    for (unsigned i = 0; i < OPEN; i++)
        open[i] = folded(arena_printf(&forge.arena, "o%u", i));
    for (unsigned i = 0; i < STALE; i++) {
        struct asked asked = whole(arena_printf(&forge.arena, "s%u", i));
        ck_assert_int_eq(front_landed(&front, "ann", &asked, 1).verdicts[0], VERDICT_LANDED);
    }
    filled("fill", BATCHES_MANY);
    for (size_t max = 1; max < 4; max++) {
        struct id16 after = {0};
        size_t found = 0;
        for (bool more = true; more;) {
            struct session_list list = listed(&forge, max, &after);
            more = list.more && list.n > 0;
            ck_assert(list.n == max || !list.more);
            for (size_t i = 0; i < list.n; i++) {
                bool known = false;
                for (unsigned k = 0; k < OPEN; k++)
                    known = known || id16_equal(&open[k], &list.sessions[i].id);
                ck_assert(known);
                ck_assert_int_gt(id16_compare(&list.sessions[i].id, &after), 0);
                after = list.sessions[i].id;
                found++;
            }
        }
        ck_assert_uint_eq(found, OPEN);
    }
    teardown();
}
END_TEST

static void appended(void)
{
    struct stage *append = stage_append_open(&forge.repo);
    while (append->run(append) > 0) {
    }
    append->close(append);
}

/* Far back it is the log that is asked, once; and what was found open or closed is remembered.
 */
START_TEST(budget_of_a_listing)
{
    setup();
    struct id16 open = folded("open");
    (void)folded("same");
    struct asked asked = whole("same");
    (void)front_landed(&front, "ann", &asked, 1);
    filled("fill", 320);
    appended();
    struct forge reader;
    forge_join(&reader, &forge, NULL);
    (void)trace_store_counts(forge.trace, true);
    listed_only(&reader, &open);
    struct trace_counts counts = trace_store_counts(forge.trace, true);
    ck_assert_uint_eq(counts.gets[TRACE_HEAD], 2); /* the log asks for its own */
    ck_assert_uint_eq(counts.gets[TRACE_TREE], 48);
    ck_assert_uint_eq(counts.gets[TRACE_LOG], 3);
    filled("more", 3);
    (void)trace_store_counts(forge.trace, true);
    listed_only(&reader, &open);
    counts = trace_store_counts(forge.trace, true);
    ck_assert_uint_eq(counts.gets[TRACE_HEAD], 1);
    ck_assert_uint_eq(counts.gets[TRACE_TREE], 3);
    ck_assert_uint_eq(counts.gets[TRACE_LOG], 0);
    forge_release(&reader);
    teardown();
}
END_TEST

static void tip_flip(struct key *key)
{
    struct head head;
    AUTO_BUF bytes = {0};
    if (key->s[0] == '\0') {
        ck_assert_int_eq(chain_head(&forge.repo, &forge.project, &head, NULL), OK);
        *key = key_tree(&forge.project, &head.tree_hash);
    }
    ck_assert_int_eq(store_get(forge.mem, key->s, range_all(), &bytes, NULL, NULL), OK);
    bytes.data[bytes.len - 20] ^= 0x40;
    ck_assert_int_eq(store_put(forge.mem, key->s, buf_bytes(&bytes), PUT_ANY, NULL), OK);
}

/* Damage in the history hides no open session; where the log tells, it is asked. */
START_TEST(a_listing_over_a_damaged_batch)
{
    setup();
    struct id16 open = folded("open");
    (void)folded("same");
    struct asked asked = whole("same");
    (void)front_landed(&front, "ann", &asked, 1);
    filled("fill", 70);
    struct key key = {0};
    tip_flip(&key);
    struct forge reader;
    for (unsigned i = 0; i < 2; i++) {
        filled(i == 0 ? "few" : "more", i == 0 ? 3 : BATCHES_MANY);
        forge_join(&reader, &forge, NULL);
        ck_assert_uint_eq(listed(&reader, 10, NULL).n, 2);
        forge_release(&reader);
    }
    tip_flip(&key);
    appended();
    tip_flip(&key);
    forge_join(&reader, &forge, NULL);
    listed_only(&reader, &open);
    forge_release(&reader);
    teardown();
}
END_TEST

/* The object of another project's session, under a name of this one's. */
START_TEST(a_session_of_another_project_is_not_shown)
{
    setup();
    struct id16 open = folded("open");
    struct id16 hers = folded("hers");
    struct key key = key_session(&forge.project, &hers);
    struct id16 other;
    ck_assert_int_eq(project_create(&forge.repo, bytes_str("other"), &other), OK);
    struct id16 mine = forge.project;
    forge.project = front.project = other;
    struct id16 foreign = folded("foreign");
    struct key from = key_session(&other, &foreign);
    AUTO_BUF bytes = {0};
    ck_assert_int_eq(store_get(forge.mem, from.s, range_all(), &bytes, NULL, NULL), OK);
    ck_assert_int_eq(store_put(forge.mem, key.s, buf_bytes(&bytes), PUT_ANY, NULL), OK);
    forge.project = front.project = mine;
    struct forge reader;
    forge_join(&reader, &forge, NULL);
    listed_only(&reader, &open);
    forge_release(&reader);
    /* Nor does one of this project under the name of another close or hide it. */
    key = key_session(&forge.project, &open);
    from = key_session(&forge.project, &hers);
    ck_assert_int_eq(store_put(forge.mem, from.s, bytes_str(""), PUT_ANY, NULL), OK);
    bytes.len = 0;
    ck_assert_int_eq(store_get(forge.mem, key.s, range_all(), &bytes, NULL, NULL), OK);
    ck_assert_int_eq(store_put(forge.mem, from.s, buf_bytes(&bytes), PUT_ANY, NULL), OK);
    forge_join(&reader, &forge, NULL);
    listed_only(&reader, &open);
    forge_release(&reader);
    teardown();
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        a_whole_landing_closes_the_open_session_of_its_key,
        a_late_request_opens_nothing,
        an_object_that_was_left_behind_is_not_shown,
        a_conflict_closes_nothing,
        pages_of_what_is_open,
        budget_of_a_listing,
        a_listing_over_a_damaged_batch,
        a_session_of_another_project_is_not_shown,
    };
    return suite_run("service_listing", tests, ARRAY_LEN(tests));
}
