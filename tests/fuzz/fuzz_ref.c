/* The input is a ref's bytes body; and, as it is, a name. */
#include "formats/ref.h"

#include "formats/path.h"
#include "tests/support/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO_FUZZ_OBJECT in = fuzz_envelope("MREF", 1, bytes_of(data, size));
    struct hash bound;
    if (ref_decode(fuzz_bytes(&in), &bound) == OK) {
        AUTO_BUF out = {0};
        ref_encode(&bound, &out);
        fuzz_same(fuzz_bytes(&in), buf_bytes(&out));
    }
    if (ref_name_check(bytes_of(data, size), NULL) == OK) {
        fuzz_check(path_check(bytes_of(data, size), NULL) == OK, "a name is a path");
    }
    return 0;
}
