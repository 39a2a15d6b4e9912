/* What the s3 store sends, and what it makes of the answers to puts and deletes. */
#include "pipeline/store/s3.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "pipeline/sys/log.h"
#include "tests/support/s3_script.h"
#include "tests/support/store_rig.h"
#include "tests/support/suite.h"

#define PUT_OK                                    \
    {                                             \
        .status = "200 OK", .headers = ETAG("e1") \
    }
#define SLOW_DOWN                                                 \
    {                                                             \
        .status = "503 Slow Down", .body = ERROR_BODY("SlowDown") \
    }
#define RACE_409                                                                   \
    {                                                                              \
        .status = "409 Conflict", .body = ERROR_BODY("ConditionalRequestConflict") \
    }
#define HTML(s)                                                                            \
    {                                                                                      \
        .status = (s), .headers = "Content-Type: text/html\r\n", .body = "<html>no</html>" \
    }

static int put(struct store *store, enum put_condition condition, struct etag *etag)
{
    return store_put(store, "a/k", bytes_str("the bytes"), condition, etag);
}

START_TEST(what_a_put_sends)
{
    static const struct script_step steps[] = {PUT_OK, PUT_OK, PUT_OK, PUT_OK};
    AUTO_S3_SCRIPT s;
    s3_script_open(&s, steps, ARRAY_LEN(steps));
    struct etag etag = {{0}};
    ck_assert_int_eq(put(s.store, PUT_IF_ABSENT, &etag), OK);
    ck_assert_str_eq(etag.s, "e1");
    s3_script_expect_line(&s, 0, "PUT /bucket/pre/a/k HTTP/1.1");
    s3_script_expect_line(&s, 0, "if-none-match: *");
    s3_script_expect_no_header(&s, 0, "if-match");
    s3_script_expect_line(&s, 0, "content-length: 9");
    s3_script_expect_line(&s, 0, "x-amz-security-token: TOKEN");
    s3_script_expect_line(&s, 0,
                          "x-amz-content-sha256: "
                          "ed589341c9fd5da96aaff4c5efa008226282a716186608d5a032ac75895a9c2f");
    const char *seen = script_seen(s.script, 0);
    ck_assert_ptr_nonnull(strstr(seen, "Credential=AKID/"));
    ck_assert_ptr_nonnull(
        strstr(seen, "SignedHeaders=host;if-none-match;x-amz-content-sha256;x-amz-date;"
                     "x-amz-security-token,Signature="));
    ck_assert_ptr_nonnull(strstr(seen, "\r\n\r\nthe bytes"));
    ck_assert_ptr_null(strstr(seen, "SECRET"));
    ck_assert_int_eq(put(s.store, PUT_IF_MATCH, &etag), OK);
    s3_script_expect_line(&s, 1, "if-match: \"e1\"");
    s3_script_expect_no_header(&s, 1, "if-none-match");
    s3_store_use_bare_etag(s.store, true);
    ck_assert_int_eq(put(s.store, PUT_IF_MATCH, &etag), OK);
    s3_script_expect_line(&s, 2, "if-match: e1");
    ck_assert_int_eq(store_put(s.store, "k", bytes_of(NULL, 0), PUT_ANY, NULL), OK);
    s3_script_expect_line(&s, 3, "content-length: 0");
    s3_script_expect_no_header(&s, 3, "if-match");
    s3_script_expect_no_header(&s, 3, "if-none-match");
    ck_assert_uint_eq(script_connections(s.script), 1);
}
END_TEST

