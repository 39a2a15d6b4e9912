/* Makes rollups (formats/rollup.h) from the segments of the landing log, with the exact keys of
 * each column. What it makes depends on the log and on nothing else, so whoever makes one makes
 * the same bytes.
 *
 * Memory is bounded, whatever the landings hold: keys that are too many to be kept are taken in
 * several passes over the log, each for those in a range of numbers, first to count them and
 * then to fill the filters. A filter that would be longer than ROLLUP_MAX is made with no
 * sectors, which says "may be" to everything. */
#ifndef PIPELINE_REPO_HISTORY_ROLLUP_BUILD_H
#define PIPELINE_REPO_HISTORY_ROLLUP_BUILD_H

#include "formats/rollup.h"
#include "pipeline/repo/repo.h"

/* Keys that are kept at a time, unless told otherwise: 96 MiB of them. */
#define ROLLUP_KEYS_KEPT (12u << 20)

struct rollup_plan {
    struct id16 project;
    unsigned level;
    uint64_t first;
    unsigned columns;
    /* Makes the one column of the level above, too, of the same positions: all hundred
     * columns. */
    bool above;
    size_t keys_kept; /* 0: ROLLUP_KEYS_KEPT */
};

/* Takes an object that was made; the first error ends it all. */
typedef int rollup_sink(void *arg, const struct rollup *, struct bytes object);

/* ERR_CONFLICT when the log has not all these positions in segments, ERR_CORRUPT when one is
 * damaged, or what the store or the sink says. */
int rollup_build(struct repo *, const struct rollup_plan *, rollup_sink *, void *arg) MUST_USE;

#endif
