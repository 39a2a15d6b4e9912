/* Base64 with padding (RFC 4648, section 4), as JSON carries bytes. */
#ifndef FORMATS_BASE_BASE64_H
#define FORMATS_BASE_BASE64_H

#include "formats/base/buf.h"
#include "formats/base/err.h"
#include "formats/base/types.h"

void base64_encode(struct bytes data, struct buf *out);
/* ERR_INVALID for anything but the one spelling that base64_encode gives; then `out` has a
 * part. */
int base64_decode(struct bytes text, struct buf *out) MUST_USE;

#endif
