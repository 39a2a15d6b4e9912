#include "formats/derive_segment.h"

#include "formats/base/limits.h"
#include "tests/support/golden.h"
#include "tests/support/object.h"
#include "tests/support/suite.h"

static uint32_t lens_first[] = {100, 7, 60};
static uint32_t lens_second[] = {DERIVE_OBJECT_MAX};
static struct derive_run runs[] = {
    {.agent = 0x0102030405060708, .first = 1, .n = 3, .lens = lens_first},
    {.agent = UINT64_MAX, .first = 41, .n = 1, .lens = lens_second},
};
static const struct derive_segment sample = {
    .project = {{0xaa, 0xbb}}, .number = 0x1112, .runs = runs, .n = 2};

static int decode(struct bytes in)
{
    AUTO(arena_release) struct arena arena = {0};
    struct derive_segment segment;
    return derive_segment_decode(in, &arena, &segment);
}

START_TEST(golden_bytes)
{
    AUTO_BUF out = {0};
    AUTO_BUF golden = {0};
    AUTO(arena_release) struct arena arena = {0};
    struct derive_segment segment;
    uint32_t len;
    derive_segment_encode(&sample, &out);
    golden_check("derive_segment", buf_bytes(&out));
    golden_read("derive_segment", &golden);
    ck_assert_int_eq(derive_segment_head_len(buf_bytes(&golden), &len), OK);
    ck_assert_uint_eq(len, golden.len);
    ck_assert_int_eq(derive_segment_decode(buf_bytes(&golden), &arena, &segment), OK);
    ck_assert_uint_eq(segment.number, 0x1112);
    ck_assert_uint_eq(segment.n, 2);
    ck_assert_uint_eq(segment.runs[0].offset, len);
    ck_assert_uint_eq(segment.runs[1].offset, len + 167);
    ck_assert_uint_eq(segment.runs[1].first, 41);
    ck_assert_uint_eq(derive_segment_size(&segment, len),
                      (uint64_t)len + 167 + DERIVE_OBJECT_MAX);
    buf_clear(&out);
    derive_segment_encode(&segment, &out);
    golden_check("derive_segment", buf_bytes(&out));
    object_refuses_damage(buf_bytes(&out), decode);
}
END_TEST

START_TEST(what_is_wrong_is_refused)
{
    AUTO_BUF out = {0};
    static const uint8_t zero[8];
    static const uint8_t most[8] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
    derive_segment_encode(&sample, &out);
    struct bytes whole = buf_bytes(&out);
    /* the number, the length of the head, runs, the first's number, its objects, a length */
    ck_assert_int_eq(object_decode_with(whole, 32, zero, 8, decode), ERR_CORRUPT);
    ck_assert_int_eq(object_decode_with(whole, 40, zero, 4, decode), ERR_CORRUPT);
    ck_assert_int_ne(object_decode_with(whole, 44, most, 4, decode), OK);
    ck_assert_int_eq(object_decode_with(whole, 56, zero, 8, decode), ERR_CORRUPT);
    ck_assert_int_eq(object_decode_with(whole, 56, most, 8, decode), ERR_CORRUPT);
    ck_assert_int_ne(object_decode_with(whole, 64, zero, 4, decode), OK);
    ck_assert_int_eq(object_decode_with(whole, 68, zero, 4, decode), ERR_CORRUPT);
    ck_assert_int_eq(object_decode_with(whole, 68, most, 4, decode), ERR_CORRUPT);
    uint32_t len;
    ck_assert_int_eq(derive_segment_head_len(bytes_of(out.data, 43), &len), ERR_CORRUPT);
    memset(out.data + 40, 0xff, 4);
    ck_assert_int_eq(derive_segment_head_len(buf_bytes(&out), &len), ERR_CORRUPT);
    memset(out.data, 'x', 4);
    ck_assert_int_eq(derive_segment_head_len(buf_bytes(&out), &len), ERR_CORRUPT);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {golden_bytes, what_is_wrong_is_refused};
    return suite_run("derive_segment", tests, ARRAY_LEN(tests));
}
