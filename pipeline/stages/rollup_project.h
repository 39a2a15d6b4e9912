/* Inside the rollup stage: one project's rollups, and how it gets them.
 *
 * Which there are follows from how many columns of a level are full, and from nothing else. A
 * hundred full columns that begin at a multiple of a hundred are one object. Of a group that
 * fills up, the full columns lie in groups whose sizes are the powers of two of their number:
 * 99 are 64, 32, 2 and 1. So a reader asks at most six objects for what is new, and a column
 * is made again a few times until its group is full. The highest level has single columns only:
 * a hundred of them would be gigabytes.
 *
 * An object is put if its name is free, and what it takes the place of is deleted when it is
 * seen to lie there whole. So whatever stops a run, each column that was covered is covered. */
#ifndef PIPELINE_STAGES_ROLLUP_PROJECT_H
#define PIPELINE_STAGES_ROLLUP_PROJECT_H

#include "formats/head.h"
#include "formats/rollup.h"
#include "pipeline/repo/repo.h"

/* What is remembered of a project. All of it may be forgotten. */
struct rollup_log {
    struct id16 project;
    uint64_t end; /* the first position that no segment of the log has; 0: not known */
    bool rebuild;
    struct rollup_level {
        uint64_t full;    /* up to here all is as it has to be, in full groups */
        uint64_t end;     /* up to here it is as it has to be */
        uint64_t rebuilt; /* up to here all was made again */
    } levels[ROLLUP_LEVELS];
};

/* Puts what is missing, for about ROLLUP_LANDINGS_A_RUN landings or one object. Gives how many
 * it put or made again, or the first error; what was put before it stays. */
int rollup_project(struct repo *, struct rollup_log *, const struct head *) MUST_USE;

#define ROLLUP_LANDINGS_A_RUN 100000u

/* How many columns the object has that begins with column `number` (from 0) of a level, when
 * `full` columns are. */
unsigned rollup_columns_at(unsigned level, uint64_t number, uint64_t full);

#endif
