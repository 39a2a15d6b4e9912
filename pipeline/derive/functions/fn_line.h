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
};

void fn_line_init(struct fn_line_reader *, struct fn_bytes *);
void fn_line_release(struct fn_line_reader *);
/* The next line, without its end, valid until the next call; ERR_NOT_FOUND behind the last;
 * ERR_LIMIT for one over FUNCTION_LINE_MAX. */
int fn_line_next(struct fn_line_reader *, struct bytes *out) MUST_USE;
/* Writes a line and its end. */
int fn_line_put(struct fn_out *, struct bytes line) MUST_USE;

#endif
