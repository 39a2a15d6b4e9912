#include "pipeline/store/s3_provider.h"

#include "tests/support/suite.h"

#define READS  (S3_GET | S3_HEAD | S3_LIST)
#define PUTS   (S3_PUT | S3_PUT_IF_ABSENT | S3_PUT_IF_MATCH)
#define WRITES (PUTS | S3_DELETE)

struct row {
    unsigned what;
    struct s3_status status;
    int err;
};

static void expect(const struct row *rows, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        for (unsigned what = S3_GET; what <= S3_DELETE; what <<= 1) {
            if ((rows[i].what & what) != 0) {
                ck_assert_msg(s3_provider_err((enum s3_what)what, &rows[i].status) ==
                                  rows[i].err,
                              "row %zu, %u: %d %s is %s", i, what, rows[i].status.status,
                              rows[i].status.code,
                              err_name(s3_provider_err((enum s3_what)what, &rows[i].status)));
            }
        }
    }
}

#define NAKED(n)                  \
    {                             \
        .status = (n), .code = "" \
    }
#define SAID(n, word)                 \
    {                                 \
        .status = (n), .code = (word) \
    }
#define PAGE(n)                                 \
    {                                           \
        .status = (n), .code = "", .html = true \
    }
#define IN_A_WHILE(n)                                  \
    {                                                  \
        .status = (n), .code = "", .retry_after = true \
    }
#define CONDITIONS (S3_PUT_IF_ABSENT | S3_PUT_IF_MATCH)

START_TEST(what_answers_mean)
{
    static const struct row rows[] = {
        {READS | PUTS | S3_DELETE, NAKED(200), OK},
        {S3_GET, NAKED(206), OK},
        {S3_DELETE, NAKED(204), OK},
        {S3_GET, SAID(404, "NoSuchKey"), ERR_NOT_FOUND},
        {S3_HEAD, NAKED(404), ERR_NOT_FOUND},
        {S3_DELETE, SAID(404, "NoSuchKey"), OK},
        {READS | WRITES, SAID(404, "NoSuchBucket"), ERR_DENIED},
        {S3_PUT_IF_MATCH, SAID(404, "NoSuchKey"), ERR_CONFLICT},
        {CONDITIONS, SAID(412, "PreconditionFailed"), ERR_CONFLICT},
        {CONDITIONS, NAKED(412), ERR_CONFLICT},
        {WRITES, SAID(409, "ConditionalRequestConflict"), ERR_AGAIN},
        {WRITES, SAID(409, "OperationAborted"), ERR_AGAIN},
        {READS | WRITES, NAKED(429), ERR_AGAIN},
        {READS | WRITES, SAID(503, "SlowDown"), ERR_AGAIN},
        {READS | WRITES, SAID(503, "ServiceUnavailable"), ERR_AGAIN},
        {READS | WRITES, IN_A_WHILE(503), ERR_AGAIN},
        {WRITES, SAID(403, "RequestTimeTooSkewed"), ERR_AGAIN},
        {WRITES, SAID(400, "RequestTimeout"), ERR_AGAIN},
        {WRITES, SAID(400, "XAmzContentSHA256Mismatch"), ERR_AGAIN},
        {READS | WRITES, SAID(403, "AccessDenied"), ERR_DENIED},
        {READS | WRITES, SAID(403, "SignatureDoesNotMatch"), ERR_DENIED},
        {READS | WRITES, NAKED(403), ERR_DENIED},
        {READS | WRITES, NAKED(401), ERR_DENIED},
        {READS | WRITES, SAID(400, "ExpiredToken"), ERR_DENIED},
        {READS | WRITES, SAID(400, "AuthorizationHeaderMalformed"), ERR_DENIED},
        {READS | WRITES, SAID(301, "PermanentRedirect"), ERR_DENIED},
        {READS | WRITES, SAID(307, "TemporaryRedirect"), ERR_AGAIN},
        {READS | WRITES, PAGE(302), ERR_DENIED},
        {READS | WRITES, SAID(400, "InvalidArgument"), ERR_INVALID},
        {READS | WRITES, NAKED(405), ERR_INVALID},
        {WRITES, SAID(400, "EntityTooLarge"), ERR_LIMIT},
        {WRITES, NAKED(413), ERR_LIMIT},
        {WRITES, SAID(501, "NotImplemented"), ERR_INVALID},
        {S3_LIST, SAID(501, "NotImplemented"), ERR_INVALID},
    };
    expect(rows, ARRAY_LEN(rows));
}
END_TEST

