#include "tests/support/fuzz.h"

#include <stdio.h>
#include <stdlib.h>

#include "formats/base/wire.h"

struct fuzz_object fuzz_copy(struct bytes data)
{
    struct fuzz_object object = {malloc(data.len == 0 ? 1 : data.len), data.len};
    fuzz_check(object.data != NULL, "out of memory");
    if (data.len > 0) {
        memcpy(object.data, data.data, data.len);
    }
    return object;
}

struct fuzz_object fuzz_envelope(const char magic[4], uint16_t version, struct bytes body)
{
    AUTO_BUF out = {0};
    size_t at = envelope_begin(&out, magic, version);
    wr_bytes(&out, body);
    envelope_close(&out, at);
    return fuzz_copy(buf_bytes(&out));
}

void fuzz_object_release(struct fuzz_object *object)
{
    free(object->data);
    *object = (struct fuzz_object){0};
}

void fuzz_check(bool ok, const char *what)
{
    if (!ok) {
        (void)fprintf(stderr, "fuzz: %s\n", what);
        abort();
    }
}

void fuzz_same(struct bytes decoded, struct bytes again)
{
    fuzz_check(bytes_equal(decoded, again), "encoded again it is something else");
}
