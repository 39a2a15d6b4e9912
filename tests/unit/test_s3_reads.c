/* What the s3 store makes of the answers to gets and lists. */
#include <stdio.h>

#include "tests/support/s3_script.h"
#include "tests/support/store_rig.h"
#include "tests/support/suite.h"

#define DIGITS                                                          \
    {                                                                   \
        .status = "200 OK", .headers = ETAG("e1"), .body = "0123456789" \
    }
#define PART(from, to, text)                                                                  \
    {                                                                                         \
        .status = "206 Partial",                                                              \
        .headers = ETAG("e1") "Content-Range: bytes " #from "-" #to "/10\r\n", .body = (text) \
    }
#define SIZE_10                                                         \
    {                                                                   \
        .status = "200 OK", .headers = ETAG("e1"), .body = "0123456789" \
    }
#define SIZE_0                                    \
    {                                             \
        .status = "200 OK", .headers = ETAG("e0") \
    }
#define BAD_RANGE                                              \
    {                                                          \
        .status = "416 No", .body = ERROR_BODY("InvalidRange") \
    }
#define ERROR_500                                               \
    {                                                           \
        .status = "500 No", .body = ERROR_BODY("InternalError") \
    }
#define HTML(s)                                                                            \
    {                                                                                      \
        .status = (s), .headers = "Content-Type: text/html\r\n", .body = "<html>no</html>" \
    }
#define NOT_FOUND                                           \
    {                                                       \
        .status = "404 No", .body = ERROR_BODY("NoSuchKey") \
    }

struct get_case {
    struct script_step steps[S3_SCRIPT_TRIES + 1];
    struct store_range range;
    int err;
    const char *text;
    uint64_t size;
    unsigned requests;
};

#define ALL               \
    {                     \
        .kind = RANGE_ALL \
    }
#define FROM(o, l)                                    \
    {                                                 \
        .kind = RANGE_FROM, .offset = (o), .len = (l) \
    }
#define SUFFIX(l)                        \
    {                                    \
        .kind = RANGE_SUFFIX, .len = (l) \
    }
#define NONE               \
    {                      \
        .kind = RANGE_NONE \
    }

static void expect_gets(const struct get_case *cases, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        AUTO_S3_SCRIPT s;
        AUTO_BUF body = {0};
        struct etag etag = {"none"};
        uint64_t size = 77;
        s3_script_open(&s, cases[i].steps, ARRAY_LEN(cases[i].steps));
        buf_append(&body, "before", 6);
        int err = store_get(s.store, "k", cases[i].range, &body, &etag, &size);
        ck_assert_msg(err == cases[i].err, "case %zu gives %s", i, err_name(err));
        ck_assert_msg(script_requests(s.script) == cases[i].requests, "case %zu sends %u", i,
                      script_requests(s.script));
        struct bytes got = bytes_of(body.data + 6, body.len - 6);
        const char *text = err == OK ? cases[i].text : "";
        ck_assert_msg(bytes_equal(got, bytes_str(text)), "case %zu: '%.*s'", i, (int)got.len,
                      (const char *)got.data);
        ck_assert_int_eq(memcmp(body.data, "before", 6), 0);
        ck_assert_uint_eq(size, err == OK ? cases[i].size : 77);
        ck_assert_str_eq(etag.s, err != OK ? "none" : size == 0 ? "e0" : "e1");
    }
}

