/* The operations of derivation, for whatever front encodes them: putting leaves and recipes,
 * getting results, asking how addresses hang together, and keeping house.
 *
 * All of them are about one project, and address nothing outside it. A service without a
 * `struct derive` answers derive_off (ERR_AGAIN) to each.
 *
 * Problems beside those of service.h: the faults of derive_problem.h by their names, with the
 * address that they are about as the field; recipe_invalid (ERR_INVALID), is_tree
 * (ERR_INVALID). */
#ifndef API_SERVICE_SERVICE_DERIVE_H
#define API_SERVICE_SERVICE_DERIVE_H

#include "api/service/service.h"
#include "pipeline/derive/invalidate.h"
#include "pipeline/derive/project_source.h"

/* --- writing --- */

/* 0: durable. The problem is valid during the call. */
typedef void (*derive_written_fn)(void *arg, const struct problem *, uint64_t hlc);

/* Puts leaves, uploads, recipes, pins. Answers as service_session_write does: an error at once,
 * or the callback later (or before this returns). Items are copied. */
int service_derive_put(struct service *, const struct caller *, const struct id16 *project,
                       const struct derive_item *, uint32_t n, derive_written_fn, void *arg,
                       struct problem *) MUST_USE;

/* Puts content that was just uploaded as a leaf; returns when it is durable and stays. The code
 * is "collecting" when a collection has taken it meanwhile: it is to be uploaded again. */
int service_derive_upload(struct service *, const struct caller *, const struct id16 *project,
                          const struct content *, struct problem *) MUST_USE;

/* A recipe from outside as an item: settles it, looks at its function and parameters, and gives
 * its address. Its canonical bytes lie in the arena. */
int service_derive_recipe(struct recipe *, struct arena *, struct derive_item *out,
                          struct problem *) MUST_USE;

/* A client is about to be shown the content hash of a directory, and may use it as an address:
 * so where its page lies is told first. `shown` is called once, also when it could not be
 * told, or before this returns. */
typedef void (*derive_shown_fn)(void *arg);
void service_derive_show(struct service *, const struct id16 *project,
                         const struct hash *content, const struct location *where,
                         derive_shown_fn, void *arg);

/* --- getting --- */

struct derive_ask {
    enum get_want want;
    uint64_t from; /* GET_RANGE */
    uint64_t end;
    bool again;                  /* as in get_options */
    const struct verify *verify; /* NULL: as the server does */
    uint64_t wait_ms; /* how long the answer may take; then it is `pending`, and the get goes
                         on for a while, for who asks again */
    /* Told how far it is, now and then, until it is answered; must not wait. False: whoever
     * asks does not listen any more, and it is answered as if the wait were over. May be NULL.
     */
    bool (*progress)(void *arg, const struct get_progress *);
};

struct derive_answer {
    int err; /* 0: `derived`, or `pending` */
    struct problem problem;
    struct derived *derived; /* taken over: derived_close */
    bool pending;
    struct get_progress progress; /* when it is pending */
    /* When references were resolved: the positions at which, of their tree and of the project.
     */
    bool has_refs;
    uint64_t refs_position;
    uint64_t head_position;
};
typedef void (*derive_answer_fn)(void *arg, const struct derive_answer *);

/* What is known at once, without a wait and a look at the bucket: false for all else. */
bool service_derive_known(struct service *, const struct id16 *project, const struct hash *,
                          struct derived **out);
/* Answers once, from any thread, possibly before this returns. */
void service_derive_get(struct service *, const struct id16 *project, const struct hash *,
                        const struct derive_ask *, derive_answer_fn, void *arg);

/* The chunks of a result, each by its content. */
struct derive_chunk_row {
    uint64_t offset;
    uint64_t size;
    struct hash address;
};
struct derive_chunk_page {
    struct derive_chunk_row *rows; /* in the arena */
    size_t n;
    bool more;
    /* They can be got when this answer was told: by every server, and when the result is in no
     * cache any more. Else, where references were used, as long as it is in this one's. */
    bool lasts;
};
/* Those at `from` and behind it, at most `max`, of what a get of all bytes gave (no tree).
 * Tells the log of those that it does not know yet: calls `told` when they are durable, at once
 * where all are known; or not at all, and fails. */
int service_derive_chunks(struct service *, const struct id16 *project, const struct derived *,
                          uint64_t from, size_t max, struct arena *,
                          struct derive_chunk_page *out, derive_written_fn told, void *arg,
                          struct problem *) MUST_USE;

