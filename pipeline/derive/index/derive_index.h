/* The index of what the derive log tells: recipes, leaves, memos, places of trees, quarantined
 * functions, pins, and who has whom as an input. One SQLite database a project in a directory
 * of this process's own, and in front of it the recipes and memos in memory that were told or
 * asked for last.
 *
 * The log in the bucket is what lasts. A database that is missing, damaged or of another
 * version is made anew out of it, one that is behind is caught up. What is told more than once,
 * late, or in another order of agents gives the same index: of two memos of one key the one
 * told first by (hlc, agent, number) stays, and of two recipes that gave the same chunk; of a
 * pin and an unpin the later counts.
 *
 * A look reads what the log has beyond the index. It begins after it was asked for, so what
 * another node had answered by then is found; and at most one begins in `look_us` a project,
 * which all who wait share.
 *
 * Any thread. */
#ifndef PIPELINE_DERIVE_INDEX_DERIVE_INDEX_H
#define PIPELINE_DERIVE_INDEX_DERIVE_INDEX_H

#include "formats/base/arena.h"
#include "formats/derive_object.h"
#include "pipeline/derive/log/derive_cursor.h"
#include "pipeline/sys/clock.h"

struct derive_index;

struct derive_index_options {
    const char *dir; /* made when it is not there; no other process may use it */
    struct clock *clock;
    size_t front_bytes; /* of recipes and memos in memory; 0: 64 MiB */
    size_t cache_bytes; /* of each database's file in memory, for finds and for filling it; 0:
                           64 MiB */
    uint32_t open_max;  /* databases that are open and not in use; 0: 8 */
    uint64_t look_us;   /* 0: a second */
    /* Applies all objects of the project's log that the cursor has not, and raises it:
     * derive_follow. One at a time for a project. */
    int (*follow)(void *arg, struct derive_index *, const struct id16 *project,
                  struct derive_cursor *);
    /* Called when a function of the project turns out to be quarantined, also by what another
     * node told; under a lock of the index, which it must not call. May be NULL. */
    void (*quarantined)(void *arg, const struct id16 *project);
    void *quarantined_arg;
    /* Called when an address of the project is pinned, or is not any more, also by what another
     * node told; as `quarantined`. May be NULL. */
    void (*pinned)(void *arg, const struct id16 *project, const struct hash *address);
    void *pinned_arg;
    void *arg;
};

int derive_index_open(const struct derive_index_options *, struct derive_index **out) MUST_USE;
/* Takes what was applied into the databases. Nobody else calls any more. */
void derive_index_close(struct derive_index *);
/* Has a thread that takes what was applied into the databases within a second. Without it this
 * happens when there is much of it, and before questions that need it. */
void derive_index_start(struct derive_index *);
void derive_index_stop(struct derive_index *);

/* ---- what goes in ---- */

/* Takes in one object; `encoded` is what it was decoded from. What was taken in before is
 * nothing new. The object counts as read (derive_index_agents) when it is the next one of its
 * agent; one that comes before its time is found as well, and is read once more later. It is
 * found at once and goes into the database a little later, so a kill may lose it here, and the
 * next look finds it in the log again. ERR_AGAIN when too much waits for the database. */
int derive_index_apply(struct derive_index *, const struct derive_object *,
                       struct bytes encoded) MUST_USE;

/* How far the log of an agent has been read: all numbers up to `seq`. */
struct derive_read {
    uint64_t agent;
    uint64_t seq;
};
/* Of all agents, by number of the agent; in the arena. */
int derive_index_agents(struct derive_index *, const struct id16 *project, struct arena *,
                        struct derive_read **out, size_t *n) MUST_USE;
/* Takes all that was applied into the databases now. */
int derive_index_flush(struct derive_index *) MUST_USE;

/* Reads what the log has and the index has not. Returns when a look that began after this call
 * has ended. Gives what follow gave. */
int derive_index_look(struct derive_index *, const struct id16 *project) MUST_USE;
/* The same for who asked at `since_us` of the clock, and had to wait for its turn: at once when
 * a look that began after that has succeeded meanwhile. So however many ask at one moment, and
 * however few threads they have, they share one look. */
int derive_index_look_since(struct derive_index *, const struct id16 *project,
                            uint64_t since_us) MUST_USE;

/* ---- finds ---- */

/* What a find does when it finds nothing. A miss of a memo is what comes before every run, so
 * it does not wait for a look, unless the run costs more than one. */
