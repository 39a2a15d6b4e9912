/* The input is a document of an S3 server: a page of a list, or an error. */
#include "pipeline/store/s3_xml.h"
#include "tests/support/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO_FUZZ_OBJECT object = fuzz_copy(bytes_of(data, size));
    struct arena arena = {0};
    struct s3_page page;
    if (s3_page_parse(fuzz_bytes(&object), &arena, &page) == OK) {
        fuzz_check(page.token != NULL, "a page has no token, not even an empty one");
        for (size_t i = 0; i < page.n; i++) {
            struct bytes key = page.entries[i].key;
            fuzz_check(key.len > 0 && key.data[key.len] == '\0', "a key has no end");
            fuzz_check(page.entries[i].put_ms < 253402300801000, "after the year 9999");
        }
    }
    struct s3_error error;
    if (s3_error_parse(fuzz_bytes(&object), &error) == OK) {
        fuzz_check(error.code[0] != '\0', "an error has no code");
        fuzz_check(strlen(error.message) < sizeof(error.message), "a message has no end");
    }
    arena_release(&arena);
    return 0;
}
