/* Text: merging three versions, and what differs between two. By libgit2, which is called
 * nowhere else in this folder. */
#ifndef API_CLI_MERGE_H
#define API_CLI_MERGE_H

#include "formats/base/arena.h"
#include "formats/base/buf.h"
#include "formats/base/err.h"
#include "formats/base/types.h"

/* Larger files are treated as binary: nobody reads their diffs. */
#define MERGE_MAX (64u * 1024 * 1024)

/* As git sees it: no NUL in the first 8,000 bytes. */
bool is_text(struct bytes);

/* Appends the merge of `ours` and `theirs`, which both come from `base`. Where both changed the
 * same lines, both stand between markers that carry the labels, and `conflicts` is set. */
int merge_text(struct bytes base, struct bytes ours, struct bytes theirs, const char *our_label,
               const char *their_label, struct buf *out, bool *conflicts) MUST_USE;

/* Appends the hunks that make `b` of `a`, with three lines of context. None when they are
 * equal. */
int text_hunks(struct bytes a, struct bytes b, struct buf *out) MUST_USE;

/* How many lines there are; the last one counts without a newline, too. */
size_t text_lines(struct bytes);

#define LINE_NEW SIZE_MAX
/* For each line of a text which line of another it is, from 0, or LINE_NEW. */
struct line_map {
    size_t *from;
    size_t n;
};
/* The lines of `b` that come from `a`; the map lies in the arena. */
int text_match(struct bytes a, struct bytes b, struct arena *, struct line_map *out) MUST_USE;

#endif
