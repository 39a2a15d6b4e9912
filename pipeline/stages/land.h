/* The parts of the landing stage, between its files. A drain reads a shard's queue
 * (land_queue), decides a project's requests and commits them with one head put (land_batch),
 * and then puts away what is settled (land_settle). */
#ifndef PIPELINE_STAGES_LAND_H
#define PIPELINE_STAGES_LAND_H

#include "formats/key.h"
#include "formats/queue_object.h"
#include "formats/session.h"
#include "pipeline/repo/history/answered.h"
#include "pipeline/stages/land_pace.h"
#include "pipeline/stages/shard_lease.h"
#include "pipeline/stages/stages.h"

/* Queue objects that may wait in a shard before they are put together. */
#define LAND_WAITING_MAX 32u

/* A queue object, as read: immutable, so it is kept as long as it waits. */
struct queued {
    struct key key;
    uint64_t hlc; /* in its key */
    uint64_t size;
    struct buf bytes;
    struct arena arena;
    struct queue_object object;
    bool read;           /* `object` is decoded */
    bool damaged;        /* it cannot be: it stays, for an operator */
    bool settled;        /* nothing in it is needed any more: it is to be deleted */
    bool deleted;        /* and it was, since the last list */
    bool has_request;    /* a land or abandon is among its records */
    uint64_t oldest_hlc; /* of its records */
    size_t named;        /* sessions that its groups are about or its lands name, at most */
};

enum fate {
    FATE_WAITS,   /* stays in the queue */
    FATE_SETTLED, /* needs nothing more: answered, folded or dropped */
    FATE_DEAD,    /* it can never be settled as things are: for an operator */
};

/* A group of records in the queue that this round works on, and what becomes of it. All others
 * wait. */
struct group {
    struct queued *from;
    const struct queue_group *group;
    enum fate fate;
    uint32_t unanswered; /* requests in it that have no answer */
    bool others;         /* it has more than requests */
    bool dead;           /* what it needs to be settled cannot be read */
    bool held;           /* a session that it asks about is closed and not put away yet */
};

/* What is to be done about a session's object. */
enum settle_step {
    SETTLE_NOTHING,
    SETTLE_FOLD,   /* the queue's records go into it */
    SETTLE_RETIRE, /* it becomes a tombstone */
};

/* Everything in the queue about one session. One that a land names, and of which nothing else
 * is in the queue, has no groups. */
struct work {
    struct id16 project;
    struct id16 id;
    struct group **groups; /* in the order of the queue */
    size_t n;
    struct session session; /* merged out of the groups of its owner, and of its object when
                               that was read */
    uint64_t oldest_hlc;    /* of its records in the queue */
    bool whole;             /* it came whole, with its land: it has no object */
    bool asked;             /* a request about it is in the queue */
    bool owned;             /* the owner is known: session.owner */
    bool object_wanted;     /* a request needs what is in its object */
    bool object_read;    /* it is known whether there is a session object, and what is in it */
    int object_err;      /* what kept it from being read the last time */
    bool object_damaged; /* it cannot be decoded */
    bool has_object;
    bool object_has; /* there is one, with all that the queue has */
    struct etag object;
    bool closed;  /* answered for good: its records need nothing more */
    bool closing; /* by the batch under way */
    bool fold;    /* its records go into its object now */
    enum settle_step step;
    int err; /* what became of that */
    unsigned puts;
    bool folded;  /* its records are in its object, since this round or longer */
    bool lost;    /* what the chain says of it cannot be read */
    bool put_off; /* its object rests, land_pace.h */
    bool settled; /* its records need nothing more in the queue */
};

/* One land or abandon request about one session. */
struct request {
    const struct record *record;
    const struct record_land_item *item; /* NULL: abandon */
    uint32_t series;                     /* place in the series */
    struct work *work;
    struct group *group; /* that brought the record */
    struct request *copy_of;
    bool answered; /* by the chain, or dropped */
    bool ends;     /* when it is answered or decided: what follows in the series is not tried */
    bool decided;  /* by the batch under way */
    bool postponed; /* the store has failed it: not in this round */
    bool far;       /* whether it was answered is still to be looked up, far back */
    bool lost;      /* nobody can tell whether it was answered */
    int unfit;      /* what applying it has failed with: it is refused; 0: nothing */
};

/* One project's share of a round. */
struct project_round {
    struct id16 project;
    struct work *works; /* sorted by session id */
    size_t n_works;
    struct request *requests; /* in order of (hlc, record id, place in the series) */
    size_t n_requests;
    uint32_t landed; /* by this round's batches */
    uint32_t decided;
    unsigned reads; /* of older batches that it may still make before it asks the log */
    bool looked;    /* it looked something up, and the next round may go on with that */
    int err;        /* the first that made a request wait */
};

