/* Inside the executor: what its files share.
 *
 * A get is a graph of nodes, one for each address below the one that was asked for. One thread
 * at a time works on it, for a turn (get_turn.c); what happens meanwhile waits in its inbox.
 * A run is one execution of a function; nodes of many gets may wait for it. What gets and runs
 * tell each other is under the executor's lock. */
#ifndef PIPELINE_DERIVE_RUN_EXECUTOR_INSIDE_H
#define PIPELINE_DERIVE_RUN_EXECUTOR_INSIDE_H

#include <pthread.h>
#include <stdatomic.h>

#include "pipeline/derive/run/executor.h"
#include "pipeline/derive/run/fact_table.h"
#include "pipeline/sys/bell.h"
#include "pipeline/sys/must_alloc.h"

struct node;
struct get;
struct run;

/* ---- what is shared by count ---- */

struct source_ref {
    struct derive_source *source;
    atomic_uint refs;
};
struct source_ref *source_ref_take(struct source_ref *);
void source_ref_drop(struct source_ref *); /* NULL is fine */
/* Opens a leaf. ERR_CORRUPT when it is a tree, or not as long as it was said to be. */
int source_open_leaf(struct source_ref *, const struct hash *address, uint64_t size,
                     struct derive_input **out) MUST_USE;

/* A result whose bytes are at hand. Beyond the bound on bytes in flight that is left to the
 * cache, and what it drops is made again, then to be kept for sure. */
struct hold {
    struct executor *ex;
    struct result_reader *reader; /* NULL: left to the cache */
    struct result result;
    uint64_t counted; /* bytes in flight */
    atomic_uint refs;
};
/* Takes the reader over. */
struct hold *hold_new(struct executor *, const struct id16 *project, struct result_reader *,
                      bool surely);
/* ERR_NOT_FOUND when the cache has it no more. */
int hold_open(struct executor *, const struct id16 *project, const struct hash *, bool surely,
              struct hold **out) MUST_USE;
struct hold *hold_take(struct hold *);
void hold_drop(struct hold *); /* not under the lock; NULL is fine */
/* A reader of one's own. ERR_NOT_FOUND. */
int hold_reader(struct hold *, const struct id16 *project, struct result_reader **out) MUST_USE;

/* ---- functions ---- */

/* What is known of a function, as long as the executor lives. */
struct function_facts {
    struct function_facts *next;
    const struct function *function;
    struct hash digest;
    atomic_uint_least64_t cost_us; /* of its runs and memos, lately; 0: never measured */
    atomic_uint_least64_t latencies[EXECUTOR_LATENCIES];
    atomic_uint_least64_t sum_us;
};
struct function_facts *function_facts_of(struct executor *, const struct function *);
void function_facts_measured(struct function_facts *, uint64_t cost_us);

/* ---- gets ---- */

struct edge {
    struct edge *next;
    struct node *node;
};

enum node_state {
    NODE_IDLE,
    NODE_INPUTS, /* its run waits for bytes of inputs */
    NODE_RUN,    /* its run waits or runs */
};

struct node_part {
    uint64_t from;
    uint64_t end;
};

struct node {
    struct node *next; /* in the get's table */
    struct get *get;
    struct hash address;
    enum derive_is is;
    enum node_state state;
    bool by_content;  /* its address is what its result is said to be: to be checked */
    bool expanded;    /* its inputs are nodes */
    bool refs;        /* it, or what is below it, uses a ref */
    bool known;       /* content, size */
    bool looked;      /* its key is known, and a memo was asked for */
    bool wanted;      /* its content is */
    bool bytes;       /* its bytes are wanted */
    bool using;       /* it counts as a user of its inputs */
    bool run_wanted;  /* when its inputs are known */
    bool verify;      /* its run is to be done twice */
    bool drawn;       /* that was decided */
    bool again;       /* a run is not replaced by what is known */
    bool sized;       /* for ranges: its size is known */
    bool size_wanted; /* for ranges */
    bool size_out;    /* for ranges: its content is waited for, for its size */
    bool bytes_out;   /* for ranges: its bytes are waited for */
    bool walk_waits;  /* for ranges: what of it is needed is to be looked at */
    bool surely;      /* its bytes went once, or the caller reads them: they are kept at hand */
    uint8_t retries;  /* of its run, because bytes of inputs went */
    uint8_t n_parts;
    struct recipe recipe;
    struct function_facts *function;
    struct node **inputs; /* recipe.n_inputs */
    struct edge *parents;
    struct edge *told;     /* the parents that counted it as unknown */
    uint32_t parents_left; /* while the graph is put in order */
    uint32_t waits;        /* inputs whose content is not known */
    uint32_t bytes_wait;   /* INPUTS: inputs whose bytes are not at hand */
    uint32_t size_waits;
    uint32_t users;
    uint32_t depth;
    uint32_t passed;   /* by the search for a cycle that had this number */
    uint64_t priority; /* microseconds from its start to the end of the get, as estimated */
    struct hash key;
    struct memo_input content;
    uint64_t size;
    uint32_t chunk_size;
    struct hash chunks;
    uint64_t cost_us;
    struct hash expected; /* zero, or what its run must give */
    struct hold *hold;
    struct node_part parts[4];    /* for ranges: what of it is needed */
    struct fn_run *sizes;         /* for ranges: its recipe over inputs that have sizes only */
    struct derive_input *input;   /* for ranges: a leaf that is read */
    struct result_reader *reader; /* for ranges: a result that is read */
    /* Under the executor's lock. */
    struct run *run; /* it waits for, or that has ended */
    struct node *waiter_newer;
    struct node *waiter_older;
    struct node *inbox_next;
};

