/* Taking results out of this node's cache: of one address, or of all that depends on it. It
 * frees space, and nothing else: what is asked for again is computed again, and gives the same.
 *
 * How many results it is about is counted at once. Those of many dependents are freed behind
 * the answer, by a thread of its own, which also pins and unpins what was computed before its
 * address was pinned, or was not any more. */
#ifndef PIPELINE_DERIVE_INVALIDATE_H
#define PIPELINE_DERIVE_INVALIDATE_H

#include "pipeline/derive/project_source.h"

struct invalidator;

struct invalidator *invalidator_open(struct derive *) MUST_USE;
void invalidator_start(struct invalidator *);
/* What is still to be freed stays in the cache. */
void invalidator_stop(struct invalidator *);
void invalidator_close(struct invalidator *); /* NULL is fine */

/* An address was pinned, or is not any more: the same becomes of its result, as far as that is
 * known, behind this call. */
void invalidator_pin(struct invalidator *, const struct id16 *project,
                     const struct hash *address);

struct invalidation {
    bool cascade; /* over all that depends on it, too */
    bool dry_run;
};
struct invalidated {
    bool was_cached;       /* the result of the address itself lay in the cache */
    struct derive_walk of; /* the dependents it is about; none without `cascade` */
    uint64_t freed;        /* bytes */
    bool goes_on; /* there are many dependents: what their results take is not counted, and is
                     freed from now on */
};
/* ERR_LIMIT when as many cascades wait as may. */
int derive_invalidate(struct derive *, const struct id16 *project, const struct derive_root *,
                      const struct invalidation *, struct invalidated *out) MUST_USE;

/* A ref was bound anew or deleted: frees, behind this call, what the results of all that
 * depends on it came to in the snapshot of `before`, which read its references before that.
 * Only where the content that the ref means is known to be another than it was: else nothing
 * above it may have to be computed again. */
void derive_rebound(struct derive *, const struct id16 *project, struct bytes ref,
                    const struct hash *now, struct project_source *before);

#endif
