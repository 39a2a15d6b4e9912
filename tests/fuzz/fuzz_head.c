/* The input is a head. */
#include "formats/head.h"
#include "tests/support/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO_FUZZ_OBJECT in = fuzz_copy(bytes_of(data, size));
    struct head head;
    if (head_decode(fuzz_bytes(&in), &head) == 0) {
        uint8_t out[HEAD_LEN];
        head_encode(&head, out);
        fuzz_same(fuzz_bytes(&in), bytes_of(out, sizeof(out)));
    }
    return 0;
}
