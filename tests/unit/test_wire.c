#include "formats/base/wire.h"

#include <check.h>

#include "tests/support/suite.h"

START_TEST(numbers_are_big_endian_and_come_back)
{
    AUTO_BUF out = {0};
    wr_u8(&out, 0x01);
    wr_u16(&out, 0x0203);
    wr_u32(&out, 0x04050607);
    wr_u64(&out, 0x08090a0b0c0d0e0f);
    ck_assert_uint_eq(out.len, 15);
    for (size_t i = 0; i < out.len; i++) {
        ck_assert_uint_eq(out.data[i], i + 1);
    }
    struct reader r;
    rd_init(&r, buf_bytes(&out));
    ck_assert_uint_eq(rd_u8(&r), 0x01);
    ck_assert_uint_eq(rd_u16(&r), 0x0203);
    ck_assert_uint_eq(rd_u32(&r), 0x04050607);
    ck_assert_uint_eq(rd_u64(&r), 0x08090a0b0c0d0e0f);
    ck_assert_int_eq(rd_end(&r), OK);
}
END_TEST

START_TEST(runs_and_ids_come_back)
{
    struct hash hash = {{1, 2, 3}};
    struct id16 id = {{9, 8}};
    AUTO_BUF out = {0};
    wr_hash(&out, &hash);
    wr_id16(&out, &id);
    wr_run8(&out, bytes_str("a"));
    wr_run16(&out, bytes_str(""));
    wr_run32(&out, bytes_str("long"));
    wr_bytes(&out, bytes_str("raw"));
    struct reader r;
    rd_init(&r, buf_bytes(&out));
    struct hash hash_back = rd_hash(&r);
    struct id16 id_back = rd_id16(&r);
    ck_assert(hash_equal(&hash, &hash_back) && id16_equal(&id, &id_back));
    ck_assert(bytes_equal(rd_run8(&r, 1), bytes_str("a")));
    ck_assert(bytes_equal(rd_run16(&r, 0), bytes_str("")));
    ck_assert(bytes_equal(rd_run32(&r, 4), bytes_str("long")));
    ck_assert(bytes_equal(rd_bytes(&r, 3), bytes_str("raw")));
    ck_assert_int_eq(rd_end(&r), OK);
}
END_TEST

START_TEST(reading_past_the_end_fails_for_good)
{
    const uint8_t in[] = {1, 2, 3};
    struct reader r;
    rd_init(&r, bytes_of(in, sizeof(in)));
    ck_assert_uint_eq(rd_u32(&r), 0);
    ck_assert_int_eq(rd_error(&r), ERR_CORRUPT);
    ck_assert_uint_eq(rd_left(&r), 0);
    ck_assert_uint_eq(rd_u8(&r), 0);
    struct hash hash = rd_hash(&r);
    struct id16 id = rd_id16(&r);
    ck_assert(hash_is_zero(&hash) && id16_is_zero(&id));
    ck_assert_uint_eq(rd_run8(&r, 9).len, 0);
    rd_fail(&r, ERR_LIMIT);
    ck_assert_int_eq(rd_end(&r), ERR_CORRUPT);
}
END_TEST

START_TEST(nothing_to_read)
{
    struct reader r;
    rd_init(&r, bytes_of(NULL, 0));
    ck_assert_uint_eq(rd_bytes(&r, 0).len, 0);
    ck_assert_int_eq(rd_end(&r), OK);
    ck_assert_uint_eq(rd_u8(&r), 0);
    ck_assert_int_eq(rd_end(&r), ERR_CORRUPT);
}
END_TEST

START_TEST(trailing_bytes_are_corrupt)
{
    struct reader r;
    rd_init(&r, bytes_str("ab"));
    ck_assert_uint_eq(rd_u8(&r), 'a');
    ck_assert_int_eq(rd_error(&r), OK);
    ck_assert_int_eq(rd_end(&r), ERR_CORRUPT);
}
END_TEST

START_TEST(run_over_its_limit)
{
    struct reader r;
    rd_init(&r, bytes_str("\x03"
                          "abc"));
    ck_assert_uint_eq(rd_run8(&r, 2).len, 0);
    ck_assert_int_eq(rd_error(&r), ERR_LIMIT);
    rd_init(&r, bytes_str("\x03"
                          "ab"));
    ck_assert_uint_eq(rd_run8(&r, 3).len, 0);
    ck_assert_int_eq(rd_error(&r), ERR_CORRUPT);
}
END_TEST

