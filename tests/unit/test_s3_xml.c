#include "pipeline/store/s3_xml.h"

#include "formats/base/buf.h"
#include "tests/support/suite.h"

#define HEAD "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
#define LIST HEAD "<ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">"

static const char sample[] =
    LIST "<Name>b</Name><Prefix>a/</Prefix><MaxKeys>2</MaxKeys><KeyCount>2</KeyCount>"
         "<EncodingType>url</EncodingType><IsTruncated>true</IsTruncated>\n  "
         "<NextContinuationToken>1ueGcxLPRx1Tr/XYExHnhbYLgveDs2J/wm36Hy4vbOwM=&lt;</"
         "NextContinuationToken>"
         "<Contents><Key>a/b%20c%2B%25+d%C3%A4</Key><LastModified>2009-10-12T17:50:30.000Z"
         "</LastModified><ETag>\"fba9dede5f27731c9771645a39863328\"</ETag><Size>434234</Size>"
         "<Owner><ID>x</ID><DisplayName>Key</DisplayName></Owner></Contents>\n"
         "<Contents><Size>0</Size><Key>a/z%00y</Key></Contents>"
         "<CommonPrefixes><Prefix>a/c/</Prefix></CommonPrefixes>"
         "</ListBucketResult>";

static int parse(const char *xml, struct arena *arena, struct s3_page *page)
{
    return s3_page_parse(bytes_str(xml), arena, page);
}

START_TEST(a_page)
{
    AUTO(arena_release) struct arena arena = {0};
    struct s3_page page;
    ck_assert_int_eq(parse(sample, &arena, &page), OK);
    ck_assert_uint_eq(page.n, 2);
    ck_assert(page.truncated);
    ck_assert_str_eq(page.token, "1ueGcxLPRx1Tr/XYExHnhbYLgveDs2J/wm36Hy4vbOwM=<");
    ck_assert(bytes_equal(page.entries[0].key, bytes_str("a/b c+% d\xc3\xa4")));
    ck_assert_uint_eq(page.entries[0].size, 434234);
    ck_assert(bytes_equal(page.entries[1].key, bytes_of("a/z\0y", 5)));
    ck_assert_uint_eq(page.entries[1].size, 0);
    ck_assert_uint_eq(page.entries[0].put_ms, 1255369830000);
    ck_assert_uint_eq(page.entries[1].put_ms, 0);
}
END_TEST

static uint64_t time_of(const char *text)
{
    AUTO(arena_release) struct arena arena = {0};
    AUTO_BUF xml = {0};
    struct s3_page page;
    buf_printf(&xml,
               "<ListBucketResult><IsTruncated>false</IsTruncated><Contents><Key>k</Key><Size>1"
               "</Size><LastModified>%s</LastModified></Contents></ListBucketResult>",
               text);
    ck_assert_int_eq(s3_page_parse(buf_bytes(&xml), &arena, &page), OK);
    return page.entries[0].put_ms;
}

