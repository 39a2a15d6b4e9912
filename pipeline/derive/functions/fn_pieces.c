/* Functions whose results are put together of parts of their inputs: a range of the result
 * needs only a range of these. */
#include "formats/base/limits.h"
#include "pipeline/derive/functions/builtin.h"

/* Gives what [from, end) of the result has of one input's part [offset, offset + len), which
 * begins in the result at `begin`. */
static int part_take(uint32_t input, uint64_t offset, uint64_t len, uint64_t begin,
                     uint64_t from, uint64_t end, fn_piece_take *take, void *arg)
{
    uint64_t low = from > begin ? from : begin;
    uint64_t high = end < begin + len ? end : begin + len;
    if (low >= high)
        return OK;
    struct fn_piece piece = {
        .input = input, .offset = offset + (low - begin), .len = high - low};
    return take(arg, &piece);
}

/* ---- identity ---- */

static int identity_size(const struct fn_run *run, uint64_t *out)
{
    *out = run->inputs[0]->size;
    return OK;
}

static int identity_pieces(const struct fn_run *run, uint64_t from, uint64_t end,
                           fn_piece_take *take, void *arg)
{
    return part_take(0, 0, run->inputs[0]->size, 0, from, end, take, arg);
}

static int identity_run(struct fn_run *run)
{
    return fn_run_pieces(&fn_identity, run);
}

const struct function fn_identity = {
    .name = "identity",
    .version = "1.0.0",
    .revision = "1",
    .about = "Its input as it is.",
    .inputs_least = 1,
    .inputs_most = 1,
    .run = identity_run,
    .size = identity_size,
    .pieces = identity_pieces,
};

/* ---- concat ---- */

static int concat_size(const struct fn_run *run, uint64_t *out)
{
    uint64_t size = 0;
    for (uint32_t i = 0; i < run->n_inputs; i++) {
        size += run->inputs[i]->size;
        if (size > RESULT_SIZE_MAX)
            return ERR_LIMIT;
    }
    *out = size;
    return OK;
}

static int concat_pieces(const struct fn_run *run, uint64_t from, uint64_t end,
                         fn_piece_take *take, void *arg)
{
    uint64_t begin = 0;
    for (uint32_t i = 0; i < run->n_inputs && begin < end; i++) {
        uint64_t len = run->inputs[i]->size;
        int err = part_take(i, 0, len, begin, from, end, take, arg);
        if (err != OK)
            return err;
        begin += len;
    }
    return OK;
}

static int concat_run(struct fn_run *run)
{
    return fn_run_pieces(&fn_concat, run);
}

const struct function fn_concat = {
    .name = "concat",
    .version = "1.0.0",
    .revision = "1",
    .about = "Its inputs, one after the other.",
    .inputs_least = 1,
    .inputs_most = RECIPE_INPUTS_MAX,
    .run = concat_run,
    .size = concat_size,
    .pieces = concat_pieces,
};

/* ---- slice ---- */

static int slice_bounds(const struct fn_run *run, uint64_t *start, uint64_t *end)
{
    int err = fn_parameter_u64(run, "start", 0, start);
    if (err == OK)
        err = fn_parameter_u64(run, "end", UINT64_MAX, end);
    if (err == OK && *start > *end)
        return fn_refuse(run, "start", "is beyond the end");
    return err;
}

static int slice_check(const struct fn_run *run)
{
    uint64_t start;
    uint64_t end;
    return slice_bounds(run, &start, &end);
}

static int slice_size(const struct fn_run *run, uint64_t *out)
{
    uint64_t start;
    uint64_t end;
    int err = slice_bounds(run, &start, &end);
    if (err != OK)
        return err;
    uint64_t size = run->inputs[0]->size;
    end = end < size ? end : size;
    *out = start < end ? end - start : 0;
    return OK;
}

static int slice_pieces(const struct fn_run *run, uint64_t from, uint64_t end,
                        fn_piece_take *take, void *arg)
{
    uint64_t start;
    uint64_t stop;
    uint64_t size = 0;
    int err = slice_bounds(run, &start, &stop);
    if (err == OK)
        err = slice_size(run, &size);
    return err != OK ? err : part_take(0, start, size, 0, from, end, take, arg);
}

static int slice_run(struct fn_run *run)
{
    return fn_run_pieces(&fn_slice, run);
}

static const struct fn_parameter slice_parameters[] = {{"end", false}, {"start", false}};

const struct function fn_slice = {
    .name = "slice",
    .version = "1.0.0",
    .revision = "1",
    .about = "The bytes [`start`, `end`) of its input, both decimal; by default from its "
             "beginning and to its end. What lies beyond its end is not there.",
    .inputs_least = 1,
    .inputs_most = 1,
    .parameters = slice_parameters,
    .n_parameters = ARRAY_LEN(slice_parameters),
    .check = slice_check,
    .run = slice_run,
    .size = slice_size,
    .pieces = slice_pieces,
};

/* ---- repeat ---- */

static int repeat_check(const struct fn_run *run)
{
    uint64_t count;
    return fn_parameter_u64(run, "count", 0, &count);
}

static int repeat_size(const struct fn_run *run, uint64_t *out)
{
    uint64_t count;
    uint64_t size;
    int err = fn_parameter_u64(run, "count", 0, &count);
    if (err != OK)
        return err;
    if (__builtin_mul_overflow(run->inputs[0]->size, count, &size) || size > RESULT_SIZE_MAX)
        return ERR_LIMIT;
    *out = size;
    return OK;
}

static int repeat_pieces(const struct fn_run *run, uint64_t from, uint64_t end,
                         fn_piece_take *take, void *arg)
{
    uint64_t len = run->inputs[0]->size;
    while (from < end) {
        uint64_t begin = from - from % len;
        int err = part_take(0, 0, len, begin, from, end, take, arg);
        if (err != OK)
            return err;
        from = begin + len;
    }
    return OK;
}

static int repeat_run(struct fn_run *run)
{
    return fn_run_pieces(&fn_repeat, run);
}

static const struct fn_parameter repeat_parameters[] = {{"count", true}};

const struct function fn_repeat = {
    .name = "repeat",
    .version = "1.0.0",
    .revision = "1",
    .about = "Its input `count` times.",
    .inputs_least = 1,
    .inputs_most = 1,
    .parameters = repeat_parameters,
    .n_parameters = ARRAY_LEN(repeat_parameters),
    .check = repeat_check,
    .run = repeat_run,
    .size = repeat_size,
    .pieces = repeat_pieces,
};
