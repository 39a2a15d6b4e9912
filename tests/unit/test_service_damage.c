/* The service over a damaged bucket: nothing that was answered rests on what is damaged, and
 * what is not there because it cannot be read is not said to be absent. */
#include "formats/key.h"
#include "pipeline/repo/history/landlog.h"
#include "pipeline/repo/intake/pending.h"
#include "tests/support/front.h"
#include "tests/support/suite.h"

static struct forge forge;
static struct front front; /* over a process of its own, which has read nothing yet */
static struct forge reader;

static void setup(void)
{
    forge_init(&forge);
    forge_land_text(&forge, "one", "one", "1", NULL);
    forge_land_text(&forge, "two", "two", "2", NULL);
    forge_join(&reader, &forge, NULL);
    front_open(&front, &reader);
}

static void teardown(void)
{
    front_close(&front);
    forge_release(&reader);
    forge_release(&forge);
}

static void flip(const char *key, size_t offset, uint8_t bits)
{
    AUTO_BUF bytes = {0};
    ck_assert_int_eq(store_get(forge.mem, key, range_all(), &bytes, NULL, NULL), OK);
    bytes.data[offset] ^= bits;
    ck_assert_int_eq(store_put(forge.mem, key, buf_bytes(&bytes), PUT_ANY, NULL), OK);
}

/* --- heads --- */

enum { position_low = 7, hlc_low = 47, hlc_ms_low = 45 };

/* A base out of a damaged head would be in a session's id for good. */
START_TEST(no_base_is_taken_from_a_damaged_head)
{
    const size_t offsets[] = {position_low, hlc_low, hlc_ms_low};
    for (size_t i = 0; i < ARRAY_LEN(offsets); i++) {
        setup();
        struct key key = key_head(&forge.project);
        flip(key.s, offsets[i], 0x40);
        struct reply reply = front_start(&front, "ann", "early", UINT64_MAX);
        ck_assert_int_eq(reply.err, ERR_CORRUPT);
        ck_assert_str_eq(reply.problem.code, "project_damaged");
        reply = front_start(&front, "ann", "low", 1);
        ck_assert_int_eq(reply.err, ERR_CORRUPT);
        /* Nothing of it stays in memory when it is mended. */
        flip(key.s, offsets[i], 0x40);
        reply = front_start(&front, "ann", "later", UINT64_MAX);
        ck_assert_int_eq(reply.err, OK);
        ck_assert_uint_eq(session_id_base(&reply.sessions[0]), 2);
        struct asked asked = asked_open(&front, "whole", 2);
        asked_write(&asked, "three", "3");
        ck_assert_int_eq(front_landed(&front, "ann", &asked, 1).verdicts[0], VERDICT_LANDED);
        teardown();
    }
}
END_TEST

/* A head that lies below says nothing about what is above. */
START_TEST(a_damaged_head_hides_no_landing)
{
    setup();
    struct key key = key_head(&forge.project);
    flip(key.s, position_low, 2); /* position 0 */
    struct log_entry entry;
    struct landing landing;
    struct hash tree;
    struct snapshot *snapshot;
    struct session_list list;
    static const struct id16 first;
    struct id16 owner = owner_of(bytes_str("setup"));
    struct id16 sid = session_id(&forge.project, &owner, bytes_str("two"), 1);
    ck_assert_int_eq(landlog_at(&reader.repo, &forge.project, 2, &reader.arena, &entry),
                     ERR_CORRUPT);
    ck_assert_int_eq(
        landlog_session(&reader.repo, &forge.project, &sid, &reader.arena, &landing, &tree),
        ERR_CORRUPT);
    ck_assert_int_eq(snapshot_open(&reader.repo, &forge.project, 2, &snapshot), ERR_CORRUPT);
    ck_assert_int_eq(
        session_list(&reader.repo, &forge.project, &first, 10, &reader.arena, &list),
        ERR_CORRUPT);
    teardown();
}
END_TEST