START_TEST(counts_are_held_to_what_is_left)
{
    const uint8_t in[] = {0, 0, 0, 2, 1, 1, 2, 2};
    struct reader r;
    rd_init(&r, bytes_of(in, sizeof(in)));
    ck_assert_uint_eq(rd_count(&r, 2, 2), 2);
    rd_init(&r, bytes_of(in, sizeof(in)));
    ck_assert_uint_eq(rd_count(&r, 2, 1), 0);
    ck_assert_int_eq(rd_error(&r), ERR_LIMIT);
    rd_init(&r, bytes_of(in, sizeof(in)));
    ck_assert_uint_eq(rd_count(&r, 3, 2), 0);
    ck_assert_int_eq(rd_error(&r), ERR_CORRUPT);
    const uint8_t huge[] = {255, 255, 255, 255};
    rd_init(&r, bytes_of(huge, sizeof(huge)));
    ck_assert_uint_eq(rd_count(&r, SIZE_MAX, UINT32_MAX), 0);
    ck_assert_int_eq(rd_error(&r), ERR_CORRUPT);
}
END_TEST

START_TEST(bools)
{
    const uint8_t in[] = {0, 1, 2};
    struct reader r;
    rd_init(&r, bytes_of(in, sizeof(in)));
    ck_assert(!rd_bool(&r));
    ck_assert(rd_bool(&r));
    ck_assert_int_eq(rd_error(&r), OK);
    ck_assert(!rd_bool(&r));
    ck_assert_int_eq(rd_error(&r), ERR_CORRUPT);
}
END_TEST

static void make_envelope(struct buf *out)
{
    size_t at = envelope_begin(out, "MTST", 3);
    wr_u32(out, 77);
    envelope_close(out, at);
}

START_TEST(envelope_comes_back)
{
    AUTO_BUF out = {0};
    wr_u8(&out, 0); /* not at the start of the buffer */
    size_t at = envelope_begin(&out, "MTST", 3);
    ck_assert_uint_eq(at, 1);
    wr_u32(&out, 77);
    envelope_close(&out, at);
    ck_assert_uint_eq(out.len, 1 + ENVELOPE_LEN + 4);
    struct reader body;
    ck_assert_int_eq(envelope_open(bytes_of(out.data + at, out.len - at), "MTST", 3, &body),
                     OK);
    ck_assert_uint_eq(rd_u32(&body), 77);
    ck_assert_int_eq(rd_end(&body), OK);
}
END_TEST

START_TEST(any_flipped_bit_of_an_envelope_is_corrupt)
{
    AUTO_BUF out = {0};
    make_envelope(&out);
    struct reader body;
    ck_assert_int_eq(envelope_open(buf_bytes(&out), "MTST", 3, &body), OK);
    for (size_t bit = 0; bit < out.len * 8; bit++) {
        out.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
        ck_assert_int_eq(envelope_open(buf_bytes(&out), "MTST", 3, &body), ERR_CORRUPT);
        out.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    for (size_t len = 0; len < out.len; len++) {
        ck_assert_int_eq(envelope_open(bytes_of(out.data, len), "MTST", 3, &body), ERR_CORRUPT);
    }
    ck_assert_int_eq(envelope_open(buf_bytes(&out), "MTST", 4, &body), ERR_CORRUPT);
    ck_assert_int_eq(envelope_open(buf_bytes(&out), "MTSU", 3, &body), ERR_CORRUPT);
}
END_TEST

START_TEST(error_words)
{
    ck_assert_str_eq(err_name(OK), "ok");
    ck_assert_str_eq(err_name(ERR_NOT_FOUND), "not_found");
    ck_assert_str_eq(err_name(ERR_UNKNOWN), "unknown");
    ck_assert_str_eq(err_name(-1000), "no_such_error");
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        numbers_are_big_endian_and_come_back,
        runs_and_ids_come_back,
        reading_past_the_end_fails_for_good,
        nothing_to_read,
        trailing_bytes_are_corrupt,
        run_over_its_limit,
        counts_are_held_to_what_is_left,
        bools,
        envelope_comes_back,
        any_flipped_bit_of_an_envelope_is_corrupt,
        error_words,
    };
    return suite_run("wire", tests, ARRAY_LEN(tests));
}