/* Where the bucket stands in the address. */
START_TEST(addressing)
{
    static const struct script_step steps[] = {PUT_OK, PUT_OK, PUT_OK};
    AUTO_S3_SCRIPT s;
    s3_script_open(&s, steps, ARRAY_LEN(steps));
    char endpoint[100];
    char line[100];
    char why[S3_WHY_MAX];
    const char *port = strrchr(script_url(s.script), ':');
    struct s3_options options = s3_script_options(&s);
    options.endpoint = endpoint;
    options.addressing = S3_ADDRESS_VIRTUAL;
    options.prefix = "";
    (void)snprintf(endpoint, sizeof(endpoint), "http://localhost%s/", port);
    struct store *store;
    ck_assert_int_eq(s3_store_open(&options, &store, why), OK);
    rig_put(store, "k", "x");
    store_close(store);
    s3_script_expect_line(&s, 0, "PUT /k HTTP/1.1");
    (void)snprintf(line, sizeof(line), "host: bucket.localhost%s", port);
    s3_script_expect_line(&s, 0, line);
    options.addressing = S3_ADDRESS_AUTO;
    (void)snprintf(endpoint, sizeof(endpoint), "http://localhost%s/some/where", port);
    ck_assert_int_eq(s3_store_open(&options, &store, why), OK);
    rig_put(store, "k", "x");
    store_close(store);
    s3_script_expect_line(&s, 1, "PUT /some/where/bucket/k HTTP/1.1");
    (void)snprintf(line, sizeof(line), "host: localhost%s", port);
    s3_script_expect_line(&s, 1, line);
}
END_TEST

struct put_case {
    struct script_step steps[S3_SCRIPT_TRIES + 1];
    unsigned conditions; /* 1 << enum put_condition */
    int err;
    unsigned requests;
};

#define ANY_PUT   7u
#define IF_ABSENT (1u << PUT_IF_ABSENT)
#define IF_MATCH  (1u << PUT_IF_MATCH)

static void expect_puts(const struct put_case *cases, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        for (unsigned condition = PUT_ANY; condition <= PUT_IF_MATCH; condition++) {
            if ((cases[i].conditions & 1u << condition) == 0)
                continue;
            AUTO_S3_SCRIPT s;
            s3_script_open(&s, cases[i].steps, ARRAY_LEN(cases[i].steps));
            struct etag etag = {"e0"};
            int err = put(s.store, (enum put_condition)condition, &etag);
            ck_assert_msg(err == cases[i].err, "case %zu.%u gives %s", i, condition,
                          err_name(err));
            ck_assert_msg(script_requests(s.script) == cases[i].requests,
                          "case %zu.%u sends %u requests", i, condition,
                          script_requests(s.script));
            ck_assert_str_eq(etag.s, err == OK ? "e1" : "e0");
        }
    }
}

/* Only what did not happen is sent again. */
START_TEST(puts_that_did_not_happen)
{
    static const struct put_case cases[] = {
        {{PUT_OK}, ANY_PUT, OK, 1},
        {{SLOW_DOWN, PUT_OK}, ANY_PUT, OK, 2},
        {{SLOW_DOWN, SLOW_DOWN, SLOW_DOWN, PUT_OK}, ANY_PUT, ERR_AGAIN, 3},
        {{{.status = "429 Too Many"}, PUT_OK}, ANY_PUT, OK, 2},
        {{{.status = "503 Busy", .headers = "Retry-After: 0\r\n"}, PUT_OK}, ANY_PUT, OK, 2},
        {{{.status = "503 Busy", .headers = "Retry-After: 3600\r\n"}, PUT_OK},
         ANY_PUT,
         ERR_AGAIN,
         1},
        {{RACE_409, PUT_OK}, ANY_PUT, OK, 2},
        {{RACE_409, RACE_409, RACE_409, PUT_OK}, IF_ABSENT | IF_MATCH, ERR_AGAIN, 3},
        {{{.status = "412 No", .body = ERROR_BODY("PreconditionFailed")}, PUT_OK},
         IF_ABSENT | IF_MATCH,
         ERR_CONFLICT,
         1},
        {{{.status = "412 No"}, PUT_OK}, IF_ABSENT | IF_MATCH, ERR_CONFLICT, 1},
        {{{.status = "404 No", .body = ERROR_BODY("NoSuchKey")}, PUT_OK},
         IF_MATCH,
         ERR_CONFLICT,
         1},
        {{{.status = "404 No", .body = ERROR_BODY("NoSuchBucket")}, PUT_OK},
         ANY_PUT,
         ERR_DENIED,
         1},
        {{RACE_409, {.status = "412 No"}, PUT_OK}, IF_ABSENT | IF_MATCH, ERR_CONFLICT, 2},
        {{{.status = "403 No", .body = ERROR_BODY("AccessDenied")}, PUT_OK},
         ANY_PUT,
         ERR_DENIED,
         1},
        {{{.deed = SCRIPT_HASTY, .status = "403 No", .body = ERROR_BODY("AccessDenied")},
          PUT_OK},
         ANY_PUT,
         ERR_DENIED,
         1},
        {{{.status = "301 Moved",
           .headers = "Location: http://127.0.0.1:1/\r\n",
           .body = ERROR_BODY("PermanentRedirect")},
          PUT_OK},
         ANY_PUT,
         ERR_DENIED,
         1},
        {{{.status = "307 Moved",
           .headers = "Location: http://127.0.0.1:1/\r\n",
           .body = ERROR_BODY("TemporaryRedirect")},
          PUT_OK},
         ANY_PUT,
         OK,
         2},
        {{{.status = "400 No", .body = ERROR_BODY("XAmzContentSHA256Mismatch")}, PUT_OK},
         ANY_PUT,
         OK,
         2},
        {{{.status = "413 Large"}, PUT_OK}, ANY_PUT, ERR_LIMIT, 1},
        {{{.status = "501 No", .body = ERROR_BODY("NotImplemented")}, PUT_OK},
         ANY_PUT,
         ERR_INVALID,
         1},
    };
    expect_puts(cases, ARRAY_LEN(cases));
}
END_TEST