START_TEST(when_an_object_was_put)
{
    ck_assert_uint_eq(time_of("1970-01-01T00:00:00.001Z"), 1);
    ck_assert_uint_eq(time_of("2000-02-29T23:59:59Z"), 951868799000);
    ck_assert_uint_eq(time_of("2024-03-01T00:00:00.123456Z"), 1709251200123);
    ck_assert_uint_eq(time_of("2026-12-31T12:00:00.5Z"), 1798718400500);
    static const char *const bad[] = {"",
                                      "2009-10-12",
                                      "2009-10-12 17:50:30Z",
                                      "2009-10-12T17:50:30",
                                      "2009-10-12T17:50:30+01:00",
                                      "2009-13-12T17:50:30Z",
                                      "2009-00-12T17:50:30Z",
                                      "1969-10-12T17:50:30Z",
                                      "2009-10-12T24:50:30Z",
                                      "-009-10-12T17:50:30Z",
                                      "2009-10-12T17:50:30.000ZZ"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        ck_assert_uint_eq(time_of(bad[i]), 0);
}
END_TEST

START_TEST(a_page_that_is_not_escaped)
{
    AUTO(arena_release) struct arena arena = {0};
    struct s3_page page;
    ck_assert_int_eq(parse("<ListBucketResult><IsTruncated>false</IsTruncated><Contents><Key>"
                           "a%20+&amp;&#x41;</Key><Size>1</Size></Contents></ListBucketResult>",
                           &arena, &page),
                     OK);
    ck_assert(!page.truncated);
    ck_assert_str_eq(page.token, "");
    ck_assert(bytes_equal(page.entries[0].key, bytes_str("a%20+&A")));
    ck_assert_int_eq(
        parse("<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>", &arena,
              &page),
        OK);
    ck_assert_uint_eq(page.n, 0);
}
END_TEST

START_TEST(half_a_page_is_none)
{
    for (size_t len = 0; len < sizeof(sample) - 1; len++) {
        AUTO(arena_release) struct arena arena = {0};
        struct s3_page page;
        ck_assert_int_eq(s3_page_parse(bytes_of(sample, len), &arena, &page), ERR_CORRUPT);
    }
}
END_TEST

#define ENTRY(inner)                                                     \
    "<ListBucketResult><IsTruncated>false</IsTruncated><Contents>" inner \
    "</Contents></ListBucketResult>"

START_TEST(what_is_no_page)
{
    static const char *const bad[] = {
        "",
        "hello",
        "<html><body>504 Gateway Time-out</body></html>",
        HEAD "<Error><Code>AccessDenied</Code></Error>",
        "<ListBucketResult></ListBucketResult>",
        "<ListBucketResult><IsTruncated>perhaps</IsTruncated></ListBucketResult>",
        "<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult><more/>",
        ENTRY("<Key>a</Key>"),
        ENTRY("<Size>1</Size>"),
        ENTRY("<Key></Key><Size>1</Size>"),
        ENTRY("<Key>a</Key><Size>-1</Size>"),
        ENTRY("<Key>a</Key><Size>1x</Size>"),
        ENTRY("<Key>a</Key><Size></Size>"),
        ENTRY("<Key>a</Key><Size>99999999999999999999</Size>"),
        ENTRY("<Key>a&nbsp;</Key><Size>1</Size>"),
        "<!DOCTYPE x [<!ENTITY a \"b\">]>" ENTRY("<Key>&a;</Key><Size>1</Size>"),
        "<!DOCTYPE ListBucketResult>" ENTRY("<Key>a</Key><Size>1</Size>"),
        "<ListBucketResult><EncodingType>url</EncodingType><IsTruncated>false</IsTruncated>"
        "<Contents><Key>a%2</Key><Size>1</Size></Contents></ListBucketResult>",
        "<ListBucketResult><EncodingType>url</EncodingType><IsTruncated>false</IsTruncated>"
        "<Contents><Key>a%zz</Key><Size>1</Size></Contents></ListBucketResult>",
        "<a><a><a><a><a><a><a><a><a><a><a><a><a><a><a><a><a><a>",
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        AUTO(arena_release) struct arena arena = {0};
        struct s3_page page;
        ck_assert_msg(parse(bad[i], &arena, &page) == ERR_CORRUPT, "%s", bad[i]);
    }
}
END_TEST

START_TEST(deep_and_long_documents)
{
    AUTO_BUF deep = {0};
    AUTO_BUF wide = {0};
    AUTO(arena_release) struct arena arena = {0};
    struct s3_page page;
    buf_printf(&deep, "<ListBucketResult><IsTruncated>false</IsTruncated>");
    for (int i = 0; i < 100; i++)
        buf_printf(&deep, "<x>");
    for (int i = 0; i < 100; i++)
        buf_printf(&deep, "</x>");
    buf_printf(&deep, "</ListBucketResult>");
    ck_assert_int_eq(s3_page_parse(buf_bytes(&deep), &arena, &page), ERR_CORRUPT);
    buf_printf(&wide, "<ListBucketResult><IsTruncated>false</IsTruncated><x>");
    for (int i = 0; i < 40000; i++)
        buf_printf(&wide, "x");
    buf_printf(&wide, "</x></ListBucketResult>");
    ck_assert_int_eq(s3_page_parse(buf_bytes(&wide), &arena, &page), ERR_CORRUPT);
}
END_TEST

START_TEST(errors)
{
    struct s3_error error;
    ck_assert_int_eq(
        s3_error_parse(bytes_str(HEAD "<Error><Code>AuthorizationHeaderMalformed</Code>"
                                      "<Message>the region 'x' is wrong</Message>"
                                      "<Region>eu-west-1</Region><RequestId>1</RequestId>"
                                      "<a><Code>Other</Code></a></Error>"),
                       &error),
        OK);
    ck_assert_str_eq(error.code, "AuthorizationHeaderMalformed");
    ck_assert_str_eq(error.message, "the region 'x' is wrong");
    ck_assert_str_eq(error.region, "eu-west-1");
    ck_assert_int_eq(
        s3_error_parse(
            bytes_str("<Error><Code>PreconditionFailed</Code><Message></Message></Error>"),
            &error),
        OK);
    ck_assert_str_eq(error.code, "PreconditionFailed");
    ck_assert_str_eq(error.message, "");
    static const char *const bad[] = {"",
                                      "<html>no</html>",
                                      "<Error></Error>",
                                      "<Error><Code>Slow",
                                      "<Error><Code></Code></Error>",
                                      "<!DOCTYPE Error><Error><Code>A</Code></Error>"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        ck_assert_int_eq(s3_error_parse(bytes_str(bad[i]), &error), ERR_CORRUPT);
    AUTO_BUF longer = {0};
    buf_printf(&longer, "<Error><Code>%0999d</Code></Error>", 0);
    ck_assert_int_eq(s3_error_parse(buf_bytes(&longer), &error), OK);
    ck_assert_uint_eq(strlen(error.code), sizeof(error.code) - 1);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        a_page,
        a_page_that_is_not_escaped,
        half_a_page_is_none,
        what_is_no_page,
        deep_and_long_documents,
        errors,
        when_an_object_was_put,
    };
    return suite_run("s3_xml", tests, ARRAY_LEN(tests));
}
