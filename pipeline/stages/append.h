/* Inside the append stage: one project's log, and how it gets its segments. */
#ifndef PIPELINE_STAGES_APPEND_H
#define PIPELINE_STAGES_APPEND_H

#include "formats/head.h"
#include "pipeline/repo/repo.h"

/* What is remembered of a project's log. All of it may be forgotten: it is read again then. */
struct append_log {
    struct id16 project;
    bool listed;      /* the fields below say what lies in the store */
    uint64_t end;     /* the first position that no segment has */
    uint64_t rolled;  /* up to here there are large segments */
    unsigned span;    /* segments that are made of one walk of the chain */
    uint64_t rebuilt; /* up to here all were made again */
};

/* Puts segments that are missing below the head, at most ten, and at most one large segment.
 * Gives how many it put, or the first error; what was put before it stays. */
int append_project(struct repo *, struct append_log *, const struct head *) MUST_USE;

/* Makes segments that are there again from the chain, and those that are missing before others;
 * puts them where they are not the same, at most ten. Gives how many it has gone through (0:
 * none is left), or an error. */
int append_rebuild(struct repo *, struct append_log *, const struct head *) MUST_USE;

/* Whether append_project would find something to put. */
bool append_due(const struct append_log *, const struct head *);

#endif
