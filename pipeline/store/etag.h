/* Etags of the stores that make their own: a digest of the bytes and their number, never a
 * time, so that equal bytes have equal etags in every such store and after every restart. */
#ifndef PIPELINE_STORE_ETAG_H
#define PIPELINE_STORE_ETAG_H

#include "formats/base/hash.h"
#include "pipeline/store/store.h"

struct etag etag_of(struct bytes data);
/* The same from a digest in pieces. */
struct etag etag_of_digest(const struct id16 *digest, uint64_t len);
bool etag_equal(const struct etag *, const struct etag *);

#endif