/* --- the queue --- */

static struct id16 started(void)
{
    struct reply reply = front_start(&front, "ann", "open", 2);
    ck_assert_int_eq(reply.err, OK);
    return reply.sessions[0];
}

static struct id16 wrote(const struct id16 *sid, const char *path)
{
    struct record record = record_write_of(&front, path, "text", 2);
    struct reply reply = front_write(&front, "ann", sid, &record, 1);
    ck_assert_int_eq(reply.err, OK);
    return reply.records[0];
}

/* Damages the n-th object that waits, and gives its key. */
static const char *queued_damage(size_t n)
{
    struct store_list list;
    struct key prefix = key_queue_prefix(0);
    ck_assert_int_eq(store_list(forge.mem, &forge.arena, prefix.s, "", STORE_LIST_MAX, &list),
                     OK);
    ck_assert_uint_lt(n, list.n);
    flip(list.keys[n].key, 60, 1);
    return list.keys[n].key;
}

static int session_of(const struct id16 *sid, struct session_current *out)
{
    struct forge fresh;
    forge_join(&fresh, &forge, NULL);
    int err = session_read(&fresh.repo, &forge.project, sid, &forge.arena, out);
    forge_release(&fresh);
    return err;
}

START_TEST(a_session_that_may_be_in_a_damaged_object_is_not_absent)
{
    setup();
    struct session_current current;
    struct id16 sid = started();
    struct id16 nobody = sid;
    nobody.b[15] ^= 1;
    ck_assert_int_eq(session_of(&nobody, &current), ERR_NOT_FOUND);
    (void)queued_damage(0);
    ck_assert_int_eq(session_of(&sid, &current), ERR_CORRUPT);
    ck_assert_int_eq(session_of(&nobody, &current), ERR_CORRUPT);
    teardown();
}
END_TEST

/* A write that was accepted and cannot be read is not left out without a word. */
START_TEST(a_land_that_names_no_records_needs_all_of_the_queue)
{
    setup();
    AUTO(arena_release) struct arena arena = {0};
    struct session_current current;
    struct id16 sid = started();
    struct id16 kept = wrote(&sid, "kept");
    (void)wrote(&sid, "lost");
    (void)queued_damage(2);
    front_close(&front);
    forge_release(&reader);
    forge_join(&reader, &forge, NULL);
    front_open(&front, &reader);
    ck_assert_int_eq(session_of(&sid, &current), OK);
    ck_assert(current.partial);
    ck_assert_uint_eq(current.session.n_records, 2);
    struct reply reply = front_session_land(&front, "ann", &sid, NULL);
    ck_assert_int_eq(reply.err, ERR_CORRUPT);
    ck_assert_str_eq(reply.problem.code, "project_damaged");
    struct hash other = {.b = {1}};
    ck_assert_int_eq(front_session_land(&front, "ann", &sid, &other).err, ERR_CORRUPT);
    /* Who says what is to land knows what is not. */
    struct hash named =
        records_hash(current.session.records, current.session.n_records, &arena);
    ck_assert(id16_equal(&kept, &current.session.records[0].id) ||
              id16_equal(&kept, &current.session.records[1].id));
    reply = front_session_land(&front, "ann", &sid, &named);
    ck_assert_int_eq(reply.err, OK);
    ck_assert_int_eq(reply.verdicts[0], VERDICT_LANDED);
    /* What has landed is all there. */
    ck_assert_int_eq(session_of(&sid, &current), OK);
    ck_assert(!current.partial);
    teardown();
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        no_base_is_taken_from_a_damaged_head,
        a_damaged_head_hides_no_landing,
        a_session_that_may_be_in_a_damaged_object_is_not_absent,
        a_land_that_names_no_records_needs_all_of_the_queue,
    };
    return suite_run("service_damage", tests, ARRAY_LEN(tests));
}
