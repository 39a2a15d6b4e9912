#include "formats/session.h"

#include "formats/base/limits.h"
#include "tests/support/golden.h"
#include "tests/support/object.h"
#include "tests/support/sample_session.h"
#include "tests/support/suite.h"

#define STATE_AT   32u
#define BASE_AT    65u
#define COUNT_AT   105u
#define RECORDS_AT 109u

static struct arena arena;

static int decode(struct bytes in)
{
    struct arena own = {0};
    struct session session;
    int err = session_decode(in, &own, &session);
    arena_release(&own);
    return err;
}

static void golden_again(const char *noun, struct session session)
{
    AUTO_BUF out = {0};
    session_encode(&session, &out);
    golden_check(noun, buf_bytes(&out));
    AUTO_BUF golden = {0};
    golden_read(noun, &golden);
    struct session decoded;
    ck_assert_int_eq(session_decode(buf_bytes(&golden), &arena, &decoded), OK);
    ck_assert(id16_equal(&decoded.id, &session.id));
    ck_assert_int_eq(decoded.state, session.state);
    ck_assert_uint_eq(decoded.n_records, session.n_records);
    ck_assert_uint_eq(decoded.hlc_created, session.hlc_created);
    ck_assert_uint_eq(decoded.position, session.position);
    buf_clear(&out);
    session_encode(&decoded, &out);
    golden_check(noun, buf_bytes(&out));
}

START_TEST(golden_bytes)
{
    golden_again("session", sample_session(&arena));
    golden_again("session_landed", sample_session_landed(&arena));
}
END_TEST

START_TEST(fields_lie_where_they_should)
{
    struct session session = sample_session(&arena);
    AUTO_BUF out = {0};
    session_encode(&session, &out);
    ck_assert_mem_eq(out.data, "MSES\0\1\0\0", 8);
    ck_assert_mem_eq(out.data + 16, session.id.b, 16);
    ck_assert_uint_eq(out.data[STATE_AT], SESSION_OPEN);
    ck_assert_mem_eq(out.data + 33, session.project.b, 16);
    ck_assert_mem_eq(out.data + 49, session.owner.b, 16);
    ck_assert_uint_eq(out.data[BASE_AT + 7], 44);
    ck_assert_uint_eq(out.data[104], 3);
    ck_assert_uint_eq(out.data[COUNT_AT + 3], session.n_records);
    ck_assert_mem_eq(out.data + RECORDS_AT, session.records[0].id.b, 16);
}
END_TEST

START_TEST(damage_is_refused)
{
    struct session session = sample_session(&arena);
    AUTO_BUF out = {0};
    session_encode(&session, &out);
    object_refuses_damage(buf_bytes(&out), decode);
}
END_TEST

START_TEST(fields_are_checked)
{
    struct session session = sample_session(&arena);
    AUTO_BUF out = {0};
    session_encode(&session, &out);
    struct bytes whole = buf_bytes(&out);
    for (unsigned state = 0; state < 256; state++) {
        uint8_t byte = (uint8_t)state;
        int expected = state >= 1 && state <= 4 ? OK : ERR_CORRUPT;
        ck_assert_int_eq(object_decode_with(whole, STATE_AT, &byte, 1, decode), expected);
    }
    static const uint8_t base[8] = {0, 1};
    ck_assert_int_eq(object_decode_with(whole, BASE_AT, base, 8, decode), ERR_LIMIT);
    static const uint8_t count[4] = {0, 0, 0, 16};
    ck_assert_int_eq(object_decode_with(whole, COUNT_AT, count, 4, decode), ERR_CORRUPT);
    static const uint8_t many[4] = {0xff, 0xff, 0xff, 0xff};
    ck_assert_int_eq(object_decode_with(whole, COUNT_AT, many, 4, decode), ERR_LIMIT);
    static const uint8_t too_many[4] = {0, 1, 0, 0};
    ck_assert_int_eq(object_decode_with(whole, COUNT_AT, too_many, 4, decode), ERR_CORRUPT);
    /* The first record's id, then above the second's. */
    static const uint8_t high[16] = {0xff, 0xff};
    ck_assert_int_eq(object_decode_with(whole, RECORDS_AT, high, 16, decode), ERR_CORRUPT);
}
END_TEST