/* What may have happened is never sent again. */
START_TEST(puts_that_may_have_happened)
{
    static const struct put_case cases[] = {
        {{{.status = "500 No", .body = ERROR_BODY("InternalError")}, PUT_OK},
         ANY_PUT,
         ERR_UNKNOWN,
         1},
        {{{.status = "500 No", .body = "not XML <<<"}, PUT_OK}, ANY_PUT, ERR_UNKNOWN, 1},
        {{HTML("502 Bad Gateway"), PUT_OK}, ANY_PUT, ERR_UNKNOWN, 1},
        {{HTML("503 Unavailable"), PUT_OK}, ANY_PUT, ERR_UNKNOWN, 1},
        {{HTML("504 Time-out"), PUT_OK}, ANY_PUT, ERR_UNKNOWN, 1},
        {{SLOW_DOWN, {.deed = SCRIPT_CLOSE}, PUT_OK}, ANY_PUT, ERR_UNKNOWN, 2},
        {{{.deed = SCRIPT_CLOSE}, PUT_OK}, ANY_PUT, ERR_UNKNOWN, 1},
        {{{.deed = SCRIPT_STALL}, PUT_OK}, ANY_PUT, ERR_UNKNOWN, 1},
        {{{.deed = SCRIPT_RAW, .body = "garbage\r\n\r\n", .close = true}, PUT_OK},
         ANY_PUT,
         ERR_UNKNOWN,
         1},
        {{{.status = "500 No", .body = "half of", .missing = 10}, PUT_OK},
         ANY_PUT,
         ERR_UNKNOWN,
         1},
        {{HTML("200 OK"), PUT_OK}, ANY_PUT, ERR_UNKNOWN, 1},
        {{{.status = "200 OK"}, PUT_OK}, ANY_PUT, ERR_UNKNOWN, 1},
        {{{.status = "200 OK", .headers = "ETag: \"\"\r\n"}, PUT_OK}, ANY_PUT, ERR_UNKNOWN, 1},
        {{{.status = "200 OK", .headers = "ETag: \r\n"}, PUT_OK}, ANY_PUT, ERR_UNKNOWN, 1},
        {{{.status = "200 OK", .headers = "ETag: W/\"e1\"\r\n"}, PUT_OK},
         ANY_PUT,
         ERR_UNKNOWN,
         1},
        {{{.status = "200 OK", .headers = "ETag: \"e\"1\"\r\n"}, PUT_OK},
         ANY_PUT,
         ERR_UNKNOWN,
         1},
        {{{.status = "200 OK",
           .headers = ETAG("0123456789012345678901234567890123456789012345678901234567890123456"
                           "789012345678x")},
          PUT_OK},
         ANY_PUT,
         ERR_UNKNOWN,
         1},
        {{{.status = "202 Accepted", .headers = ETAG("e1")}, PUT_OK}, ANY_PUT, ERR_UNKNOWN, 1},
    };
    expect_puts(cases, ARRAY_LEN(cases));
}
END_TEST

