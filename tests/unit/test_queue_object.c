#include "formats/queue_object.h"

#include "formats/base/limits.h"
#include "tests/support/golden.h"
#include "tests/support/object.h"
#include "tests/support/sample_session.h"
#include "tests/support/suite.h"

#define COUNT_AT         40u
#define RECORDS_COUNT_AT 92u

static struct arena arena;

static int decode(struct bytes in)
{
    struct arena own = {0};
    struct queue_object object;
    int err = queue_object_decode(in, &own, &object);
    arena_release(&own);
    return err;
}

static void encode(const struct queue_object *object, struct buf *out)
{
    queue_object_begin(out, object->hlc, object->agent, object->seq);
    for (uint32_t i = 0; i < object->n; i++)
        queue_group_write(out, &object->groups[i]);
    queue_object_finish(out, object->n);
}

/* Two groups: a session's writes, and a request for another. */
static struct queue_object sample(void)
{
    struct session session = sample_session(&arena);
    struct record *land = arena_new(&arena, struct record);
    land->id = sample_id(0x30);
    land->hlc = 99;
    land->kind = RECORD_LAND;
    land->land.items = arena_array(&arena, 1, struct record_land_item);
    land->land.n = 1;
    land->land.items[0].session = sample_id(0x31);
    land->land.items[0].records = arena_array(&arena, 1, struct id16);
    land->land.items[0].records[0] = sample_id(0x32);
    land->land.items[0].n = 1;
    struct queue_object object = {.hlc = 100, .agent = 0x0102030405060708, .seq = 7, .n = 2};
    object.groups = arena_array(&arena, 2, struct queue_group);
    object.groups[0] = (struct queue_group){
        .project = session.project,
        .session = session.id,
        .owner = session.owner,
        .records = session.records,
        .n = (uint32_t)session.n_records,
    };
    object.groups[1] = (struct queue_group){
        .project = session.project,
        .session = sample_id(0x31),
        .owner = sample_id(0x33),
        .records = land,
        .n = 1,
    };
    return object;
}

START_TEST(golden_bytes)
{
    struct queue_object object = sample();
    AUTO_BUF out = {0};
    encode(&object, &out);
    golden_check("queue_object", buf_bytes(&out));
    AUTO_BUF golden = {0};
    golden_read("queue_object", &golden);
    struct queue_object decoded;
    ck_assert_int_eq(queue_object_decode(buf_bytes(&golden), &arena, &decoded), OK);
    ck_assert_uint_eq(decoded.hlc, object.hlc);
    ck_assert_uint_eq(decoded.agent, object.agent);
    ck_assert_uint_eq(decoded.seq, object.seq);
    ck_assert_uint_eq(decoded.n, 2);
    ck_assert(id16_equal(&decoded.groups[1].owner, &object.groups[1].owner));
    buf_clear(&out);
    encode(&decoded, &out);
    golden_check("queue_object", buf_bytes(&out));
}
END_TEST

START_TEST(damage_is_refused)
{
    struct queue_object object = sample();
    AUTO_BUF out = {0};
    encode(&object, &out);
    object_refuses_damage(buf_bytes(&out), decode);
}
END_TEST

START_TEST(an_object_without_groups)
{
    struct queue_object object = {.hlc = 1};
    AUTO_BUF out = {0};
    encode(&object, &out);
    ck_assert_uint_eq(out.len, COUNT_AT + 4);
    ck_assert_int_eq(decode(buf_bytes(&out)), OK);
}
END_TEST

START_TEST(counts_are_checked)
{
    struct queue_object object = sample();
    AUTO_BUF out = {0};
    encode(&object, &out);
    struct bytes whole = buf_bytes(&out);
    static const uint8_t values[][4] = {{0}, {0, 0, 0, 1}, {0, 0, 0, 3}, {0, 1}, {0xff, 0xff}};
    static const int groups[] = {ERR_CORRUPT, ERR_CORRUPT, ERR_CORRUPT, ERR_CORRUPT, ERR_LIMIT};
    for (size_t i = 0; i < ARRAY_LEN(values); i++) {
        int err = object_decode_with(whole, COUNT_AT, values[i], 4, decode);
        ck_assert_int_eq(err, groups[i]);
        err = object_decode_with(whole, RECORDS_COUNT_AT, values[i], 4, decode);
        ck_assert_int_ne(err, OK);
    }
}
END_TEST

START_TEST(a_group_without_records_is_refused)
{
    /* A long group follows, so there are bytes enough for two. */
    struct queue_object object = sample();
    AUTO_BUF out = {0};
    for (uint32_t n = 0; n < 2; n++) {
        buf_clear(&out);
        queue_object_begin(&out, 1, 2, 3);
        wr_id16(&out, &object.groups[1].project);
        wr_id16(&out, &object.groups[1].session);
        wr_id16(&out, &object.groups[1].owner);
        wr_u32(&out, n);
        if (n == 1)
            record_write(&out, object.groups[1].records);
        queue_group_write(&out, &object.groups[0]);
        queue_object_finish(&out, 2);
        ck_assert_int_eq(decode(buf_bytes(&out)), n == 1 ? OK : ERR_CORRUPT);
    }
}
END_TEST

START_TEST(too_long_is_refused)
{
    static const uint8_t nothing;
    ck_assert_int_eq(decode(bytes_of(&nothing, QUEUE_OBJECT_MAX + 1)), ERR_LIMIT);
}
END_TEST

int main(void)
{
    const TTest *tests[] = {
        golden_bytes,
        damage_is_refused,
        an_object_without_groups,
        counts_are_checked,
        a_group_without_records_is_refused,
        too_long_is_refused,
    };
    int failed = suite_run("queue_object", tests, ARRAY_LEN(tests));
    arena_release(&arena);
    return failed;
}
