/* What differs between those who serve S3, and what their answers mean: the one place that
 * knows. Pure. */
#ifndef PIPELINE_STORE_S3_PROVIDER_H
#define PIPELINE_STORE_S3_PROVIDER_H

#include "formats/base/err.h"
#include "formats/base/types.h"

enum s3_provider_id {
    S3_AUTO, /* find out: by the endpoint, by what the server says of itself, by the probe */
    S3_AWS,
    S3_CEPH,
    S3_MINIO,
    S3_R2,
    S3_GCS,
    S3_OTHER,
    S3_PROVIDERS,
};

struct s3_provider {
    const char *name;
    /* If-Match takes the etag without its quotes, and only so. */
    bool bare_etag;
    /* At most one put to one key in so many milliseconds; more are answered 429. 0: no bound is
     * known. */
    uint32_t put_interval_ms;
    const char *host_end; /* endpoints end so, or NULL */
    const char *server;   /* the Server header begins so, or NULL */
};

/* That of S3_AUTO is the row of S3_OTHER. */
const struct s3_provider *s3_provider(enum s3_provider_id);
/* By host (which may have a port), the Server header of an answer ("" for none), and whether
 * the probe found that only bare etags match. Never S3_AUTO. */
enum s3_provider_id s3_provider_guess(const char *host, const char *server, bool bare_etag);

/* What a request was meant to do. */
enum s3_what {
    S3_GET = 1,
    S3_HEAD = 2,
    S3_LIST = 4,
    S3_PUT = 8,
    S3_PUT_IF_ABSENT = 16,
    S3_PUT_IF_MATCH = 32,
    S3_DELETE = 64,
};

struct s3_status {
    int status;
    const char *code; /* of the error document; "" when there is none */
    bool html;        /* the answer is a page for people: it comes from something between */
    bool retry_after; /* it says when to come again */
};

/* An enum err. ERR_AGAIN: nothing happened, and the request may be sent once more. ERR_UNKNOWN:
 * the store may have done it; never for what only reads. */
int s3_provider_err(enum s3_what, const struct s3_status *);

#endif
