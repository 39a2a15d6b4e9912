/* Lines that match a regular expression, by PCRE2. Its interpreter does the work and not its
 * compiler, whose limits are counted in another way: a line that is too hard to decide is too
 * hard everywhere. */
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "pipeline/derive/functions/builtin.h"
#include "pipeline/derive/functions/fn_line.h"

#define STEPS_MAX 1000000u /* for one line */
#define DEPTH_MAX 10000u
#define HEAP_KIB  65536u

static void code_free(pcre2_code **code)
{
    pcre2_code_free(*code);
}

static void match_free(pcre2_match_data **match)
{
    pcre2_match_data_free(*match);
}

static void context_free(pcre2_match_context **context)
{
    pcre2_match_context_free(*context);
}

static int flag_of(const struct fn_run *run, const char *name, bool *out)
{
    struct bytes value = bytes_str("false");
    (void)!fn_parameter(run, name, &value);
    *out = bytes_equal(value, bytes_str("true"));
    if (!*out && !bytes_equal(value, bytes_str("false")))
        return fn_refuse(run, name, "neither true nor false");
    return OK;
}

static int pattern_compile(const struct fn_run *run, pcre2_code **out)
{
    bool ignore;
    struct bytes pattern = {0};
    int err = flag_of(run, "ignore-case", &ignore);
    if (err != OK)
        return err;
    (void)!fn_parameter(run, "pattern", &pattern);
    int number;
    size_t offset;
    uint32_t options = PCRE2_UTF | PCRE2_MATCH_INVALID_UTF | (ignore ? PCRE2_CASELESS : 0);
    *out = pcre2_compile(pattern.data != NULL ? pattern.data : (const uint8_t *)"", pattern.len,
                         options, &number, &offset, NULL);
    if (*out != NULL)
        return OK;
    uint8_t message[200];
    (void)pcre2_get_error_message(number, message, sizeof(message));
    return fn_refuse(run, "pattern", "%s, at byte %zu", (const char *)message, offset);
}

static int grep_check(const struct fn_run *run)
{
    bool invert;
    int err = flag_of(run, "invert", &invert);
    if (err != OK)
        return err;
    AUTO(code_free) pcre2_code *code = NULL;
    return pattern_compile(run, &code);
}

static int lines_match(struct fn_run *run, const pcre2_code *code, bool invert)
{
    AUTO(match_free) pcre2_match_data *match = pcre2_match_data_create(1, NULL);
    AUTO(context_free) pcre2_match_context *context = pcre2_match_context_create(NULL);
    assert(match != NULL && context != NULL);
    (void)pcre2_set_match_limit(context, STEPS_MAX);
    (void)pcre2_set_depth_limit(context, DEPTH_MAX);
    (void)pcre2_set_heap_limit(context, HEAP_KIB);
    AUTO(fn_line_release) struct fn_line_reader reader;
    fn_line_init(&reader, run->inputs[0]);
    int err = OK;
    for (uint64_t number = 1; err == OK; number++) {
        struct bytes line;
        err = fn_line_next(&reader, &line);
        if (err != OK)
            break;
        const uint8_t *text = line.len > 0 ? line.data : (const uint8_t *)"";
        int found = pcre2_match(code, text, line.len, 0, 0, match, context);
        if (found < 0 && found != PCRE2_ERROR_NOMATCH)
            return fn_refuse(run, "pattern", "line %llu is too hard to match",
                             (unsigned long long)number);
        if ((found >= 0) != invert)
            err = fn_line_put(run->out, line);
    }
    return err == ERR_NOT_FOUND ? OK : err;
}

static int grep_run(struct fn_run *run)
{
    bool invert;
    AUTO(code_free) pcre2_code *code = NULL;
    int err = flag_of(run, "invert", &invert);
    if (err == OK)
        err = pattern_compile(run, &code);
    return err != OK ? err : lines_match(run, code, invert);
}

static void library(struct buf *out)
{
    char text[64] = "";
    (void)pcre2_config(PCRE2_CONFIG_VERSION, text);
    buf_printf(out, "pcre2 %s", text);
}

static const struct fn_parameter grep_parameters[] = {
    {"ignore-case", false}, {"invert", false}, {"pattern", true}};

/* The lines that match `pattern`, or with `invert` those that do not; text is UTF-8, and bytes
 * that are none match nothing. */
const struct function fn_lines_grep = {
    .name = "lines.grep",
    .version = "1.0.0",
    .revision = "1",
    .library = library,
    .inputs_least = 1,
    .inputs_most = 1,
    .parameters = grep_parameters,
    .n_parameters = ARRAY_LEN(grep_parameters),
    .check = grep_check,
    .run = grep_run,
};
