#include "pipeline/derive/function.h"

#include <stdio.h>

#include "formats/base/hash.h"
#include "formats/base/hex.h"
#include "tests/support/chance.h"
#include "tests/support/fn_rig.h"
#include "tests/support/suite.h"

#define NONE      NULL
#define WITH(...) ((const char *const[]){__VA_ARGS__, NULL})

/* What a function gives for texts. */
static void gives(const char *name, const char *const *parameters, const char *const *texts,
                  const char *wanted)
{
    struct bytes inputs[8];
    uint32_t n = 0;
    for (; texts[n] != NULL; n++)
        inputs[n] = bytes_str(texts[n]);
    struct fn_case of = {
        .name = name, .inputs = inputs, .n_inputs = n, .parameters = parameters};
    AUTO_BUF out = {0};
    struct fn_problem problem = {0};
    int err = fn_case_run(&of, &out, &problem);
    ck_assert_msg(err == OK, "%s: %s", name, problem.message);
    buf_append(&out, "", 1);
    ck_assert_str_eq((const char *)out.data, wanted);
}

static void refuses(const char *name, const char *const *parameters, const char *text,
                    const char *parameter, const char *message)
{
    struct bytes input = bytes_str(text);
    struct fn_case of = {
        .name = name, .inputs = &input, .n_inputs = 1, .parameters = parameters};
    AUTO_BUF out = {0};
    struct fn_problem problem = {0};
    ck_assert_int_eq(fn_case_run(&of, &out, &problem), ERR_INVALID);
    ck_assert_str_eq(problem.parameter, parameter);
    ck_assert_str_eq(problem.message, message);
}

