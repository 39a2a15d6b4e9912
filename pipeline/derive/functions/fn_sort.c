/* Lines in order. */
#include <stdlib.h>

#include "pipeline/derive/functions/builtin.h"
#include "pipeline/derive/functions/fn_line.h"

static int line_order(const void *a, const void *b)
{
    return bytes_compare(*(const struct bytes *)a, *(const struct bytes *)b);
}

static size_t lines_split(struct bytes text, struct bytes *out)
{
    size_t n = 0;
    while (text.len > 0) {
        const uint8_t *end = memchr(text.data, '\n', text.len);
        size_t len = end != NULL ? (size_t)(end - text.data) : text.len;
        size_t taken = end != NULL ? len + 1 : len;
        if (out != NULL)
            out[n] = bytes_of(text.data, len);
        n++;
        text = bytes_of(text.data + taken, text.len - taken);
    }
    return n;
}

static int order_of(const struct fn_run *run, bool *descending)
{
    return fn_parameter_either(run, "order", "ascending", "descending", descending);
}

static int sort_check(const struct fn_run *run)
{
    bool descending;
    return order_of(run, &descending);
}

static int sort_run(struct fn_run *run)
{
    bool descending;
    AUTO_BUF text = {0};
    int err = order_of(run, &descending);
    if (err == OK)
        err = fn_whole(run, 0, &text);
    if (err != OK)
        return err;
    size_t n = lines_split(buf_bytes(&text), NULL);
    if (n > FUNCTION_LINES_MAX)
        return ERR_LIMIT;
    AUTO(arena_release) struct arena arena = {0};
    struct bytes *lines = arena_array(&arena, n, struct bytes);
    (void)!lines_split(buf_bytes(&text), lines);
    if (n > 1)
        qsort(lines, n, sizeof(*lines), line_order);
    for (size_t i = 0; i < n && err == OK; i++)
        err = fn_line_put(run->out, lines[descending ? n - 1 - i : i]);
    return err;
}

static const struct fn_parameter sort_parameters[] = {{"order", false}};

const struct function fn_lines_sort = {
    .name = "lines.sort",
    .version = "1.0.0",
    .revision = "1",
    .about = "All lines by their bytes; `order` is ascending, which is the default, or "
             "descending. Each line of the result ends in \"\\n\".",
    .inputs_least = 1,
    .inputs_most = 1,
    .parameters = sort_parameters,
    .n_parameters = ARRAY_LEN(sort_parameters),
    .check = sort_check,
    .run = sort_run,
};
