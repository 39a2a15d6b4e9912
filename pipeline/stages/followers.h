/* Inside the stages that follow every project of a bucket (append, rollup): who is visited, and
 * how often.
 *
 * A run visits one page of projects (up to 1,000). What it costs when nothing happens: one list
 * of handles a run, and a get of the head of each project that is due. A project whose head
 * stands still is due less and less often: after 1, 2, 4 … and at most 64 runs; so 1,000 quiet
 * projects cost a list and some 16 gets a run. What is made of its log may come that much
 * later, which nobody notices: readers take from elsewhere what is not there yet.
 *
 * The tree of a project's references (formats/project_id.h) is followed as a project is. Where
 * there is none its head is asked for at the first run and every 64 from then on. */
#ifndef PIPELINE_STAGES_FOLLOWERS_H
#define PIPELINE_STAGES_FOLLOWERS_H

#include "formats/head.h"
#include "pipeline/repo/repo.h"

/* What is remembered of a project: the beginning of a stage's own struct, whose rest is zero to
 * begin with. All of it may be forgotten. */
struct follower {
    struct id16 project;
    uint64_t position; /* of the head when it was read last */
    unsigned rest;     /* runs that it is left alone after a visit without news */
    unsigned wait;     /* runs left of that */
    struct follower *next;
};

/* Gives how many things it did, or an enum err, which is logged and ends this visit only. */
typedef int follower_visit(struct repo *, struct follower *, const struct head *);

struct followers {
    struct repo *repo;
    size_t size; /* of a stage's struct */
    follower_visit *visit;
    const char *failed; /* what a visit that failed is called in the log */
    struct arena arena;
    struct follower **slots; /* by project id */
    size_t n_slots;
    size_t n;
    struct buf after; /* the last handle of the page visited before; empty: from the first on */
};

void followers_init(struct followers *, struct repo *, size_t size, follower_visit *,
                    const char *failed);
void followers_release(struct followers *);
/* One page. Gives how many things were done (1 at least, when there are more pages), or the
 * error of the list of projects. */
int followers_run(struct followers *) MUST_USE;

#endif
