/* Paths inside a project: UTF-8, relative, at most 4,096 bytes; no empty, "." or ".."
 * component, none over 255 bytes, no NUL or other control bytes, no component ".git" in any
 * case, no ".mic" at the top. The one validator for every edge. */
#ifndef FORMATS_PATH_H
#define FORMATS_PATH_H

#include "formats/base/err.h"
#include "formats/base/types.h"

/* 0; ERR_LIMIT for one that is too long; ERR_INVALID else, and then `why` (may be NULL) gets a
 * sentence's end for the user, such as "has an empty component"; it is a constant string. */
int path_check(struct bytes path, const char **why) MUST_USE;

/* Whether `data` is well-formed UTF-8 (no surrogates, no overlong forms, at most U+10FFFF). */
bool utf8_ok(struct bytes data);

/* Takes the first component off: "a/b/c" gives "a" and leaves "b/c"; the last leaves an empty
 * rest. */
struct bytes path_first(struct bytes *rest);
/* What lies before the last slash: "a/b/c" gives "a/b", "a" gives "". */
struct bytes path_parent(struct bytes path);
struct bytes path_base(struct bytes path);
/* Whether `path` lies below directory `dir` ("" is the root, above everything); not itself. */
bool path_below(struct bytes path, struct bytes dir);

/* Order in which a walk meets paths: by components, each by its bytes ("a/b" before "a-b":
 * compares '/' as lowest). */
int path_compare(struct bytes a, struct bytes b);

/* Handles of projects: 1 to 100 of a-z 0-9 . _ -, beginning with a letter or digit. */
int handle_check(struct bytes handle) MUST_USE;

#endif
