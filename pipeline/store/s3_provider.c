#include "pipeline/store/s3_provider.h"

#include <strings.h>

/* Ceph compares the raw header with the bare etag, and so do some that are built on it. Google
 * and R2 take one put a second to a key. */
static const struct s3_provider providers[S3_PROVIDERS] = {
    [S3_AUTO] = {"other", false, 0, NULL, NULL},
    [S3_AWS] = {"aws", false, 0, ".amazonaws.com", "AmazonS3"},
    [S3_CEPH] = {"ceph", true, 0, NULL, "Ceph"},
    [S3_MINIO] = {"minio", false, 0, NULL, "MinIO"},
    [S3_R2] = {"r2", false, 1000, ".r2.cloudflarestorage.com", NULL},
    [S3_GCS] = {"gcs", false, 1000, "storage.googleapis.com", "UploadServer"},
    [S3_OTHER] = {"other", false, 0, NULL, NULL},
};

const struct s3_provider *s3_provider(enum s3_provider_id id)
{
    return &providers[id];
}

static bool host_ends(const char *host, const char *end)
{
    const char *colon = strchr(host, ':');
    size_t len = colon == NULL ? strlen(host) : (size_t)(colon - host);
    size_t end_len = strlen(end);
    return len >= end_len && strncasecmp(host + len - end_len, end, end_len) == 0;
}

enum s3_provider_id s3_provider_guess(const char *host, const char *server, bool bare_etag)
{
    for (enum s3_provider_id id = S3_AWS; id < S3_OTHER; id++) {
        const struct s3_provider *row = &providers[id];
        bool fits =
            (row->host_end != NULL && host_ends(host, row->host_end)) ||
            (row->server != NULL && strncasecmp(server, row->server, strlen(row->server)) == 0);
        if (fits && row->bare_etag == bare_etag) {
            return id;
        }
    }
    return bare_etag ? S3_CEPH : S3_OTHER;
}

#define READS  (S3_GET | S3_HEAD | S3_LIST)
#define PUTS   (S3_PUT | S3_PUT_IF_ABSENT | S3_PUT_IF_MATCH)
#define WRITES (PUTS | S3_DELETE)
#define ALL    (READS | WRITES)

/* Who must have spoken for a rule to hold. */
enum speaker {
    ANYBODY,
    NO_PAGE,   /* anything but a page for people, such as the bodiless answer to a HEAD */
    THE_STORE, /* an S3 error document */
    OR_LATER,  /* an S3 error document, or a Retry-After */
};

struct rule {
    unsigned what;
    int from; /* statuses from..to */
    int to;
    const char *code; /* NULL: any */
    enum speaker speaker;
    int err;
};

/* The first that fits holds. Of answers that nobody planned, reads are tried again and writes
 * are unknown, for what stands between us and the store may have passed them on. */
