/* The executor: computes what recipes name. A get walks the recipes below an address, finds by
 * memos what is known, runs what is not, and gives the result. One a process.
 *
 * What must stay true:
 * - One run for one memo key of a project, however many gets and recipes want it.
 * - What nobody needs is not computed: an input whose memo is known has a content hash, and its
 *   bytes are made only when a function that runs, or the caller, reads them.
 * - A get that leaves harms no other; a run that nobody waits for any more is stopped when it
 *   next reads or writes.
 * - A run that fails fails all that is above it, with that first cause. It is not remembered.
 * - No recursion: a graph may be as deep and as wide as there is memory for its nodes.
 *
 * Any thread may call. `done` and `progress` are called without a lock held, on a thread of the
 * executor or of the caller; they must not wait long. */
#ifndef PIPELINE_DERIVE_RUN_EXECUTOR_H
#define PIPELINE_DERIVE_RUN_EXECUTOR_H

#include "pipeline/derive/cache/result_cache.h"
#include "pipeline/derive/run/derive_problem.h"
#include "pipeline/derive/run/derive_source.h"
#include "pipeline/derive/run/derived.h"
#include "pipeline/derive/run/verify.h"
#include "pipeline/sys/clock.h"
#include "pipeline/sys/rng.h"

struct executor;

struct executor_options {
    uint32_t slots;         /* functions that run at once */
    uint32_t planners;      /* threads that walk recipes and ask for memos */
    uint64_t in_flight_max; /* bytes; see struct executor_stats */
    uint64_t result_max;    /* bytes of one result; at most RESULT_SIZE_MAX */
    size_t known_max;       /* bytes of the table of addresses whose output is known */
    uint64_t progress_us;   /* how often progress is told; 0: only by executor_tick */
    struct verify verify;
    /* NULL: function_find. Functions last as long as the executor. */
    const struct function *(*function)(struct bytes name, struct bytes version);
    struct result_cache *cache;
    struct clock *clock; /* mono_us, from any thread */
    struct rng *rng;
};

struct executor *executor_open(const struct executor_options *) MUST_USE;
/* Cancels every get, waits for the runs to stop. Everything that was derived is closed. */
void executor_close(struct executor *);

/* What a caller wants of an address. */
enum get_want {
    GET_HASH = 1, /* its content hash and size; its bytes may be gone */
    GET_KNOWN,    /* the same as far as it is known: nothing runs */
    GET_SIZE,     /* its size; computed without bytes where the function allows it */
    GET_RANGE,    /* a range of its bytes; computed without the rest where possible */
    GET_BYTES,    /* all of its bytes */
};

struct get_progress {
    uint64_t nodes;      /* recipes, leaves and trees that were found */
    uint64_t known;      /* of these: whose content is known */
    uint64_t runs;       /* that ended */
    uint64_t running;    /* now */
    uint64_t bytes_out;  /* written by runs that this get waited for */
    uint64_t elapsed_us; /* since the get began */
    struct hash address; /* of a recipe that runs; zero when none does */
};

/* Takes what was derived over (derived_close), or NULL and why there is none; the problem is
 * valid during the call. Called once for each get. */
typedef void derive_done_fn(void *arg, struct derived *, const struct derive_problem *);
/* Never after `done`. */
typedef void derive_progress_fn(void *arg, const struct get_progress *);

struct get_options {
    enum get_want want;
    uint64_t from; /* RANGE: [from, end), cut at the size */
    uint64_t end;
    bool again; /* runs the function of the address itself even if its result is known, and
                 * compares; what is below it is taken from memos */
    const struct verify *verify; /* NULL: the executor's */
    derive_done_fn *done;
    derive_progress_fn *progress; /* may be NULL */
    void *arg;
};

/* Begins a get, and takes the source over. `done` may be called before this returns. `ticket`
 * may be NULL. */
void executor_get(struct executor *, const struct id16 *project, struct derive_source *,
                  const struct hash *address, const struct get_options *, uint64_t *ticket);
/* Its `done` is called with CANCELLED, if it was not called and is not about to be. */
void executor_cancel(struct executor *, uint64_t ticket);
/* How far it is. ERR_NOT_FOUND when it has ended. */
int executor_look(struct executor *, uint64_t ticket, struct get_progress *out) MUST_USE;
/* Tells progress to all gets that asked for it. */
void executor_tick(struct executor *);

/* The fast path: a recipe that uses no refs, whose output is known here and lies in the cache.
 * ERR_NOT_FOUND for all else: use executor_get, which begins with this, and for what needs no
 * bytes is content with what is known. */
int executor_known(struct executor *, const struct id16 *project, const struct hash *address,
                   struct derived **out) MUST_USE;
/* Forgets known outputs: of one address, or all of a project (`address` NULL). For
 * invalidation; and when a quarantine came from another node, all of the project. */
void executor_forget(struct executor *, const struct id16 *project, const struct hash *address);

/* ---- counters ---- */

struct executor_stats {
    uint64_t gets;
    uint64_t fast; /* of these: by the fast path */
    uint64_t runs; /* of functions, also those that failed, and second ones */
    uint64_t failed;
    uint64_t stopped;    /* runs that nobody waited for any more */
    uint64_t shared;     /* recipes that found a run of their key under way */
    uint64_t hits;       /* recipes whose memo was known */
    uint64_t misses;     /* recipes that had none */
    uint64_t recomputed; /* runs for bytes that were gone */
    uint64_t verified;
    uint64_t verify_passed;
    uint64_t verify_failed;
    uint64_t depth_last; /* of the graph of the get that was planned last */
    uint64_t depth_most;
    uint64_t running;
    uint64_t waiting; /* runs that could start */
    /* Bytes in flight: of the inputs of functions that run and what they wrote, and of results
     * that are kept for functions that will run. A run starts when it fits under the bound, or
     * when nothing else runs; a run that writes beyond it waits for the others, but the oldest
     * one never waits. Nor does one that counts at most a 64th of the bound: large runs do not
     * hold up small ones. */
    uint64_t in_flight;
    uint64_t in_flight_most;
};
struct executor_stats executor_stats(struct executor *);

#define EXECUTOR_LATENCIES 12
/* Upper bounds in microseconds of all buckets but the last, which has none. */
extern const uint64_t executor_latency_us[EXECUTOR_LATENCIES - 1];

/* How long runs of a function took. */
struct executor_latency {
    const struct function *function;
    uint64_t n[EXECUTOR_LATENCIES]; /* each run is in one bucket */
    uint64_t sum_us;
};
/* Calls `take` for each function that ran. */
void executor_latencies(struct executor *,
                        void (*take)(void *arg, const struct executor_latency *), void *arg);

#endif
