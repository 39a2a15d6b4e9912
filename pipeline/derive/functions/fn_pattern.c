#include "pipeline/derive/functions/fn_pattern.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#define STEPS_MAX 1000000u /* for one line */
#define DEPTH_MAX 10000u
#define HEAP_KIB  65536u

int fn_pattern_open(const struct fn_run *run, struct fn_pattern *out)
{
    bool ignore;
    struct bytes text = {0};
    int err = fn_parameter_either(run, "ignore-case", "false", "true", &ignore);
    if (err != OK)
        return err;
    (void)!fn_parameter(run, "pattern", &text);
    int number;
    size_t offset;
    uint32_t options = PCRE2_UTF | PCRE2_MATCH_INVALID_UTF | (ignore ? PCRE2_CASELESS : 0);
    pcre2_code *code = pcre2_compile(text.data != NULL ? text.data : (const uint8_t *)"",
                                     text.len, options, &number, &offset, NULL);
    if (code == NULL) {
        uint8_t message[200];
        (void)pcre2_get_error_message(number, message, sizeof(message));
        return fn_refuse(run, "pattern", "%s, at byte %zu", (const char *)message, offset);
    }
    pcre2_match_data *match = pcre2_match_data_create(1, NULL);
    pcre2_match_context *context = pcre2_match_context_create(NULL);
    assert(match != NULL && context != NULL);
    (void)pcre2_set_match_limit(context, STEPS_MAX);
    (void)pcre2_set_depth_limit(context, DEPTH_MAX);
    (void)pcre2_set_heap_limit(context, HEAP_KIB);
    *out = (struct fn_pattern){code, match, context};
    return OK;
}

void fn_pattern_release(struct fn_pattern *pattern)
{
    pcre2_match_context_free(pattern->context);
    pcre2_match_data_free(pattern->match);
    pcre2_code_free(pattern->code);
    *pattern = (struct fn_pattern){0};
}

int fn_pattern_find(const struct fn_pattern *pattern, struct bytes line, bool *found)
{
    const uint8_t *text = line.len > 0 ? line.data : (const uint8_t *)"";
    int count =
        pcre2_match(pattern->code, text, line.len, 0, 0, pattern->match, pattern->context);
    if (count < 0 && count != PCRE2_ERROR_NOMATCH)
        return ERR_LIMIT;
    *found = count >= 0;
    return OK;
}

void fn_pattern_library(struct buf *out)
{
    char text[64] = "";
    (void)pcre2_config(PCRE2_CONFIG_VERSION, text);
    buf_printf(out, "pcre2 %s", text);
}
