/* What fuzz targets share. Chance does not find a checksum, so the target builds the envelope
 * around its input itself. */
#ifndef TESTS_SUPPORT_FUZZ_H
#define TESTS_SUPPORT_FUZZ_H

#include "formats/base/types.h"

/* Exactly as many bytes on the heap as the object has, so that a read past its end is seen. */
struct fuzz_object {
    uint8_t *data;
    size_t len;
};

#define AUTO_FUZZ_OBJECT AUTO(fuzz_object_release) struct fuzz_object

/* `body` inside an envelope with its checksum. */
struct fuzz_object fuzz_envelope(const char magic[4], uint16_t version,
                                 struct bytes body) MUST_USE;
struct fuzz_object fuzz_copy(struct bytes data) MUST_USE;
void fuzz_object_release(struct fuzz_object *);

static inline struct bytes fuzz_bytes(const struct fuzz_object *object)
{
    return bytes_of(object->data, object->len);
}

/* Stops the run, with what was found. */
void fuzz_check(bool ok, const char *what);
/* The same when what was encoded again is not what was decoded. */
void fuzz_same(struct bytes decoded, struct bytes again);

#endif