START_TEST(nothing_listens)
{
    AUTO_S3_SCRIPT s;
    s3_script_open(&s, NULL, 0);
    script_end(s.script);
    struct etag etag = {"e0"};
    ck_assert_int_eq(put(s.store, PUT_IF_MATCH, &etag), ERR_AGAIN);
    ck_assert_int_eq(store_delete(s.store, "k"), ERR_AGAIN);
    ck_assert_uint_eq(store_date_ms(s.store), 0);
    char why[S3_WHY_MAX];
    s3_store_why(s.store, why);
    ck_assert_ptr_nonnull(strstr(why, "DELETE pre/k: "));
}
END_TEST

/* As a header, what is no etag could be taken for no condition at all. */
START_TEST(only_etags_are_matched)
{
    static const char *const bad[] = {"", "\"e1\"", "a b", "a,b", "a\r\nx: y", "\xff"};
    AUTO_S3_SCRIPT s;
    s3_script_open(&s, NULL, 0);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct etag etag = {{0}};
        (void)snprintf(etag.s, sizeof(etag.s), "%s", bad[i]);
        ck_assert_int_eq(put(s.store, PUT_IF_MATCH, &etag), ERR_CONFLICT);
    }
    struct etag full;
    memset(full.s, 'e', sizeof(full.s));
    ck_assert_int_eq(put(s.store, PUT_IF_MATCH, &full), ERR_CONFLICT);
    ck_assert_uint_eq(script_requests(s.script), 0);
}
END_TEST

START_TEST(deletes)
{
    static const struct {
        struct script_step steps[2];
        int err;
        unsigned requests;
    } cases[] = {
        {{{.status = "204 No Content"}}, OK, 1},
        {{{.status = "200 OK"}}, OK, 1},
        {{{.status = "404 No", .body = ERROR_BODY("NoSuchKey")}}, OK, 1},
        {{{.status = "404 No", .body = ERROR_BODY("NoSuchBucket")}}, ERR_DENIED, 1},
        {{HTML("404 No"), {.status = "204 No Content"}}, OK, 2},
        {{SLOW_DOWN, {.status = "204 No Content"}}, OK, 2},
        {{{.status = "500 No"}, {.status = "204 No Content"}}, ERR_UNKNOWN, 1},
        {{{.deed = SCRIPT_CLOSE}, {.status = "204 No Content"}}, ERR_UNKNOWN, 1},
        {{{.status = "403 No"}}, ERR_DENIED, 1},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO_S3_SCRIPT s;
        s3_script_open(&s, cases[i].steps, 2);
        int err = store_delete(s.store, "k");
        ck_assert_msg(err == cases[i].err, "case %zu gives %s", i, err_name(err));
        ck_assert_uint_eq(script_requests(s.script), cases[i].requests);
        s3_script_expect_line(&s, 0, "DELETE /bucket/pre/k HTTP/1.1");
    }
}
END_TEST

/* Every third put is slow, every fifth is denied, and the rest is done. */
static void answer_some(void *arg UNUSED, const char *request, struct script_step *out)
{
    const char *number = strstr(request, "/pre/n");
    unsigned i = number == NULL ? 0 : (unsigned)strtoul(number + 6, NULL, 10);
    *out = (struct script_step)PUT_OK;
    if (i % 5 == 0)
        *out = (struct script_step){.status = "403 No"};
    else if (i % 3 == 0)
        *out = (struct script_step)SLOW_DOWN;
    else if (i % 7 == 0)
        *out = (struct script_step){.deed = SCRIPT_CLOSE};
}

