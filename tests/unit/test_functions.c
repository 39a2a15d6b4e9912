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
    ck_assert_int_eq(fn_case_run(&of, &out, &problem), OK);
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
    gives("hex-encode", NONE, WITH("az\n"), "617a0a");
    gives("hex-decode", NONE, WITH("617a0a"), "az\n");
    gives("base64-encode", NONE, WITH("fo"), "Zm8=");
    gives("base64-encode", NONE, WITH("foobar"), "Zm9vYmFy");
    gives("base64-decode", NONE, WITH("Zm8="), "fo");
    gives("base64-decode", NONE, WITH(""), "");
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
    refuses("hex-decode", NONE, "61A0", "", "the input is not pairs of lower-case hex digits");
    refuses("hex-decode", NONE, "616", "", "the input is not pairs of lower-case hex digits");
    refuses("base64-decode", NONE, "Zm8", "", "the input is not base64 with padding");
    refuses("base64-decode", NONE, "Zm8=Zm8=", "", "the input is not base64 with padding");
    refuses("base64-decode", NONE, "Zm9=", "", "the input is not base64 with padding");
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

static void bytes_draw(struct chance *chance, const char *name, uint8_t *to, size_t len)
{
    static const char hex[] = "0123456789abcdef";
    for (size_t i = 0; i < len; i++)
        to[i] = strcmp(name, "hex-decode") == 0 ? (uint8_t)hex[chance_below(chance, 16)]
                                                : (uint8_t)chance_below(chance, 256);
}

/* What a function needs, and what makes a result that is not all of its input. */
static const char *const *parameters_of(const struct function *fn)
{
    static const char *const repeat[] = {"count", "3", NULL};
    static const char *const slice[] = {"start", "5", "end", "300", NULL};
    if (strcmp(fn->name, "repeat") == 0)
        return repeat;
    return strcmp(fn->name, "slice") == 0 ? slice : NULL;
}

/* However inputs and results are cut, the result is the same, and so is a refusal. */
START_TEST(cuts_do_not_matter)
{
    struct chance chance;
    chance_init(&chance, "cuts_do_not_matter");
    size_t n_functions;
    const struct function *const *all = functions_all(&n_functions);
    static uint8_t data[3][70000];
    for (unsigned round = 0; round < 400; round++) {
        const struct function *fn = all[chance_below(&chance, n_functions)];
        struct bytes inputs[3];
        uint32_t n = fn->inputs_most > 1 ? 1 + (uint32_t)chance_below(&chance, 3) : 1;
        for (uint32_t i = 0; i < n; i++) {
            size_t len = (size_t)chance_below(
                &chance, chance_below(&chance, 4) == 0 ? sizeof(data[i]) : 40);
            bytes_draw(&chance, fn->name, data[i], len);
            inputs[i] = bytes_of(data[i], len);
        }
        const char *const *parameters = parameters_of(fn);
        struct fn_case of = {
            .name = fn->name, .inputs = inputs, .n_inputs = n, .parameters = parameters};
        AUTO_BUF whole = {0};
        struct fn_problem why = {0};
        int err = fn_case_run(&of, &whole, &why);
        of.view_max = 1 + (size_t)chance_below(&chance, 9);
        of.window = 1 + (size_t)chance_below(&chance, 9);
        AUTO_BUF cut = {0};
        struct fn_problem because = {0};
        ck_assert_int_eq(fn_case_run(&of, &cut, &because), err);
        ck_assert_str_eq(why.message, because.message);
        if (err == OK)
            ck_assert_msg(bytes_equal(buf_bytes(&whole), buf_bytes(&cut)), "%s", fn->name);
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
        uint64_t low = chance_below(&chance, 250);
        (void)snprintf(start, sizeof(start), "%llu", (unsigned long long)low);
        (void)snprintf(end, sizeof(end), "%llu",
                       (unsigned long long)(low + chance_below(&chance, 100)));
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
    static uint8_t data[300];
    struct bytes inputs[1] = {bytes_of(data, sizeof(data))};
    memset(data, 'a', sizeof(data));
    size_t n;
    const struct function *const *all = functions_all(&n);
    for (size_t i = 0; i < n; i++) {
        if (strcmp(all[i]->name, "length") == 0)
            continue; /* looks at no byte */
        struct fn_case of = {.name = all[i]->name,
                             .inputs = inputs,
                             .n_inputs = 1,
                             .parameters = parameters_of(all[i]),
                             .view_max = 10,
                             .view_err = ERR_AGAIN,
                             .view_err_at = 100};
        AUTO_BUF out = {0};
        struct fn_problem problem = {0};
        ck_assert_msg(fn_case_run(&of, &out, &problem) == ERR_AGAIN, "%s", all[i]->name);
    }
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        what_they_give,
        what_they_refuse,
        inputs_are_counted,
        results_over_the_limit_are_refused,
        names_and_digests_differ,
        cuts_do_not_matter,
        pieces_are_parts_of_the_whole,
        errors_of_inputs_are_passed_up,
    };
    return suite_run("functions", tests, ARRAY_LEN(tests));
}
