/* One project of the index: its database, what waits for that, and its looks.
 *
 * Locks are taken in this order: write_lock (one fills the database at a time), read_lock (the
 * connection of finds), lock (everything else here, for moments only). */
#ifndef PIPELINE_DERIVE_INDEX_INDEX_PROJECT_H
#define PIPELINE_DERIVE_INDEX_INDEX_PROJECT_H

#include <pthread.h>

#include "pipeline/derive/index/derive_index.h"
#include "pipeline/derive/index/index_filter.h"
#include "pipeline/derive/index/index_graph.h"
#include "pipeline/derive/index/index_stage.h"
#include "pipeline/derive/index/pin_set.h"
#include "pipeline/repo/held_cache.h"
#include "pipeline/sys/bell.h"

/* What the database has of an agent; `fresh`: it is behind. */
struct index_read {
    struct derive_read read;
    bool fresh;
};

struct index_project {
    struct derive_index *index;
    struct id16 id;
    char *path;
    /* Under the lock of the index. */
    struct index_project *next;
    uint64_t holders;
    uint64_t used; /* when it was last asked for */

    pthread_mutex_t write_lock;
    struct index_rows *writer; /* NULL: it could not be opened */

    pthread_mutex_t read_lock;
    struct index_rows *reader;

    pthread_mutex_t lock;
    pthread_cond_t looked; /* a look has ended */
    uint64_t generation;   /* raised when the database is made anew; also under read_lock */
    uint64_t filled;       /* how often a stage went into the database */
    struct index_stage *stage;
    struct index_stage *filling; /* goes into the database; NULL: none */
    struct derive_read *filling_reads;
    size_t n_filling_reads;
    struct index_read *reads; /* sorted by agent */
    size_t n_reads;
    size_t cap_reads;
    struct arena names; /* of these: */
    struct quarantine *quarantines;
    size_t n_quarantines;
    size_t cap_quarantines;
    struct pin_set pins;
    struct index_rows *walker; /* a connection that no walk uses */
    /* What the last walk has read, unless one uses it; and the edges that came since. */
    struct graph_edges *graph;
    bool graph_out;   /* a walk has it, or reads it */
    bool reads_ahead; /* it is read aside, for walks that wait for it */
    pthread_cond_t graph_read;
    bool wants_graph; /* the next walk had better find it */
    bool gathers;
    uint64_t *gathered;
    size_t n_gathered;
    size_t cap_gathered;
    uint64_t graph_us; /* when it was last used */
    /* Keys of all memos that were told, so that one that was not costs no question to the
     * database; NULL: not known. The next one is being made, and what is told goes into both.
     */
    struct index_filter *memos;
    struct index_filter *memos_next;
    bool wants_memos;

    uint32_t lookers; /* who want a look */
    bool looking;
    bool complete;       /* a look has succeeded since the database was opened */
    uint64_t looks;      /* that have begun */
    uint64_t looks_done; /* the last that has ended */
    uint64_t look_us;    /* when the last began */
    uint64_t seen_us;    /* when the last began that succeeded, of this database */
    int look_err;
    struct derive_cursor cursor; /* of who looks */
    uint64_t cursor_generation;
};

struct derive_index {
    struct derive_index_options options;
    char *dir;
    struct held_cache *front;
    pthread_mutex_t lock;
    struct index_project *projects;
    uint32_t n_idle;
    uint64_t uses;
    struct bell bell;
    pthread_t keeper;
    bool keeps;
    bool stops; /* under lock */
};

/* Opens the project's database if it is not open; give it back with project_release. */
int project_hold(struct derive_index *, const struct id16 *id,
                 struct index_project **out) MUST_USE;
void project_release(struct index_project *);
void project_close(struct index_project *);

/* Takes what waits into the database. */
int project_flush(struct index_project *) MUST_USE;
/* The same; and looks before if no look has succeeded yet: for questions about all. */
int project_settle(struct index_project *) MUST_USE;
/* Makes the database anew, unless that was done since `generation`. */
int project_reset(struct index_project *, uint64_t generation) MUST_USE;
/* Unless a look has succeeded that began after `since_us`; LOOK_NOW: looks in any case. */
#define LOOK_NOW UINT64_MAX
int project_look(struct index_project *, uint64_t since_us) MUST_USE;

/* Asks the database; when it is damaged it is made anew, and this gives ERR_CORRUPT. `ask`
 * writes what it finds only when it succeeds. */
typedef int index_ask(struct index_rows *, void *arg);
int project_ask(struct index_project *, index_ask *, void *arg) MUST_USE;

/* After a walk that asked the database so often, or where there are so many edges when it is
 * opened, all edges are read for the next walk, aside. */
#define ASKED_MANY 1000u
/* Does that, if it is wanted. */
void project_read_ahead(struct index_project *);
/* Reads the keys of all memos, if that is wanted. */
void project_memos_read(struct index_project *);
/* A connection of the caller's own to the database, so that nobody waits for it. */
int project_walker_take(struct index_project *, struct index_rows **out,
                        uint64_t *generation) MUST_USE;
void project_walker_give(struct index_project *, struct index_rows *, uint64_t generation);
/* Frees what walks have kept, when none has used it for long. */
void project_forget(struct index_project *);

/* Under the project's lock. */
void project_memo_told(struct index_project *, const struct hash *key);
bool project_memo_may(const struct index_project *, const struct hash *key);
void project_memos_drop(struct index_project *);
void project_graph_drop(struct index_project *);
uint64_t project_read_of(const struct index_project *, uint64_t agent);
void project_read_set(struct index_project *, uint64_t agent, uint64_t seq);
void project_quarantine(struct index_project *, const struct quarantine *);

static inline void index_lock(pthread_mutex_t *lock)
{
    int failed = pthread_mutex_lock(lock);
    assert(failed == 0);
    (void)failed;
}

static inline void index_unlock(pthread_mutex_t *lock)
{
    int failed = pthread_mutex_unlock(lock);
    assert(failed == 0);
    (void)failed;
}

#endif
