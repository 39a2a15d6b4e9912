/* The documents that S3 answers with: a page of a list, and an error. Bytes from outside;
 * nothing of a document that is cut, too deep or of another kind is given. */
#ifndef PIPELINE_STORE_S3_XML_H
#define PIPELINE_STORE_S3_XML_H

#include "formats/base/arena.h"
#include "formats/base/err.h"
#include "formats/base/types.h"

struct s3_entry {
    struct bytes key; /* as it is in the bucket: any bytes; a NUL stands behind */
    uint64_t size;
    uint64_t put_ms; /* LastModified, since 1970; 0 when it is not told, or not understood */
};

struct s3_page {
    struct s3_entry *entries; /* in the order of the document */
    size_t n;
    bool truncated;
    const char *token; /* for the next page; "" when there is none */
};

/* ListBucketResult of version 2, in `arena`; ERR_CORRUPT for anything else. */
int s3_page_parse(struct bytes xml, struct arena *arena, struct s3_page *out) MUST_USE;

/* What is too long is cut. */
struct s3_error {
    char code[64];
    char message[256];
    char region[64]; /* that the bucket is in, when that is what is wrong */
};

/* ERR_CORRUPT for what is no S3 error with a code. */
int s3_error_parse(struct bytes xml, struct s3_error *out) MUST_USE;

#endif
