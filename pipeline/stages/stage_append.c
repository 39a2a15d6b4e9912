/* The append stage: a run visits one page of projects (followers.h) and puts the log segments
 * that are full. */
#include <stdio.h>
#include <stdlib.h>

#include "pipeline/stages/append.h"
#include "pipeline/stages/followers.h"
#include "pipeline/stages/stages.h"

struct append_follower {
    struct follower follower; /* first */
    struct append_log log;
};

struct append {
    struct stage stage; /* first: what the caller holds */
    struct followers followers;
};

static int append_visit(struct repo *repo, struct follower *follower, const struct head *head)
{
    struct append_log *log = &((struct append_follower *)follower)->log;
    log->project = follower->project;
    return append_due(log, head) ? append_project(repo, log, head) : 0;
}

static int rebuild_visit(struct repo *repo, struct follower *follower, const struct head *head)
{
    struct append_log *log = &((struct append_follower *)follower)->log;
    log->project = follower->project;
    int made = append_rebuild(repo, log, head);
    return made != 0 ? made : append_visit(repo, follower, head);
}

static int append_run(struct stage *stage)
{
    return followers_run(&((struct append *)stage)->followers);
}

static void append_close(struct stage *stage)
{
    struct append *append = (struct append *)stage;
    followers_release(&append->followers);
    free(append);
}

static struct stage *stage_open(struct repo *repo, follower_visit *visit)
{
    struct append *append = calloc(1, sizeof(*append));
    if (append == NULL) {
        (void)fputs("out of memory\n", stderr);
        abort();
    }
    append->stage = (struct stage){.name = "append", .run = append_run, .close = append_close};
    followers_init(&append->followers, repo, sizeof(struct append_follower), visit,
                   "append_failed");
    return &append->stage;
}

struct stage *stage_append_open(struct repo *repo)
{
    return stage_open(repo, append_visit);
}

struct stage *stage_append_rebuild_open(struct repo *repo)
{
    return stage_open(repo, rebuild_visit);
}
