/* The input is the body of a page. */
#include "formats/page.h"
#include "tests/support/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO_FUZZ_OBJECT in = fuzz_envelope("MPAG", 1, bytes_of(data, size));
    AUTO(arena_release) struct arena arena = {0};
    /* The zero hash as the object's own, so that what it holds itself is written as such
     * again. */
    static const struct hash self;
    struct page page;
    if (page_decode(fuzz_bytes(&in), &self, &arena, &page) != 0) {
        return 0;
    }
    for (uint32_t i = 0; i < page.n; i++) {
        fuzz_check(page_find(&page, page.entries[i].name) == &page.entries[i], "not found");
        fuzz_check(page_child(&page, page.entries[i].name) == &page.entries[i], "no child");
    }
    (void)page_content_hash(page.level, page.entries, page.n);
    AUTO_BUF out = {0};
    fuzz_check(page_encode(&page, &out) == 0, "cannot be encoded");
    fuzz_same(fuzz_bytes(&in), buf_bytes(&out));
    return 0;
}
