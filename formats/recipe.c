#include "formats/recipe.h"

#include <stdlib.h>

#include "formats/base/hash.h"
#include "formats/base/limits.h"
#include "formats/base/wire.h"
#include "formats/path.h"

#define VERSION 1u

/* The least that an input or a parameter takes. */
#define INPUT_LEAST     6u
#define PARAMETER_LEAST 6u

static const char address_prefix[] = "micelio recipe";

static bool is_name_byte(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-';
}

bool function_name_ok(struct bytes name)
{
    if (name.len == 0 || name.len > FUNCTION_NAME_MAX)
        return false;
    for (size_t i = 0; i < name.len; i++) {
        if (!is_name_byte(name.data[i]))
            return false;
    }
    return true;
}

bool function_version_ok(struct bytes version)
{
    if (version.len == 0 || version.len > FUNCTION_NAME_MAX)
        return false;
    for (size_t i = 0; i < version.len; i++) {
        uint8_t c = version.data[i];
        if (!is_name_byte(c) && !(c >= 'A' && c <= 'Z') && c != '+')
            return false;
    }
    return true;
}

/* ---- checks ---- */

static int refuse(int err, const char *because, const char **why)
{
    if (why != NULL)
        *why = because;
    return err;
}

static int input_check(const struct recipe_input *input, const char **why)
{
    if (input->kind == RECIPE_ADDRESS)
        return OK;
    if (input->kind != RECIPE_REF)
        return refuse(ERR_INVALID, "has an input of no known kind", why);
    if (path_check(input->ref, NULL) != OK)
        return refuse(ERR_INVALID, "has an input whose ref has no good name", why);
    if (input->path.len > 0 && path_check(input->path, NULL) != OK)
        return refuse(ERR_INVALID, "has an input with a path that is none", why);
    return OK;
}

static int parameter_check(const struct parameter *parameter, const char **why)
{
    if (!function_name_ok(parameter->name))
        return refuse(ERR_INVALID, "has a parameter whose name is none", why);
    if (parameter->value.len > PARAMETER_LEN_MAX)
        return refuse(ERR_LIMIT, "has a parameter that is too long", why);
    if (!utf8_ok(parameter->value))
        return refuse(ERR_INVALID, "has a parameter that is not UTF-8", why);
    return OK;
}

static uint64_t recipe_len(const struct recipe *recipe)
{
    uint64_t len = 1 + 1 + recipe->function.len + 1 + recipe->version.len + 4 + 4;
    for (uint32_t i = 0; i < recipe->n_inputs; i++) {
        const struct recipe_input *input = &recipe->inputs[i];
        len += input->kind == RECIPE_ADDRESS ? 1 + sizeof(input->address)
                                             : 1 + 2 + input->ref.len + 2 + input->path.len;
    }
    for (uint32_t i = 0; i < recipe->n_parameters; i++)
        len += 1 + recipe->parameters[i].name.len + 4 + recipe->parameters[i].value.len;
    return len;
}

/* All but the order of the parameters. */
static int recipe_check(const struct recipe *recipe, const char **why)
{
    if (!function_name_ok(recipe->function))
        return refuse(ERR_INVALID, "has no good function name", why);
    if (!function_version_ok(recipe->version))
        return refuse(ERR_INVALID, "has no good function version", why);
    if (recipe->n_inputs > RECIPE_INPUTS_MAX)
        return refuse(ERR_LIMIT, "has too many inputs", why);
    if (recipe->n_parameters > RECIPE_PARAMETERS_MAX)
        return refuse(ERR_LIMIT, "has too many parameters", why);
    int err = OK;
    for (uint32_t i = 0; i < recipe->n_inputs && err == OK; i++)
        err = input_check(&recipe->inputs[i], why);
    for (uint32_t i = 0; i < recipe->n_parameters && err == OK; i++)
        err = parameter_check(&recipe->parameters[i], why);
    if (err == OK && recipe_len(recipe) > RECIPE_LEN_MAX)
        return refuse(ERR_LIMIT, "is too long", why);
    return err;
}

