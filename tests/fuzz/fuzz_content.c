/* The input is contents and seens in turn, until one is refused. */
#include "formats/content.h"
#include "tests/support/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO_FUZZ_OBJECT in = fuzz_copy(bytes_of(data, size));
    AUTO(arena_release) struct arena arena = {0};
    AUTO_BUF out = {0};
    struct reader r;
    rd_init(&r, fuzz_bytes(&in));
    size_t good = 0;
    while (rd_left(&r) > 0) {
        struct content content = content_read(&r);
        if (rd_error(&r) != 0) {
            break;
        }
        content_write(&out, &content);
        good = size - rd_left(&r);
        struct bytes plain;
        if (content_plain(&arena, &content, &plain) == 0) {
            fuzz_check(plain.len == content.size, "another size than it says");
        }
        struct seen seen = seen_read(&r);
        if (rd_error(&r) != 0) {
            break;
        }
        seen_write(&out, &seen);
        fuzz_check(!seen.said || seen_equal(&seen, &seen), "not equal to itself");
        good = size - rd_left(&r);
    }
    fuzz_same(bytes_of(in.data, good), buf_bytes(&out));
    return 0;
}