/* What a drain keeps about a project between rounds; losing it costs reads. */
struct project_memory {
    struct id16 project;
    struct answered *answered;
    uint64_t used; /* round of its last use */
    /* Its head was put by the round before: the next one, if it has anything to read, reads the
     * head along with that. */
    bool ahead;
    uint64_t head_round; /* the round that has read it so, and has not used it yet */
    struct head head;
    struct etag etag;
};

struct land {
    struct stage stage;
    struct repo *repo;
    struct land_options options;
    struct shard_leases *leases;
    struct land_pace pace;
    struct queued **queued; /* of all shards, sorted by key */
    size_t n_queued;
    struct project_memory *memory;
    size_t n_memory;
    uint64_t round;
    /* Of the round under way. */
    struct arena arena;
    bool complete; /* all of the shard's queue is at hand: what is not in it has not come */
};

/* Whether this round can still answer it. */
static inline bool request_is_open(const struct request *r)
{
    return r->copy_of == NULL && !r->answered && !r->postponed && !r->lost;
}

/* What a list has shown of a shard: its objects in order of keys, read or not. */
struct shard_list {
    struct queued **queued;
    size_t n;
    bool more;
};

/* land_queue: lists a shard. What it gives is good until the next list. */
int land_queue_list(struct land *, uint32_t shard, struct shard_list *out) MUST_USE;
/* Reads what is new of it, and side by side with that the heads that are likely to be needed;
 * deletes what is settled. Gives all that is read and not settled, in order of keys. */
void land_queue_read(struct land *, uint32_t shard, const struct shard_list *,
                     struct queued ***out, size_t *n);
/* There is nothing to do in the shard: deletes what is settled, and expects no more. */
int land_queue_rest(struct land *, uint32_t shard, const struct shard_list *) MUST_USE;
/* Deletes what is settled in all shards. */
void land_queue_end(struct land *);
void land_queued_free(struct queued *);

/* land_batch: answers all requests of the project that can be answered. On return requests say
 * whether they are, and works whether they are closed. What goes wrong with one request holds
 * up no other. ERR_CORRUPT: the project's head, footer or root cannot be read. */
int land_project(struct land *, struct project_round *) MUST_USE;

/* What is kept about a project; good until that of another is asked for. */
struct project_memory *land_memory(struct land *, const struct id16 *project);
/* The window of answers of a project. */
struct answered *land_answered(struct land *, const struct id16 *project);

/* land_history: what is known of earlier answers, for all of a round at once. Reads what lies
 * near, for the requests that have no answer; those that need more become `far`. `*read` when
 * that took time. */
void land_history_near(struct land *, struct project_round *, bool *read);
/* One step of looking up what is far, and what is to be folded. `*more` when there is something
 * new to be decided by that. */
void land_history_far(struct land *, struct project_round *, bool *more);

/* Merges the queue's records of the session's owner into the work. */
void land_work_merge(struct land *, struct work *);

/* land_object: reads the session's object into the work, once. ERR_CORRUPT when it cannot be
 * decoded; then the work still knows which version that is. */
int land_object_read(struct land *, struct work *) MUST_USE;
/* The same for many, side by side; what could not be read is read again when it is needed. */
void land_objects_read(struct land *, struct work *const *works, size_t n);
/* That for all that the round's requests need. */
void land_objects_prefetch(struct land *, struct project_round *);
/* Does what `step` says, for all side by side; `err` says what became of it. Another drain may
 * do the same at the same time. The array is used up. */
void land_objects_settle(struct land *, struct work **works, size_t n);

/* Whether it is time for the work's records to go into its object. */
bool land_fold_is_due(const struct land *, const struct work *);
/* Nothing can be done about the work: an operator has to look. */
void land_work_lose(struct work *, const char *why, int err);

/* land_settle: folds and retires session objects, and gives each group its fate. */
int land_settle_project(struct land *, struct project_round *) MUST_USE;
/* Puts groups that are dead into queue/dead/; they are settled by that. */
int land_settle_dead(struct land *, uint32_t shard, struct group *groups, size_t n) MUST_USE;
/* Deletes queue objects that are settled, and puts what waits together once too many objects
 * wait. The groups are those of this round, in the order of the objects. */
int land_settle_queue(struct land *, uint32_t shard, struct queued **queued, size_t n,
                      const struct group *groups, size_t n_groups) MUST_USE;

#endif
