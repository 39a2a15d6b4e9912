/* The collector of a project: deletes what nothing in its chain ever named.
 *
 * What goes, when it was put longer ago than the grace time by the store's own clock, and no
 * root names it (reach.h):
 *   - tree objects whose head put was lost, or whose drain died before it;
 *   - uploads that no landed session, no open one and no record in the queue names, and chunks
 *     that are neither uploads of their own nor part of a manifest that stays.
 * What never goes: the history, which is all that the chain from the head back names; tree
 * objects put along with one of these; sessions' objects, open or settled (a tombstone keeps
 * late records out); log segments and rollups (mic-append and mic-rollup put away what theirs
 * replace); dead letters; head, settings, handle, the gc object itself; whatever has a name
 * that is none of these; and all of a project that no handle names (yet).
 *
 * A run marks; puts `gc` with the names that it condemns; fences; marks again; deletes what is
 * still unmarked, and was not put again since; closes. So a lander that has read the head
 * before the fence lands nothing, and one that reads it later sees the run. A delete whose
 * outcome is unknown is done again until it is known, and the name stays condemned for an hour
 * more. Only who has opened a run closes it, or an operator who knows that this one has died.
 */
#ifndef PIPELINE_REPO_COLLECT_COLLECT_H
#define PIPELINE_REPO_COLLECT_COLLECT_H

#include "formats/gc.h"
#include "formats/key.h"
#include "pipeline/repo/collect/reach.h"

/* How long a lost delete may take to take effect. */
#define COLLECT_COOL_MS 3600000u

/* An object that goes, or would go. */
struct collect_object {
    struct gc_name name;
    const char *key;
    uint64_t size;
    uint64_t put_ms;
};

struct collect_options {
    uint64_t grace_ms;
    uint32_t names_max; /* that one run condemns; 0: GC_NAMES_MAX, which is the most */
    uint64_t cool_ms;   /* 0: COLLECT_COOL_MS */
    /* Told before a run is opened, and before one is taken over: who has to end it, should this
     * process die. May be NULL. */
    void (*opening)(void *arg, const struct id16 *project, const struct id16 *run);
    void *opening_arg;
    /* Told of each object that is unmarked and past its grace time when it is first found. May
     * be NULL. */
    void (*found)(void *arg, const struct collect_object *);
    void *found_arg;
};

struct collect_sum {
    uint64_t n;
    uint64_t bytes;
};

enum collect_end {
    COLLECT_DONE,
    COLLECT_BUSY,    /* a run is open, another's; or it died */
    COLLECT_COOLING, /* a run's deletes may still take effect */
};

struct collect_report {
    enum collect_end end;
    struct collect_sum all;     /* tree objects and uploads that were looked at */
    struct collect_sum old;     /* unmarked, and past the grace time */
    struct collect_sum young;   /* unmarked, and not yet */
    struct collect_sum undated; /* unmarked, and the store does not tell when they were put */
    struct collect_sum deleted;
    struct reach_counts roots;
    uint32_t runs;
    struct id16 run; /* the last that was opened, or the one that is in the way */
    bool left_open;  /* it could not be closed: an operator has to */
    uint64_t opened_ms;
    uint64_t until_ms;  /* cooling */
    struct key damaged; /* ERR_CORRUPT: what could not be read; "" when it is told in the log */
};

/* Counts what a run would delete, and changes nothing. ERR_NOT_FOUND when no handle names the
 * project; ERR_CORRUPT when a root cannot be read; ERR_AGAIN also when the store tells no
 * date. */
int collect_look(struct repo *, const struct id16 *project, const struct collect_options *,
                 struct collect_report *) MUST_USE;
/* Runs until nothing is left that may go. */
int collect_run(struct repo *, const struct id16 *project, const struct collect_options *,
                struct collect_report *) MUST_USE;
/* Takes over a run whose process has died, and ends it: what is still unmarked of its names is
 * deleted, and all of them cool. ERR_CONFLICT when it is not the open one. */
int collect_resume(struct repo *, const struct id16 *project, const struct id16 *run,
                   const struct collect_options *, struct collect_report *) MUST_USE;
/* The same without deleting anything. */
int collect_close(struct repo *, const struct id16 *project, const struct id16 *run,
                  const struct collect_options *, struct collect_report *) MUST_USE;

#endif