/* --- how addresses hang together --- */

/* What an address is: a recipe with its inputs, a leaf, a tree. */
int service_derive_find(struct service *, const struct caller *, const struct id16 *project,
                        const struct hash *, struct arena *, struct derive_found *out,
                        struct problem *) MUST_USE;

/* Reads what others have told of the project: before a question about all of it, whose answer
 * then has what any server had acknowledged when it was asked. Waits for a look, at most. */
int service_derive_look(struct service *, const struct caller *, const struct id16 *project,
                        struct problem *) MUST_USE;

/* The recipes that have the address as an input, behind `after` (zero: from the first). */
struct derive_page {
    struct hash *addresses; /* in the arena */
    size_t n;
    bool more;
};
int service_derive_dependents(struct service *, const struct id16 *project,
                              const struct derive_root *, const struct hash *after, size_t max,
                              struct arena *, struct derive_page *out,
                              struct problem *) MUST_USE;
/* How many recipes depend on it, directly or not, and how deep that goes. */
int service_derive_affected(struct service *, const struct id16 *project,
                            const struct derive_root *, struct derive_walk *out,
                            struct problem *) MUST_USE;

/* All that an address is computed from, breadth first, itself first, each once. */
#define LINEAGE_MAX 100000u
struct lineage_node {
    struct hash address;
    bool found; /* false: there is no such thing, or it is a ref that is not bound */
    struct derive_found what;
    /* Of a recipe, by input: the node that it is. Where it is beyond the limit: LINEAGE_MAX. */
    uint32_t *inputs;
};
struct lineage {
    struct lineage_node *nodes; /* in the arena */
    size_t n;
    bool more; /* there are nodes beyond the limit */
};
int service_derive_lineage(struct service *, const struct caller *, const struct id16 *project,
                           const struct hash *, size_t max, struct arena *, struct lineage *out,
                           struct problem *) MUST_USE;

/* --- keeping house --- */

/* Takes results out of this node's cache. Nothing but space is lost: the next get computes them
 * again. */
int service_derive_invalidate(struct service *, const struct id16 *project,
                              const struct derive_root *, const struct invalidation *,
                              struct invalidated *out, struct problem *) MUST_USE;

/* Before a ref is bound anew or deleted: what results came to until then. NULL where nothing is
 * known to depend on it. Drop it with project_source_drop. */
struct project_source *service_derive_before(struct service *, const struct id16 *project,
                                             struct bytes ref);
/* After that: counts what depends on the ref, and frees its results behind this call. `now` is
 * NULL for one that was deleted, `before` may be NULL. */
int service_derive_rebound(struct service *, const struct id16 *project, struct bytes ref,
                           const struct hash *now, struct project_source *before,
                           struct derive_walk *out, struct problem *) MUST_USE;

/* A result that is pinned stays in the caches of this node and, when they get it, of others.
 * What nobody knows cannot be pinned. */
int service_derive_pin(struct service *, const struct caller *, const struct id16 *project,
                       const struct hash *, bool pin, bool *was, derive_written_fn, void *arg,
                       struct problem *) MUST_USE;
int service_derive_pins(struct service *, const struct id16 *project, const struct hash *after,
                        size_t max, struct arena *, struct derive_page *out,
                        struct problem *) MUST_USE;

/* Takes results out of this node's cache that nobody has used for `unused_us` and that are not
 * pinned. Leaves, recipes and memos are never collected. */
int service_derive_collect(struct service *, const struct id16 *project, uint64_t unused_us,
                           uint64_t max, bool dry_run, struct result_collected *out,
                           struct problem *) MUST_USE;

struct derive_status {
    struct derive_counts counts; /* of the project */
    struct result_cache_stats results;
    struct executor_stats runs;
    struct derive_log_load log;
    const char *verify; /* as the settings spell it; in the arena */
};
int service_derive_status(struct service *, const struct id16 *project, struct arena *,
                          struct derive_status *out, struct problem *) MUST_USE;

/* The numbers of this process, for /metrics. False: it derives nothing. */
bool service_derive_stats(struct service *, struct derive_status *out);
/* How long runs took, by function. */
void service_derive_latencies(struct service *,
                              void (*take)(void *arg, const struct executor_latency *),
                              void *arg);

#endif
