/* A regular expression that is looked for in lines, by PCRE2. Its interpreter does the work and
 * not its compiler, whose limits are counted in another way: a line that is too hard to decide
 * is too hard everywhere. Text is UTF-8, and bytes that are none match nothing. */
#ifndef PIPELINE_DERIVE_FUNCTIONS_FN_PATTERN_H
#define PIPELINE_DERIVE_FUNCTIONS_FN_PATTERN_H

#include "pipeline/derive/function.h"

/* All zero needs no release. One thread. */
struct fn_pattern {
    void *code;
    void *match;
    void *context;
};

/* From the parameters `pattern` and `ignore-case`, which is true or false. */
int fn_pattern_open(const struct fn_run *, struct fn_pattern *) MUST_USE;
void fn_pattern_release(struct fn_pattern *);
/* Whether it matches in the line; ERR_LIMIT when that is too hard to tell. */
int fn_pattern_find(const struct fn_pattern *, struct bytes line, bool *found) MUST_USE;
/* The version of the library, for a function's digest. */
void fn_pattern_library(struct buf *out);

#endif