/* Whatever a write may have done is unknown; a read has nothing to be in doubt about. */
START_TEST(what_may_have_happened)
{
    static const struct row rows[] = {
        {WRITES, SAID(500, "InternalError"), ERR_UNKNOWN},
        {WRITES, SAID(500, "UnknownError"), ERR_UNKNOWN},
        {WRITES, NAKED(500), ERR_UNKNOWN},
        {WRITES, PAGE(502), ERR_UNKNOWN},
        {WRITES, PAGE(503), ERR_UNKNOWN},
        {WRITES, NAKED(503), ERR_UNKNOWN},
        {WRITES, SAID(503, "SlowDownWrite"), ERR_UNKNOWN},
        {WRITES, PAGE(504), ERR_UNKNOWN},
        {WRITES, PAGE(520), ERR_UNKNOWN},
        {WRITES, NAKED(408), ERR_UNKNOWN},
        {WRITES, NAKED(202), ERR_UNKNOWN},
        {PUTS, NAKED(204), ERR_UNKNOWN},
        {WRITES, NAKED(100), ERR_UNKNOWN},
        {WRITES, NAKED(0), ERR_UNKNOWN},
        {WRITES, NAKED(999), ERR_UNKNOWN},
        {READS, SAID(500, "InternalError"), ERR_AGAIN},
        {READS, PAGE(502), ERR_AGAIN},
        {READS, NAKED(503), ERR_AGAIN},
        {READS, NAKED(408), ERR_AGAIN},
        {READS, NAKED(202), ERR_AGAIN},
        {S3_LIST | S3_HEAD, NAKED(206), ERR_AGAIN},
    };
    expect(rows, ARRAY_LEN(rows));
    for (int status = -1; status < 1100; status++) {
        for (unsigned what = S3_GET; what <= S3_LIST; what <<= 1) {
            struct s3_status any = {.status = status, .code = ""};
            ck_assert_int_ne(s3_provider_err((enum s3_what)what, &any), ERR_UNKNOWN);
        }
    }
}
END_TEST

/* A page that something between has made says nothing of the object. */
START_TEST(only_the_store_says_that_nothing_is_there)
{
    static const struct row rows[] = {
        {S3_GET, PAGE(404), ERR_AGAIN},    {S3_GET, NAKED(404), ERR_AGAIN},
        {S3_HEAD, PAGE(404), ERR_AGAIN},   {S3_PUT_IF_MATCH, PAGE(404), ERR_AGAIN},
        {S3_DELETE, PAGE(404), ERR_AGAIN}, {S3_LIST, SAID(404, "NoSuchKey"), ERR_AGAIN},
    };
    expect(rows, ARRAY_LEN(rows));
}
END_TEST

START_TEST(providers_are_guessed)
{
    static const struct {
        const char *host;
        const char *server;
        bool bare;
        enum s3_provider_id id;
    } cases[] = {
        {"s3.eu-west-1.amazonaws.com", "AmazonS3", false, S3_AWS},
        {"bucket.s3.amazonaws.com:443", "", false, S3_AWS},
        {"x.r2.cloudflarestorage.com", "cloudflare", false, S3_R2},
        {"storage.googleapis.com", "UploadServer", false, S3_GCS},
        {"127.0.0.1:9000", "MinIO", false, S3_MINIO},
        {"127.0.0.1:7480", "", true, S3_CEPH},
        {"127.0.0.1:7480", "Ceph Object Gateway (squid)", true, S3_CEPH},
        /* A Ceph that learned to take quotes is like any other. */
        {"127.0.0.1:7480", "Ceph Object Gateway (z)", false, S3_OTHER},
        {"fra1.digitaloceanspaces.com", "", true, S3_CEPH},
        {"amazonaws.com.example.org", "nginx", false, S3_OTHER},
        {"com", "", false, S3_OTHER},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        enum s3_provider_id id =
            s3_provider_guess(cases[i].host, cases[i].server, cases[i].bare);
        ck_assert_msg(id == cases[i].id, "%s is %s", cases[i].host, s3_provider(id)->name);
        ck_assert(s3_provider(id)->bare_etag == cases[i].bare);
    }
    ck_assert_uint_eq(s3_provider(S3_R2)->put_interval_ms, 1000);
    ck_assert_uint_eq(s3_provider(S3_AWS)->put_interval_ms, 0);
    for (enum s3_provider_id id = S3_AUTO; id < S3_PROVIDERS; id++)
        ck_assert_ptr_nonnull(s3_provider(id)->name);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        what_answers_mean,
        what_may_have_happened,
        only_the_store_says_that_nothing_is_there,
        providers_are_guessed,
    };
    return suite_run("s3_provider", tests, ARRAY_LEN(tests));
}
