/* A whole forge in memory for tests of the pipeline: a store, a project, a landing stage, and
 * sessions put together by hand. */
#ifndef TESTS_SUPPORT_FORGE_H
#define TESTS_SUPPORT_FORGE_H

#include "formats/landing.h"
#include "formats/queue_object.h"
#include "pipeline/repo/repo.h"
#include "pipeline/repo/tree/tree.h"
#include "pipeline/stages/stages.h"
#include "pipeline/store/trace.h"

/* A clock that stands still unless told; sleeping moves it. */
struct clock_manual {
    struct clock clock;
    uint64_t ms;
    uint64_t us;
};
void clock_manual_init(struct clock_manual *, uint64_t ms);

struct forge {
    struct store *mem;   /* the bottom */
    struct store *trace; /* counts what reaches it */
    struct store *store; /* what the repo uses: trace, or a layer that a test has put over it */
    struct clock_manual clock;
    struct rng_seeded rng;
    struct repo repo;
    struct land_options land_options;
    struct stage *land;
    struct id16 project;
    struct arena arena;
    uint64_t seq;
};

void forge_init(struct forge *);
void forge_release(struct forge *);
/* Another process on the same bucket: own agent, own caches, own drain. `over` may be NULL (the
 * same store). */
void forge_join(struct forge *, const struct forge *first, struct store *over);

/* A session under construction. Its contents are copied into the forge's arena. */
struct draft {
    struct forge *forge;
    struct session session; /* id, owner, records in order */
    size_t cap;
};

struct draft draft_open(struct forge *, const char *author, const char *key, uint64_t base);
/* `seen`: NULL is absent, else the text that a plain file had. */
void draft_write(struct draft *, const char *path, const char *text, const char *seen);
/* A write that has seen what its base's tree says is given by the test as `struct seen`. */
void draft_write_seen(struct draft *, const char *path, const char *text, struct seen seen);
/* A write of any content: a link, one that was uploaded, one that it has already. */
void draft_put(struct draft *, const char *path, struct content, struct seen);
void draft_delete(struct draft *, const char *path, const char *seen);
void draft_delete_seen(struct draft *, const char *path, struct seen);
/* Moves `path`, which holds the content, to `target`; both are at the base as is seen. */
void draft_move(struct draft *, const char *path, struct seen, const char *target,
                struct seen target_seen, struct content);
/* Moves `path`, which holds `text`, to `target`, which was absent. */
void draft_rename(struct draft *, const char *path, const char *target, const char *text);
void draft_guard(struct draft *, const char *path, struct seen seen);
void draft_decide(struct draft *, const char *text);
struct seen seen_text(const char *text); /* NULL: absent */

/* One request that lands the drafts as a series of whole sessions: put into the queue as one
 * object. Gives the request's id. */
struct id16 forge_submit(struct forge *, struct draft *drafts, size_t n);
/* The draft's records so far as writes to an open session, in one queue object; they leave the
 * draft. */
void forge_write(struct forge *, struct draft *);
/* A land of these records of an open session, or an abandon. */
struct id16 forge_land(struct forge *, const struct draft *, const struct id16 *records,
                       size_t n);
struct id16 forge_abandon(struct forge *, const struct draft *);
/* Any group of records, as a queue object of its own. */
void forge_queue(struct forge *, const struct queue_group *groups, size_t n);

/* Lands one session, based on the head, that writes `path` (which held `seen`), or deletes
 * it. */
void forge_land_text(struct forge *, const char *key, const char *path, const char *text,
                     const char *seen);
void forge_land_delete(struct forge *, const char *key, const char *path, const char *seen);
/* The running test fails unless the landing has this one conflict. */
void conflict_is(const struct landing *, enum conflict_what, const char *path);

/* Runs the landing stage until it has nothing to do. The last return of the stage. */
int forge_drain(struct forge *);

/* The answer to `request` about `session`; the running test fails when there is none. */
struct landing forge_answer(struct forge *, const struct id16 *session,
                            const struct id16 *request);
/* How many answers the chain has to it. */
size_t forge_answers(struct forge *, const struct id16 *session, const struct id16 *request);
uint64_t forge_position(struct forge *);
struct tree forge_tree(struct forge *);
/* The text of a file at the head, or NULL when it is not there. */
const char *forge_text(struct forge *, const char *path);
/* How many objects lie under a prefix. */
size_t forge_count(struct forge *, const char *prefix);

#endif
