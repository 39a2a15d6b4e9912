/* Checks that every decoder behind an envelope has to pass, whatever its format. */
#ifndef TESTS_SUPPORT_OBJECT_H
#define TESTS_SUPPORT_OBJECT_H

#include "formats/base/types.h"

/* Decodes `in`, drops what it gives, and returns the decoder's error. */
typedef int object_decode(struct bytes in);

/* The running test fails unless `whole` decodes, and each of its beginnings, itself with a byte
 * more, and itself with any byte changed are ERR_CORRUPT. */
void object_refuses_damage(struct bytes whole, object_decode *);

/* Changes `len` bytes at `offset` of an object in an envelope, mends its checksum, and decodes
 * it. */
int object_decode_with(struct bytes whole, size_t offset, const void *data, size_t len,
                       object_decode *) MUST_USE;

#endif