/* The bytes of a session with these two records, as they are. */
static void encode_two(struct buf *out, struct record a, struct record b)
{
    struct session session = sample_session_empty("k", 1);
    session_encode(&session, out);
    wr_u32_at(out, COUNT_AT, 2);
    record_write(out, &a);
    record_write(out, &b);
    envelope_close(out, 0);
}

START_TEST(records_stand_in_order)
{
    struct record low = sample_write(1, "a", "x");
    low.id = sample_id(1);
    struct record high = sample_write(1, "b", "x");
    high.id = sample_id(2);
    AUTO_BUF out = {0};
    encode_two(&out, low, high);
    ck_assert_int_eq(decode(buf_bytes(&out)), OK);
    buf_clear(&out);
    encode_two(&out, high, low);
    ck_assert_int_eq(decode(buf_bytes(&out)), ERR_CORRUPT);
    buf_clear(&out);
    encode_two(&out, low, low);
    ck_assert_int_eq(decode(buf_bytes(&out)), ERR_CORRUPT);

    struct record abandon = {.id = sample_id(2), .kind = RECORD_ABANDON};
    buf_clear(&out);
    encode_two(&out, low, abandon);
    ck_assert_int_eq(decode(buf_bytes(&out)), ERR_CORRUPT);
    struct record_land_item item = {.session = sample_id(3)};
    struct record land = {.id = sample_id(2), .kind = RECORD_LAND};
    land.land.items = &item;
    land.land.n = 1;
    buf_clear(&out);
    encode_two(&out, low, land);
    ck_assert_int_eq(decode(buf_bytes(&out)), ERR_CORRUPT);
}
END_TEST

START_TEST(encoding_sorts)
{
    struct session session = sample_session(&arena);
    AUTO_BUF out = {0};
    session_encode(&session, &out);
    for (size_t i = 0; i < session.n_records / 2; i++) {
        struct record swapped = session.records[i];
        session.records[i] = session.records[session.n_records - 1 - i];
        session.records[session.n_records - 1 - i] = swapped;
    }
    AUTO_BUF again = {0};
    session_encode(&session, &again);
    ck_assert(bytes_equal(buf_bytes(&out), buf_bytes(&again)));
    ck_assert_int_eq(decode(buf_bytes(&again)), OK);
}
END_TEST

START_TEST(an_empty_session)
{
    struct session session = sample_session_empty("k", 1);
    AUTO_BUF out = {0};
    session_encode(&session, &out);
    ck_assert_uint_eq(out.len, RECORDS_AT);
    ck_assert_int_eq(decode(buf_bytes(&out)), OK);
}
END_TEST

START_TEST(ids_are_assigned_by_content)
{
    struct record start = sample_start(1, "k", 41);
    struct record same = sample_write(2, "a", "x");
    struct record other = sample_write(3, "b", "x");
    struct record records[] = {same, start, same, other, same};
    struct session session = sample_session_empty("k", 41);
    struct id16 id = session.id;
    session.id = sample_id(9);
    session.records = records;
    session.n_records = ARRAY_LEN(records);
    session_assign_ids(&session);
    ck_assert(id16_equal(&session.id, &id));
    for (size_t i = 0; i < ARRAY_LEN(records); i++) {
        for (size_t j = 0; j < i; j++)
            ck_assert(!id16_equal(&records[i].id, &records[j].id));
    }
    static const char *const keys[] = {"0", "0", "1", "0", "2"};
    for (size_t i = 0; i < ARRAY_LEN(records); i++) {
        AUTO_BUF payload = {0};
        record_payload(&records[i], &payload);
        struct id16 expected =
            record_id(&session.owner, &id, bytes_str(keys[i]), buf_bytes(&payload));
        ck_assert(id16_equal(&records[i].id, &expected));
    }
}
END_TEST

int main(void)
{
    const TTest *tests[] = {
        golden_bytes,       fields_lie_where_they_should, damage_is_refused,
        fields_are_checked, records_stand_in_order,       encoding_sorts,
        an_empty_session,   ids_are_assigned_by_content,
    };
    int failed = suite_run("session", tests, ARRAY_LEN(tests));
    arena_release(&arena);
    return failed;
}