enum step {
    STEP_LOOK,  /* ask for its memo */
    STEP_KNOWN, /* tell those above */
    STEP_WANT,  /* its content is wanted */
    STEP_RUN,   /* its function is to run */
    STEP_BYTES, /* its bytes are in the cache */
    STEP_SIZE,  /* for ranges: its size is wanted */
    STEP_SIZED, /* for ranges: its size is known */
};

struct step_item {
    struct node *node;
    enum step what;
};

struct get {
    struct executor *ex;
    struct id16 project;
    struct hash address;
    struct get_options options;
    struct verify verify;
    struct source_ref *source;
    uint64_t ticket;
    uint64_t began_us;
    atomic_uint refs;
    atomic_bool cancelled;

    /* Of the thread that has the turn. */
    struct arena arena;
    struct node **table;
    size_t n_table; /* a power of two */
    struct node *root;
    struct node **nodes; /* all of them, in the order in which they were found */
    size_t n_nodes;
    size_t nodes_cap;
    size_t n_expanded; /* nodes before it are */
    struct step_item *steps;
    size_t n_steps;
    size_t steps_cap;
    struct memo_input *contents; /* of a node's inputs, while its key is made */
    uint32_t contents_cap;
    struct function_facts **functions; /* that were found to be in order */
    size_t n_functions;
    size_t functions_cap;
    struct derived_ref *refs_seen;
    size_t n_refs_seen;
    size_t refs_cap;
    uint64_t forgets; /* of the executor, when it began */
    bool planned;
    bool failed;
    bool ran;
    bool verified;
    struct derive_problem problem;
    uint32_t outstanding; /* for ranges: what was asked for and is not there */
    bool walked;          /* for ranges: what is needed of whom is known */
    bool checks;          /* the address is the result's: all of it is read and compared */
    uint32_t searches;    /* for cycles */
    uint64_t from;        /* for ranges */
    uint64_t end;
    struct node *reading[16]; /* for ranges: whose bytes are open */
    size_t n_reading;

    /* Counts that others read. */
    atomic_uint_least64_t count_nodes;
    atomic_uint_least64_t count_known;
    atomic_uint_least64_t count_runs;
    atomic_uint_least64_t count_bytes;

    /* Under the executor's lock. */
    struct get *next;   /* in the table of tickets */
    struct get *queued; /* behind it, where turns wait */
    struct node *inbox;
    bool busy; /* has or awaits a turn */

    pthread_mutex_t told; /* held while progress is told */
    bool ended;
};

void get_drop(struct get *);
/* One turn: does all that can be done now. */
void get_turn(struct get *);
/* Keeps the first cause. */
void get_fail(struct get *, const struct derive_problem *);
void get_fail_err(struct get *, const struct hash *address, int err);
/* The result of an address was made: it stays in the cache if it is pinned. */
void get_keep(struct get *, const struct hash *address, const struct hash *result);
bool get_cancelled(struct get *); /* fails it when it is */
/* Tells the caller, and leaves all runs. */
void get_end(struct get *);

/* graph */
int get_expand(struct get *, struct node *);
int get_plan(struct get *);
/* There is no such thing as the node's address: the get fails. */
int get_missing(struct get *, const struct node *);

/* turns */
void step_push(struct get *, struct node *, enum step);
/* Whether a node's bytes are at hand; if not they are asked for. */
bool node_bytes(struct get *, struct node *);
/* Its content is known. */
void node_fact(struct get *, struct node *, const struct fact *);
/* Takes hold of its bytes if they are in the cache. */
bool node_open(struct get *, struct node *);

/* ---- runs ---- */

struct run_input {
    struct memo_input content;
    uint64_t size;
    bool result;       /* of a recipe; else a leaf or a tree of the source */
    struct hold *hold; /* of a result */
};

struct run {
    struct run *next; /* in the table of keys; later, among those to be dropped */
    struct id16 project;
    struct hash key;
    struct hash address; /* of the recipe that began it */
    struct function_facts *function;
    struct source_ref *source;
    struct recipe recipe; /* function, version and parameters only */
    struct run_input *inputs;
    uint32_t n_inputs;
    struct hash expected; /* zero, or what a memo says that it gives */
    uint64_t leaf_bytes;  /* of inputs that are not results */
    struct arena arena;

