/* The input is a path, and, cut in two at its first line feed, two paths to compare. */
#include "formats/path.h"
#include "tests/support/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A path that was let through is a walk down, step by step, and nothing else. */
static void walk(struct bytes path)
{
    struct bytes rest = path;
    size_t len = 0;
    struct bytes last = {0};
    while (rest.len > 0) {
        last = path_first(&rest);
        len += last.len + 1;
        fuzz_check(path_check(last, NULL) == 0 || bytes_equal(last, bytes_str(".mic")),
                   "a good path with a bad component");
        fuzz_check(memchr(last.data, '/', last.len) == NULL, "a component with a slash");
    }
    fuzz_check(len == path.len + 1, "components are not the whole");
    fuzz_same(path_base(path), last);
    struct bytes parent = path_parent(path);
    fuzz_check(path_below(path, parent), "not below its parent");
    fuzz_check(parent.len == 0 || path_check(parent, NULL) == 0, "a bad parent");
    fuzz_check(utf8_ok(path), "not UTF-8");
}

static int sign(int n)
{
    return (n > 0) - (n < 0);
}

/* The order of the header, by components. */
static int compare_slowly(struct bytes a, struct bytes b)
{
    while (a.len > 0 && b.len > 0) {
        int c = bytes_compare(path_first(&a), path_first(&b));
        if (c != 0) {
            return c;
        }
    }
    return (a.len > 0) - (b.len > 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO_FUZZ_OBJECT in = fuzz_copy(bytes_of(data, size));
    struct bytes path = fuzz_bytes(&in);
    const char *why = NULL;
    int err = path_check(path, &why);
    fuzz_check((err == 0) == (why == NULL), "a fault without a reason");
    if (err == 0) {
        walk(path);
    }
    if (handle_check(path) == 0) {
        fuzz_check(size <= 100 && memchr(path.data, '/', size) == NULL, "a bad handle");
    }
    const uint8_t *cut = memchr(in.data, '\n', size);
    if (cut != NULL) {
        size_t at = (size_t)(cut - in.data);
        struct bytes a = bytes_of(in.data, at);
        struct bytes b = bytes_of(cut + 1, size - at - 1);
        fuzz_check(sign(path_compare(a, b)) == -sign(path_compare(b, a)), "no order");
        if (path_check(a, NULL) == 0 && path_check(b, NULL) == 0) {
            fuzz_check(sign(path_compare(a, b)) == sign(compare_slowly(a, b)), "wrong order");
        }
    }
    return 0;
}
