/* Text: merging three versions, and showing what differs. By libgit2, which is called nowhere
 * else in this folder. */
#ifndef API_CLI_MERGE_H
#define API_CLI_MERGE_H

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

/* One side of a diff; `there` false: the file is not. */
struct diff_side {
    bool there;
    struct bytes text;
    unsigned mode; /* as git spells it: 0100644, 0100755, 0120000 */
};

/* Appends a unified diff as git prints it, with its header. */
int diff_text(const char *path, const struct diff_side *a, const struct diff_side *b,
              struct buf *out) MUST_USE;

#endif
