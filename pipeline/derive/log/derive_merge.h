/* Merging what is old of a derive log, of agents that are gone most of all: every start of a
 * process makes an agent, and no project's log is to have more objects to list for each of
 * them.
 *
 * Old is what was put long ago by the store's own dates. Nothing is wrong when its agent is
 * still there: what it puts later has the next number, and lies beside the segment that has
 * those before. A segment is put under the next number if that is free, so of two who merge at
 * once one wins, and no object gets into two segments. Only when it is durable are the objects
 * deleted that it has; a reader who finds one gone finds it in a segment, for it reads these
 * last. */
#ifndef PIPELINE_DERIVE_LOG_DERIVE_MERGE_H
#define PIPELINE_DERIVE_LOG_DERIVE_MERGE_H

#include "pipeline/repo/repo.h"

struct derive_merge_options {
    uint64_t age_ms;      /* what is older is merged */
    uint32_t objects_min; /* fewer are left as they are; at least 1 */
    uint64_t bytes_max;   /* of the objects of a segment, but for the first */
};

struct derive_merge_report {
    uint64_t segments; /* that were put: one at most */
    uint64_t objects;  /* that went into it */
    uint64_t deleted;  /* objects that a segment has */
    bool more;         /* there is enough left for another segment */
};

/* One run. ERR_AGAIN when another merges; ERR_CORRUPT where a segment is damaged: then nobody
 * knows what has been merged, and nothing is. Damaged objects are left where they are. */
int derive_merge(struct repo *, const struct id16 *project, const struct derive_merge_options *,
                 struct derive_merge_report *) MUST_USE;

#endif