START_TEST(many_at_a_time)
{
    enum { N = 100 };
    AUTO_S3_SCRIPT s;
    s3_script_open_answering(&s, answer_some, NULL);
    struct store_op ops[N] = {0};
    char keys[N][16];
    for (unsigned i = 0; i < N; i++) {
        (void)snprintf(keys[i], sizeof(keys[i]), "n%u", i);
        ops[i] =
            (struct store_op){.verb = i % 2 == 0 ? STORE_PUT : STORE_DELETE, .key = keys[i]};
    }
    ck_assert_int_eq(store_many(s.store, ops, N), ERR_DENIED);
    unsigned requests = 0;
    for (unsigned i = 0; i < N; i++) {
        int want = i % 5 == 0   ? ERR_DENIED
                   : i % 3 == 0 ? ERR_AGAIN
                   : i % 7 == 0 ? ERR_UNKNOWN
                                : OK;
        ck_assert_msg(ops[i].err == want, "n%u gives %s", i, err_name(ops[i].err));
        requests += want == ERR_AGAIN ? S3_SCRIPT_TRIES : 1;
    }
    ck_assert_uint_eq(script_requests(s.script), requests);
    /* Four at a time, and two more for each that was closed: curl opens one in vain. */
    unsigned closed = 0;
    for (unsigned i = 0; i < N; i++)
        closed += ops[i].err == ERR_UNKNOWN;
    ck_assert_uint_le(script_connections(s.script), 4 + 2 * closed);
}
END_TEST

static void answer_put(void *arg UNUSED, const char *request UNUSED, struct script_step *out)
{
    *out = (struct script_step)PUT_OK;
}

static void *put_often(void *store)
{
    for (int i = 0; i < 20; i++)
        if (store_put(store, "k", bytes_str("x"), PUT_ANY, NULL) != OK)
            return store;
    return NULL;
}

START_TEST(threads_share_connections)
{
    enum { THREADS = 8 };
    AUTO_S3_SCRIPT s;
    s3_script_open_answering(&s, answer_put, NULL);
    pthread_t threads[THREADS];
    for (size_t i = 0; i < THREADS; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, put_often, s.store), 0);
    for (size_t i = 0; i < THREADS; i++) {
        void *wrong;
        ck_assert_int_eq(pthread_join(threads[i], &wrong), 0);
        ck_assert_ptr_null(wrong);
    }
    ck_assert_ptr_null(put_often(s.store));
    ck_assert_uint_eq(script_requests(s.script), 20 * (THREADS + 1));
    ck_assert_uint_le(script_connections(s.script), THREADS);
}
END_TEST

/* Two days off, the machine is still understood: the server's Date goes before its clock. */
START_TEST(dates_teach_the_clock)
{
    static const struct script_step steps[] = {
        {.status = "403 No",
         .headers = "Date: Fri, 24 May 2013 00:00:01 GMT\r\n",
         .body = ERROR_BODY("RequestTimeTooSkewed")},
        PUT_OK,
        {.status = "502 No",
         .headers = "Date: Sun, 24 May 2015 00:00:01 GMT\r\nContent-Type: text/html\r\n"},
        PUT_OK,
        {.status = "200 OK", .headers = ETAG("e1") "Date: Fri, 24 May 2013 00:00:01 GMT\r\n"}};
    AUTO_S3_SCRIPT s;
    s3_script_open(&s, steps, ARRAY_LEN(steps));
    ck_assert_int_eq(put(s.store, PUT_ANY, NULL), OK);
    ck_assert_ptr_nonnull(strstr(script_seen(s.script, 1), "x-amz-date: 20130524T0000"));
    uint64_t date = store_date_ms(s.store);
    ck_assert(date >= 1369353601000 && date < 1369353601000 + 60000);
    /* A page of something between teaches nothing. */
    ck_assert_int_eq(put(s.store, PUT_ANY, NULL), ERR_UNKNOWN);
    ck_assert_uint_lt(store_date_ms(s.store), 1369353601000 + 60000);
    /* The store's clock goes on while nothing is asked. */
    s.leap_us += 3600ull * 1000000;
    ck_assert_uint_ge(store_date_ms(s.store), 1369353601000 + 3600000);
    ck_assert_int_eq(put(s.store, PUT_ANY, NULL), OK);
    ck_assert_ptr_nonnull(strstr(script_seen(s.script, 3), "x-amz-date: 20130524T0100"));
    /* After a sleep nobody knows it, until the next answer. */
    s.slept_ms = 60000;
    ck_assert_uint_eq(store_date_ms(s.store), 0);
    ck_assert_int_eq(put(s.store, PUT_ANY, NULL), OK);
    date = store_date_ms(s.store);
    ck_assert(date >= 1369353601000 && date < 1369353601000 + 60000);
}
END_TEST

