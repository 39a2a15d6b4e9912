/* Whether binding a name to an address would close a cycle: the recipes below the address, and
 * below what the refs among their inputs are bound to, lead back to the name.
 *
 * What it answers holds as long as every ref that it asked the snapshot for stays as it was: a
 * bind guards them all (refs_snapshot_reads). Recipes do not change. But one that is put later
 * under an address that was taken for a leaf's can close a cycle all the same, so whoever
 * computes looks for cycles, too. */
#ifndef PIPELINE_DERIVE_REFS_REFS_CYCLE_H
#define PIPELINE_DERIVE_REFS_REFS_CYCLE_H

#include "pipeline/derive/refs/refs_snapshot.h"

struct refs_cycle {
    struct bytes *names; /* from the name to the ref that is over it again; in the arena */
    size_t n;            /* 0: there is no cycle */
};

/* ERR_LIMIT when there is more below the address than REF_WALK_MAX addresses, or REF_READS_MAX
 * refs; else the error of what was read. No recursion. */
int refs_cycle_find(struct refs_snapshot *, const struct refs_source *,
                    const struct id16 *project, struct bytes name, const struct hash *address,
                    struct arena *, struct refs_cycle *out) MUST_USE;

#endif
