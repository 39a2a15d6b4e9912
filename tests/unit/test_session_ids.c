#include "formats/session.h"
#include "tests/support/sample_session.h"
#include "tests/support/suite.h"

static struct session session_of(struct record *records, size_t n)
{
    struct session session = sample_session_empty("key", 7);
    session.id = (struct id16){{0}};
    session.records = records;
    session.n_records = n;
    session_assign_ids(&session);
    return session;
}

START_TEST(ids_are_of_what_was_sent)
{
    struct record records[] = {sample_start(1, "key", 7), sample_write(2, "a", "text"),
                               sample_write(3, "b", "text")};
    struct session session = session_of(records, 3);
    struct id16 expected = session_id(&session.project, &session.owner, bytes_str("key"), 7);
    ck_assert(id16_equal(&session.id, &expected));
    AUTO_BUF payload = {0};
    record_payload(&records[1], &payload);
    struct id16 first =
        record_id(&session.owner, &session.id, bytes_str("0"), buf_bytes(&payload));
    ck_assert(id16_equal(&records[1].id, &first));
    ck_assert(!id16_equal(&records[1].id, &records[2].id));
}
END_TEST

START_TEST(stamps_and_places_do_not_count)
{
    struct record here[] = {sample_start(1, "key", 7), sample_write(2, "a", "text"),
                            sample_write(3, "b", "text")};
    struct record there[] = {sample_write(30, "b", "text"), sample_write(20, "a", "text"),
                             sample_start(10, "key", 7)};
    (void)session_of(here, 3);
    (void)session_of(there, 3);
    ck_assert(id16_equal(&here[0].id, &there[2].id));
    ck_assert(id16_equal(&here[1].id, &there[1].id));
    ck_assert(id16_equal(&here[2].id, &there[0].id));
}
END_TEST

START_TEST(equal_records_are_told_apart_by_their_order)
{
    struct record records[] = {sample_write(2, "a", "text"), sample_start(1, "key", 7),
                               sample_write(3, "a", "text"), sample_write(4, "b", "text"),
                               sample_write(5, "a", "text")};
    struct session session = session_of(records, 5);
    const char *const keys[] = {"0", "0", "1", "0", "2"};
    for (unsigned i = 0; i < 5; i++) {
        AUTO_BUF payload = {0};
        record_payload(&records[i], &payload);
        struct id16 id =
            record_id(&session.owner, &session.id, bytes_str(keys[i]), buf_bytes(&payload));
        ck_assert(id16_equal(&records[i].id, &id));
    }
    ck_assert_uint_eq(records[4].hlc, 5); /* the array stays as it is */
}
END_TEST

START_TEST(another_owner_or_base_is_another_session)
{
    struct record records[] = {sample_start(1, "key", 7)};
    struct session session = session_of(records, 1);
    struct id16 id = records[0].id;
    session.owner.b[0] ^= 1;
    struct id16 sid = session.id;
    session_assign_ids(&session);
    ck_assert(!id16_equal(&session.id, &sid));
    ck_assert(!id16_equal(&records[0].id, &id));
    records[0].start.base = 8;
    session_assign_ids(&session);
    ck_assert_uint_eq(session_id_base(&session.id), 8);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        ids_are_of_what_was_sent,
        stamps_and_places_do_not_count,
        equal_records_are_told_apart_by_their_order,
        another_owner_or_base_is_another_session,
    };
    return suite_run("session_ids", tests, ARRAY_LEN(tests));
}
