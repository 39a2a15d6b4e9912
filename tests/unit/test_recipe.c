#include "formats/recipe.h"

#include <stdlib.h>

#include "formats/base/hash.h"
#include "formats/base/hex.h"
#include "formats/base/limits.h"
#include "formats/base/wire.h"
#include "tests/support/chance.h"
#include "tests/support/golden.h"
#include "tests/support/suite.h"

static struct recipe_input inputs[3];
static struct parameter parameters[3];

static struct recipe sample(void)
{
    inputs[0] = (struct recipe_input){.kind = RECIPE_ADDRESS, .address = {{0x0a, 0x0b}}};
    inputs[1] = (struct recipe_input){
        .kind = RECIPE_REF, .ref = bytes_str("head"), .path = bytes_str("src/lib")};
    inputs[2] = (struct recipe_input){.kind = RECIPE_REF, .ref = bytes_str("models/best")};
    parameters[0] = (struct parameter){bytes_str("start"), bytes_str("0")};
    parameters[1] = (struct parameter){bytes_str("pattern"), bytes_str("gr\xc3\xbc\xc3\x9f")};
    parameters[2] = (struct parameter){bytes_str("end"), bytes_str("")};
    return (struct recipe){.function = bytes_str("slice"),
                           .version = bytes_str("1.0.0"),
                           .inputs = inputs,
                           .n_inputs = 3,
                           .parameters = parameters,
                           .n_parameters = 3};
}

static void encode(struct recipe *recipe, struct buf *out)
{
    ck_assert_int_eq(recipe_settle(recipe, NULL), OK);
    buf_clear(out);
    recipe_encode(recipe, out);
}

START_TEST(golden_bytes)
{
    AUTO_BUF out = {0};
    struct recipe recipe = sample();
    encode(&recipe, &out);
    golden_check("recipe", buf_bytes(&out));
    AUTO_BUF golden = {0};
    golden_read("recipe", &golden);
    AUTO(arena_release) struct arena arena = {0};
    struct recipe read;
    ck_assert_int_eq(recipe_decode(buf_bytes(&golden), &arena, &read), OK);
    ck_assert_uint_eq(read.n_inputs, 3);
    ck_assert(bytes_equal(read.inputs[1].path, bytes_str("src/lib")));
    ck_assert(bytes_equal(read.parameters[0].name, bytes_str("end")));
    encode(&read, &out);
    golden_check("recipe", buf_bytes(&out));
    struct hash address = recipe_address(buf_bytes(&out));
    golden_check("recipe_address", bytes_of(address.b, sizeof(address.b)));
}
END_TEST

START_TEST(order_of_parameters_does_not_matter)
{
    AUTO_BUF first = {0};
    AUTO_BUF second = {0};
    struct recipe recipe = sample();
    encode(&recipe, &first);
    recipe = sample();
    struct parameter moved = parameters[0];
    parameters[0] = parameters[2];
    parameters[2] = moved;
    encode(&recipe, &second);
    ck_assert(bytes_equal(buf_bytes(&first), buf_bytes(&second)));
}
END_TEST

START_TEST(order_of_inputs_does)
{
    AUTO_BUF first = {0};
    AUTO_BUF second = {0};
    struct recipe recipe = sample();
    encode(&recipe, &first);
    recipe = sample();
    struct recipe_input moved = inputs[0];
    inputs[0] = inputs[2];
    inputs[2] = moved;
    encode(&recipe, &second);
    struct hash a = recipe_address(buf_bytes(&first));
    struct hash b = recipe_address(buf_bytes(&second));
    ck_assert(!hash_equal(&a, &b));
}
END_TEST

START_TEST(no_leaf_poses_as_a_recipe)
{
    AUTO_BUF out = {0};
    struct recipe recipe = sample();
    encode(&recipe, &out);
    struct hash address = recipe_address(buf_bytes(&out));
    struct hash leaf = sha256(buf_bytes(&out));
    ck_assert(!hash_equal(&address, &leaf));
}
END_TEST

static int settle(const struct recipe *recipe, const char *why)
{
    struct recipe copy = *recipe;
    const char *because = NULL;
    int err = recipe_settle(&copy, &because);
    if (why != NULL)
        ck_assert_str_eq(because, why);
    return err;
}

