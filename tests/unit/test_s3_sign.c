/* The signer against AWS's own published examples:
 *   S3: "Signature Calculations for the Authorization Header: Transferring Payload in a Single
 *   Chunk" and "Authenticating Requests: Using Query Parameters", Amazon S3 API Reference
 *   (docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html and
 *   .../sigv4-query-string-auth.html);
 *   suite: the Signature Version 4 test suite (aws-sig-v4-test-suite) of the AWS General
 *   Reference, whose service is called "service". */
#include "pipeline/store/s3_sign.h"

#include "pipeline/sys/http_client.h"
#include "tests/support/suite.h"

#define EMPTY_HASH "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define S3_HOST    "examplebucket.s3.amazonaws.com"
#define S3_WHEN    "20130524T000000Z"
#define SUITE_HOST "example.amazonaws.com"
#define SUITE_WHEN "20150830T123600Z"

static struct s3_day_key s3_key(void)
{
    return s3_day_key("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", S3_WHEN, "us-east-1", "s3");
}

static struct s3_day_key suite_key(void)
{
    return s3_day_key("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", SUITE_WHEN, "us-east-1",
                      "service");
}

/* One published request: key and query as they are meant, not escaped. */
struct example {
    const char *method;
    const char *key;
    struct s3_param query[8];
    struct s3_param headers[8];
    const char *payload;
    const char *names;
    const char *signature;
};

static size_t count(const struct s3_param *params)
{
    size_t n = 0;
    while (n < 8 && params[n].name != NULL) {
        n++;
    }
    return n;
}

static void expect_signature(const struct s3_day_key *key, const char *time,
                             const struct example *example)
{
    AUTO_BUF path = {0};
    AUTO_BUF query = {0};
    AUTO_BUF names = {0};
    http_escape(&path, bytes_str(example->key), true);
    s3_query(&query, example->query, count(example->query));
    buf_append(&path, "", 1);
    buf_append(&query, "", 1);
    struct s3_request request = {
        .method = example->method,
        .path = (const char *)path.data,
        .query = (const char *)query.data,
        .headers = example->headers,
        .n_headers = count(example->headers),
        .payload = example->payload,
        .time = time,
    };
    struct hash_hex signature = s3_signature(key, &request, &names);
    buf_append(&names, "", 1);
    ck_assert_str_eq((const char *)names.data, example->names);
    ck_assert_str_eq(signature.s, example->signature);
}

START_TEST(the_examples_of_s3)
{
    static const struct example examples[] = {
        {
            "GET",
            "/test.txt",
            {{0}},
            {{"range", "bytes=0-9"},
             {"host", S3_HOST},
             {"x-amz-date", S3_WHEN},
             {"x-amz-content-sha256", EMPTY_HASH}},
            EMPTY_HASH,
            "host;range;x-amz-content-sha256;x-amz-date",
            "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
        },
        {
            "PUT",
            "/test$file.text",
            {{0}},
            {{"date", "Fri, 24 May 2013 00:00:00 GMT"},
             {"host", S3_HOST},
             {"x-amz-date", S3_WHEN},
             {"x-amz-storage-class", "REDUCED_REDUNDANCY"},
             {"x-amz-content-sha256",
              "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072"}},
            "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072",
            "date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class",
            "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd",
        },
        {
            "GET",
            "/",
            {{"lifecycle", ""}},
            {{"host", S3_HOST}, {"x-amz-date", S3_WHEN}, {"x-amz-content-sha256", EMPTY_HASH}},
            EMPTY_HASH,
            "host;x-amz-content-sha256;x-amz-date",
            "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543",
        },
        {
            "GET",
            "/",
            {{"prefix", "J"}, {"max-keys", "2"}},
            {{"host", S3_HOST}, {"x-amz-date", S3_WHEN}, {"x-amz-content-sha256", EMPTY_HASH}},
            EMPTY_HASH,
            "host;x-amz-content-sha256;x-amz-date",
            "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7",
        },
        /* The presigned request is the published one whose payload is not signed. */
        {
            "GET",
            "/test.txt",
            {{"X-Amz-Algorithm", "AWS4-HMAC-SHA256"},
             {"X-Amz-Credential", "AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request"},
             {"X-Amz-SignedHeaders", "host"},
             {"X-Amz-Expires", "86400"},
             {"X-Amz-Date", S3_WHEN}},
            {{"host", S3_HOST}},
            S3_UNSIGNED_PAYLOAD,
            "host",
            "aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404",
        },
    };
    struct s3_day_key key = s3_key();
    ck_assert_str_eq(key.scope, "20130524/us-east-1/s3/aws4_request");
    for (size_t i = 0; i < ARRAY_LEN(examples); i++) {
        expect_signature(&key, S3_WHEN, &examples[i]);
    }
}
END_TEST

