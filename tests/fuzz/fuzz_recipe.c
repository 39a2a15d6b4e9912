/* The input is a recipe's canonical bytes. */
#include "formats/recipe.h"
#include "tests/support/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO_FUZZ_OBJECT in = fuzz_copy(bytes_of(data, size));
    AUTO(arena_release) struct arena arena = {0};
    struct recipe recipe;
    if (recipe_decode(fuzz_bytes(&in), &arena, &recipe) == OK) {
        AUTO_BUF out = {0};
        fuzz_check(recipe_settle(&recipe, NULL) == OK, "what decodes is in order");
        recipe_encode(&recipe, &out);
        fuzz_same(fuzz_bytes(&in), buf_bytes(&out));
    }
    return 0;
}
