/* Between the files of the waiters: who waits (waiters.c), the round that asks for new batches
 * (waiters_round.c), the answers that they hold (waiters_hits.c), and the looks for older ones
 * (waiters_look.c). */
#ifndef API_SERVICE_WAITERS_INSIDE_H
#define API_SERVICE_WAITERS_INSIDE_H

#include "api/service/due_heap.h"
#include "api/service/id_map.h"
#include "api/service/waiters.h"
#include "pipeline/sys/bell.h"

/* Batches that are looked through at once, back from the head. */
#define WAITERS_BATCHES_MAX 4096u
/* So long somebody waits before an answer is looked for that is older than the request; and so
 * long nothing new has come in a project before it is asked whether it can be read. */
#define WAITERS_LOOK_US 500000u

struct watch;
struct look;

/* One session that a waiter waits for. */
struct wait_item {
    struct id_link link; /* first; by session and request */
    struct waiter *waiter;
    uint32_t index;
};

struct waiter {
    struct due due; /* first: deadline or look-up, whichever comes earlier */
    struct waiters *waiters;
    struct watch *watch;
    struct waiter *prev; /* of the watch */
    struct waiter *next;
    struct waiter *next_ready;
    struct arena arena;
    struct id16 request;
    struct id16 owner;
    struct id16 *sessions;
    struct wait_item *items;
    uint32_t n;
    uint64_t deadline_us;
    struct look *look; /* the one under way; of the round's thread alone */
    /* Under the lock; until it is finished, then of who finishes it. */
    struct landing *landings;
    bool *answered;
    uint32_t n_answered;
    /* Under the lock. */
    uint64_t look_us;
    uint64_t look_delay_us;
    bool taken;     /* the intake has told; nothing else comes from there */
    int taken_err;  /* what it told */
    bool cancelled; /* it never went into the queue: nobody is told */
    bool in_ready;
    bool finished; /* detached: freed once it is told, taken and not in the ready list */
    bool told;
    landed_fn landed;
    void *arg;
};

/* One project that somebody waits for. */
struct watch {
    struct id_link link; /* first; by project */
    struct watch *prev;  /* of all */
    struct watch *next;
    struct id16 project;
    struct hash tip;  /* the newest batch that was looked through; zero: none yet */
    uint64_t tip_hlc; /* of the head that named it */
    bool young;       /* the first look may begin anywhere */
    bool hinted;
    struct head hint; /* where the head is, when it is hinted */
    struct waiter *first;
    size_t taken; /* waiters whose request is in the queue */
    uint64_t poll_us;
    uint64_t pause_us;
    uint64_t rest_us; /* no look before this: the last one took so long */
    uint64_t
        well_us; /* when the project was last seen to be readable: it moved, or was asked */
};

struct waiters {
    struct repo *repo;
    struct base_cache *bases;
    struct service_options options;
    struct bell bell;
    bool threaded;
    pthread_t thread;

    pthread_mutex_t lock;
    bool stopping;
    struct id_map items;   /* wait_item */
    struct id_map watches; /* watch */
    struct watch *all;
    struct due_heap due;
    struct waiter *ready; /* those to be looked at by the next round */
    size_t n;
    struct waiters_stats stats;
};

/* What one round has of one project. */
struct visit {
    struct id16 project;
    struct hash tip;
    bool young;
    int err;
    bool hinted;      /* `head` is known */
    struct head head; /* when err is OK */
    uint64_t took_us; /* reading it */
    struct hash new_tip;
    const struct batch **batches; /* newest first; held */
    size_t n;
    size_t cap;
};

/* One answer that somebody waits for. */
struct hit {
    struct waiter *waiter;
    uint32_t item;
    const struct batch *batch;
    uint32_t record;
    uint64_t position; /* landed: its own, when it can be told without reading the record */
    struct id16 project;
};

struct round {
    struct waiters *waiters;
    struct arena arena;
    uint64_t now_us;
    struct visit *visits;
    size_t n_visits;
    struct hit *hits; /* those of one batch one after another */
    size_t n_hits;
    size_t cap_hits;
    struct waiter **whole; /* all of whose answers are there; still to be finished */
    size_t n_whole;
    size_t cap_whole;
    int answered;
};

/* --- waiters.c --- */

uint64_t waiters_item_hash(const struct id16 *session, const struct id16 *request);
/* Under the lock. */
struct watch *waiters_watch(struct waiters *, const struct id16 *project);
/* Under the lock: takes the waiter out of everything, but for what the intake still has of
 * it. */
void waiters_detach(struct waiter *);
/* Without the lock, after waiters_detach: calls back with the problem (NULL: none), `pending`,
 * or its answers. */
void waiters_finish(struct waiter *, const struct problem *, bool pending);
/* Takes the next out of the ready list; NULL when there is none. */
struct waiter *waiters_ready_take(struct waiters *);
/* Under the lock: keeps a copy of an answer, without its session and its hlc. */
void waiter_keep(struct waiter *, uint32_t index, const struct landing *);
/* Under the lock: when it is to be looked at again. */
void waiters_due_set(struct waiters *, struct waiter *);

/* --- waiters_hits.c --- */

/* Under the lock: adds to the round's hits the answers of a batch that somebody waits for. */
void waiters_match(struct round *, const struct id16 *project, const struct batch *);
/* Keeps the answers of the hits, and forgets these. What cannot be read is looked for again:
 * soon, unless it was a look that found it. */
void waiters_hits_keep(struct round *, bool soon);
/* Keeps one answer. */
void waiters_answer_keep(struct round *, struct waiter *, uint32_t index,
                         const struct landing *);
/* Finishes those that are whole. All are kept before the first is finished: several hits may be
 * of one. */
void waiters_whole_finish(struct round *);

/* --- waiters_look.c --- */

/* Finishes those whose time is over, and looks for what the new batches did not bring. */
void waiters_due_run(struct round *);

/* --- waiters_round.c --- */

void visit_add(struct round *, struct visit *, const struct batch *);
void visit_drop(struct round *, struct visit *);
/* Whether the error says that the project cannot be read: then its requests lie with the dead
 * letters, and nobody answers them. Waiters have seen that there is one, so one that is not
 * found is damaged. */
static inline bool waiters_unreadable(int err)
{
    return err == ERR_CORRUPT || err == ERR_NOT_FOUND;
}
/* Finishes a waiter, or all of a project: it is damaged. */
void waiters_fail(struct round *, struct waiter *);
void waiters_project_fail(struct round *, const struct id16 *project);

/* One round. `all`: of all projects, whether it is their time or not. Gives how many were
 * answered, and how long until the next. */
int waiters_round(struct waiters *, bool all, uint64_t *pause_us);

#endif