#define UNRESERVED "-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
#define TOKEN                                                              \
    "AQoDYXdzEPT//////////"                                                \
    "wEXAMPLEtc764bNrC9SAPBSM22wDOk4x4HIZ8j4FZTwdQWLWsKWHGBuFqwAeMicRXmxf" \
    "pSPfIeoIYRqTflfKD8YUuwthAx7mSEI/qkPpKPi/"                             \
    "kMcGdQrmGdeehM4IC1NtBmUpp2wUE8phUZampKsburEDy0KPk"                    \
    "yQDYwT7WZ0wq5VSXDvp75YU9HFvlRd8Tx6q6fE8YQcHNVXAkiY9q6d+"              \
    "xo0rKwT38xVqr7ZD0u0iPPkUL64lIZbqBA"                                   \
    "z+scqKmlzm8FDrypNC9Yjc8fPOLn9FX9KSYvKTr4rvx3iSIlTJabIQwj2ICCR/oLxBA=="

START_TEST(the_test_suite)
{
    static const struct example examples[] = {
        /* get-vanilla */
        {
            "GET",
            "/",
            {{0}},
            {{"host", SUITE_HOST}, {"x-amz-date", SUITE_WHEN}},
            EMPTY_HASH,
            "host;x-amz-date",
            "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
        },
        /* get-vanilla-query-order-key-case */
        {
            "GET",
            "/",
            {{"Param2", "value2"}, {"Param1", "value1"}},
            {{"host", SUITE_HOST}, {"x-amz-date", SUITE_WHEN}},
            EMPTY_HASH,
            "host;x-amz-date",
            "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
        },
        /* get-vanilla-query-unreserved */
        {
            "GET",
            "/",
            {{UNRESERVED, UNRESERVED}},
            {{"host", SUITE_HOST}, {"x-amz-date", SUITE_WHEN}},
            EMPTY_HASH,
            "host;x-amz-date",
            "9c3e54bfcdf0b19771a7f523ee5669cdf59bc7cc0884027167c21bb143a40197",
        },
        /* get-utf8 */
        {
            "GET",
            "/\xe1\x88\xb4",
            {{0}},
            {{"host", SUITE_HOST}, {"x-amz-date", SUITE_WHEN}},
            EMPTY_HASH,
            "host;x-amz-date",
            "8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85",
        },
        /* post-sts-header-before */
        {
            "POST",
            "/",
            {{0}},
            {{"x-amz-security-token", TOKEN}, {"host", SUITE_HOST}, {"x-amz-date", SUITE_WHEN}},
            EMPTY_HASH,
            "host;x-amz-date;x-amz-security-token",
            "85d96828115b5dc0cfc3bd16ad9e210dd772bbebba041836c64533a82be05ead",
        },
    };
    struct s3_day_key key = suite_key();
    for (size_t i = 0; i < ARRAY_LEN(examples); i++) {
        expect_signature(&key, SUITE_WHEN, &examples[i]);
    }
}
END_TEST

