#include "formats/lease.h"

#include "formats/base/limits.h"
#include "tests/support/golden.h"
#include "tests/support/object.h"
#include "tests/support/suite.h"

static const struct lease sample = {
    .agent = 0x0102030405060708, .counter = 42, .shard = 255, .length_ms = 10000};

static int decode(struct bytes in)
{
    struct lease lease;
    return lease_decode(in, &lease);
}

START_TEST(golden_bytes)
{
    AUTO_BUF out = {0};
    lease_encode(&sample, &out);
    ck_assert_uint_eq(out.len, LEASE_LEN);
    golden_check("lease", buf_bytes(&out));
    AUTO_BUF golden = {0};
    golden_read("lease", &golden);
    struct lease read;
    ck_assert_int_eq(lease_decode(buf_bytes(&golden), &read), OK);
    ck_assert_uint_eq(read.agent, sample.agent);
    ck_assert_uint_eq(read.counter, sample.counter);
    ck_assert_uint_eq(read.shard, sample.shard);
    ck_assert_uint_eq(read.length_ms, sample.length_ms);
    buf_clear(&out);
    lease_encode(&read, &out);
    golden_check("lease", buf_bytes(&out));
    object_refuses_damage(buf_bytes(&out), decode);
}
END_TEST

static int decode_with_u32(size_t offset, uint32_t number)
{
    AUTO_BUF out = {0};
    lease_encode(&sample, &out);
    const uint8_t bytes[4] = {(uint8_t)(number >> 24), (uint8_t)(number >> 16),
                              (uint8_t)(number >> 8), (uint8_t)number};
    return object_decode_with(buf_bytes(&out), offset, bytes, sizeof(bytes), decode);
}

START_TEST(what_is_out_of_bounds_is_refused)
{
    ck_assert_int_eq(decode_with_u32(32, SHARDS_MAX - 1), OK);
    ck_assert_int_eq(decode_with_u32(32, SHARDS_MAX), ERR_CORRUPT);
    ck_assert_int_eq(decode_with_u32(36, 0), OK);
    ck_assert_int_eq(decode_with_u32(36, LEASE_MS_MAX), OK);
    ck_assert_int_eq(decode_with_u32(36, LEASE_MS_MAX + 1), ERR_CORRUPT);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {golden_bytes, what_is_out_of_bounds_is_refused};
    return suite_run("lease", tests, ARRAY_LEN(tests));
}
