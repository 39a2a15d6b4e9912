/* Spelling JSON, by jansson, for functions whose result is lines of it. */
#ifndef PIPELINE_DERIVE_FUNCTIONS_FN_JSON_TEXT_H
#define PIPELINE_DERIVE_FUNCTIONS_FN_JSON_TEXT_H

#include "formats/base/buf.h"
#include "pipeline/derive/function.h"

/* "file", "link" or "dir". */
const char *fn_kind_word(enum kind);
/* Appends a string in its quotes. ERR_INVALID, with a sentence, for what is not UTF-8. */
int fn_json_string(const struct fn_run *, struct bytes, struct buf *out) MUST_USE;
/* Appends the fields of an entry, without the braces around them. */
void fn_json_fields(const struct fn_entry *, struct buf *out);
/* Appends an object of a path and the fields of its entry. */
int fn_json_entry(const struct fn_run *, struct bytes path, const struct fn_entry *,
                  struct buf *out) MUST_USE;
/* The version of the library, for a function's digest. */
void fn_json_library(struct buf *out);

#endif
