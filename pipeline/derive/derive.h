/* One node's derivation of a bucket, put together: the log that it tells, the index of what all
 * nodes told, the cache of results, and the executor. One a process; any thread.
 *
 * What was put is durable in the bucket before it is told. Index and results lie in a directory
 * of this process's own, and follow from the bucket: losing them costs time only. */
#ifndef PIPELINE_DERIVE_DERIVE_H
#define PIPELINE_DERIVE_DERIVE_H

#include "formats/content.h"
#include "pipeline/derive/cache/result_cache.h"
#include "pipeline/derive/index/derive_index.h"
#include "pipeline/derive/log/derive_log.h"
#include "pipeline/derive/refs/refs_snapshot.h"
#include "pipeline/derive/run/executor.h"
#include "pipeline/repo/repo.h"

struct invalidator;

struct derive {
    struct repo *repo;
    struct derive_log *log;
    struct derive_index *index;
    struct result_cache *results;
    struct executor *executor;
    struct invalidator *invalidator;
    struct verify verify; /* how runs are verified where a get says nothing else */
};

struct derive_options {
    const char *dir;    /* made when it is not there; no other process may use it */
    uint64_t window_us; /* as of the intake, and so are the two below */
    size_t batch_max;
    size_t queue_max;
    uint64_t look_us; /* at most one look for what others told begins in so long; 0: a second */
    uint32_t slots;   /* functions that run at once */
    uint64_t in_flight_max;
    size_t ram_bytes; /* of results; one result is as long as the greater of these at most */
    uint64_t disk_bytes;
    struct verify verify;
    /* NULL: the functions of this house. */
    const struct function *(*function)(struct bytes name, struct bytes version);
};

/* ERR_CONFLICT: another process uses the directory. */
int derive_open(struct derive *, struct repo *, const struct derive_options *) MUST_USE;
/* Starts and stops the thread that puts what is told. Stopping settles what waits. */
void derive_start(struct derive *);
void derive_stop(struct derive *);
void derive_close(struct derive *);

/* Puts items, at least one, of one project; what is known to be there already is not put again.
 * `told` is called once when they are durable, at once where all of them are there; or not at
 * all, and this fails as derive_log_tell does. */
int derive_put(struct derive *, const struct id16 *project, const struct derive_item *,
               uint32_t n, derive_told_fn told, void *arg) MUST_USE;

/* Puts content that was just uploaded (upload_finish) as a leaf, and waits until that is
 * durable. What the log names stays; so only then it is looked whether a collection has taken
 * the content before, or is about to. ERR_CONFLICT when it has: it is to be uploaded again. Not
 * on the thread that answers puts. */
int derive_put_upload(struct derive *, const struct id16 *project,
                      const struct content *) MUST_USE;

/* Recipes and places of trees as this node knows them, for snapshots of references. */
struct refs_source derive_refs_source(struct derive *);

/* Reads what others have told of the project and this node has not. */
int derive_look(struct derive *, const struct id16 *project) MUST_USE;
/* The same, unless that has been done since: derive_index_look_since. */
int derive_look_since(struct derive *, const struct id16 *project, uint64_t since_us) MUST_USE;

#endif