START_TEST(ranges)
{
    static const struct get_case cases[] = {
        {{DIGITS}, ALL, OK, "0123456789", 10, 1},
        {{{.status = "200 OK", .headers = ETAG("e0")}}, ALL, OK, "", 0, 1},
        {{PART(2, 4, "234")}, FROM(2, 3), OK, "234", 10, 1},
        {{PART(8, 9, "89")}, FROM(8, 100), OK, "89", 10, 1},
        {{PART(8, 9, "89")}, FROM(8, UINT64_MAX), OK, "89", 10, 1},
        {{PART(7, 9, "789")}, SUFFIX(3), OK, "789", 10, 1},
        {{PART(0, 9, "0123456789")}, SUFFIX(UINT64_MAX), OK, "0123456789", 10, 1},
        /* A server that knows no ranges. */
        {{DIGITS}, FROM(2, 3), OK, "234", 10, 1},
        {{DIGITS}, FROM(10, 3), OK, "", 10, 1},
        {{DIGITS}, FROM(11, 3), ERR_INVALID, "", 0, 1},
        {{DIGITS}, SUFFIX(3), OK, "789", 10, 1},
        {{DIGITS}, SUFFIX(20), OK, "0123456789", 10, 1},
        /* What no Range can say is answered by the size. */
        {{SIZE_10}, NONE, OK, "", 10, 1},
        {{SIZE_10}, SUFFIX(0), OK, "", 10, 1},
        {{SIZE_10}, FROM(10, 0), OK, "", 10, 1},
        {{SIZE_10}, FROM(11, 0), ERR_INVALID, "", 0, 1},
        {{SIZE_10}, FROM(1ull << 62, 1), ERR_INVALID, "", 0, 1},
        {{SIZE_0}, NONE, OK, "", 0, 1},
        {{BAD_RANGE, SIZE_10}, FROM(10, 5), OK, "", 10, 2},
        {{BAD_RANGE, SIZE_10}, FROM(11, 5), ERR_INVALID, "", 0, 2},
        {{BAD_RANGE, SIZE_0}, SUFFIX(9), OK, "", 0, 2},
        {{BAD_RANGE, SIZE_0}, FROM(0, 9), OK, "", 0, 2},
        {{BAD_RANGE, {.status = "404 No"}}, FROM(0, 9), ERR_NOT_FOUND, "", 0, 2},
        /* The object grew in between. */
        {{BAD_RANGE, SIZE_10, PART(2, 4, "234")}, FROM(2, 3), OK, "234", 10, 3},
    };
    expect_gets(cases, ARRAY_LEN(cases));
}
END_TEST

START_TEST(what_is_asked_for)
{
    static const struct script_step steps[] = {
        DIGITS, PART(2, 4, "234"), PART(2, 9, "23456789"), PART(7, 9, "789"), SIZE_10};
    AUTO_S3_SCRIPT s;
    AUTO_BUF body = {0};
    s3_script_open(&s, steps, ARRAY_LEN(steps));
    ck_assert_int_eq(store_get(s.store, "a/b-c", range_all(), &body, NULL, NULL), OK);
    s3_script_expect_line(&s, 0, "GET /bucket/pre/a/b-c HTTP/1.1");
    s3_script_expect_no_header(&s, 0, "range");
    ck_assert_int_eq(store_get(s.store, "k", range_of(2, 3), &body, NULL, NULL), OK);
    s3_script_expect_line(&s, 1, "range: bytes=2-4");
    ck_assert_ptr_nonnull(strstr(script_seen(s.script, 1), "SignedHeaders=host;range;x-amz"));
    ck_assert_int_eq(store_get(s.store, "k", range_of(2, UINT64_MAX), &body, NULL, NULL), OK);
    s3_script_expect_line(&s, 2, "range: bytes=2-2147483650");
    ck_assert_int_eq(store_get(s.store, "k", range_suffix(3), &body, NULL, NULL), OK);
    s3_script_expect_line(&s, 3, "range: bytes=-3");
    ck_assert_int_eq(store_get(s.store, "k", range_none(), NULL, NULL, NULL), OK);
    s3_script_expect_line(&s, 4, "HEAD /bucket/pre/k HTTP/1.1");
}
END_TEST

