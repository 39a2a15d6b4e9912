/* An input line by line. A line ends before "\n"; what follows the last one is a line, too,
 * unless it is empty. "\r" belongs to the line. */
#ifndef PIPELINE_DERIVE_FUNCTIONS_FN_LINE_H
#define PIPELINE_DERIVE_FUNCTIONS_FN_LINE_H

#include "pipeline/derive/function.h"

struct fn_line_reader {
    struct fn_bytes *in;
    uint64_t at;       /* of what is behind the view */
    struct bytes view; /* what is left of it */
    struct buf carry;  /* a line that lies across views */
    bool too_long;     /* the line that could not be given was */
};

void fn_line_init(struct fn_line_reader *, struct fn_bytes *);
void fn_line_release(struct fn_line_reader *);
/* The next line, without its end, valid until the next call; `*end` is true when there is none.
 * ERR_LIMIT for one over FUNCTION_LINE_MAX; the input's errors are passed up unchanged. */
int fn_line_next(struct fn_line_reader *, struct bytes *out, bool *end) MUST_USE;
/* Whether an input is text, as far as its first 8,000 bytes tell: none of them is 0. */
int fn_is_text(struct fn_bytes *, bool *out) MUST_USE;
/* Writes a line and its end. */
int fn_line_put(struct fn_out *, struct bytes line) MUST_USE;

#endif
