#include "formats/landing.h"

#include "formats/base/limits.h"
#include "tests/support/golden.h"
#include "tests/support/object.h"
#include "tests/support/sample_session.h"
#include "tests/support/suite.h"

#define VERDICT_AT 16u
#define REASON_AT  81u

static struct arena arena;

static int decode(struct bytes in)
{
    struct arena own = {0};
    struct landing landing;
    int err = landing_decode(in, &own, &landing);
    arena_release(&own);
    return err;
}

static void golden_again(const char *noun, struct landing landing)
{
    AUTO_BUF out = {0};
    landing_encode(&landing, &out);
    golden_check(noun, buf_bytes(&out));
    AUTO_BUF golden = {0};
    golden_read(noun, &golden);
    struct landing decoded;
    ck_assert_int_eq(landing_decode(buf_bytes(&golden), &arena, &decoded), OK);
    ck_assert_int_eq(decoded.verdict, landing.verdict);
    ck_assert_int_eq(decoded.closes, landing.closes);
    ck_assert(id16_equal(&decoded.session, &landing.session));
    ck_assert_uint_eq(decoded.position, landing.position);
    ck_assert_uint_eq(decoded.n_conflicts, landing.n_conflicts);
    ck_assert_uint_eq(decoded.n_listed, landing.n_listed);
    ck_assert_int_eq(decoded.has_session, landing.has_session);
    ck_assert_uint_eq(decoded.landed.n_records, landing.landed.n_records);
    buf_clear(&out);
    landing_encode(&decoded, &out);
    golden_check(noun, buf_bytes(&out));
}

START_TEST(golden_bytes)
{
    golden_again("landing", sample_landing(&arena, 45));
    golden_again("landing_conflicted", sample_conflicted(&arena, 45));
}
END_TEST

START_TEST(damage_is_refused)
{
    struct landing landing = sample_landing(&arena, 45);
    AUTO_BUF out = {0};
    landing_encode(&landing, &out);
    object_refuses_damage(buf_bytes(&out), decode);
    landing = sample_conflicted(&arena, 45);
    buf_clear(&out);
    landing_encode(&landing, &out);
    object_refuses_damage(buf_bytes(&out), decode);
}
END_TEST

START_TEST(every_verdict_with_and_without_closing)
{
    struct landing landing = sample_conflicted(&arena, 45);
    AUTO_BUF out = {0};
    landing_encode(&landing, &out);
    for (unsigned verdict = 0; verdict < 256; verdict++) {
        uint8_t byte = (uint8_t)verdict;
        bool known = (verdict & 127u) >= 1 && (verdict & 127u) <= 5;
        int err = object_decode_with(buf_bytes(&out), VERDICT_AT, &byte, 1, decode);
        ck_assert_int_eq(err, known ? OK : ERR_CORRUPT);
    }
}
END_TEST

START_TEST(only_what_landed_has_a_session)
{
    struct landing landing = sample_landing(&arena, 45);
    AUTO_BUF out = {0};
    landing_encode(&landing, &out);
    for (unsigned value = VERDICT_CONFLICTED; value <= VERDICT_ABANDONED; value++) {
        uint8_t verdict = (uint8_t)value;
        int err = object_decode_with(buf_bytes(&out), VERDICT_AT, &verdict, 1, decode);
        ck_assert_int_eq(err, ERR_CORRUPT);
    }
    /* A client is told of its landing without the session that it sent. */
    landing.has_session = false;
    buf_clear(&out);
    landing_encode(&landing, &out);
    ck_assert_int_eq(decode(buf_bytes(&out)), OK);
}
END_TEST

