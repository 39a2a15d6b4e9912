#include "formats/base/hex.h"

#include <check.h>

#include "formats/base/err.h"
#include "tests/support/suite.h"

START_TEST(all_bytes_come_back)
{
    uint8_t bytes[256];
    uint8_t back[256];
    char hex[2 * sizeof(bytes) + 1];
    for (size_t i = 0; i < sizeof(bytes); i++) {
        bytes[i] = (uint8_t)i;
    }
    hex_encode(hex, bytes, sizeof(bytes));
    ck_assert_int_eq(strncmp(hex, "000102", 6), 0);
    ck_assert_str_eq(hex + 508, "feff");
    ck_assert_int_eq(hex_decode(back, sizeof(back), bytes_str(hex)), OK);
    ck_assert_int_eq(memcmp(bytes, back, sizeof(bytes)), 0);
}
END_TEST

START_TEST(only_lower_case_digits_are_hex)
{
    for (int c = 0; c < 256; c++) {
        bool digit = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
        uint8_t out = 0xee;
        const uint8_t pairs[2][2] = {{(uint8_t)c, '0'}, {'0', (uint8_t)c}};
        for (size_t i = 0; i < 2; i++) {
            int err = hex_decode(&out, 1, bytes_of(pairs[i], 2));
            ck_assert_int_eq(err, digit ? OK : ERR_INVALID);
        }
    }
}
END_TEST

START_TEST(lengths_must_fit_and_nothing_is_written_else)
{
    uint8_t out[2] = {0xee, 0xee};
    ck_assert_int_eq(hex_decode(out, 2, bytes_str("000")), ERR_INVALID);
    ck_assert_int_eq(hex_decode(out, 2, bytes_str("00000")), ERR_INVALID);
    ck_assert_int_eq(hex_decode(out, 2, bytes_str("")), ERR_INVALID);
    ck_assert_int_eq(hex_decode(out, 2, bytes_str("000x")), ERR_INVALID);
    ck_assert_uint_eq(out[0], 0xee);
    ck_assert_int_eq(hex_decode(out, 0, bytes_str("")), OK);
}
END_TEST

START_TEST(ids_and_hashes)
{
    struct hash hash = {{0x01, 0xab}};
    struct id16 id = {{0xfe}};
    struct hash hash_back;
    struct id16 id_back;
    ck_assert_int_eq(hash_parse(bytes_str(hash_hex(&hash).s), &hash_back), OK);
    ck_assert_int_eq(id16_parse(bytes_str(id16_hex(&id).s), &id_back), OK);
    ck_assert(hash_equal(&hash, &hash_back) && id16_equal(&id, &id_back));
    ck_assert_uint_eq(strlen(hash_hex(&hash).s), HASH_HEX_LEN);
    ck_assert_uint_eq(strlen(id16_hex(&id).s), ID16_HEX_LEN);
    ck_assert_int_eq(hash_parse(bytes_str(id16_hex(&id).s), &hash_back), ERR_INVALID);
    ck_assert_int_eq(id16_parse(bytes_str(hash_hex(&hash).s), &id_back), ERR_INVALID);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        all_bytes_come_back,
        only_lower_case_digits_are_hex,
        lengths_must_fit_and_nothing_is_written_else,
        ids_and_hashes,
    };
    return suite_run("hex", tests, ARRAY_LEN(tests));
}