/* A read that went wrong is made again, and gives nothing of what came of the first. */
START_TEST(reads_are_tried_again)
{
    static const struct get_case cases[] = {
        {{ERROR_500, DIGITS}, ALL, OK, "0123456789", 10, 2},
        {{ERROR_500, ERROR_500, ERROR_500, DIGITS}, ALL, ERR_AGAIN, "", 0, 3},
        {{HTML("502 Bad"), HTML("503 Bad"), DIGITS}, ALL, OK, "0123456789", 10, 3},
        {{{.status = "200 OK", .headers = ETAG("e1"), .body = "01234", .missing = 5}, DIGITS},
         ALL,
         OK,
         "0123456789",
         10,
         2},
        {{{.deed = SCRIPT_CLOSE}, DIGITS}, ALL, OK, "0123456789", 10, 2},
        {{{.deed = SCRIPT_STALL}, DIGITS}, ALL, OK, "0123456789", 10, 2},
        {{{.deed = SCRIPT_RAW, .body = "garbage\r\n\r\n", .close = true}, DIGITS},
         ALL,
         OK,
         "0123456789",
         10,
         2},
        {{HTML("200 OK"), DIGITS}, ALL, OK, "0123456789", 10, 2},
        {{{.status = "200 OK", .headers = "ETag: W/\"e1\"\r\n", .body = "x"}, DIGITS},
         ALL,
         OK,
         "0123456789",
         10,
         2},
        {{{.deed = SCRIPT_RAW,
           .body = "HTTP/1.1 200 OK\r\n" ETAG("e1") "\r\nno length",
           .close = true},
          DIGITS},
         ALL,
         OK,
         "0123456789",
         10,
         2},
        {{HTML("404 No"), DIGITS}, ALL, OK, "0123456789", 10, 2},
        {{HTML("404 No"), SIZE_10}, NONE, OK, "", 10, 2},
        {{PART(0, 9, "0123456789"), DIGITS}, ALL, OK, "0123456789", 10, 2},
        {{PART(3, 5, "345"), PART(2, 4, "234")}, FROM(2, 3), OK, "234", 10, 2},
        {{PART(2, 4, "23"), PART(2, 4, "234")}, FROM(2, 3), OK, "234", 10, 2},
        {{PART(2, 3, "23"), PART(2, 4, "234")}, FROM(2, 3), OK, "234", 10, 2},
        {{{.status = "206 Partial", .headers = ETAG("e1"), .body = "234"}, PART(2, 4, "234")},
         FROM(2, 3),
         OK,
         "234",
         10,
         2},
        {{{.status = "206 Partial",
           .headers = ETAG("e1") "Content-Range: bytes 2-4/*\r\n",
           .body = "234"},
          PART(2, 4, "234")},
         FROM(2, 3),
         OK,
         "234",
         10,
         2},
        {{BAD_RANGE, SIZE_10, BAD_RANGE, SIZE_10}, FROM(2, 3), ERR_AGAIN, "", 0, 4},
    };
    expect_gets(cases, ARRAY_LEN(cases));
}
END_TEST

START_TEST(reads_that_end)
{
    static const struct get_case cases[] = {
        {{NOT_FOUND, DIGITS}, ALL, ERR_NOT_FOUND, "", 0, 1},
        {{{.status = "404 No"}, SIZE_10}, NONE, ERR_NOT_FOUND, "", 0, 1},
        {{{.status = "404 No", .body = ERROR_BODY("NoSuchBucket")}, DIGITS},
         ALL,
         ERR_DENIED,
         "",
         0,
         1},
        {{{.status = "403 No", .body = ERROR_BODY("AccessDenied")}, DIGITS},
         ALL,
         ERR_DENIED,
         "",
         0,
         1},
        {{{.status = "403 No"}, SIZE_10}, NONE, ERR_DENIED, "", 0, 1},
        {{{.deed = SCRIPT_RAW,
           .body =
               "HTTP/1.1 200 OK\r\n" ETAG("e1") "Content-Length: 2147483649\r\n\r\nbeginning",
           .close = true},
          DIGITS},
         ALL,
         ERR_LIMIT,
         "",
         0,
         1},
    };
    expect_gets(cases, ARRAY_LEN(cases));
}
END_TEST

/* ---- lists ---- */

#define LIST(truncated, inner)                                                              \
    {                                                                                       \
        .status = "200 OK",                                                                 \
        .body = "<ListBucketResult><EncodingType>url</EncodingType><IsTruncated>" truncated \
                "</IsTruncated>" inner "</ListBucketResult>"                                \
    }
#define KEY(key)     "<Contents><Key>" key "</Key><Size>7</Size></Contents>"
#define TOKEN(token) "<NextContinuationToken>" token "</NextContinuationToken>"

