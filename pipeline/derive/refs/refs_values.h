/* Reading what refs are bound to: small files in the tree of references, many at once. */
#ifndef PIPELINE_DERIVE_REFS_REFS_VALUES_H
#define PIPELINE_DERIVE_REFS_REFS_VALUES_H

#include "formats/entry.h"
#include "pipeline/repo/repo.h"

struct ref_file {
    /* in */
    struct hash hash;
    uint64_t size;
    struct location where;
    /* out */
    struct hash address;
};

/* Fills in the addresses; those that are not in the content cache are read side by side. `refs`
 * is the id of the tree of references. ERR_CORRUPT when one is not what its name says. */
int refs_values_read(struct repo *, const struct id16 *refs, struct ref_file *,
                     size_t n) MUST_USE;

#endif
