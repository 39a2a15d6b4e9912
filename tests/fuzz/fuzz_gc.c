/* The input is the body of a collection. */
#include "formats/gc.h"
#include "tests/support/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO_FUZZ_OBJECT in = fuzz_envelope("MCOL", 1, bytes_of(data, size));
    AUTO(arena_release) struct arena arena = {0};
    struct gc gc;
    if (gc_decode(fuzz_bytes(&in), &arena, &gc) == OK) {
        AUTO_BUF out = {0};
        gc_encode(&gc, &out);
        fuzz_same(fuzz_bytes(&in), buf_bytes(&out));
        for (uint32_t i = 0; i < gc.n; i++)
            fuzz_check(gc_has(&gc, &gc.names[i]), "a name of the collection is not found");
    }
    return 0;
}
