/* Reading what was merged of a derive log. */
#ifndef PIPELINE_REPO_DERIVED_DERIVE_SEGMENTS_H
#define PIPELINE_REPO_DERIVED_DERIVE_SEGMENTS_H

#include "formats/derive_segment.h"
#include "pipeline/repo/repo.h"

/* The head of a segment, checked, and that all its objects are there.
 * ERR_NOT_FOUND; damage is ERR_CORRUPT and not logged. */
int derive_segment_read(struct repo *, const struct id16 *project, uint64_t number,
                        struct arena *, struct derive_segment *out) MUST_USE;

/* Where the `i`th object of a run begins in the segment. */
uint64_t derive_run_offset(const struct derive_run *, uint32_t i);
/* Appends the bytes of `n` objects of a run, from its `i`th on. */
int derive_run_read(struct repo *, const struct derive_segment *, const struct derive_run *,
                    uint32_t i, uint32_t n, struct buf *out) MUST_USE;

#endif
