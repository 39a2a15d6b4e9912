#include "formats/gc.h"

#include "tests/support/golden.h"
#include "tests/support/object.h"
#include "tests/support/suite.h"

static struct gc_name names[] = {
    {.what = GC_TREE, .hash = {{1}}},
    {.what = GC_BLOB, .hash = {{1}}},
    {.what = GC_BLOB, .hash = {{1, 2}}},
};

static const struct gc sample = {
    .run = {.b = {7, 8, 9}},
    .count = 3,
    .state = GC_COOLING,
    .opened_ms = 1700000000000,
    .until_ms = 1700003600000,
    .names = names,
    .n = ARRAY_LEN(names),
};

static int decode(struct bytes in)
{
    AUTO(arena_release) struct arena arena = {0};
    struct gc gc;
    return gc_decode(in, &arena, &gc);
}

START_TEST(golden_bytes)
{
    AUTO(arena_release) struct arena arena = {0};
    AUTO_BUF out = {0};
    gc_encode(&sample, &out);
    golden_check("gc", buf_bytes(&out));
    AUTO_BUF golden = {0};
    golden_read("gc", &golden);
    struct gc read;
    ck_assert_int_eq(gc_decode(buf_bytes(&golden), &arena, &read), OK);
    ck_assert(id16_equal(&read.run, &sample.run));
    ck_assert_uint_eq(read.count, sample.count);
    ck_assert_int_eq(read.state, sample.state);
    ck_assert_uint_eq(read.opened_ms, sample.opened_ms);
    ck_assert_uint_eq(read.until_ms, sample.until_ms);
    ck_assert_uint_eq(read.n, sample.n);
    for (uint32_t i = 0; i < read.n; i++)
        ck_assert_int_eq(gc_name_compare(&read.names[i], &names[i]), 0);
    buf_clear(&out);
    gc_encode(&read, &out);
    golden_check("gc", buf_bytes(&out));
    object_refuses_damage(buf_bytes(&out), decode);
}
END_TEST

START_TEST(a_closed_one_has_its_head_only)
{
    const struct gc closed = {.run = sample.run, .count = 4, .state = GC_CLOSED};
    AUTO_BUF out = {0};
    gc_encode(&closed, &out);
    ck_assert_uint_eq(out.len, GC_HEAD_LEN + 4);
    ck_assert_int_eq(decode(buf_bytes(&out)), OK);
}
END_TEST

/* The longest head and nothing else says which version it is. */
START_TEST(each_version_has_its_own_head)
{
    struct gc other = sample;
    AUTO_BUF a = {0};
    AUTO_BUF b = {0};
    other.n--;
    gc_encode(&sample, &a);
    gc_encode(&other, &b);
    ck_assert(memcmp(a.data, b.data, GC_HEAD_LEN) != 0);
}
END_TEST

static int decode_with(size_t offset, uint8_t byte)
{
    AUTO_BUF out = {0};
    gc_encode(&sample, &out);
    return object_decode_with(buf_bytes(&out), offset, &byte, 1, decode);
}

START_TEST(what_does_not_agree_is_refused)
{
    ck_assert_int_eq(decode_with(40, 2), OK);
    ck_assert_int_eq(decode_with(40, 0), ERR_CORRUPT); /* no such state */
    ck_assert_int_eq(decode_with(40, 4), ERR_CORRUPT);
    ck_assert_int_eq(decode_with(40, 1), ERR_CORRUPT); /* open, and cooling until */
    ck_assert_int_eq(decode_with(40, 3), ERR_CORRUPT); /* closed, with names */
    ck_assert_int_eq(decode_with(61, 3), ERR_CORRUPT); /* no such kind of name */
    ck_assert_int_eq(decode_with(61, 2), ERR_CORRUPT); /* twice the same */
    ck_assert_int_eq(decode_with(62, 9), OK);
    ck_assert_int_eq(decode_with(61 + 34, 2), ERR_CORRUPT); /* not sorted */
    ck_assert_int_eq(decode_with(58, 1), ERR_LIMIT);        /* more than there may be */
    ck_assert_int_eq(decode_with(60, 4), ERR_CORRUPT);      /* more than there are */
}
END_TEST

START_TEST(names_are_found)
{
    const struct gc_name none = {.what = GC_TREE, .hash = {{1, 2}}};
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        ck_assert(gc_has(&sample, &names[i]));
    ck_assert(!gc_has(&sample, &none));
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {golden_bytes, a_closed_one_has_its_head_only,
                                  each_version_has_its_own_head, what_does_not_agree_is_refused,
                                  names_are_found};
    return suite_run("gc", tests, ARRAY_LEN(tests));
}
