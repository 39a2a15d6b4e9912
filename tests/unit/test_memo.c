#include "formats/memo.h"

#include "formats/base/limits.h"
#include "tests/support/golden.h"
#include "tests/support/suite.h"

static struct memo sample(void)
{
    return (struct memo){.key = {{1}},
                         .function = bytes_str("concat"),
                         .version = bytes_str("1.0.0"),
                         .implementation = {{2}},
                         .cost_us = 1234567,
                         .size = 3 * MIB,
                         .output = {{3}},
                         .chunk_size = MIB,
                         .chunks = {{4}}};
}

static int read(const struct memo *memo, struct memo *out)
{
    static struct buf text; /* what is read points into it */
    buf_clear(&text);
    memo_write(&text, memo);
    struct reader r;
    rd_init(&r, buf_bytes(&text));
    *out = memo_read(&r);
    return rd_end(&r);
}

START_TEST(golden_bytes)
{
    AUTO_BUF out = {0};
    struct memo memo = sample();
    memo_write(&out, &memo);
    golden_check("memo", buf_bytes(&out));
    AUTO_BUF golden = {0};
    golden_read("memo", &golden);
    struct reader r;
    rd_init(&r, buf_bytes(&golden));
    struct memo back = memo_read(&r);
    ck_assert_int_eq(rd_end(&r), OK);
    ck_assert_uint_eq(back.cost_us, memo.cost_us);
    ck_assert(hash_equal(&back.chunks, &memo.chunks));
    buf_clear(&out);
    memo_write(&out, &back);
    golden_check("memo", buf_bytes(&out));
}
END_TEST

START_TEST(chunks_and_size_must_agree)
{
    struct memo out;
    struct memo memo = sample();
    ck_assert_int_eq(read(&memo, &out), OK);
    memo.size = MIB;
    ck_assert_int_eq(read(&memo, &out), ERR_CORRUPT);
    memo.chunks = (struct hash){{0}};
    ck_assert_int_eq(read(&memo, &out), OK);
    memo.size = MIB + 1;
    ck_assert_int_eq(read(&memo, &out), ERR_CORRUPT);
    memo = sample();
    memo.chunk_size = CHUNK_SIZE_MIN - 1;
    ck_assert_int_eq(read(&memo, &out), ERR_CORRUPT);
    memo = sample();
    memo.size = RESULT_SIZE_MAX + 1;
    ck_assert_int_eq(read(&memo, &out), ERR_CORRUPT);
    memo = sample();
    memo.function = bytes_str("no name");
    ck_assert_int_eq(read(&memo, &out), ERR_CORRUPT);
}
END_TEST

/* Everything that decides a result is in the key, and nothing else. */
START_TEST(key_covers_what_decides)
{
    struct parameter parameters[] = {{bytes_str("a"), bytes_str("1")}};
    struct recipe_input from[] = {{.kind = RECIPE_REF, .ref = bytes_str("head")}};
    struct recipe recipe = {.function = bytes_str("f"),
                            .version = bytes_str("1"),
                            .inputs = from,
                            .n_inputs = 1,
                            .parameters = parameters,
                            .n_parameters = 1};
    struct memo_input inputs[] = {{MEMO_BYTES, {{7}}}, {MEMO_BYTES, {{8}}}};
    struct hash implementation = {{9}};
    struct hash key = memo_key(&recipe, &implementation, inputs, 2);
    golden_check("memo_key", bytes_of(key.b, sizeof(key.b)));
    struct hash keys[8];
    size_t n = 0;
    keys[n++] = key;
    keys[n++] = memo_key(&recipe, &implementation, inputs, 1);
    inputs[0].kind = MEMO_TREE;
    keys[n++] = memo_key(&recipe, &implementation, inputs, 2);
    inputs[0] = (struct memo_input){MEMO_BYTES, {{6}}};
    keys[n++] = memo_key(&recipe, &implementation, inputs, 2);
    inputs[0] = (struct memo_input){MEMO_BYTES, {{7}}};
    implementation.b[5] = 1;
    keys[n++] = memo_key(&recipe, &implementation, inputs, 2);
    implementation.b[5] = 0;
    recipe.version = bytes_str("2");
    keys[n++] = memo_key(&recipe, &implementation, inputs, 2);
    recipe.version = bytes_str("1");
    parameters[0].value = bytes_str("2");
    keys[n++] = memo_key(&recipe, &implementation, inputs, 2);
    parameters[0] = (struct parameter){bytes_str("b"), bytes_str("1")};
    keys[n++] = memo_key(&recipe, &implementation, inputs, 2);
    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k < i; k++)
            ck_assert_msg(!hash_equal(&keys[i], &keys[k]), "%zu and %zu", i, k);
    }
    parameters[0] = (struct parameter){bytes_str("a"), bytes_str("1")};
    from[0] = (struct recipe_input){.kind = RECIPE_ADDRESS, .address = {{7}}};
    struct hash again = memo_key(&recipe, &implementation, inputs, 2);
    ck_assert(hash_equal(&again, &key));
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {golden_bytes, chunks_and_size_must_agree,
                                  key_covers_what_decides};
    return suite_run("memo", tests, ARRAY_LEN(tests));
}
