/* Signatures of S3 requests: AWS Signature Version 4, in the Authorization header.
 *
 * Pure: time, names, payload and keys come in. The path and the query are signed as they are
 * sent, escaped byte by byte: any key and any value can be signed. */
#ifndef PIPELINE_STORE_S3_SIGN_H
#define PIPELINE_STORE_S3_SIGN_H

#include "formats/base/buf.h"
#include "formats/base/hex.h"
#include "formats/base/types.h"

#define S3_UNSIGNED_PAYLOAD "UNSIGNED-PAYLOAD"
#define S3_PARAMS_MAX       16u /* headers, or parameters of a query, of one request */
#define S3_REGION_MAX       64u
#define S3_TIME_LEN         16u

struct s3_param {
    const char *name;
    const char *value;
};

struct s3_request {
    const char *method;
    const char *path;  /* begins with '/', escaped by http_escape */
    const char *query; /* as s3_query gives it; "" for none */
    /* What is signed of the headers, at least `host` and `x-amz-date`. Lower-case names, each
     * once, in any order. */
    const struct s3_param *headers;
    size_t n_headers;
    const char *payload; /* lower-case hex of the body's SHA-256, or S3_UNSIGNED_PAYLOAD */
    const char *time;    /* as s3_time gives it */
};

/* The key of one day, region and service. It is secret. */
struct s3_day_key {
    struct hash key;
    char scope[S3_REGION_MAX + 64]; /* such as 20130524/us-east-1/s3/aws4_request */
};

/* YYYYMMDDTHHMMSSZ and a NUL, for milliseconds since 1970. */
void s3_time(uint64_t ms, char out[S3_TIME_LEN + 1]);
/* `day` is the beginning of a time. `region` has at most S3_REGION_MAX bytes, `service` 16. */
struct s3_day_key s3_day_key(const char *secret, const char *day, const char *region,
                             const char *service);

/* Appends the parameters escaped and sorted: name=value&name=. Names and values as they are. */
void s3_query(struct buf *out, const struct s3_param *params, size_t n);

/* The signature; appends the names of the signed headers, as the Authorization header has
 * them. */
struct hash_hex s3_signature(const struct s3_day_key *, const struct s3_request *,
                             struct buf *signed_names);
/* Appends the value of the Authorization header. */
void s3_sign(const struct s3_day_key *, const char *access_key_id, const struct s3_request *,
             struct buf *out);

#endif