static const struct rule rules[] = {
    {S3_GET, 200, 200, NULL, ANYBODY, OK},
    {S3_GET, 206, 206, NULL, ANYBODY, OK},
    {S3_HEAD, 200, 200, NULL, ANYBODY, OK},
    {S3_LIST, 200, 200, NULL, ANYBODY, OK},
    {PUTS, 200, 200, NULL, ANYBODY, OK},
    {S3_DELETE, 200, 200, NULL, ANYBODY, OK},
    {S3_DELETE, 204, 204, NULL, ANYBODY, OK},

    {ALL, 404, 404, "NoSuchBucket", THE_STORE, ERR_DENIED},
    {S3_GET, 404, 404, "NoSuchKey", THE_STORE, ERR_NOT_FOUND},
    {S3_HEAD, 404, 404, NULL, NO_PAGE, ERR_NOT_FOUND},
    {S3_DELETE, 404, 404, "NoSuchKey", THE_STORE, OK},
    /* AWS and MinIO say 404 of an If-Match on nothing, Ceph and R2 412; Ceph 404 when the
     * object is deleted meanwhile. */
    {S3_PUT_IF_MATCH, 404, 404, "NoSuchKey", THE_STORE, ERR_CONFLICT},
    {S3_PUT_IF_MATCH | S3_PUT_IF_ABSENT, 412, 412, NULL, ANYBODY, ERR_CONFLICT},
    /* Another write to the key was under way: AWS and others want the same request again. */
    {ALL, 409, 409, NULL, ANYBODY, ERR_AGAIN},
    {ALL, 404, 404, NULL, ANYBODY, ERR_AGAIN},

    {ALL, 429, 429, NULL, ANYBODY, ERR_AGAIN},
    /* MinIO says so when too few disks took part in a write that some have made. */
    {WRITES, 503, 503, "SlowDownWrite", THE_STORE, ERR_UNKNOWN},
    {ALL, 503, 503, NULL, OR_LATER, ERR_AGAIN},
    /* A proxy says 503 also when the store hung up after it got the request. */
    {READS, 500, 599, "NotImplemented", THE_STORE, ERR_INVALID},
    {WRITES, 501, 501, NULL, ANYBODY, ERR_INVALID},
    {READS, 500, 599, NULL, ANYBODY, ERR_AGAIN},
    {WRITES, 500, 599, NULL, ANYBODY, ERR_UNKNOWN}, /* Ceph says 500 of every other lost race */

    /* The body did not come, or not as it was sent; the signature's time has passed. */
    {ALL, 400, 400, "RequestTimeout", THE_STORE, ERR_AGAIN},
    {ALL, 400, 400, "IncompleteBody", THE_STORE, ERR_AGAIN},
    {ALL, 400, 400, "BadDigest", THE_STORE, ERR_AGAIN},
    {ALL, 400, 400, "XAmzContentSHA256Mismatch", THE_STORE, ERR_AGAIN},
    {ALL, 403, 403, "RequestTimeTooSkewed", THE_STORE, ERR_AGAIN},
    {ALL, 400, 400, "EntityTooLarge", THE_STORE, ERR_LIMIT},
    {ALL, 400, 400, "ExpiredToken", THE_STORE, ERR_DENIED},
    {ALL, 400, 400, "InvalidToken", THE_STORE, ERR_DENIED},
    {ALL, 400, 400, "AuthorizationHeaderMalformed", THE_STORE, ERR_DENIED},
    {ALL, 400, 400, "InvalidBucketName", THE_STORE, ERR_DENIED},
    {ALL, 401, 401, NULL, ANYBODY, ERR_DENIED},
    {ALL, 403, 403, NULL, ANYBODY, ERR_DENIED},
    {READS, 408, 408, NULL, ANYBODY, ERR_AGAIN},
    {WRITES, 408, 408, NULL, ANYBODY, ERR_UNKNOWN},
    {ALL, 413, 413, NULL, ANYBODY, ERR_LIMIT},
    {ALL, 400, 499, NULL, ANYBODY, ERR_INVALID},

    /* A bucket that is so young that its name is not known everywhere. */
    {ALL, 307, 307, NULL, ANYBODY, ERR_AGAIN},
    /* The bucket lives elsewhere, or something between wants to be talked to first. */
    {ALL, 300, 399, NULL, ANYBODY, ERR_DENIED},

    {READS, 0, 999, NULL, ANYBODY, ERR_AGAIN},
    {WRITES, 0, 999, NULL, ANYBODY, ERR_UNKNOWN},
};

static bool rule_fits(const struct rule *rule, enum s3_what what, const struct s3_status *s)
{
    if ((rule->what & what) == 0 || s->status < rule->from || s->status > rule->to ||
        (rule->code != NULL && strcmp(rule->code, s->code) != 0)) {
        return false;
    }
    switch (rule->speaker) {
    case ANYBODY:
        return true;
    case NO_PAGE:
        return !s->html;
    case THE_STORE:
        return s->code[0] != '\0';
    case OR_LATER:
        return s->code[0] != '\0' || s->retry_after;
    }
    return false;
}

int s3_provider_err(enum s3_what what, const struct s3_status *status)
{
    for (size_t i = 0; i < ARRAY_LEN(rules); i++) {
        if (rule_fits(&rules[i], what, status)) {
            return rules[i].err;
        }
    }
    return (what & READS) != 0 ? ERR_AGAIN : ERR_UNKNOWN;
}
