/* The input is the body of a log segment. */
#include "formats/log_segment.h"
#include "tests/support/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO_FUZZ_OBJECT object = fuzz_envelope("MLOG", 1, bytes_of(data, size));
    struct arena arena = {0};
    struct log_segment segment;
    if (log_segment_decode(fuzz_bytes(&object), &arena, &segment) == OK) {
        AUTO_BUF again = {0};
        log_segment_encode(&segment, &arena, &again);
        fuzz_same(fuzz_bytes(&object), buf_bytes(&again));
    }
    arena_release(&arena);
    return 0;
}
