/* Text, line by line. Each line of a result ends in "\n", also where the input's last one does
 * not. */
#include <stdio.h>

#include "pipeline/derive/functions/builtin.h"
#include "pipeline/derive/functions/fn_line.h"

/* What is done with a line; false in `more` when no further one is wanted. */
typedef int line_take(struct fn_run *run, void *state, struct bytes line, bool *more);

static int each_line(struct fn_run *run, line_take *take, void *state)
{
    AUTO(fn_line_release) struct fn_line_reader reader;
    fn_line_init(&reader, run->inputs[0]);
    bool more = true;
    int err = OK;
    while (err == OK && more) {
        struct bytes line;
        bool end;
        err = fn_line_next(&reader, &line, &end);
        if (err == OK && end)
            break;
        if (err == OK)
            err = take(run, state, line, &more);
    }
    return err;
}

static int count_take(struct fn_run *run UNUSED, void *state, struct bytes line UNUSED,
                      bool *more UNUSED)
{
    ++*(uint64_t *)state;
    return OK;
}

static int count_run(struct fn_run *run)
{
    uint64_t count = 0;
    int err = each_line(run, count_take, &count);
    if (err != OK)
        return err;
    char text[24];
    (void)snprintf(text, sizeof(text), "%llu", (unsigned long long)count);
    return fn_put(run->out, bytes_str(text));
}

const struct function fn_lines_count = {
    .name = "lines.count",
    .version = "1.0.0",
    .revision = "1",
    .about = "How many lines there are, in decimal.",
    .inputs_least = 1,
    .inputs_most = 1,
    .run = count_run,
};

/* ---- head, tail ---- */

#define LINES_DEFAULT 10u

static int lines_check(const struct fn_run *run)
{
    uint64_t lines;
    return fn_parameter_u64(run, "lines", LINES_DEFAULT, &lines);
}

static int head_take(struct fn_run *run, void *state, struct bytes line, bool *more)
{
    uint64_t *left = state;
    *more = --*left > 0;
    return fn_line_put(run->out, line);
}

static int head_run(struct fn_run *run)
{
    uint64_t left;
    int err = fn_parameter_u64(run, "lines", LINES_DEFAULT, &left);
    if (err != OK || left == 0)
        return err;
    return each_line(run, head_take, &left);
}

static int tail_take(struct fn_run *run, void *state, struct bytes line, bool *more UNUSED)
{
    uint64_t *skip = state;
    if (*skip == 0)
        return fn_line_put(run->out, line);
    --*skip;
    return OK;
}

/* Read twice: what is counted need not be kept. */
static int tail_run(struct fn_run *run)
{
    uint64_t lines;
    uint64_t count = 0;
    int err = fn_parameter_u64(run, "lines", LINES_DEFAULT, &lines);
    if (err == OK)
        err = each_line(run, count_take, &count);
    if (err != OK)
        return err;
    uint64_t skip = count > lines ? count - lines : 0;
    return each_line(run, tail_take, &skip);
}

static const struct fn_parameter lines_parameters[] = {{"lines", false}};

const struct function fn_lines_head = {
    .name = "lines.head",
    .version = "1.0.0",
    .revision = "1",
    .about = "The first `lines` lines, by default 10.",
    .inputs_least = 1,
    .inputs_most = 1,
    .parameters = lines_parameters,
    .n_parameters = ARRAY_LEN(lines_parameters),
    .check = lines_check,
    .run = head_run,
};

const struct function fn_lines_tail = {
    .name = "lines.tail",
    .version = "1.0.0",
    .revision = "1",
    .about = "The last `lines` lines, by default 10.",
    .inputs_least = 1,
    .inputs_most = 1,
    .parameters = lines_parameters,
    .n_parameters = ARRAY_LEN(lines_parameters),
    .check = lines_check,
    .run = tail_run,
};

/* ---- uniq ---- */

struct uniq {
    struct buf last;
    bool any;
};

static int uniq_take(struct fn_run *run, void *state, struct bytes line, bool *more UNUSED)
{
    struct uniq *uniq = state;
    if (uniq->any && bytes_equal(line, buf_bytes(&uniq->last)))
        return OK;
    uniq->any = true;
    buf_clear(&uniq->last);
    buf_append_bytes(&uniq->last, line);
    return fn_line_put(run->out, line);
}

static int uniq_run(struct fn_run *run)
{
    struct uniq uniq = {0};
    int err = each_line(run, uniq_take, &uniq);
    buf_release(&uniq.last);
    return err;
}

const struct function fn_lines_uniq = {
    .name = "lines.uniq",
    .version = "1.0.0",
    .revision = "1",
    .about = "Of equal lines that follow each other, one.",
    .inputs_least = 1,
    .inputs_most = 1,
    .run = uniq_run,
};
