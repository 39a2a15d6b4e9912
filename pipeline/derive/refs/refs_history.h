/* What a ref was bound to, newest first: the landings on its name, with the address that each
 * bound. */
#ifndef PIPELINE_DERIVE_REFS_REFS_HISTORY_H
#define PIPELINE_DERIVE_REFS_REFS_HISTORY_H

#include "formats/base/arena.h"
#include "pipeline/repo/repo.h"

struct ref_change {
    uint64_t position;
    uint64_t hlc;
    struct bytes author;
    bool bound;          /* false: the name was deleted */
    struct hash address; /* when bound */
};
struct refs_history {
    struct ref_change *changes;
    size_t n;
    bool more;
    uint64_t next; /* when more: the position to go on from, as `before` */
};

/* At positions <= `before` (UINT64_MAX: from the head), at most `max`. ERR_NOT_FOUND when the
 * name was never bound. */
int refs_history(struct repo *, const struct id16 *project, struct bytes name, uint64_t before,
                 size_t max, struct arena *, struct refs_history *out) MUST_USE;

#endif
