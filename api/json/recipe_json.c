#include "api/json/recipe_json.h"

#include "formats/base/limits.h"

#define VERSION_USUAL "1.0.0"

static struct recipe_input input_from_json(const struct json_at *inputs, size_t i)
{
    static const char *const names[] = {"ref", "path"};
    struct recipe_input input = {.kind = RECIPE_ADDRESS};
    if (!jrd_item_is_object(inputs, i)) {
        input.address = jrd_item_hash(inputs, i);
        return input;
    }
    struct json_at item = jrd_item(inputs, i);
    jrd_only(&item, names, ARRAY_LEN(names));
    input.kind = RECIPE_REF;
    input.ref = jrd_text(&item, "ref", JSON_REQUIRED);
    input.path = jrd_text(&item, "path", JSON_OPTIONAL);
    return input;
}

static void parameters_from_json(const struct json_at *object, struct arena *arena,
                                 struct recipe *recipe)
{
    void *iter = NULL;
    const char *name;
    struct bytes value;
    size_t n = 0;
    size_t cap = 0;
    while (jrd_each_text(object, &iter, &name, &value)) {
        struct parameter *p =
            arena_push(arena, (void **)&recipe->parameters, &n, &cap, sizeof(*p));
        p->name = bytes_str(name);
        p->value = value;
    }
    recipe->n_parameters = (uint32_t)n;
}

struct recipe recipe_from_json(const struct json_at *at, struct arena *arena)
{
    static const char *const names[] = {"function", "version", "inputs", "parameters"};
    struct recipe recipe = {0};
    jrd_only(at, names, ARRAY_LEN(names));
    recipe.function = jrd_text(at, "function", JSON_REQUIRED);
    recipe.version = jrd_text(at, "version", JSON_OPTIONAL);
    if (recipe.version.len == 0)
        recipe.version = bytes_str(VERSION_USUAL);
    struct json_at inputs = jrd_array(at, "inputs", JSON_OPTIONAL);
    size_t n = jrd_count(&inputs);
    if (n > RECIPE_INPUTS_MAX) {
        jrd_fail(at, "inputs", "out_of_range", "a recipe has at most %u inputs",
                 RECIPE_INPUTS_MAX);
        return recipe;
    }
    recipe.inputs = arena_array(arena, n, struct recipe_input);
    recipe.n_inputs = (uint32_t)n;
    for (size_t i = 0; i < n && jrd_ok(at); i++)
        recipe.inputs[i] = input_from_json(&inputs, i);
    struct json_at parameters = jrd_object(at, "parameters", JSON_OPTIONAL);
    parameters_from_json(&parameters, arena, &recipe);
    return recipe;
}

void recipe_to_json(struct json_writer *w, const struct recipe *recipe)
{
    jwr_text(w, "function", recipe->function);
    jwr_text(w, "version", recipe->version);
    jwr_array(w, "inputs");
    for (uint32_t i = 0; i < recipe->n_inputs; i++) {
        const struct recipe_input *input = &recipe->inputs[i];
        if (input->kind == RECIPE_ADDRESS) {
            jwr_hash(w, NULL, &input->address);
            continue;
        }
        jwr_object(w, NULL);
        jwr_text(w, "ref", input->ref);
        if (input->path.len > 0)
            jwr_text(w, "path", input->path);
        jwr_object_end(w);
    }
    jwr_array_end(w);
    jwr_object(w, "parameters");
    for (uint32_t i = 0; i < recipe->n_parameters; i++) {
        const struct parameter *p = &recipe->parameters[i];
        char name[FUNCTION_NAME_MAX + 1];
        memcpy(name, p->name.data, p->name.len);
        name[p->name.len] = '\0';
        jwr_text(w, name, p->value);
    }
    jwr_object_end(w);
}