/* "Derive the signing key" of the AWS General Reference. */
START_TEST(the_key_of_a_day)
{
    struct s3_day_key key =
        s3_day_key("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "20150830", "us-east-1", "iam");
    ck_assert_str_eq(hash_hex(&key.key).s,
                     "c4afb1cc5771d871763a393e44b703571b55cc28424d1a5e86da6ed3c154a4b9");
    ck_assert_str_eq(key.scope, "20150830/us-east-1/iam/aws4_request");
}
END_TEST

START_TEST(the_authorization_header)
{
    static const struct s3_param headers[] = {{"range", "bytes=0-9"},
                                              {"host", S3_HOST},
                                              {"x-amz-date", S3_WHEN},
                                              {"x-amz-content-sha256", EMPTY_HASH}};
    struct s3_day_key key = s3_key();
    struct s3_request request = {.method = "GET",
                                 .path = "/test.txt",
                                 .query = "",
                                 .headers = headers,
                                 .n_headers = ARRAY_LEN(headers),
                                 .payload = EMPTY_HASH,
                                 .time = S3_WHEN};
    AUTO_BUF out = {0};
    s3_sign(&key, "AKIAIOSFODNN7EXAMPLE", &request, &out);
    buf_append(&out, "", 1);
    ck_assert_str_eq(
        (const char *)out.data,
        "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,"
        "SignedHeaders=host;range;x-amz-content-sha256;x-amz-date,"
        "Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41");
}
END_TEST

static const char *text_of(struct buf *buf)
{
    buf_append(buf, "", 1);
    return (const char *)buf->data;
}

START_TEST(paths_and_queries)
{
    AUTO_BUF path = {0};
    http_escape(&path, bytes_str("/a/b c+%?&#=:@\"<>\\^`{|}\x01\x7f\xc3\xa4//./~-_."), true);
    ck_assert_str_eq(text_of(&path), "/a/b%20c%2B%25%3F%26%23%3D%3A%40%22%3C%3E%5C%5E%60%7B%7C"
                                     "%7D%01%7F%C3%A4//./~-_.");
    static const struct s3_param params[] = {{"start-after", "p/a b+%/\xc3\xa4"},
                                             {"list-type", "2"},
                                             {"a", "2"},
                                             {"prefix", ""},
                                             {"a", "10"},
                                             {"a b", "=&"}};
    AUTO_BUF query = {0};
    s3_query(&query, params, ARRAY_LEN(params));
    ck_assert_str_eq(text_of(&query),
                     "a=10&a=2&a%20b=%3D%26&list-type=2&prefix=&start-after=p%2Fa%20b%2B%25%2F"
                     "%C3%A4");
    AUTO_BUF none = {0};
    s3_query(&none, NULL, 0);
    ck_assert_uint_eq(none.len, 0);
}
END_TEST

/* Spaces around and inside a header's value count as the server counts them. */
START_TEST(values_are_trimmed)
{
    static const struct s3_param given[] = {{"host", "  h \t x   y  "}, {"x-amz-date", "d"}};
    static const struct s3_param meant[] = {{"host", "h \t x y"}, {"x-amz-date", "d"}};
    struct s3_day_key key = s3_key();
    struct s3_request request = {.method = "GET",
                                 .path = "/",
                                 .query = "",
                                 .headers = given,
                                 .n_headers = ARRAY_LEN(given),
                                 .payload = S3_UNSIGNED_PAYLOAD,
                                 .time = S3_WHEN};
    AUTO_BUF names = {0};
    struct hash_hex one = s3_signature(&key, &request, &names);
    request.headers = meant;
    struct hash_hex two = s3_signature(&key, &request, &names);
    ck_assert_str_eq(one.s, two.s);
}
END_TEST

START_TEST(times)
{
    char text[S3_TIME_LEN + 1];
    s3_time(0, text);
    ck_assert_str_eq(text, "19700101T000000Z");
    s3_time(1369353600999, text);
    ck_assert_str_eq(text, "20130524T000000Z");
    s3_time(951827696000, text);
    ck_assert_str_eq(text, "20000229T123456Z");
    s3_time(UINT64_MAX, text);
    ck_assert_uint_eq(strlen(text), S3_TIME_LEN);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        the_examples_of_s3,
        the_test_suite,
        the_key_of_a_day,
        the_authorization_header,
        paths_and_queries,
        values_are_trimmed,
        times,
    };
    return suite_run("s3_sign", tests, ARRAY_LEN(tests));
}
