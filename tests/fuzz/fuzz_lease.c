/* The input is the body of a lease. */
#include "formats/lease.h"
#include "tests/support/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO_FUZZ_OBJECT in = fuzz_envelope("MLEA", 1, bytes_of(data, size));
    struct lease lease;
    if (lease_decode(fuzz_bytes(&in), &lease) == OK) {
        AUTO_BUF out = {0};
        lease_encode(&lease, &out);
        fuzz_same(fuzz_bytes(&in), buf_bytes(&out));
    }
    return 0;
}
