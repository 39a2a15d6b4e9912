/* The segments of the landing log that cover a run of positions, one after another, as bytes.
 * Their names are known: where ten have become one, the one is asked for. */
#ifndef PIPELINE_REPO_HISTORY_ROLLUP_SOURCE_H
#define PIPELINE_REPO_HISTORY_ROLLUP_SOURCE_H

#include "formats/log_scan.h"
#include "pipeline/repo/repo.h"

#define ROLLUP_SOURCE_AT_ONCE 10u

struct rollup_source {
    struct repo *repo;
    struct id16 project;
    uint64_t at;   /* the first position whose segment has not been read */
    uint64_t done; /* the first position that has not been given */
    uint64_t end;
    /* Segments that were read and not given yet. */
    struct buf bodies[ROLLUP_SOURCE_AT_ONCE];
    uint64_t firsts[ROLLUP_SOURCE_AT_ONCE];
    uint64_t ends[ROLLUP_SOURCE_AT_ONCE];
    /* Positions of the one that was given last that lie before this were in another before it:
     * where small segments were read, their large one may have taken the place of the rest. */
    uint64_t from;
    unsigned n;
    unsigned given;
    unsigned at_once; /* long segments are read one by one */
};

/* Positions [first, end), both at the begin of a segment. */
void rollup_source_init(struct rollup_source *, struct repo *, const struct id16 *project,
                        uint64_t first, uint64_t end);
void rollup_source_release(struct rollup_source *);
/* The next segment, until the next call. It may reach over `from` and `end`. ERR_NOT_FOUND at
 * the end, ERR_CONFLICT when the log has no segment there. */
int rollup_source_next(struct rollup_source *, struct log_scan *out) MUST_USE;

/* The end of the log, where it is known to reach to `from` (1: nothing is known): the first
 * position that no segment has. A list for each thousand segments that are new. */
int rollup_source_end(struct repo *, const struct id16 *project, uint64_t from,
                      uint64_t *out) MUST_USE;

#endif
