/* Between the files of the waiters: who waits (waiters.c), and the round that fetches answers
 * (waiters_round.c). */
#ifndef API_SERVICE_WAITERS_INSIDE_H
#define API_SERVICE_WAITERS_INSIDE_H

#include "api/service/due_heap.h"
#include "api/service/id_map.h"
#include "api/service/waiters.h"
#include "pipeline/sys/bell.h"

struct watch;

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
    uint64_t hlc;
    struct id16 *sessions;
    struct wait_item *items;
    struct landing *landings;
    bool *answered;
    uint32_t n;
    uint32_t n_answered;
    uint64_t deadline_us;
    uint64_t look_us;
    uint64_t look_delay_us;
    /* Under the lock. */
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
    struct hash tip; /* the newest batch that was looked through; zero: none yet */
    bool young;      /* the first look may begin anywhere */
    bool hinted;
    struct waiter *first;
    size_t taken; /* waiters whose request is in the queue */
    uint64_t poll_us;
    uint64_t pause_us;
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
/* Keeps a copy of an answer. */
void waiter_keep(struct waiter *, uint32_t index, const struct landing *);

/* One round. `all`: of all projects, whether it is their time or not. Gives how many were
 * answered, and how long until the next. */
int waiters_round(struct waiters *, bool all, uint64_t *pause_us);

#endif