START_TEST(no_secret_is_told)
{
    static const struct script_step steps[] = {
        {.status = "403 No",
         .body = "<Error><Code>SignatureDoesNotMatch</Code><Message>m1</Message>"
                 "<StringToSign>SECRET+/KEY TOKEN</StringToSign></Error>"},
        {.status = "403 No",
         .body = "<Error><Code>A</Code><Message>SECRET+/KEY</Message></Error>"},
        {.status = "403 No",
         .body = "<Error><Code>B</Code><Message>your TOKEN</Message></Error>"},
        {.deed = SCRIPT_CLOSE},
        {.status = "400 No",
         .body = "<Error><Code>AuthorizationHeaderMalformed</Code><Message>m2"
                 "</Message><Region>eu-west-1</Region></Error>"},
    };
    AUTO_S3_SCRIPT s;
    s3_script_open(&s, steps, ARRAY_LEN(steps));
    char path[] = "/tmp/mic-s3-log-XXXXXX";
    int fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    log_to_fd(fd);
    char why[S3_WHY_MAX];
    for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
        ck_assert_int_ne(put(s.store, PUT_ANY, NULL), OK);
        s.leap_us += 2000000; /* one line a second */
        s3_store_why(s.store, why);
        ck_assert_ptr_null(strstr(why, "SECRET"));
        ck_assert_ptr_null(strstr(why, "TOKEN"));
    }
    ck_assert_ptr_nonnull(strstr(
        why, "400 AuthorizationHeaderMalformed (m2); the bucket is in region eu-west-1"));
    log_to_fd(STDERR_FILENO);
    char text[8192] = {0};
    ck_assert_int_gt(pread(fd, text, sizeof(text) - 1, 0), 0);
    close(fd);
    unlink(path);
    ck_assert_ptr_nonnull(strstr(text, "SignatureDoesNotMatch (m1)"));
    ck_assert_ptr_nonnull(strstr(text, "repeats a secret"));
    ck_assert_ptr_null(strstr(text, "SECRET"));
    ck_assert_ptr_null(strstr(text, "TOKEN"));
}
END_TEST

START_TEST(long_keys_are_refused)
{
    AUTO_S3_SCRIPT s;
    s3_script_open(&s, NULL, 0);
    struct s3_options options = s3_script_options(&s);
    char prefix[256];
    char key[STORE_KEY_MAX + 1];
    char why[S3_WHY_MAX];
    memset(prefix, 'p', sizeof(prefix) - 1);
    prefix[255] = '\0';
    for (size_t i = 0; i < sizeof(key); i++)
        key[i] = i % 2 == 0 ? 'k' : '/';
    key[771] = '\0';
    struct store *store;
    options.prefix = prefix;
    ck_assert_int_eq(s3_store_open(&options, &store, why), OK);
    ck_assert_int_eq(store_delete(store, key), ERR_INVALID);
    ck_assert_uint_eq(script_requests(s.script), 0);
    key[767] = '\0';
    ck_assert_int_eq(store_delete(store, key), ERR_INVALID); /* 501, for the script is over */
    ck_assert_uint_eq(script_requests(s.script), 1);
    store_close(store);
}
END_TEST

