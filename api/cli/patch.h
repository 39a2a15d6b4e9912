/* What differs in one file, as git prints it, so that `git apply` and `patch -p1` take it.
 * Where the content cannot be shown, they refuse the patch. */
#ifndef API_CLI_PATCH_H
#define API_CLI_PATCH_H

#include "formats/base/buf.h"
#include "formats/base/err.h"
#include "formats/entry.h"

/* Contents over this size are not shown. */
#define PATCH_TEXT_MAX (8u * 1024 * 1024)

struct patch_side {
    struct bytes path;
    enum kind kind; /* KIND_NONE: there is none */
    uint16_t mode;
    bool too_large;    /* over PATCH_TEXT_MAX: `text` is not filled in */
    struct bytes text; /* of a link: where it points */
};

/* Appends what makes `b` of `a`; at least one of them is there. `same`: their contents are, and
 * neither text is filled in. Two different paths are a rename. ERR_INVALID when the texts
 * cannot be compared. */
int patch_write(const struct patch_side *a, const struct patch_side *b, bool same,
                struct buf *out) MUST_USE;

#endif