START_TEST(wrong_recipes_are_refused)
{
    struct recipe recipe = sample();
    recipe.function = bytes_str("");
    ck_assert_int_eq(settle(&recipe, "has no good function name"), ERR_INVALID);
    recipe.function = bytes_str("Slice");
    ck_assert_int_eq(settle(&recipe, "has no good function name"), ERR_INVALID);
    recipe = sample();
    recipe.version = bytes_str("1 0");
    ck_assert_int_eq(settle(&recipe, "has no good function version"), ERR_INVALID);
    recipe = sample();
    recipe.version = bytes_str("1.0.0-RC1+build");
    ck_assert_int_eq(settle(&recipe, NULL), OK);
    recipe = sample();
    parameters[2].name = parameters[0].name;
    ck_assert_int_eq(settle(&recipe, "has two parameters of one name"), ERR_INVALID);
    recipe = sample();
    parameters[1].value = bytes_str("\xff");
    ck_assert_int_eq(settle(&recipe, "has a parameter that is not UTF-8"), ERR_INVALID);
    recipe = sample();
    parameters[1].name = bytes_str("a b");
    ck_assert_int_eq(settle(&recipe, "has a parameter whose name is none"), ERR_INVALID);
    recipe = sample();
    inputs[1].ref = bytes_str("/abs");
    ck_assert_int_eq(settle(&recipe, "has an input whose ref has no good name"), ERR_INVALID);
    recipe = sample();
    inputs[1].path = bytes_str("a/../b");
    ck_assert_int_eq(settle(&recipe, "has an input with a path that is none"), ERR_INVALID);
    recipe = sample();
    inputs[0].kind = (enum recipe_input_kind)3;
    ck_assert_int_eq(settle(&recipe, "has an input of no known kind"), ERR_INVALID);
}
END_TEST

START_TEST(sizes_meet_their_limits)
{
    char *text = malloc(PARAMETER_LEN_MAX + 1);
    ck_assert_ptr_nonnull(text);
    memset(text, 'x', PARAMETER_LEN_MAX + 1);
    struct recipe recipe = sample();
    parameters[1].value = bytes_of(text, PARAMETER_LEN_MAX);
    ck_assert_int_eq(settle(&recipe, NULL), OK);
    parameters[1].value = bytes_of(text, PARAMETER_LEN_MAX + 1);
    ck_assert_int_eq(settle(&recipe, "has a parameter that is too long"), ERR_LIMIT);
    recipe = sample();
    recipe.function = bytes_of(text, FUNCTION_NAME_MAX);
    ck_assert_int_eq(settle(&recipe, NULL), OK);
    recipe.function = bytes_of(text, FUNCTION_NAME_MAX + 1);
    ck_assert_int_eq(settle(&recipe, NULL), ERR_INVALID);
    free(text);
    recipe = sample();
    recipe.n_inputs = RECIPE_INPUTS_MAX + 1;
    ck_assert_int_eq(settle(&recipe, "has too many inputs"), ERR_LIMIT);
    recipe = sample();
    recipe.n_parameters = RECIPE_PARAMETERS_MAX + 1;
    ck_assert_int_eq(settle(&recipe, "has too many parameters"), ERR_LIMIT);
}
END_TEST

/* What decodes encodes to the same bytes, so no two encodings have one meaning. */
START_TEST(only_canonical_bytes_decode)
{
    AUTO_BUF out = {0};
    AUTO_BUF again = {0};
    struct recipe recipe = sample();
    encode(&recipe, &out);
    unsigned taken = 0;
    for (size_t at = 0; at < out.len; at++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            AUTO(arena_release) struct arena arena = {0};
            struct recipe read;
            out.data[at] ^= (uint8_t)(1u << bit);
            int err = recipe_decode(buf_bytes(&out), &arena, &read);
            if (err == OK) {
                encode(&read, &again);
                ck_assert(bytes_equal(buf_bytes(&out), buf_bytes(&again)));
                taken++;
            }
            out.data[at] ^= (uint8_t)(1u << bit);
        }
    }
    ck_assert_uint_gt(taken, 256); /* every address is one */
    for (size_t len = 0; len < out.len; len++) {
        AUTO(arena_release) struct arena arena = {0};
        struct recipe read;
        ck_assert_int_ne(recipe_decode(bytes_of(out.data, len), &arena, &read), OK);
    }
}
END_TEST

START_TEST(unsorted_parameters_do_not_decode)
{
    AUTO_BUF out = {0};
    wr_u8(&out, 1);
    wr_run8(&out, bytes_str("f"));
    wr_run8(&out, bytes_str("1"));
    wr_u32(&out, 0);
    wr_u32(&out, 2);
    size_t names = out.len;
    wr_run8(&out, bytes_str("a"));
    wr_run32(&out, bytes_str(""));
    wr_run8(&out, bytes_str("b"));
    wr_run32(&out, bytes_str(""));
    AUTO(arena_release) struct arena arena = {0};
    struct recipe read;
    ck_assert_int_eq(recipe_decode(buf_bytes(&out), &arena, &read), OK);
    out.data[names + 1] = 'b';
    ck_assert_int_eq(recipe_decode(buf_bytes(&out), &arena, &read), ERR_CORRUPT);
    out.data[names + 1] = 'c';
    ck_assert_int_eq(recipe_decode(buf_bytes(&out), &arena, &read), ERR_CORRUPT);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        golden_bytes,
        order_of_parameters_does_not_matter,
        order_of_inputs_does,
        no_leaf_poses_as_a_recipe,
        wrong_recipes_are_refused,
        sizes_meet_their_limits,
        only_canonical_bytes_decode,
        unsorted_parameters_do_not_decode,
    };
    return suite_run("recipe", tests, ARRAY_LEN(tests));
}