enum derive_miss {
    DERIVE_MISS_LOOK, /* looks, and finds again */
    DERIVE_MISS_TELL, /* ERR_NOT_FOUND at once */
};

/* Where a leaf lies. */
struct derive_leaf {
    bool uploaded; /* a blob by its address; else inline in a derive object: */
    uint64_t size;
    uint64_t agent;
    uint64_t seq;
    uint32_t offset; /* in the object */
};

/* All of these: ERR_NOT_FOUND. Appends the canonical bytes. */
int derive_index_recipe(struct derive_index *, const struct id16 *project,
                        const struct hash *address, enum derive_miss, struct buf *out) MUST_USE;
int derive_index_leaf(struct derive_index *, const struct id16 *project,
                      const struct hash *address, enum derive_miss,
                      struct derive_leaf *out) MUST_USE;
/* The first memo that was told of the key; its runs lie in the arena. */
int derive_index_memo(struct derive_index *, const struct id16 *project, const struct hash *key,
                      enum derive_miss, struct arena *, struct memo *out) MUST_USE;
/* A memo whose output this is. */
int derive_index_output(struct derive_index *, const struct id16 *project,
                        const struct hash *output, enum derive_miss, struct arena *,
                        struct memo *out) MUST_USE;
/* Where the top page of a directory lies, by its content hash. */
int derive_index_tree(struct derive_index *, const struct id16 *project,
                      const struct hash *content, enum derive_miss,
                      struct location *out) MUST_USE;
/* Which part of which recipe's output has this SHA-256: a chunk, or all of it. A function may
 * have changed since, so what the recipe gives now is to be compared. */
struct derive_chunk {
    struct hash recipe;
    uint64_t from;
    uint64_t end;
};
int derive_index_chunk(struct derive_index *, const struct id16 *project, const struct hash *,
                       enum derive_miss, struct derive_chunk *out) MUST_USE;
/* Whether the function has given two results for one key, as far as is known here: it is asked
 * before every run, and does not look. A function also is quarantined when two memos that were
 * told differ in their output. */
int derive_index_quarantine(struct derive_index *, const struct id16 *project,
                            struct bytes function, struct bytes version,
                            const struct hash *implementation, struct arena *,
                            struct quarantine *out) MUST_USE;

/* Whether it is pinned, as far as is known here: it is asked after every run, and neither looks
 * nor reads. */
bool derive_index_keeps(struct derive_index *, const struct id16 *project,
                        const struct hash *address);

/* ---- questions about all; they wait for a look when none has succeeded since the project was
 * opened here ---- */

int derive_index_pinned(struct derive_index *, const struct id16 *project,
                        const struct hash *address, bool *out) MUST_USE;
/* Addresses behind `after` (zero: from the first), at most `max`, sorted; in the arena. */
int derive_index_pins(struct derive_index *, const struct id16 *project,
                      const struct hash *after, size_t max, struct arena *, struct hash **out,
                      size_t *n) MUST_USE;

struct derive_counts {
    uint64_t recipes;
    uint64_t leaves;
    uint64_t memos;
    uint64_t pins;
};
int derive_index_counts(struct derive_index *, const struct id16 *project,
                        struct derive_counts *out) MUST_USE;

/* What a walk begins at: an address, or a ref by its name. */
struct derive_root {
    const struct hash *address; /* or NULL: */
    struct bytes ref;
};

/* The recipes that name `root` as an input: those that come behind `after` (zero: from the
 * first) in an order of the index's own, at most `max`; in the arena. Each comes once. */
int derive_index_dependents(struct derive_index *, const struct id16 *project,
                            const struct derive_root *root, const struct hash *after,
                            size_t max, struct arena *, struct hash **out, size_t *n) MUST_USE;

struct derive_walk {
    uint64_t count; /* recipes that depend on the root, directly or not; each counts once */
    uint64_t depth; /* the length of the longest of the shortest ways up to them */
};
/* Walks over all of them breadth first, as they were known when it began. `each` (may be NULL)
 * gets every one once with its distance from the root; an error of its ends the walk and is
 * given back. ERR_AGAIN when the database was found to be damaged after `each` was given some.
 * Memory: 4 bytes for each that is found, a bit for each address of the project, and for its
 * edges and addresses up to 256 MiB, of which 64 MiB are kept for the next walk. Nobody waits
 * for it meanwhile. */
int derive_index_walk(struct derive_index *, const struct id16 *project,
                      const struct derive_root *root,
                      int (*each)(void *arg, const struct hash *address, uint64_t distance),
                      void *arg, struct derive_walk *out) MUST_USE;

#endif
