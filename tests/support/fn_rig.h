/* Runs functions on bytes in memory, and on trees: inputs come in views, and results go out in
 * windows, that are as long as a test wants them. */
#ifndef TESTS_SUPPORT_FN_RIG_H
#define TESTS_SUPPORT_FN_RIG_H

#include "formats/base/buf.h"
#include "pipeline/derive/function.h"

struct fn_case {
    const char *name; /* version 1.0.0 */
    const struct bytes *inputs;
    struct fn_tree *const *trees; /* as many as inputs; NULL at what is bytes, or itself */
    uint32_t n_inputs;
    const char *const *parameters; /* name, value, name, value …, NULL */
    size_t view_max;               /* 0: all at once */
    size_t window;                 /* 0: as large as it likes */
    int view_err;                  /* what a view gives when `view_err_at` is reached */
    uint64_t view_err_at;
    int flush_err; /* what the output gives after `flush_err_at` windows, unless that is 0 */
    unsigned flush_err_at;
};

/* Checks the parameters, then runs. Appends the result to `out`. */
int fn_case_run(const struct fn_case *, struct buf *out, struct fn_problem *) MUST_USE;
/* The range [from, end) by the function's pieces. */
int fn_case_range(const struct fn_case *, uint64_t from, uint64_t end,
                  struct buf *out) MUST_USE;

#endif
