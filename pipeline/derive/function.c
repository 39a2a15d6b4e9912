#include "pipeline/derive/function.h"

#include <stdarg.h>
#include <stdio.h>

#include "formats/base/hash.h"
#include "formats/base/limits.h"
#include "pipeline/derive/functions/builtin.h"

static const struct function *const functions[] = {
    &fn_base64_decode,
    &fn_base64_encode,
    &fn_concat,
    &fn_csv_columns,
    &fn_gzip_compress,
    &fn_gzip_decompress,
    &fn_hex_decode,
    &fn_hex_encode,
    &fn_identity,
    &fn_json_canonicalize,
    &fn_json_get,
    &fn_length,
    &fn_lines_count,
    &fn_lines_grep,
    &fn_lines_head,
    &fn_lines_sort,
    &fn_lines_tail,
    &fn_lines_uniq,
    &fn_lowercase,
    &fn_repeat,
    &fn_reverse,
    &fn_sha256,
    &fn_slice,
    &fn_text_diff,
    &fn_tree_archive,
    &fn_tree_diff,
    &fn_tree_list,
    &fn_tree_search,
    &fn_tree_stat,
    &fn_uppercase,
    &fn_xxh3,
    &fn_zstd_compress,
    &fn_zstd_decompress,
};

const struct function *const *functions_all(size_t *n)
{
    *n = ARRAY_LEN(functions);
    return functions;
}

const struct function *function_find(struct bytes name, struct bytes version)
{
    for (size_t i = 0; i < ARRAY_LEN(functions); i++) {
        if (bytes_equal(name, bytes_str(functions[i]->name)) &&
            bytes_equal(version, bytes_str(functions[i]->version)))
            return functions[i];
    }
    return NULL;
}

struct hash function_digest(const struct function *fn)
{
    AUTO_BUF text = {0};
    buf_printf(&text, "%s\n%s\n%s\n", fn->name, fn->version, fn->revision);
    if (fn->library != NULL)
        fn->library(&text);
    return sha256(buf_bytes(&text));
}

/* ---- checks ---- */

static const struct fn_parameter *parameter_of(const struct function *fn, struct bytes name)
{
    for (size_t i = 0; i < fn->n_parameters; i++) {
        if (bytes_equal(name, bytes_str(fn->parameters[i].name)))
            return &fn->parameters[i];
    }
    return NULL;
}

static int inputs_check(const struct function *fn, const struct fn_run *run)
{
    if (run->n_inputs >= fn->inputs_least && run->n_inputs <= fn->inputs_most)
        return OK;
    if (fn->inputs_least == fn->inputs_most)
        return fn_refuse(run, NULL, "%s takes %u input%s, not %u", fn->name, fn->inputs_least,
                         fn->inputs_least == 1 ? "" : "s", run->n_inputs);
    return fn_refuse(run, NULL, "%s takes at least %u input%s", fn->name, fn->inputs_least,
                     fn->inputs_least == 1 ? "" : "s");
}

int function_check(const struct function *fn, const struct recipe *recipe,
                   struct fn_problem *problem)
{
    struct fn_run run = {.n_inputs = recipe->n_inputs,
                         .parameters = recipe->parameters,
                         .n_parameters = recipe->n_parameters,
                         .problem = problem};
    int err = inputs_check(fn, &run);
    if (err != OK)
        return err;
    for (uint32_t i = 0; i < recipe->n_parameters; i++) {
        struct bytes name = recipe->parameters[i].name;
        if (parameter_of(fn, name) == NULL) {
            AUTO(arena_release) struct arena arena = {0};
            return fn_refuse(&run, arena_str(&arena, name), "%s has no such parameter",
                             fn->name);
        }
    }
    for (size_t i = 0; i < fn->n_parameters; i++) {
        struct bytes value;
        if (fn->parameters[i].required && !fn_parameter(&run, fn->parameters[i].name, &value))
            return fn_refuse(&run, fn->parameters[i].name, "%s needs this parameter", fn->name);
    }
    return fn->check != NULL ? fn->check(&run) : OK;
}

