/* The input is the body of a derive object. */
#include "formats/derive_object.h"
#include "tests/support/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO_FUZZ_OBJECT in = fuzz_envelope("MDRV", 1, bytes_of(data, size));
    AUTO(arena_release) struct arena arena = {0};
    struct derive_object object;
    if (derive_object_decode(fuzz_bytes(&in), &arena, &object) == OK) {
        AUTO_BUF out = {0};
        derive_object_begin(&out, &object.project, object.agent, object.seq, object.hlc);
        for (uint32_t i = 0; i < object.n; i++)
            derive_item_write(&out, &object.items[i]);
        derive_object_finish(&out, object.n);
        fuzz_same(fuzz_bytes(&in), buf_bytes(&out));
    }
    return 0;
}
