/* The stages: the table of contents of the pipeline. A stage does one bounded batch of work and
 * returns; a job's main calls it once or for ever, a test calls it once, the simulator runs
 * many as actors. Stages meet only in the store; each may be stopped at any point and done
 * again. */
#ifndef PIPELINE_STAGES_STAGES_H
#define PIPELINE_STAGES_STAGES_H

#include "formats/head.h"
#include "pipeline/repo/repo.h"

/* Gives how many items it did (0: nothing to do), or a negative enum err when it could not go
 * on. */
struct stage {
    const char *name;
    /* After a run: it has left work to another process, or for later, and a job that ends when
     * all is done looks again. */
    bool waits;
    /* After a run: what it has left is to be done after so many milliseconds; 0: it does not
     * know. */
    uint64_t again_ms;
    int (*run)(struct stage *);
    void (*close)(struct stage *);
};

struct land_options {
    uint32_t shard_first; /* the shards that it drains: [shard_first, shard_end) */
    uint32_t shard_end;
    uint32_t batch_max; /* sessions a batch and project */
    uint64_t
        fold_after_ms; /* an open session's writes go into its object when they are this old */
    uint64_t missing_after_ms; /* a land whose records have not all come by then is refused */
    uint32_t lease_ms;         /* shard_lease.h; 0: it drains whoever else does */
    bool lease_claim;
    /* Queue objects that are settled are deleted side by side with what the next round reads,
     * and not by the round that settles them: a round trip less for who runs the stage until it
     * finds nothing to do. */
    bool delete_late;
    /* Called with each project whose head has moved, and where to: wakes waiters in this
     * process. May be NULL. */
    void (*landed)(void *arg, const struct id16 *project, const struct head *head);
    void *landed_arg;
};

/* Drains queue shards: lands, answers, folds, settles. */
struct stage *stage_land_open(struct repo *, const struct land_options *) MUST_USE;

/* Puts full log segments of 100 positions, and one of 1,000 in place of ten. */
struct stage *stage_append_open(struct repo *) MUST_USE;
/* Makes every segment that is there again from the chain, fills holes, and replaces what is
 * different, which was damaged; then it does as the other. */
struct stage *stage_append_rebuild_open(struct repo *) MUST_USE;

struct rollup_options {
    /* Makes every rollup again, compares it with what lies there, and replaces what is
     * different: damaged ones. A run that finds nothing left to make again gives 0. */
    bool rebuild;
};

/* Puts the rollups of what the landing log has. */
struct stage *stage_rollup_open(struct repo *, const struct rollup_options *) MUST_USE;

#endif
