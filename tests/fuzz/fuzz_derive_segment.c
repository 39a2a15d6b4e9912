/* The input is the head of a segment of the derive log behind its envelope. Chance does not
 * find its length, which is filled in. */
#include "formats/derive_segment.h"

#include "formats/base/wire.h"
#include "tests/support/fuzz.h"

#define LEN_AT (40u - ENVELOPE_LEN)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO_BUF body = {0};
    buf_append(&body, data, size);
    if (size >= LEN_AT + 4)
        wr_u32_at(&body, LEN_AT, (uint32_t)(size + ENVELOPE_LEN));
    AUTO_FUZZ_OBJECT in = fuzz_envelope("MDSG", 1, buf_bytes(&body));
    AUTO(arena_release) struct arena arena = {0};
    struct derive_segment segment;
    if (derive_segment_decode(fuzz_bytes(&in), &arena, &segment) == OK) {
        AUTO_BUF out = {0};
        uint32_t len = 0;
        derive_segment_encode(&segment, &out);
        fuzz_same(fuzz_bytes(&in), buf_bytes(&out));
        fuzz_check(derive_segment_head_len(fuzz_bytes(&in), &len) == OK && len == in.len,
                   "another length");
        fuzz_check(derive_segment_size(&segment, len) >= len, "a size that overflows");
    }
    return 0;
}