    /* Under the lock. */
    struct node *waiters; /* newest first */
    struct hash plain;    /* zero, or a recipe that wants it and uses no refs */
    uint64_t rank;        /* greater goes first */
    size_t ready_at;      /* its place among those that are ready */
    bool started;
    bool ended;
    bool dead;   /* nobody waited for it: nobody can join it */
    bool surely; /* the result is kept at hand whatever the bound is */
    bool verify;
    bool verify_over;  /* too late to ask for verification */
    struct run *older; /* among those that run */
    struct run *newer;
    atomic_uint n_waiters;
    atomic_uint refs;
    atomic_uint_least64_t written; /* by the first execution: counts as bytes in flight */

    /* When it has ended. */
    struct derive_problem problem;
    bool gone; /* an input's bytes went meanwhile */
    struct hash gone_input;
    bool verified;
    uint64_t cost_us;
    struct hold *hold;
};

/* Finds the run of the node's key, or makes one, and lets the node wait for it. */
void run_submit(struct get *, struct node *);
void run_drop(struct run *); /* not under the lock */
/* The get's nodes wait no more. Not under the lock. */
void runs_leave(struct get *);
/* Tells of the chunks of its result, if that has some and a recipe can be named for them. */
void run_tell_chunks(struct executor *, struct run *, const struct result_reader *);
/* Executes and ends it. */
void run_do(struct executor *, struct run *);
/* Whether nobody waits for it any more; then nobody can join it. */
bool run_unwanted(struct executor *, struct run *);
/* Counts bytes that it is about to have written, and waits for room. ERR_AGAIN when nobody
 * waits for it any more. */
int run_room(struct executor *, struct run *, uint64_t more);
/* Runs its function, a second time if that is to be verified, and fills in what came of it. */
void run_execute(struct executor *, struct run *);

/* ---- those that are ready, the most urgent first ---- */

struct ready_queue {
    struct run **runs;
    size_t n;
    size_t cap;
};
void ready_push(struct ready_queue *, struct run *);
struct run *ready_top(const struct ready_queue *); /* NULL: empty */
void ready_remove(struct ready_queue *, struct run *);
void ready_raise(struct ready_queue *, struct run *); /* its rank has grown */

/* ---- all of it ---- */

#define TICKET_BUCKETS 1024u

/* A function that was found to be nondeterministic here. */
struct quarantined {
    struct quarantined *next;
    struct id16 project;
    struct function_facts *function;
    struct hash key; /* of the memo */
    struct hash first;
    struct hash second;
    uint64_t told_us; /* when it was told last; 0: it could not be */
};

struct counters {
    atomic_uint_least64_t gets, fast, runs, failed, stopped, shared, hits, misses, recomputed;
    atomic_uint_least64_t verified, verify_passed, verify_failed, depth_last, depth_most;
};
#define COUNT(ex, counter) \
    ((void)atomic_fetch_add_explicit(&(ex)->counters.counter, 1, memory_order_relaxed))

struct executor {
    struct executor_options options;
    struct fact_table *known;      /* (project, address) of recipes without refs */
    atomic_uint_least64_t forgets; /* how often something was taken out of it */
    struct fact_table *recent;     /* (project, memo key) */
    struct counters counters;

    pthread_mutex_t lock;
    pthread_cond_t ready_rings; /* for threads that run */
    pthread_cond_t turn_rings;  /* for threads that plan */
    pthread_cond_t room_rings;  /* for runs that wait for room */
    pthread_cond_t ended_rings; /* for close */
    bool closing;
    struct ready_queue ready;
    uint32_t idle; /* threads that wait for a run */
    struct run **table;
    size_t n_table;
    size_t n_runs;
    struct run *oldest; /* of those that run */
    struct run *newest;
    uint32_t running;
    uint64_t in_flight;
    uint64_t in_flight_most;
    struct get *first; /* whose turns wait */
    struct get *last;
    struct get *tickets[TICKET_BUCKETS];
    uint64_t n_gets;
    uint64_t next_ticket;
    struct function_facts *functions;
    struct quarantined *quarantines;
    uint32_t room_waits;          /* runs that wait for room */
    atomic_uint_least64_t chance; /* state of the numbers for sampling */

    struct bell close_rings; /* for the thread that tells progress */
    pthread_t *threads;
    uint32_t n_threads;
};

void executor_lock(struct executor *);
void executor_unlock(struct executor *);
uint64_t executor_chance(struct executor *);
/* A turn for a get: under the lock; false when it has one coming. */
bool executor_turn_due(struct get *);
void executor_turn_queue(struct executor *, struct get *);
/* Whether a function of a project is quarantined, by what is known here or by the source. */
int executor_quarantine_find(struct executor *, const struct id16 *project,
                             struct derive_source *, struct function_facts *,
                             struct derive_problem *);
/* Makes a quarantine of a run's function and tells it; the problem is that of who ran it. */
void executor_quarantine(struct executor *, const struct run *, const struct hash *first,
                         const struct hash *second, struct derive_problem *);
void executor_in_flight(struct executor *, int64_t change); /* under the lock */
void executor_wake(struct executor *); /* somebody for what is ready; under the lock */
/* It runs no more; under the lock. */
void executor_run_over(struct executor *, struct run *);

#endif
