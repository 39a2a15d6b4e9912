/* The input is the body of a manifest. */
#include "formats/blob.h"
#include "tests/support/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO_FUZZ_OBJECT in = fuzz_envelope("MMAN", 1, bytes_of(data, size));
    AUTO(arena_release) struct arena arena = {0};
    struct manifest manifest;
    if (manifest_decode(fuzz_bytes(&in), &arena, &manifest) != 0) {
        return 0;
    }
    AUTO_BUF out = {0};
    manifest_encode(&manifest, &out);
    fuzz_same(fuzz_bytes(&in), buf_bytes(&out));
    return 0;
}
