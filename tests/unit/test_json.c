#include "api/json/json.h"
#include "formats/base/base64.h"
#include "formats/base/hash.h"
#include "tests/support/suite.h"

static const char *problem_of(const char *text)
{
    static struct json_problem problem;
    problem = (struct json_problem){0};
    AUTO_JSON *value = NULL;
    return json_parse(bytes_str(text), &problem, &value) == OK ? NULL : problem.message;
}

START_TEST(what_is_refused)
{
    static const char *const bad[] = {
        "",        "{",        "{\"a\":1}x",  "{\"a\":1,\"a\":2}", "[1,]",
        "{'a':1}", "\"\xff\"", "\"\\ud800\"", "\"\\u0000\"",       "01",
        "nul",     "[1e999]",  "{\"a\" 1}",   "\"a\nb\"",          "[99999999999999999999]",
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        ck_assert_msg(problem_of(bad[i]) != NULL, "%s", bad[i]);
    ck_assert_ptr_null(problem_of("{\"a\":[1,\"x\",null,true,{}]}"));
    ck_assert_ptr_nonnull(strstr(problem_of("{\n \"a\": }"), "line 2"));
}
END_TEST

START_TEST(nesting_is_bounded)
{
    char text[200];
    for (size_t depth = JSON_DEPTH_MAX - 1; depth <= JSON_DEPTH_MAX + 1; depth++) {
        memset(text, '[', depth);
        memset(text + depth, ']', depth);
        text[2 * depth] = '\0';
        ck_assert_int_eq(problem_of(text) == NULL, depth <= JSON_DEPTH_MAX);
    }
    /* Brackets within strings do not count. */
    ck_assert_ptr_null(
        problem_of("[\"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\\\"[[[[[\"]"));
}
END_TEST

/* Reads `text` by a decoder like those of the interface; gives the problem. */
static struct json_problem read_problem(const char *text)
{
    static const char *const names[] = {"id", "list", "hash", "flag"};
    struct json_problem problem = {0};
    AUTO_JSON *value = NULL;
    if (json_parse(bytes_str(text), &problem, &value) != OK)
        return problem;
    struct json_at top = jrd_top(value, &problem);
    jrd_only(&top, names, ARRAY_LEN(names));
    (void)jrd_u64(&top, "id", JSON_REQUIRED, 100, 0);
    (void)jrd_hash(&top, "hash", JSON_OPTIONAL);
    (void)jrd_bool(&top, "flag", JSON_OPTIONAL);
    struct json_at list = jrd_array(&top, "list", JSON_OPTIONAL);
    for (size_t i = 0; i < jrd_count(&list); i++) {
        struct json_at item = jrd_item(&list, i);
        struct json_at inner = jrd_object(&item, "inner", JSON_OPTIONAL);
        (void)jrd_text(&inner, "text", JSON_REQUIRED);
    }
    return problem;
}

static void says(const char *text, const char *code, const char *field)
{
    struct json_problem problem = read_problem(text);
    ck_assert_ptr_nonnull(problem.code);
    ck_assert_str_eq(problem.code, code);
    ck_assert_str_eq(problem.field, field);
}

START_TEST(problems_name_their_field)
{
    ck_assert_ptr_null(read_problem("{\"id\":100}").code);
    ck_assert_ptr_null(
        read_problem("{\"id\":1,\"list\":[{},{\"inner\":{\"text\":\"\"}}]}").code);
    says("[]", "wrong_type", "");
    says("{}", "missing_field", "id");
    says("{\"id\":\"1\"}", "wrong_type", "id");
    says("{\"id\":1.0}", "wrong_type", "id");
    says("{\"id\":-1}", "out_of_range", "id");
    says("{\"id\":101}", "out_of_range", "id");
    says("{\"id\":1,\"more\":1}", "unknown_field", "more");
    says("{\"id\":1,\"hash\":\"ab\"}", "bad_value", "hash");
    says("{\"id\":1,\"flag\":1}", "wrong_type", "flag");
    says("{\"id\":1,\"list\":{}}", "wrong_type", "list");
    says("{\"id\":1,\"list\":[{},1]}", "wrong_type", "list[1]");
    says("{\"id\":1,\"list\":[{\"inner\":[]}]}", "wrong_type", "list[0].inner");
    says("{\"id\":1,\"list\":[{},{\"inner\":{}}]}", "missing_field", "list[1].inner.text");
    says("{\"id\":1,\"list\":[{\"inner\":{\"text\":1}},{}]}", "wrong_type",
         "list[0].inner.text");
}
END_TEST

START_TEST(what_is_written_is_read_again)
{
    AUTO_BUF text = {0};
    struct json_writer w;
    struct hash hash = sha256(bytes_str("x"));
    jwr_init(&w, &text);
    jwr_object(&w, NULL);
    jwr_str(&w, "odd \"name\"", "quote \" slash \\ line \n tab \t bell \a");
    jwr_text(&w, "bytes", bytes_of("a\xff\xc3", 3));
    jwr_u64(&w, "number", INT64_MAX);
    jwr_decimal(&w, "hlc", UINT64_MAX);
    jwr_hash(&w, "hash", &hash);
    jwr_array(&w, "list");
    jwr_bool(&w, NULL, true);
    jwr_null(&w, NULL);
    jwr_object(&w, NULL);
    jwr_object_end(&w);
    jwr_array_end(&w);
    jwr_object_end(&w);
    struct json_problem problem = {0};
    AUTO_JSON *value = NULL;
    ck_assert_int_eq(json_parse(buf_bytes(&text), &problem, &value), OK);
    struct json_at top = jrd_top(value, &problem);
    struct bytes odd = jrd_text(&top, "odd \"name\"", JSON_REQUIRED);
    ck_assert(bytes_equal(odd, bytes_str("quote \" slash \\ line \n tab \t bell \a")));
    struct bytes replaced = jrd_text(&top, "bytes", JSON_REQUIRED);
    ck_assert(bytes_equal(replaced, bytes_str("a\xef\xbf\xbd\xef\xbf\xbd")));
    ck_assert_uint_eq(jrd_u64(&top, "number", JSON_REQUIRED, UINT64_MAX, 0), INT64_MAX);
    ck_assert_uint_eq(jrd_decimal(&top, "hlc", JSON_REQUIRED), UINT64_MAX);
    struct hash back = jrd_hash(&top, "hash", JSON_REQUIRED);
    ck_assert(hash_equal(&back, &hash));
    ck_assert(jrd_ok(&top));
}
END_TEST

START_TEST(base64)
{
    static const char *const pairs[][2] = {
        {"", ""},
        {"f", "Zg=="},
        {"fo", "Zm8="},
        {"foo", "Zm9v"},
        {"foob", "Zm9vYg=="},
        {"fooba", "Zm9vYmE="},
        {"foobar", "Zm9vYmFy"},
    };
    for (size_t i = 0; i < ARRAY_LEN(pairs); i++) {
        AUTO_BUF encoded = {0};
        AUTO_BUF decoded = {0};
        base64_encode(bytes_str(pairs[i][0]), &encoded);
        ck_assert(bytes_equal(buf_bytes(&encoded), bytes_str(pairs[i][1])));
        ck_assert_int_eq(base64_decode(buf_bytes(&encoded), &decoded), OK);
        ck_assert(bytes_equal(buf_bytes(&decoded), bytes_str(pairs[i][0])));
    }
    static const char *const bad[] = {"Z",    "Zg",       "Zg=",   "Zh==",   "Zm9=", "Z===",
                                      "====", "Zg==Zg==", "Zm 9v", "Zm9v\n", "Zm-_"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        AUTO_BUF decoded = {0};
        ck_assert_msg(base64_decode(bytes_str(bad[i]), &decoded) == ERR_INVALID, "%s", bad[i]);
    }
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        what_is_refused,
        nesting_is_bounded,
        problems_name_their_field,
        what_is_written_is_read_again,
        base64,
    };
    return suite_run("json", tests, ARRAY_LEN(tests));
}
