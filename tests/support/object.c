#include "tests/support/object.h"

#include <check.h>

#include "formats/base/buf.h"
#include "formats/base/wire.h"
#include "tests/support/fuzz.h"

void object_refuses_damage(struct bytes whole, object_decode *decode)
{
    ck_assert_int_eq(decode(whole), 0);
    for (size_t len = 0; len < whole.len; len++) {
        AUTO_FUZZ_OBJECT part = fuzz_copy(bytes_of(whole.data, len));
        ck_assert_msg(decode(fuzz_bytes(&part)) == ERR_CORRUPT, "the first %zu bytes", len);
    }
    AUTO_BUF longer = {0};
    buf_append_bytes(&longer, whole);
    buf_append(&longer, "", 1);
    ck_assert_int_eq(decode(buf_bytes(&longer)), ERR_CORRUPT);
    AUTO_FUZZ_OBJECT damaged = fuzz_copy(whole);
    for (size_t i = 0; i < whole.len; i++) {
        damaged.data[i] ^= 0x10;
        ck_assert_msg(decode(fuzz_bytes(&damaged)) == ERR_CORRUPT, "byte %zu", i);
        damaged.data[i] ^= 0x10;
    }
}

int object_decode_with(struct bytes whole, size_t offset, const void *data, size_t len,
                       object_decode *decode)
{
    ck_assert(offset >= ENVELOPE_LEN && offset + len <= whole.len);
    AUTO_BUF changed = {0};
    buf_append_bytes(&changed, whole);
    memcpy(changed.data + offset, data, len);
    envelope_close(&changed, 0);
    return decode(buf_bytes(&changed));
}