static int parameter_order(const void *a, const void *b)
{
    return bytes_compare(((const struct parameter *)a)->name,
                         ((const struct parameter *)b)->name);
}

static bool parameters_ascend(const struct recipe *recipe)
{
    for (uint32_t i = 1; i < recipe->n_parameters; i++) {
        if (parameter_order(&recipe->parameters[i - 1], &recipe->parameters[i]) >= 0)
            return false;
    }
    return true;
}

int recipe_settle(struct recipe *recipe, const char **why)
{
    int err = recipe_check(recipe, why);
    if (err != OK)
        return err;
    if (recipe->n_parameters > 1)
        qsort(recipe->parameters, recipe->n_parameters, sizeof(*recipe->parameters),
              parameter_order);
    if (!parameters_ascend(recipe))
        return refuse(ERR_INVALID, "has two parameters of one name", why);
    return OK;
}

/* ---- bytes ---- */

void recipe_encode(const struct recipe *recipe, struct buf *out)
{
    wr_u8(out, VERSION);
    wr_run8(out, recipe->function);
    wr_run8(out, recipe->version);
    wr_u32(out, recipe->n_inputs);
    for (uint32_t i = 0; i < recipe->n_inputs; i++) {
        const struct recipe_input *input = &recipe->inputs[i];
        wr_u8(out, (uint8_t)input->kind);
        if (input->kind == RECIPE_ADDRESS) {
            wr_hash(out, &input->address);
        } else {
            wr_run16(out, input->ref);
            wr_run16(out, input->path);
        }
    }
    wr_u32(out, recipe->n_parameters);
    for (uint32_t i = 0; i < recipe->n_parameters; i++) {
        wr_run8(out, recipe->parameters[i].name);
        wr_run32(out, recipe->parameters[i].value);
    }
}

static struct recipe_input input_read(struct reader *r)
{
    struct recipe_input input = {.kind = (enum recipe_input_kind)rd_u8(r)};
    if (input.kind == RECIPE_ADDRESS) {
        input.address = rd_hash(r);
    } else if (input.kind == RECIPE_REF) {
        input.ref = rd_run16(r, PATH_LEN_MAX);
        input.path = rd_run16(r, PATH_LEN_MAX);
    } else {
        rd_fail(r, ERR_CORRUPT);
    }
    return input;
}

int recipe_decode(struct bytes in, struct arena *arena, struct recipe *out)
{
    struct reader r;
    rd_init(&r, in);
    if (rd_u8(&r) != VERSION)
        rd_fail(&r, ERR_CORRUPT);
    struct recipe recipe = {0};
    recipe.function = rd_run8(&r, FUNCTION_NAME_MAX);
    recipe.version = rd_run8(&r, FUNCTION_NAME_MAX);
    recipe.n_inputs = rd_count(&r, INPUT_LEAST, RECIPE_INPUTS_MAX);
    recipe.inputs = arena_array(arena, recipe.n_inputs, struct recipe_input);
    for (uint32_t i = 0; i < recipe.n_inputs; i++)
        recipe.inputs[i] = input_read(&r);
    recipe.n_parameters = rd_count(&r, PARAMETER_LEAST, RECIPE_PARAMETERS_MAX);
    recipe.parameters = arena_array(arena, recipe.n_parameters, struct parameter);
    for (uint32_t i = 0; i < recipe.n_parameters; i++) {
        recipe.parameters[i].name = rd_run8(&r, FUNCTION_NAME_MAX);
        recipe.parameters[i].value = rd_run32(&r, PARAMETER_LEN_MAX);
    }
    int err = rd_end(&r);
    if (err != OK)
        return err;
    if (recipe_check(&recipe, NULL) != OK || !parameters_ascend(&recipe))
        return ERR_CORRUPT;
    *out = recipe;
    return OK;
}

struct hash recipe_address(struct bytes canonical)
{
    return sha512_256(address_prefix, canonical);
}
