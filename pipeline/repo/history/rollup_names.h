/* Which rollups a project has, as those who ask them need it: names and sizes, listed when they
 * are wanted first and then kept. The first list has those of all levels, from the million
 * positions on that it is asked about; so near the head it is the only one, however long the
 * history is. */
#ifndef PIPELINE_REPO_HISTORY_ROLLUP_NAMES_H
#define PIPELINE_REPO_HISTORY_ROLLUP_NAMES_H

#include "pipeline/repo/history/rollup_list.h"

struct rollup_chunk;

/* One thread at a time. */
struct rollup_names {
    struct repo *repo;
    struct id16 project;
    struct arena *arena; /* for as long as the names are used */
    struct rollup_chunk *chunks;
    bool begun; /* the list of all levels was tried */
};

/* Makes no request. */
void rollup_names_init(struct rollup_names *, struct repo *, const struct id16 *project,
                       struct arena *);
/* Of a level the longest that has the position (1 or greater), which stays valid as long as the
 * arena; NULL when there is none, or it cannot be listed. `*low` is the first position up to
 * this one that is alike: of the one found, or that none has. */
const struct rollup_ref *rollup_names_at(struct rollup_names *, unsigned level,
                                         uint64_t position, uint64_t *low) MUST_USE;
/* Whether rollup_names_at would not have to list. */
bool rollup_names_known(const struct rollup_names *, unsigned level, uint64_t position);
/* All are to be listed again. */
void rollup_names_again(struct rollup_names *);

/* The first of the positions that a rollup from `first` on covers: the answers under position 0
 * are covered where position 1 is. */
static inline uint64_t rollup_low_of(uint64_t first)
{
    return first == 1 ? 0 : first;
}

#endif
