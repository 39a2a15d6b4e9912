/* The input is the ids section of a tree object. */
#include "formats/tree_object.h"
#include "tests/support/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO_FUZZ_OBJECT in = fuzz_copy(bytes_of(data, size));
    AUTO(arena_release) struct arena arena = {0};
    struct tree_id *ids;
    uint32_t n = (uint32_t)(size / TREE_ID_LEN);
    if (tree_ids_decode(fuzz_bytes(&in), n, &arena, &ids) != 0) {
        return 0;
    }
    AUTO_BUF out = {0};
    for (uint32_t i = 0; i < n; i++) {
        tree_id_write(&out, &ids[i]);
    }
    fuzz_same(fuzz_bytes(&in), buf_bytes(&out));
    return 0;
}