START_TEST(fields_are_checked)
{
    struct landing landing = sample_conflicted(&arena, 45);
    AUTO_BUF out = {0};
    landing_encode(&landing, &out);
    struct bytes whole = buf_bytes(&out);
    size_t detail_at = REASON_AT + 1 + landing.reason.len;
    size_t count_at = detail_at + 2 + landing.detail.len;
    static const uint8_t bad_utf8 = 0xff;
    ck_assert_int_eq(object_decode_with(whole, REASON_AT + 1, &bad_utf8, 1, decode),
                     ERR_CORRUPT);
    ck_assert_int_eq(object_decode_with(whole, detail_at + 2, &bad_utf8, 1, decode),
                     ERR_CORRUPT);
    static const uint8_t long_detail[2] = {0x10, 0x01};
    ck_assert_int_eq(object_decode_with(whole, detail_at, long_detail, 2, decode), ERR_LIMIT);
    static const uint8_t fewer_than_listed[4] = {0, 0, 0, 1};
    ck_assert_int_eq(object_decode_with(whole, count_at, fewer_than_listed, 4, decode),
                     ERR_CORRUPT);
    static const uint8_t listed[2] = {0x03, 0xe9};
    ck_assert_int_eq(object_decode_with(whole, count_at + 4, listed, 2, decode), ERR_LIMIT);
    static const uint8_t what[] = {0, 5};
    for (size_t i = 0; i < ARRAY_LEN(what); i++) {
        int err = object_decode_with(whole, count_at + 6, &what[i], 1, decode);
        ck_assert_int_eq(err, ERR_CORRUPT);
    }
    static const uint8_t slash = '/';
    ck_assert_int_eq(object_decode_with(whole, count_at + 9, &slash, 1, decode), ERR_INVALID);
}
END_TEST

START_TEST(a_thousand_conflicts)
{
    struct landing landing = sample_conflicted(&arena, 45);
    struct conflict conflict = landing.conflicts[1];
    conflict.seen = sample_absent();
    conflict.there = sample_absent();
    landing.n_conflicts = UINT32_MAX;
    landing.n_listed = CONFLICTS_LISTED_MAX;
    landing.conflicts = arena_array(&arena, CONFLICTS_LISTED_MAX, struct conflict);
    for (size_t i = 0; i < CONFLICTS_LISTED_MAX; i++)
        landing.conflicts[i] = conflict;
    AUTO_BUF out = {0};
    landing_encode(&landing, &out);
    ck_assert_int_eq(decode(buf_bytes(&out)), OK);
}
END_TEST

START_TEST(a_damaged_session_inside_is_refused)
{
    struct landing landing = sample_landing(&arena, 45);
    AUTO_BUF session = {0};
    session_encode(&landing.landed, &session);
    AUTO_BUF out = {0};
    landing_encode(&landing, &out);
    size_t session_at = out.len - session.len;
    ck_assert_mem_eq(out.data + session_at, session.data, session.len);
    static const uint8_t byte = 0xee;
    for (size_t at = session_at; at < out.len; at += 13) {
        if (out.data[at] == byte)
            continue;
        int err = object_decode_with(buf_bytes(&out), at, &byte, 1, decode);
        ck_assert_int_eq(err, ERR_CORRUPT);
    }
}
END_TEST

START_TEST(words)
{
    ck_assert_str_eq(verdict_name(VERDICT_LANDED), "landed");
    ck_assert_str_eq(verdict_name(VERDICT_CONFLICTED), "conflicted");
    ck_assert_str_eq(verdict_name(VERDICT_REFUSED), "refused");
    ck_assert_str_eq(verdict_name(VERDICT_NOT_TRIED), "not_tried");
    ck_assert_str_eq(verdict_name(VERDICT_ABANDONED), "abandoned");
    ck_assert_str_eq(conflict_what_name(CONFLICT_OPERATION), "operation");
    ck_assert_str_eq(conflict_what_name(CONFLICT_GUARD), "guard");
    ck_assert_str_eq(conflict_what_name(CONFLICT_DIRECTORY), "directory");
    ck_assert_str_eq(conflict_what_name(CONFLICT_ANCESTOR), "ancestor");
}
END_TEST

int main(void)
{
    const TTest *tests[] = {
        golden_bytes,
        damage_is_refused,
        every_verdict_with_and_without_closing,
        only_what_landed_has_a_session,
        fields_are_checked,
        a_thousand_conflicts,
        a_damaged_session_inside_is_refused,
        words,
    };
    int failed = suite_run("landing", tests, ARRAY_LEN(tests));
    arena_release(&arena);
    return failed;
}