START_TEST(what_they_give)
{
    gives("identity", NONE, WITH("abc"), "abc");
    gives("identity", NONE, WITH(""), "");
    gives("concat", NONE, WITH("ab", "", "c", "de"), "abcde");
    gives("concat", NONE, WITH("ab"), "ab");
    gives("slice", NONE, WITH("abcdef"), "abcdef");
    gives("slice", WITH("start", "2", "end", "4"), WITH("abcdef"), "cd");
    gives("slice", WITH("start", "4"), WITH("abcdef"), "ef");
    gives("slice", WITH("start", "4", "end", "99"), WITH("abcdef"), "ef");
    gives("slice", WITH("start", "7", "end", "99"), WITH("abcdef"), "");
    gives("slice", WITH("end", "0"), WITH("abcdef"), "");
    gives("repeat", WITH("count", "3"), WITH("ab"), "ababab");
    gives("repeat", WITH("count", "0"), WITH("ab"), "");
    gives("repeat", WITH("count", "1000000"), WITH(""), "");
    gives("uppercase", NONE, WITH("azAZ@[`{ gr\xc3\xbc\xc3\x9f"),
          "AZAZ@[`{ GR\xc3\xbc\xc3\x9f");
    gives("lowercase", NONE, WITH("azAZ@[`{ \xc3\x9c"), "azaz@[`{ \xc3\x9c");
    gives("reverse", NONE, WITH("abc"), "cba");
    gives("length", NONE, WITH("abc"), "3");
    gives("length", NONE, WITH(""), "0");
    gives("sha256", NONE, WITH("abc"),
          "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    gives("xxh3", NONE, WITH(""), "99aa06d3014798d86001c324468d497f");
    gives("hex.encode", NONE, WITH("az\n"), "617a0a");
    gives("hex.decode", NONE, WITH("617a0a"), "az\n");
    gives("base64.encode", NONE, WITH("fo"), "Zm8=");
    gives("base64.encode", NONE, WITH("foobar"), "Zm9vYmFy");
    gives("base64.decode", NONE, WITH("Zm8="), "fo");
    gives("base64.decode", NONE, WITH(""), "");
}
END_TEST

START_TEST(what_they_refuse)
{
    refuses("slice", WITH("start", "5", "end", "4"), "abc", "start", "is beyond the end");
    refuses("slice", WITH("start", "-1"), "abc", "start", "not a decimal number below 2^64");
    refuses("slice", WITH("start", ""), "abc", "start", "not a decimal number below 2^64");
    refuses("slice", WITH("end", "18446744073709551616"), "abc", "end",
            "not a decimal number below 2^64");
    refuses("slice", WITH("step", "2"), "abc", "step", "slice has no such parameter");
    refuses("repeat", NONE, "abc", "count", "repeat needs this parameter");
    refuses("identity", WITH("count", "1"), "abc", "count", "identity has no such parameter");
    refuses("hex.decode", NONE, "61A0", "", "the input is not pairs of lower-case hex digits");
    refuses("hex.decode", NONE, "616", "", "the input is not pairs of lower-case hex digits");
    refuses("base64.decode", NONE, "Zm8", "", "the input is not base64 with padding");
    refuses("base64.decode", NONE, "Zm8=Zm8=", "", "the input is not base64 with padding");
    refuses("base64.decode", NONE, "Zm9=", "", "the input is not base64 with padding");
}
END_TEST

START_TEST(inputs_are_counted)
{
    struct bytes inputs[2] = {bytes_str("a"), bytes_str("b")};
    struct fn_problem problem = {0};
    AUTO_BUF out = {0};
    struct fn_case of = {.name = "identity", .inputs = inputs, .n_inputs = 2};
    ck_assert_int_eq(fn_case_run(&of, &out, &problem), ERR_INVALID);
    ck_assert_str_eq(problem.message, "identity takes 1 input, not 2");
    of = (struct fn_case){.name = "concat", .inputs = inputs, .n_inputs = 0};
    ck_assert_int_eq(fn_case_run(&of, &out, &problem), ERR_INVALID);
    ck_assert_str_eq(problem.message, "concat takes at least 1 input");
}
END_TEST

START_TEST(results_over_the_limit_are_refused)
{
    struct bytes input = bytes_str("abc");
    struct fn_problem problem = {0};
    AUTO_BUF out = {0};
    struct fn_case of = {.name = "repeat",
                         .inputs = &input,
                         .n_inputs = 1,
                         .parameters = WITH("count", "18446744073709551615")};
    ck_assert_int_eq(fn_case_run(&of, &out, &problem), ERR_LIMIT);
    of.parameters = WITH("count", "1000000000000");
    ck_assert_int_eq(fn_case_run(&of, &out, &problem), ERR_LIMIT);
}
END_TEST

START_TEST(names_and_digests_differ)
{
    size_t n;
    const struct function *const *all = functions_all(&n);
    ck_assert_uint_gt(n, 10);
    for (size_t i = 0; i < n; i++) {
        ck_assert(function_name_ok(bytes_str(all[i]->name)));
        ck_assert(function_version_ok(bytes_str(all[i]->version)));
        ck_assert_ptr_eq(function_find(bytes_str(all[i]->name), bytes_str(all[i]->version)),
                         all[i]);
        if (i > 0)
            ck_assert_int_lt(strcmp(all[i - 1]->name, all[i]->name), 0);
        for (size_t k = 0; k < i; k++) {
            struct hash a = function_digest(all[i]);
            struct hash b = function_digest(all[k]);
            ck_assert(!hash_equal(&a, &b));
        }
    }
    ck_assert_ptr_null(function_find(bytes_str("identity"), bytes_str("2.0.0")));
    ck_assert_ptr_null(function_find(bytes_str("identit"), bytes_str("1.0.0")));
}
END_TEST

/* ---- properties ---- */

static bool begins(const char *name, const char *with)
{
    return strncmp(name, with, strlen(with)) == 0;
}

/* A list of values, as long as it fits. */
static void json_draw(struct chance *chance, uint8_t *to, size_t len)
{
    static const char *const values[] = {
        "1", "-2.50e3", "null", "\"\xc3\xbc\\n\"", "{\"b\": [true], \"a\": {}}", "[]"};
    size_t at = 0;
    memset(to, ' ', len);
    to[at++] = '[';
    for (;;) {
        struct bytes value = bytes_str(values[chance_below(chance, ARRAY_LEN(values))]);
        if (at + 2 + value.len + 1 > len)
            break;
        if (at > 1)
            to[at++] = ',';
        memcpy(to + at, value.data, value.len);
        at += value.len + (size_t)chance_below(chance, 2);
    }
    to[at] = ']';
}

/* Bytes that the function has something to do with, as a rule. */
static void bytes_draw(struct chance *chance, const char *name, uint8_t *to, size_t len)
{
    const char *of = "";
    if (begins(name, "hex.d"))
        of = "0123456789abcdef";
    else if (begins(name, "lines.") || begins(name, "text."))
        of = "ab\n";
    else if (begins(name, "csv."))
        of = "abc,,\n\n";
    for (size_t i = 0; i < len; i++)
        to[i] = *of != '\0' ? (uint8_t)of[chance_below(chance, strlen(of))]
                            : (uint8_t)chance_below(chance, 256);
    if (begins(name, "json.") && len > 1 && chance_below(chance, 4) > 0)
        json_draw(chance, to, len);
    if (begins(name, "csv.") && len > 2)
        memcpy(to, (const uint8_t[]){'a', ',', '\n'}, 3);
}

START_TEST(lines_json_csv)
{
    gives("lines.count", NONE, WITH(""), "0");
    gives("lines.count", NONE, WITH("a\n\nb"), "3");
    gives("lines.count", NONE, WITH("a\n\nb\n"), "3");
    gives("lines.head", WITH("lines", "2"), WITH("a\n\nb\n"), "a\n\n");
    gives("lines.head", WITH("lines", "9"), WITH("a\nb"), "a\nb\n");
    gives("lines.head", WITH("lines", "0"), WITH("a\nb"), "");
    gives("lines.head", NONE, WITH("1\n2\n3\n4\n5\n6\n7\n8\n9\n10\n11\n"),
          "1\n2\n3\n4\n5\n6\n7\n8\n9\n10\n");
    gives("lines.tail", WITH("lines", "2"), WITH("a\n\nb\n"), "\nb\n");
    gives("lines.tail", WITH("lines", "9"), WITH("a\nb"), "a\nb\n");
    gives("lines.tail", WITH("lines", "0"), WITH("a\nb"), "");
    gives("lines.uniq", NONE, WITH("a\na\nb\na"), "a\nb\na\n");
    gives("lines.uniq", NONE, WITH("\n\n"), "\n");
    gives("lines.sort", NONE, WITH("b\n\na\nB"), "\nB\na\nb\n");
    gives("lines.sort", WITH("order", "descending"), WITH("b\n\na\nB"), "b\na\nB\n\n");
    gives("lines.grep", WITH("pattern", "^a+$"), WITH("aa\nab\na\n"), "aa\na\n");
    gives("lines.grep", WITH("pattern", "^a+$", "invert", "true"), WITH("aa\nab\na\n"), "ab\n");
    gives("lines.grep", WITH("pattern", "\xc3\x9c.b", "ignore-case", "true"),
          WITH("\xc3\xbcxB\nub\n\xff\n"), "\xc3\xbcxB\n");
    gives("lines.grep", WITH("pattern", ""), WITH("\na"), "\na\n");
    gives("json.canonicalize", NONE, WITH(" {\"b\": [1, 2.50, \"\\u00fc\"], \"a\": null} "),
          "{\"a\":null,\"b\":[1,2.5,\"\xc3\xbc\"]}");
    gives("json.get", WITH("path", "/a~1b/1/~0"), WITH("{\"a/b\": [0, {\"~\": true}]}"),
          "true");
    gives("json.get", WITH("path", ""), WITH("[1, 2]"), "[1,2]");
    gives("json.get", WITH("path", "/"), WITH("{\"\": 7}"), "7");
    gives("csv.columns", WITH("columns", "c,a"), WITH("a,b,c\n1,2,3\n4,5\n"), "c,a\n3,1\n,4\n");
    gives("csv.columns", WITH("columns", "b"), WITH("a,b\r\n1,\" x\"\"y,\nz\"\r\n"),
          "b\n\" x\"\"y,\nz\"\n");
    gives("csv.columns", WITH("columns", " b"), WITH("a, b\n1, 2"), " b\n 2\n");
}
END_TEST

START_TEST(what_lines_json_csv_refuse)
{
    refuses("lines.head", WITH("lines", "x"), "", "lines", "not a decimal number below 2^64");
    refuses("lines.sort", WITH("order", "up"), "", "order", "neither ascending nor descending");
    refuses("lines.grep", WITH("pattern", "a("), "", "pattern",
            "missing closing parenthesis, at byte 2");
    refuses("lines.grep", WITH("pattern", "a", "invert", "yes"), "", "invert",
            "neither false nor true");
    refuses("lines.grep", WITH("pattern", "^(a+)+$"),
            "x\naaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab", "pattern",
            "line 2 is too hard to match");
    refuses("json.canonicalize", NONE, "{\"a\": 1,}", "",
            "the input is not JSON: string or '}' expected near '}', in line 1");
    refuses("json.canonicalize", NONE, "", "",
            "the input is not JSON: unexpected token near end of file, in line 1");
    refuses("json.get", WITH("path", "a"), "{}", "path",
            "not a JSON pointer, such as /items/0/name");
    refuses("json.get", WITH("path", "/a~2"), "{}", "path",
            "not a JSON pointer, such as /items/0/name");
    refuses("json.get", WITH("path", "/a/b"), "{\"a\": 1}", "path",
            "the input has nothing there");
    refuses("json.get", WITH("path", "/01"), "[1, 2]", "path", "the input has nothing there");
    refuses("csv.columns", WITH("columns", "a,x"), "a,b\n", "columns",
            "the input has no column x");
    refuses("csv.columns", WITH("columns", "a,,b"), "a,b\n", "columns",
            "a column without a name");
    refuses("csv.columns", WITH("columns", "a"), "", "", "the input has no header");
    refuses("csv.columns", WITH("columns", "a"), "a\n\"b", "",
            "the input is not CSV: a quote is not closed");
    refuses("zstd.compress", WITH("level", "20"), "", "level", "not between 1 and 19");
    refuses("zstd.decompress", NONE, "", "", "the input is not zstd: it ends early");
    refuses("zstd.decompress", NONE, "no frame", "",
            "the input is not zstd: Unknown frame descriptor");
    refuses("gzip.compress", WITH("level", "0"), "", "level", "not between 1 and 9");
    refuses("gzip.decompress", NONE, "", "", "the input is not gzip: it ends early");
    refuses("gzip.decompress", NONE, "no member", "",
            "the input is not gzip: incorrect header check");
}
END_TEST

/* A short text may be many values, each of which takes much more memory than its text. */
START_TEST(json_with_too_many_values)
{
    static const char object[] = "{},";
    AUTO_BUF text = {0};
    AUTO_BUF out = {0};
    buf_append(&text, "[", 1);
    for (size_t i = 0; i < FUNCTION_JSON_MAX / 300; i++)
        buf_append(&text, object, sizeof(object) - 1);
    buf_append(&text, "{}]", 3);
    struct bytes input = buf_bytes(&text);
    const struct fn_case of = {.name = "json.canonicalize", .inputs = &input, .n_inputs = 1};
    struct fn_problem problem = {0};
    ck_assert_uint_lt(input.len, 16u * MIB);
    ck_assert_int_eq(fn_case_run(&of, &out, &problem), ERR_LIMIT);
}
END_TEST

/* A line takes much more memory than its text. */
START_TEST(diff_of_too_many_lines)
{
    AUTO_BUF text = {0};
    AUTO_BUF out = {0};
    memset(buf_reserve(&text, FUNCTION_LINES_MAX), '\n', FUNCTION_LINES_MAX);
    text.len = FUNCTION_LINES_MAX;
    const struct bytes inputs[] = {buf_bytes(&text), bytes_str("one line more")};
    const struct fn_case of = {.name = "text.diff", .inputs = inputs, .n_inputs = 2};
    struct fn_problem problem = {0};
    ck_assert_int_eq(fn_case_run(&of, &out, &problem), ERR_LIMIT);
}
END_TEST

/* A row of nothing but commas has no text that could be too long. */
START_TEST(csv_with_too_many_fields)
{
    AUTO(arena_release) struct arena arena = {0};
    size_t commas = FUNCTION_FIELDS_MAX - 1;
    char *text = arena_alloc(&arena, commas + 4);
    memset(text, ',', commas + 3);
    text[0] = 'a';
    memcpy(text + commas + 1, "\n", 2);
    gives("csv.columns", WITH("columns", "a"), WITH(text), "a\n");
    memcpy(text + commas + 1, ",\n", 3);
    refuses("csv.columns", WITH("columns", "a"), text, "",
            "a row of the input has more than 1048576 fields");
}
END_TEST

START_TEST(texts_that_differ)
{
    gives("text.diff", NONE, WITH("a\nb\n", "a\nb\n"), "");
    gives("text.diff", NONE, WITH("", ""), "");
    gives("text.diff", NONE, WITH("a\nb\nc\n", "a\nx\nc\n"),
          "--- a\n+++ b\n@@ -1,3 +1,3 @@\n a\n-b\n+x\n c\n");
    gives("text.diff", WITH("context", "0", "label-a", "old", "label-b", "new text"),
          WITH("a\nb\nc\nd\n", "a\nx\nc\ny\n"),
          "--- old\n+++ new text\n@@ -2 +2 @@ a\n-b\n+x\n@@ -4 +4 @@ c\n-d\n+y\n");
    gives("text.diff", NONE, WITH("", "a"),
          "--- a\n+++ b\n@@ -0,0 +1 @@\n+a\n\\ No newline at end of file\n");
    gives("text.diff", NONE, WITH("a\xff\n", "a\n"), "--- a\n+++ b\n@@ -1 +1 @@\n-a\xff\n+a\n");
    struct bytes inputs[2] = {bytes_str("a"), bytes_str("b")};
    struct fn_problem problem = {0};
    AUTO_BUF out = {0};
    struct fn_case of = {.name = "text.diff",
                         .inputs = inputs,
                         .n_inputs = 2,
                         .parameters = WITH("label-a", "two\nlines")};
    ck_assert_int_eq(fn_case_run(&of, &out, &problem), ERR_INVALID);
    ck_assert_str_eq(problem.message, "not a line of 1 to 4096 bytes");
    of.parameters = WITH("context", "1000001");
    ck_assert_int_eq(fn_case_run(&of, &out, &problem), ERR_INVALID);
    ck_assert_str_eq(problem.message, "over 1000000");
}
END_TEST

/* What a function needs, and what makes a result that is not all of its input. */
static const char *const *parameters_of(const struct function *fn)
{
    static const char *const repeat[] = {"count", "3", NULL};
    static const char *const slice[] = {"start", "5", "end", "300", NULL};
    static const char *const grep[] = {"pattern", "[0-7a]", NULL};
    static const char *const pointer[] = {"path", "", NULL};
    static const char *const columns[] = {"columns", "a", NULL};
    static const char *const lines[] = {"lines", "2", NULL};
    if (strcmp(fn->name, "repeat") == 0)
        return repeat;
    if (strcmp(fn->name, "lines.grep") == 0)
        return grep;
    if (strcmp(fn->name, "json.get") == 0)
        return pointer;
    if (strcmp(fn->name, "csv.columns") == 0)
        return columns;
    if (strcmp(fn->name, "lines.head") == 0 || strcmp(fn->name, "lines.tail") == 0)
        return lines;
    return strcmp(fn->name, "slice") == 0 ? slice : NULL;
}

/* What it takes is seldom drawn by chance, and is made by another function; else NULL. */
static const char *maker_of(const char *name)
{
    static const char *const pairs[][2] = {{"base64.decode", "base64.encode"},
                                           {"gzip.decompress", "gzip.compress"},
                                           {"zstd.decompress", "zstd.compress"}};
    for (size_t i = 0; i < ARRAY_LEN(pairs); i++) {
        if (strcmp(pairs[i][0], name) == 0)
            return pairs[i][1];
    }
    return NULL;
}

/* Runs a function on drawn inputs, whole and cut. Gives whether there was a result to compare.
 */
static bool cut_once(const struct function *fn, struct chance *chance)
{
    static uint8_t data[3][70000];
    struct bytes inputs[3];
    uint32_t n = fn->inputs_least;
    if (n < fn->inputs_most)
        n += (uint32_t)chance_below(chance, 3);
    for (uint32_t i = 0; i < n; i++) {
        size_t len =
            (size_t)chance_below(chance, chance_below(chance, 4) == 0 ? sizeof(data[i]) : 40);
        bytes_draw(chance, fn->name, data[i], len);
        inputs[i] = bytes_of(data[i], len);
    }
    AUTO_BUF made = {0};
    AUTO_BUF whole = {0};
    struct fn_problem why = {0};
    const char *maker = maker_of(fn->name);
    if (maker != NULL && chance_below(chance, 3) > 0) {
        struct fn_case make = {.name = maker, .inputs = inputs, .n_inputs = 1};
        ck_assert_int_eq(fn_case_run(&make, &made, &why), OK);
        inputs[0] = buf_bytes(&made);
    }
    struct fn_case of = {
        .name = fn->name, .inputs = inputs, .n_inputs = n, .parameters = parameters_of(fn)};
    int err = fn_case_run(&of, &whole, &why);
    of.view_max = 1 + (size_t)chance_below(chance, 9);
    of.window = 1 + (size_t)chance_below(chance, 9);
    AUTO_BUF cut = {0};
    struct fn_problem because = {0};
    ck_assert_int_eq(fn_case_run(&of, &cut, &because), err);
    ck_assert_str_eq(why.message, because.message);
    if (err == OK)
        ck_assert_msg(bytes_equal(buf_bytes(&whole), buf_bytes(&cut)), "%s", fn->name);
    return err == OK && whole.len > 0;
}

/* However inputs and results are cut, the result is the same, and so is a refusal. Of every
 * function that takes bytes; those of trees are in test_tree_functions.c. */
START_TEST(cuts_do_not_matter)
{
    struct chance chance;
    chance_init(&chance, "cuts_do_not_matter");
    size_t n_functions;
    const struct function *const *all = functions_all(&n_functions);
    for (size_t i = 0; i < n_functions; i++) {
        if (all[i]->trees != 0)
            continue;
        unsigned compared = 0;
        for (unsigned round = 0; round < 15; round++)
            compared += cut_once(all[i], &chance);
        ck_assert_msg(compared > 1, "%s is not tested: it gave %u results", all[i]->name,
                      compared);
    }
}
END_TEST

/* What is packed or spelled comes back as it was. */
START_TEST(there_and_back)
{
    static const char *const pairs[][2] = {{"zstd.compress", "zstd.decompress"},
                                           {"gzip.compress", "gzip.decompress"},
                                           {"hex.encode", "hex.decode"},
                                           {"base64.encode", "base64.decode"},
                                           {"reverse", "reverse"}};
    struct chance chance;
    chance_init(&chance, "there_and_back");
    static uint8_t data[600000];
    for (unsigned round = 0; round < 60; round++) {
        size_t len =
            (size_t)chance_below(&chance, chance_below(&chance, 2) == 0 ? sizeof(data) : 300);
        bytes_draw(&chance, chance_below(&chance, 2) == 0 ? "" : "lines.", data, len);
        const char *const *pair = pairs[chance_below(&chance, ARRAY_LEN(pairs))];
        struct bytes input = bytes_of(data, len);
        struct fn_case of = {.name = pair[0], .inputs = &input, .n_inputs = 1};
        AUTO_BUF there = {0};
        AUTO_BUF back = {0};
        struct fn_problem problem = {0};
        ck_assert_int_eq(fn_case_run(&of, &there, &problem), OK);
        struct bytes packed = buf_bytes(&there);
        of = (struct fn_case){.name = pair[1], .inputs = &packed, .n_inputs = 1};
        ck_assert_int_eq(fn_case_run(&of, &back, &problem), OK);
        ck_assert_msg(bytes_equal(buf_bytes(&back), input), "%s", pair[0]);
        /* What is cut off is missed. */
        if (packed.len > 0 && pair[0][0] != 'r') {
            packed.len--;
            buf_clear(&back);
            ck_assert_int_eq(fn_case_run(&of, &back, &problem), ERR_INVALID);
        }
    }
}
END_TEST

/* More than the ring out of which zstd packs, with what repeats across its seam; read in views
 * that end anywhere. */
START_TEST(zstd_over_more_than_its_ring)
{
    static uint8_t data[19u * MIB + 12345];
    struct chance chance;
    chance_init(&chance, "zstd_over_more_than_its_ring");
    const size_t period = 300007;
    bytes_draw(&chance, "", data, period);
    for (size_t i = period; i < sizeof(data); i++)
        data[i] = i % 1000 == 0 ? (uint8_t)(i / 1000) : data[i - period];
    struct bytes input = bytes_of(data, sizeof(data));
    struct fn_case of = {.name = "zstd.compress",
                         .inputs = &input,
                         .n_inputs = 1,
                         .parameters = WITH("level", "1")};
    AUTO_BUF there = {0};
    AUTO_BUF cut = {0};
    AUTO_BUF back = {0};
    struct fn_problem problem = {0};
    ck_assert_int_eq(fn_case_run(&of, &there, &problem), OK);
    of.view_max = 100003;
    of.window = 4099;
    ck_assert_int_eq(fn_case_run(&of, &cut, &problem), OK);
    ck_assert(bytes_equal(buf_bytes(&there), buf_bytes(&cut)));
    struct bytes packed = buf_bytes(&there);
    ck_assert_uint_lt(packed.len, input.len / 8);
    of = (struct fn_case){.name = "zstd.decompress", .inputs = &packed, .n_inputs = 1};
    ck_assert_int_eq(fn_case_run(&of, &back, &problem), OK);
    ck_assert(bytes_equal(buf_bytes(&back), input));
}
END_TEST

/* Frames and members may follow each other, as their programs take them. */
START_TEST(packed_after_packed)
{
    static const char *const pairs[][2] = {{"zstd.compress", "zstd.decompress"},
                                           {"gzip.compress", "gzip.decompress"}};
    for (size_t i = 0; i < ARRAY_LEN(pairs); i++) {
        struct bytes input = bytes_str("once more");
        struct fn_case of = {.name = pairs[i][0], .inputs = &input, .n_inputs = 1};
        AUTO_BUF packed = {0};
        AUTO_BUF back = {0};
        struct fn_problem problem = {0};
        ck_assert_int_eq(fn_case_run(&of, &packed, &problem), OK);
        ck_assert_int_eq(fn_case_run(&of, &packed, &problem), OK);
        struct bytes both = buf_bytes(&packed);
        of = (struct fn_case){.name = pairs[i][1], .inputs = &both, .n_inputs = 1};
        ck_assert_int_eq(fn_case_run(&of, &back, &problem), OK);
        ck_assert(bytes_equal(buf_bytes(&back), bytes_str("once moreonce more")));
    }
}
END_TEST

/* A range by pieces is that range of the whole. */
START_TEST(pieces_are_parts_of_the_whole)
{
    struct chance chance;
    chance_init(&chance, "pieces_are_parts_of_the_whole");
    static uint8_t data[3][200];
    for (unsigned round = 0; round < 2000; round++) {
        struct bytes inputs[3];
        for (size_t i = 0; i < 3; i++) {
            size_t len = (size_t)chance_below(&chance, sizeof(data[i]));
            bytes_draw(&chance, "", data[i], len);
            inputs[i] = bytes_of(data[i], len);
        }
        char start[24];
        char end[24];
        unsigned long long low = chance_below(&chance, 250);
        unsigned long long high = low + chance_below(&chance, 100);
        (void)snprintf(start, sizeof(start), "%llu", low);
        (void)snprintf(end, sizeof(end), "%llu", high);
        const struct fn_case cases[] = {
            {.name = "identity", .inputs = inputs, .n_inputs = 1},
            {.name = "concat", .inputs = inputs, .n_inputs = 3},
            {.name = "repeat",
             .inputs = inputs,
             .n_inputs = 1,
             .parameters = WITH("count", "4")},
            {.name = "slice",
             .inputs = inputs,
             .n_inputs = 1,
             .parameters = WITH("start", start, "end", end)},
        };
        const struct fn_case *of = &cases[chance_below(&chance, ARRAY_LEN(cases))];
        AUTO_BUF whole = {0};
        AUTO_BUF part = {0};
        struct fn_problem problem = {0};
        ck_assert_int_eq(fn_case_run(of, &whole, &problem), OK);
        uint64_t to = chance_below(&chance, whole.len + 1);
        uint64_t from = chance_below(&chance, to + 1);
        ck_assert_int_eq(fn_case_range(of, from, to, &part), OK);
        ck_assert(
            bytes_equal(buf_bytes(&part), bytes_of(whole.data + from, (size_t)(to - from))));
    }
}
END_TEST

/* What an input cannot give is passed up as it is. */
START_TEST(errors_of_inputs_are_passed_up)
{
    static const int errors[] = {ERR_NOT_FOUND, ERR_CORRUPT, ERR_INVALID, ERR_LIMIT, ERR_AGAIN};
    static uint8_t data[300];
    struct bytes inputs[2] = {bytes_of(data, sizeof(data)), bytes_of(data, sizeof(data))};
    memset(data, 'a', sizeof(data));
    size_t n;
    const struct function *const *all = functions_all(&n);
    for (size_t i = 0; i < n * ARRAY_LEN(errors); i++) {
        const struct function *fn = all[i / ARRAY_LEN(errors)];
        if (strcmp(fn->name, "length") == 0 || fn->trees != 0)
            continue; /* looks at no byte */
        int err = errors[i % ARRAY_LEN(errors)];
        struct fn_case of = {.name = fn->name,
                             .inputs = inputs,
                             .n_inputs = fn->inputs_least,
                             .parameters = parameters_of(fn),
                             .view_max = 10,
                             .view_err = err,
                             .view_err_at = 100};
        AUTO_BUF out = {0};
        struct fn_problem problem = {0};
        ck_assert_msg(fn_case_run(&of, &out, &problem) == err, "%s", fn->name);
        ck_assert_str_eq(problem.message, "");
    }
}
END_TEST

START_TEST(errors_of_outputs_are_passed_up)
{
    static uint8_t data[300];
    struct bytes inputs[2] = {bytes_of(data, sizeof(data)), bytes_str("11\n")};
    memset(data, '1', sizeof(data));
    size_t n;
    const struct function *const *all = functions_all(&n);
    for (size_t i = 0; i < n; i++) {
        AUTO_BUF out = {0};
        struct fn_problem problem = {0};
        struct fn_case of = {.name = all[i]->name,
                             .inputs = inputs,
                             .n_inputs = all[i]->inputs_least,
                             .parameters = parameters_of(all[i]),
                             .window = 1};
        if (all[i]->trees != 0)
            continue;
        int err = fn_case_run(&of, &out, &problem);
        if (err != OK || out.len < 2)
            continue; /* it takes no such bytes, or gives too few */
        of.flush_err = ERR_AGAIN;
        for (of.flush_err_at = 1; of.flush_err_at < 3 && of.flush_err_at < out.len;
             of.flush_err_at++)
            ck_assert_msg(fn_case_run(&of, &out, &problem) == ERR_AGAIN, "%s", of.name);
        ck_assert_str_eq(problem.message, "");
    }
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        what_they_give,
        what_they_refuse,
        lines_json_csv,
        what_lines_json_csv_refuse,
        csv_with_too_many_fields,
        json_with_too_many_values,
        diff_of_too_many_lines,
        texts_that_differ,
        inputs_are_counted,
        results_over_the_limit_are_refused,
        names_and_digests_differ,
        cuts_do_not_matter,
        there_and_back,
        zstd_over_more_than_its_ring,
        packed_after_packed,
        pieces_are_parts_of_the_whole,
        errors_of_inputs_are_passed_up,
        errors_of_outputs_are_passed_up,
    };
    return suite_run("functions", tests, ARRAY_LEN(tests));
}
