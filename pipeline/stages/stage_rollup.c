/* The rollup stage: a run visits one page of projects (followers.h) and puts the rollups of
 * what their logs have. */
#include <stdio.h>
#include <stdlib.h>

#include "pipeline/stages/followers.h"
#include "pipeline/stages/rollup_project.h"
#include "pipeline/stages/stages.h"

struct rollup_follower {
    struct follower follower; /* first */
    struct rollup_log log;
};

struct rollup_stage {
    struct stage stage; /* first: what the caller holds */
    struct followers followers;
};

static int visit(struct repo *repo, struct follower *follower, const struct head *head)
{
    struct rollup_log *log = &((struct rollup_follower *)follower)->log;
    log->project = follower->project;
    return rollup_project(repo, log, head);
}

static int visit_again(struct repo *repo, struct follower *follower, const struct head *head)
{
    ((struct rollup_follower *)follower)->log.rebuild = true;
    return visit(repo, follower, head);
}

static int rollup_run(struct stage *stage)
{
    return followers_run(&((struct rollup_stage *)stage)->followers);
}

static void rollup_close(struct stage *stage)
{
    struct rollup_stage *rollup = (struct rollup_stage *)stage;
    followers_release(&rollup->followers);
    free(rollup);
}

struct stage *stage_rollup_open(struct repo *repo, const struct rollup_options *options)
{
    struct rollup_stage *rollup = calloc(1, sizeof(*rollup));
    if (rollup == NULL) {
        (void)fputs("out of memory\n", stderr);
        abort();
    }
    rollup->stage = (struct stage){.name = "rollup", .run = rollup_run, .close = rollup_close};
    followers_init(&rollup->followers, repo, sizeof(struct rollup_follower),
                   options->rebuild ? visit_again : visit, "rollup_failed");
    return &rollup->stage;
}
