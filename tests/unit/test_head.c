#include "formats/head.h"

#include "formats/base/err.h"
#include "tests/support/golden.h"
#include "tests/support/suite.h"

static const struct head sample = {
    .position = 0x0102030405060708,
    .tree_hash = {{0xaa, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, [31] = 0xbb}},
    .hlc = 0x1112131415161718,
};

START_TEST(golden_bytes)
{
    uint8_t bytes[HEAD_LEN];
    head_encode(&sample, bytes);
    golden_check("head", bytes_of(bytes, sizeof(bytes)));
    AUTO_BUF golden = {0};
    golden_read("head", &golden);
    struct head head;
    ck_assert_int_eq(head_decode(buf_bytes(&golden), &head), 0);
    ck_assert_uint_eq(head.position, sample.position);
    ck_assert(hash_equal(&head.tree_hash, &sample.tree_hash));
    ck_assert_uint_eq(head.hlc, sample.hlc);
    head_encode(&head, bytes);
    golden_check("head", bytes_of(bytes, sizeof(bytes)));
}
END_TEST

START_TEST(fields_lie_where_they_should)
{
    uint8_t bytes[HEAD_LEN];
    head_encode(&sample, bytes);
    ck_assert_uint_eq(bytes[0], 1);
    ck_assert_uint_eq(bytes[7], 8);
    ck_assert_uint_eq(bytes[8], 0xaa);
    ck_assert_uint_eq(bytes[39], 0xbb);
    ck_assert_uint_eq(bytes[40], 0x11);
    ck_assert_uint_eq(bytes[47], 0x18);
}
END_TEST

START_TEST(other_lengths_are_refused)
{
    uint8_t bytes[HEAD_LEN + 1] = {0};
    head_encode(&sample, bytes);
    struct head head;
    for (size_t len = 0; len <= HEAD_LEN + 1; len++) {
        int expected = len == HEAD_LEN ? 0 : ERR_CORRUPT;
        ck_assert_int_eq(head_decode(bytes_of(bytes, len), &head), expected);
    }
    ck_assert_int_eq(head_decode(bytes_of(NULL, 0), &head), ERR_CORRUPT);
}
END_TEST

START_TEST(a_head_that_names_nothing_is_refused)
{
    struct head none = sample;
    memset(none.tree_hash.b, 0, sizeof(none.tree_hash.b));
    uint8_t bytes[HEAD_LEN];
    head_encode(&none, bytes);
    struct head head;
    ck_assert_int_eq(head_decode(bytes_of(bytes, sizeof(bytes)), &head), ERR_CORRUPT);
}
END_TEST

int main(void)
{
    const TTest *tests[] = {
        golden_bytes,
        fields_lie_where_they_should,
        other_lengths_are_refused,
        a_head_that_names_nothing_is_refused,
    };
    return suite_run("head", tests, ARRAY_LEN(tests));
}
