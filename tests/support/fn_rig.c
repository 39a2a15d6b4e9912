#include "tests/support/fn_rig.h"

#include <check.h>

struct rig_input {
    struct fn_bytes bytes;
    struct bytes data;
    const struct fn_case *of;
};

struct rig_out {
    struct fn_out out;
    struct buf window;
    struct buf *to;
    const struct fn_case *of;
    unsigned flushed;
};

struct rig {
    struct arena arena;
    struct recipe recipe;
    struct fn_run run;
    struct rig_out out;
    const struct function *fn;
};

static int rig_view(struct fn_bytes *in, uint64_t offset, struct bytes *out)
{
    const struct rig_input *input = (const struct rig_input *)(const void *)in;
    ck_assert_uint_lt(offset, input->data.len);
    if (input->of->view_err != OK && offset >= input->of->view_err_at)
        return input->of->view_err;
    size_t len = input->data.len - (size_t)offset;
    if (input->of->view_max > 0 && len > input->of->view_max)
        len = input->of->view_max;
    *out = bytes_of(input->data.data + offset, len);
    return OK;
}

static void rig_take(struct rig_out *rig)
{
    buf_append(rig->to, rig->window.data, rig->window.cap - rig->out.space);
}

static int rig_flush(struct fn_out *out)
{
    struct rig_out *rig = (struct rig_out *)(void *)out;
    if (rig->of->flush_err_at > 0 && ++rig->flushed >= rig->of->flush_err_at)
        return rig->of->flush_err;
    rig_take(rig);
    out->at = rig->window.data;
    out->space = rig->window.cap;
    return OK;
}

static void rig_open(struct rig *rig, const struct fn_case *of, struct buf *to,
                     struct fn_problem *problem)
{
    *rig = (struct rig){0};
    struct arena *arena = &rig->arena;
    struct parameter parameters[16];
    uint32_t n = 0;
    for (const char *const *at = of->parameters; at != NULL && *at != NULL; at += 2)
        parameters[n++] = (struct parameter){bytes_str(at[0]), bytes_str(at[1])};
    rig->recipe =
        (struct recipe){.function = bytes_str(of->name),
                        .version = bytes_str("1.0.0"),
                        .inputs = arena_array(arena, of->n_inputs, struct recipe_input),
                        .n_inputs = of->n_inputs,
                        .parameters = arena_array(arena, n, struct parameter),
                        .n_parameters = n};
    memcpy(rig->recipe.parameters, parameters, n * sizeof(*parameters));
    rig->run.inputs = arena_array(arena, of->n_inputs, struct fn_bytes *);
    rig->run.trees = arena_array(arena, of->n_inputs, struct fn_tree *);
    rig->run.n_inputs = of->n_inputs;
    for (uint32_t i = 0; i < of->n_inputs; i++) {
        rig->recipe.inputs[i].kind = RECIPE_ADDRESS;
        if (of->trees != NULL && of->trees[i] != NULL) {
            rig->run.trees[i] = of->trees[i];
            continue;
        }
        struct rig_input *input = arena_new(arena, struct rig_input);
        input->bytes = (struct fn_bytes){.size = of->inputs[i].len, .view = rig_view};
        input->data = of->inputs[i];
        input->of = of;
        rig->run.inputs[i] = &input->bytes;
    }
    ck_assert_int_eq(recipe_settle(&rig->recipe, NULL), OK);
    rig->run.parameters = rig->recipe.parameters;
    rig->run.n_parameters = n;
    rig->run.problem = problem;
    size_t window = of->window > 0 ? of->window : 1u << 20;
    rig->out.window = (struct buf){.data = arena_alloc(arena, window), .cap = window};
    rig->out.out =
        (struct fn_out){.at = rig->out.window.data, .space = window, .flush = rig_flush};
    rig->out.to = to;
    rig->out.of = of;
    rig->run.out = &rig->out.out;
    rig->fn = function_find(rig->recipe.function, rig->recipe.version);
    ck_assert_ptr_nonnull(rig->fn);
}

int fn_case_run(const struct fn_case *of, struct buf *out, struct fn_problem *problem)
{
    struct rig rig;
    rig_open(&rig, of, out, problem);
    int err = function_check(rig.fn, &rig.recipe, problem);
    if (err == OK)
        err = function_run(rig.fn, &rig.run);
    rig_take(&rig.out);
    arena_release(&rig.arena);
    return err;
}

static int range_take(void *arg, const struct fn_piece *piece)
{
    struct rig *rig = arg;
    const struct rig_input *in =
        (const struct rig_input *)(const void *)rig->run.inputs[piece->input];
    ck_assert_uint_gt(piece->len, 0);
    ck_assert_uint_le(piece->offset + piece->len, in->data.len);
    buf_append(rig->out.to, in->data.data + piece->offset, (size_t)piece->len);
    return OK;
}

int fn_case_range(const struct fn_case *of, uint64_t from, uint64_t end, struct buf *out)
{
    struct rig rig;
    struct fn_problem problem = {0};
    rig_open(&rig, of, out, &problem);
    int err = rig.fn->pieces(&rig.run, from, end, range_take, &rig);
    arena_release(&rig.arena);
    return err;
}
