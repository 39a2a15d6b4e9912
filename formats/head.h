/* The head of a project: the one contended object.
 *
 *   offset size field
 *        0    8 position   number of landings so far
 *        8   32 tree_hash  SHA-256 of the footer of the newest tree object
 *       40    8 hlc        of the newest batch
 *
 * Position and hlc only grow. The footer repeats both, so a damaged head shows. */
#ifndef FORMATS_HEAD_H
#define FORMATS_HEAD_H

#include "formats/base/types.h"

#define HEAD_LEN 48u

struct head {
    uint64_t position;
    struct hash tree_hash;
    uint64_t hlc;
};

void head_encode(const struct head *, uint8_t out[HEAD_LEN]);
/* ERR_CORRUPT unless it has exactly HEAD_LEN bytes and names a tree object. */
int head_decode(struct bytes in, struct head *out) MUST_USE;

#endif
