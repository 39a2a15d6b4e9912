/* The input is records, one after the other. */
#include "formats/record.h"
#include "tests/support/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena = {0};
    AUTO_BUF again = {0};
    struct reader r;
    rd_init(&r, bytes_of(data, size));
    while (rd_left(&r) > 0) {
        const uint8_t *from = r.at;
        struct record record = record_read(&r, &arena);
        if (rd_error(&r) != OK)
            break;
        fuzz_check(record_check(&record, NULL) == OK, "what was read does not pass the check");
        buf_clear(&again);
        record_write(&again, &record);
        fuzz_same(bytes_of(from, (size_t)(r.at - from)), buf_bytes(&again));
    }
    arena_release(&arena);
    return 0;
}