START_TEST(options_that_make_no_sense)
{
    static const struct {
        size_t offset;
        const char *value;
        const char *says;
    } cases[] = {
        {offsetof(struct s3_options, bucket), "", "no name of a bucket"},
        {offsetof(struct s3_options, bucket), "a/b", "no name of a bucket"},
        {offsetof(struct s3_options, bucket), "a..b", "no name of a bucket"},
        {offsetof(struct s3_options, bucket), ".a", "no name of a bucket"},
        {offsetof(struct s3_options, prefix), "a//b", "the prefix"},
        {offsetof(struct s3_options, prefix), "a b", "the prefix"},
        {offsetof(struct s3_options, endpoint), "127.0.0.1:9000", "does not begin with http"},
        {offsetof(struct s3_options, endpoint), "http://", "not of the form"},
        {offsetof(struct s3_options, endpoint), "http://u@h", "not of the form"},
        {offsetof(struct s3_options, endpoint), "http://h?x", "not of the form"},
        {offsetof(struct s3_options, endpoint), "http://h h", "not of the form"},
        {offsetof(struct s3_options, region), "", "no region"},
        {offsetof(struct s3_options, region), "a/b", "no region"},
        {offsetof(struct s3_options, access_key_id), "", "there are no credentials"},
        {offsetof(struct s3_options, access_key_id), "a\r\nb", "characters"},
        {offsetof(struct s3_options, secret_access_key), NULL, "there are no credentials"},
        {offsetof(struct s3_options, session_token), "a b", "characters"},
    };
    AUTO_S3_SCRIPT s;
    s3_script_open(&s, NULL, 0);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct s3_options options = s3_script_options(&s);
        struct store *store;
        char why[S3_WHY_MAX];
        memcpy((char *)&options + cases[i].offset, &cases[i].value, sizeof(const char *));
        ck_assert_int_eq(s3_store_open(&options, &store, why), ERR_INVALID);
        ck_assert_msg(strstr(why, cases[i].says) != NULL, "case %zu: %s", i, why);
        ck_assert_ptr_null(strstr(why, "SECRET+"));
    }
}
END_TEST

START_TEST(places)
{
    static const struct {
        const char *text;
        const char *bucket; /* NULL: refused */
        const char *prefix;
    } cases[] = {
        {"s3://b", "b", ""},
        {"s3://b/", "b", ""},
        {"s3://b.c-d/e/f", "b.c-d", "e/f"},
        {"s3://b/e/", "b", "e"},
        {"s3://", NULL, NULL},
        {"s3:///e", NULL, NULL},
        {"s3://b//e", NULL, NULL},
        {"s3://b/.e", NULL, NULL},
        {"s3://b c", NULL, NULL},
        {"/s3://b", NULL, NULL},
        {"S3://b", NULL, NULL},
        {"s3://b/e//", NULL, NULL},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO(arena_release) struct arena arena = {0};
        const char *bucket;
        const char *prefix;
        int err = s3_place_parse(cases[i].text, &arena, &bucket, &prefix);
        ck_assert_msg(err == (cases[i].bucket == NULL ? ERR_INVALID : OK), "%s", cases[i].text);
        if (err == OK) {
            ck_assert_str_eq(bucket, cases[i].bucket);
            ck_assert_str_eq(prefix, cases[i].prefix);
        }
    }
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        what_a_put_sends,
        addressing,
        puts_that_did_not_happen,
        puts_that_may_have_happened,
        nothing_listens,
        only_etags_are_matched,
        deletes,
        many_at_a_time,
        threads_share_connections,
        dates_teach_the_clock,
        no_secret_is_told,
        long_keys_are_refused,
        options_that_make_no_sense,
        places,
    };
    return suite_run("s3", tests, ARRAY_LEN(tests));
}