static void expect_list(struct s3_script *s, const char *after, size_t max,
                        const char *const *keys, size_t n, bool more)
{
    AUTO(arena_release) struct arena arena = {0};
    struct store_list list;
    ck_assert_int_eq(store_list(s->store, &arena, "a", after, max, &list), OK);
    ck_assert_uint_eq(list.n, n);
    for (size_t i = 0; i < n; i++) {
        ck_assert_str_eq(list.keys[i].key, keys[i]);
        ck_assert_uint_eq(list.keys[i].size, 7);
    }
    ck_assert(list.more == more);
}

START_TEST(pages_of_lists)
{
    static const struct script_step steps[] = {
        LIST("true", TOKEN("t%/+=") KEY("pre%2Fa1") KEY("pre/a2")),
        LIST("true", KEY("pre/a3")),
        LIST("false", KEY("pre/a4")),
    };
    static const char *const keys[] = {"a1", "a2", "a3", "a4"};
    AUTO_S3_SCRIPT s;
    s3_script_open(&s, steps, ARRAY_LEN(steps));
    expect_list(&s, "a0/x", 10, keys, 4, false);
    s3_script_expect_line(&s, 0,
                          "GET /bucket?encoding-type=url&list-type=2&max-keys=10&prefix=pre%2Fa"
                          "&start-after=pre%2Fa0%2Fx HTTP/1.1");
    s3_script_expect_line(&s, 1,
                          "GET /bucket?continuation-token=t%25%2F%2B%3D&encoding-type=url"
                          "&list-type=2&max-keys=8&prefix=pre%2Fa HTTP/1.1");
    /* Without a token the last name does. */
    s3_script_expect_line(&s, 2,
                          "GET /bucket?encoding-type=url&list-type=2&max-keys=7&prefix=pre%2Fa"
                          "&start-after=pre%2Fa3 HTTP/1.1");
}
END_TEST

START_TEST(as_many_as_are_wanted)
{
    static const struct script_step steps[] = {
        LIST("true", TOKEN("t") KEY("pre/a1") KEY("pre/a2")),
        LIST("false", KEY("pre/a1") KEY("pre/a2") KEY("pre/a3")),
        LIST("false", KEY("pre/a1")),
        LIST("false", ""),
    };
    static const char *const keys[] = {"a1", "a2"};
    AUTO_S3_SCRIPT s;
    s3_script_open(&s, steps, ARRAY_LEN(steps));
    expect_list(&s, "", 2, keys, 2, true);
    /* A server that gives more than was asked for. */
    expect_list(&s, "", 2, keys, 2, true);
    expect_list(&s, "", 0, NULL, 0, true);
    expect_list(&s, "", 0, NULL, 0, false);
    ck_assert_ptr_nonnull(strstr(script_seen(s.script, 2), "max-keys=1&"));
}
END_TEST

/* Objects that somebody else put there are not ours. */
START_TEST(foreign_names_are_left_out)
{
    static const struct script_step steps[] = {
        LIST("true", TOKEN("1") KEY("pre/a%20b+c%2B") KEY("pre/a%2F") KEY("pre/a%2F.x")),
        LIST("true", TOKEN("2") KEY("pre/a%2F%2Fx") KEY("pre/a%2Fb%00c") KEY("pre/a1")),
        LIST("false", KEY("pre/a2%C3%A4") KEY("pre/a3")),
    };
    static const char *const keys[] = {"a1", "a3"};
    AUTO_S3_SCRIPT s;
    s3_script_open(&s, steps, ARRAY_LEN(steps));
    expect_list(&s, "", 10, keys, 2, false);
}
END_TEST

static int list_err(const struct script_step *steps, size_t n, unsigned *requests)
{
    AUTO_S3_SCRIPT s;
    AUTO(arena_release) struct arena arena = {0};
    struct store_list list;
    s3_script_open(&s, steps, n);
    int err = store_list(s.store, &arena, "a", "a0", 10, &list);
    *requests = script_requests(s.script);
    return err;
}

