/* The input is the body of the footer of a tree object. */
#include "formats/tree_object.h"
#include "tests/support/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint32_t footer_len;
    int err = tree_trailer_find(bytes_of(data, size), &footer_len);
    fuzz_check(err != 0 || size >= TREE_TRAILER_LEN, "a trailer out of nothing");
    AUTO_FUZZ_OBJECT in = fuzz_envelope("MTRF", 1, bytes_of(data, size));
    AUTO(arena_release) struct arena arena = {0};
    struct footer footer;
    if (footer_decode(fuzz_bytes(&in), &arena, &footer) != 0) {
        return 0;
    }
    AUTO_BUF out = {0};
    footer_encode(&footer, &out);
    fuzz_same(fuzz_bytes(&in), buf_bytes(&out));
    const struct ancestor *a = footer_toward(&footer, footer.first / 2);
    fuzz_check(a == NULL || a->batch < footer.batch, "an ancestor that is younger");
    if (footer.batch < UINT64_MAX) {
        static const struct hash hash = {{1}};
        struct footer next = footer;
        footer_follow(&next, &footer, &hash);
        next.position = next.first + next.n_records;
        buf_clear(&out);
        if (next.position >= next.first) {
            footer_encode(&next, &out);
        }
    }
    return 0;
}
