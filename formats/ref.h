/* A ref: a name that an address is bound to, and can be bound anew. It is a file in the tree of
 * the project's references (project_id.h), whose path is the name:
 *
 *   offset size field
 *        0   16 envelope "MREF" version 1
 *       16   32 address
 *
 * Names are paths. `head`, and all below it, is not bound by anybody: it is the project's own
 * tree, whatever that is. None ends in "/log", which is how a name's history is asked for. */
#ifndef FORMATS_REF_H
#define FORMATS_REF_H

#include "formats/base/buf.h"
#include "formats/base/err.h"
#include "formats/entry.h"

#define REF_LEN 48u

/* Appends the file's bytes. */
void ref_encode(const struct hash *address, struct buf *out);
int ref_decode(struct bytes in, struct hash *address) MUST_USE;

/* What is seen at the name of a ref that is bound to `address`; NULL: that is not bound. */
struct seen ref_seen(const struct hash *address);

/* Whether the name is the project's own tree. */
bool ref_is_head(struct bytes name);
/* Whether a name may be bound: 0, ERR_LIMIT or ERR_INVALID, and then `why` (may be NULL) gets a
 * sentence's end, as path_check does. */
int ref_name_check(struct bytes name, const char **why) MUST_USE;

#endif
