/* What the file of a result is called. All that is to be known of it before it is read lies in
 * the name, so that a directory is taken in without opening its files:
 *
 *   HH/PROJECT-HASH-SERIAL-SIZE-COST-FREQUENCY-KIND
 *
 *   HH         the first two digits of HASH
 *   PROJECT    id of the project, 32 hex digits
 *   HASH       SHA-256 of the content, 64 hex digits
 *   SERIAL     no two files of a directory have the same; hex, as the numbers that follow
 *   SIZE       of the content in bytes
 *   COST       of computing it, in microseconds
 *   FREQUENCY  how often it was used, about
 *   KIND       `one` (the file is the content) or `many` (the content, and behind it the
 *              manifest of its chunks, blob.h); `one.pin` and `many.pin` when it is pinned */
#ifndef PIPELINE_DERIVE_CACHE_RESULT_NAME_H
#define PIPELINE_DERIVE_CACHE_RESULT_NAME_H

#include "formats/base/err.h"
#include "formats/base/types.h"

#define RESULT_NAME_MAX 224u /* with its NUL */

struct result_name {
    struct id16 project;
    struct hash hash;
    uint64_t serial;
    uint64_t size;
    uint64_t cost_us;
    uint32_t frequency;
    bool many;
    bool pinned;
};

void result_name_write(const struct result_name *, char out[RESULT_NAME_MAX]);
/* ERR_INVALID for whatever result_name_write does not give. */
int result_name_parse(const char *name, struct result_name *out) MUST_USE;

#endif
