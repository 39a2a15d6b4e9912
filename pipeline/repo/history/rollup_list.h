/* Which rollups a project has: their names and sizes, a run of positions at a time. */
#ifndef PIPELINE_REPO_HISTORY_ROLLUP_LIST_H
#define PIPELINE_REPO_HISTORY_ROLLUP_LIST_H

#include "formats/rollup.h"
#include "pipeline/repo/repo.h"

struct rollup_ref {
    uint64_t first;
    uint64_t end;
    uint64_t size;
};

/* Those of a level that begin at [first, end), by first, then end. What has another name is
 * none. */
int rollup_list(struct repo *, const struct id16 *project, unsigned level, uint64_t first,
                uint64_t end, struct arena *, struct rollup_ref **out, size_t *n) MUST_USE;

#endif