START_TEST(lists_that_are_none)
{
    static const struct {
        struct script_step steps[S3_SCRIPT_TRIES + 1];
        int err;
        unsigned requests;
    } cases[] = {
        {{HTML("200 OK"), LIST("false", "")}, OK, 2},
        {{{.status = "200 OK"}, LIST("false", "")}, OK, 2},
        {{{.status = "200 OK", .body = "<ListBucketResult><IsTrunc"}, LIST("false", "")},
         OK,
         2},
        {{{.status = "200 OK", .body = "<ListBucketResult><IsTruncated>false", .missing = 9},
          LIST("false", "")},
         OK,
         2},
        {{{.status = "200 OK", .body = ERROR_BODY("InternalError")}, LIST("false", "")}, OK, 2},
        {{ERROR_500, LIST("false", "")}, OK, 2},
        {{ERROR_500, ERROR_500, ERROR_500}, ERR_AGAIN, 3},
        {{NOT_FOUND, LIST("false", "")}, OK, 2},
        {{{.status = "404 No", .body = ERROR_BODY("NoSuchBucket")}}, ERR_DENIED, 1},
        {{{.status = "403 No", .body = ERROR_BODY("AccessDenied")}}, ERR_DENIED, 1},
        {{LIST("false", KEY("pre/a2") KEY("pre/a1"))}, ERR_CORRUPT, 1},
        {{LIST("false", KEY("pre/a1") KEY("pre/a1"))}, ERR_CORRUPT, 1},
        {{LIST("false", KEY("pre/a0"))}, ERR_CORRUPT, 1},
        {{LIST("false", KEY("pre/b"))}, ERR_CORRUPT, 1},
        {{LIST("false", KEY("a1"))}, ERR_CORRUPT, 1},
        {{LIST("true", "")}, ERR_CORRUPT, 1},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        unsigned requests;
        int err = list_err(cases[i].steps, ARRAY_LEN(cases[i].steps), &requests);
        ck_assert_msg(err == cases[i].err, "case %zu gives %s", i, err_name(err));
        ck_assert_msg(requests == cases[i].requests, "case %zu sends %u", i, requests);
    }
}
END_TEST

static void answer_for_ever(void *arg, const char *request UNUSED, struct script_step *out)
{
    (void)arg;
    *out = (struct script_step)LIST("true", TOKEN("t"));
}

/* A bucket of nothing but foreign objects does not hold a caller for ever. */
START_TEST(endless_lists_end)
{
    AUTO_S3_SCRIPT s;
    AUTO(arena_release) struct arena arena = {0};
    struct store_list list;
    s3_script_open_answering(&s, answer_for_ever, NULL);
    ck_assert_int_eq(store_list(s.store, &arena, "", "", 10, &list), ERR_LIMIT);
    ck_assert_uint_eq(script_requests(s.script), 1000);
}
END_TEST

START_TEST(a_bucket_without_prefix)
{
    static const struct script_step steps[] = {LIST("false", KEY("x%2Fy")), LIST("false", "")};
    AUTO_S3_SCRIPT s;
    s3_script_open(&s, steps, ARRAY_LEN(steps));
    struct s3_options options = s3_script_options(&s);
    options.prefix = "";
    char why[S3_WHY_MAX];
    struct store *store;
    ck_assert_int_eq(s3_store_open(&options, &store, why), OK);
    AUTO(arena_release) struct arena arena = {0};
    struct store_list list;
    ck_assert_int_eq(store_list(store, &arena, "", "", 10, &list), OK);
    ck_assert_str_eq(list.keys[0].key, "x/y");
    s3_script_expect_line(
        &s, 0, "GET /bucket?encoding-type=url&list-type=2&max-keys=10&prefix= HTTP/1.1");
    store_close(store);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        ranges,
        what_is_asked_for,
        reads_are_tried_again,
        reads_that_end,
        pages_of_lists,
        as_many_as_are_wanted,
        foreign_names_are_left_out,
        lists_that_are_none,
        endless_lists_end,
        a_bucket_without_prefix,
    };
    return suite_run("s3 reads", tests, ARRAY_LEN(tests));
}
