/* Lines that match a regular expression. */
#include "pipeline/derive/functions/builtin.h"
#include "pipeline/derive/functions/fn_line.h"
#include "pipeline/derive/functions/fn_pattern.h"

static int grep_open(const struct fn_run *run, struct fn_pattern *pattern, bool *invert)
{
    int err = fn_parameter_either(run, "invert", "false", "true", invert);
    return err != OK ? err : fn_pattern_open(run, pattern);
}

static int grep_check(const struct fn_run *run)
{
    bool invert;
    AUTO(fn_pattern_release) struct fn_pattern pattern = {0};
    return grep_open(run, &pattern, &invert);
}

static int grep_run(struct fn_run *run)
{
    bool invert;
    AUTO(fn_pattern_release) struct fn_pattern pattern = {0};
    int err = grep_open(run, &pattern, &invert);
    if (err != OK)
        return err;
    AUTO(fn_line_release) struct fn_line_reader reader;
    fn_line_init(&reader, run->inputs[0]);
    for (uint64_t number = 1; err == OK; number++) {
        struct bytes line;
        bool end;
        bool found;
        err = fn_line_next(&reader, &line, &end);
        if (err != OK || end)
            break;
        if (fn_pattern_find(&pattern, line, &found) != OK)
            return fn_refuse(run, "pattern", "line %llu is too hard to match",
                             (unsigned long long)number);
        if (found != invert)
            err = fn_line_put(run->out, line);
    }
    return err;
}

static const struct fn_parameter grep_parameters[] = {
    {"ignore-case", false}, {"invert", false}, {"pattern", true}};

const struct function fn_lines_grep = {
    .name = "lines.grep",
    .version = "1.0.0",
    .revision = "1",
    .about = "The lines that match `pattern`, a Perl-compatible regular expression, or with "
             "`invert` true those that do not; with `ignore-case` true in upper or lower case. "
             "Text is UTF-8, and bytes that are none match nothing.",
    .library = fn_pattern_library,
    .inputs_least = 1,
    .inputs_most = 1,
    .parameters = grep_parameters,
    .n_parameters = ARRAY_LEN(grep_parameters),
    .check = grep_check,
    .run = grep_run,
};