bool function_takes_tree(const struct function *fn, uint32_t input)
{
    return input < 32 && (fn->trees >> input & 1u) != 0;
}

int function_run(const struct function *fn, struct fn_run *run)
{
    for (uint32_t i = 0; i < run->n_inputs; i++) {
        bool is_tree = run->trees != NULL && run->trees[i] != NULL;
        if (is_tree == function_takes_tree(fn, i))
            continue;
        return fn_refuse(run, NULL, "input %u of %s is %s, and it takes %s there", i + 1,
                         fn->name, is_tree ? "a tree" : "bytes", is_tree ? "bytes" : "a tree");
    }
    return fn->run(run);
}

/* ---- for functions ---- */

int fn_refuse(const struct fn_run *run, const char *parameter, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(run->problem->message, sizeof(run->problem->message), fmt, args);
    va_end(args);
    (void)snprintf(run->problem->parameter, sizeof(run->problem->parameter), "%s",
                   parameter != NULL ? parameter : "");
    return ERR_INVALID;
}

bool fn_parameter(const struct fn_run *run, const char *name, struct bytes *out)
{
    for (uint32_t i = 0; i < run->n_parameters; i++) {
        if (bytes_equal(run->parameters[i].name, bytes_str(name))) {
            *out = run->parameters[i].value;
            return true;
        }
    }
    return false;
}

int fn_parameter_u64(const struct fn_run *run, const char *name, uint64_t otherwise,
                     uint64_t *out)
{
    struct bytes text;
    if (!fn_parameter(run, name, &text)) {
        *out = otherwise;
        return OK;
    }
    uint64_t number = 0;
    bool good = text.len > 0;
    for (size_t i = 0; i < text.len && good; i++) {
        unsigned digit = (unsigned)text.data[i] - '0';
        good = digit <= 9 && !__builtin_mul_overflow(number, 10, &number) &&
               !__builtin_add_overflow(number, digit, &number);
    }
    if (!good)
        return fn_refuse(run, name, "not a decimal number below 2^64");
    *out = number;
    return OK;
}

int fn_parameter_either(const struct fn_run *run, const char *name, const char *usual,
                        const char *other, bool *out)
{
    struct bytes value = bytes_str(usual);
    (void)!fn_parameter(run, name, &value);
    bool is_other = bytes_equal(value, bytes_str(other));
    if (!is_other && !bytes_equal(value, bytes_str(usual)))
        return fn_refuse(run, name, "neither %s nor %s", usual, other);
    *out = is_other;
    return OK;
}

int fn_put(struct fn_out *out, struct bytes data)
{
    while (data.len > 0) {
        if (out->space == 0) {
            int err = out->flush(out);
            if (err != OK)
                return err;
        }
        size_t n = data.len < out->space ? data.len : out->space;
        memcpy(out->at, data.data, n);
        out->at += n;
        out->space -= n;
        data.data += n;
        data.len -= n;
    }
    return OK;
}

int fn_whole(const struct fn_run *run, uint32_t input, struct buf *out)
{
    struct fn_bytes *in = run->inputs[input];
    if (in->size > FUNCTION_WHOLE_MAX)
        return ERR_LIMIT;
    for (uint64_t at = 0; at < in->size;) {
        struct bytes view;
        int err = in->view(in, at, &view);
        if (err != OK)
            return err;
        buf_append_bytes(out, view);
        at += view.len;
    }
    return OK;
}

static int piece_put(void *arg, const struct fn_piece *piece)
{
    const struct fn_run *run = arg;
    struct fn_bytes *in = run->inputs[piece->input];
    for (uint64_t done = 0; done < piece->len;) {
        struct bytes view;
        int err = in->view(in, piece->offset + done, &view);
        if (err != OK)
            return err;
        if (view.len > piece->len - done)
            view.len = (size_t)(piece->len - done);
        err = fn_put(run->out, view);
        if (err != OK)
            return err;
        done += view.len;
    }
    return OK;
}

int fn_run_pieces(const struct function *fn, struct fn_run *run)
{
    uint64_t size;
    int err = fn->size(run, &size);
    if (err != OK)
        return err;
    return fn->pieces(run, 0, size, piece_put, run);
}
