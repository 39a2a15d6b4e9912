/* Reading what lies in the queue of a shard. Queue objects never change, so decoded ones stay
 * in memory while they are listed, bounded by bytes: reading again costs one list. Any
 * thread. */
#ifndef PIPELINE_REPO_INTAKE_QUEUE_READ_H
#define PIPELINE_REPO_INTAKE_QUEUE_READ_H

#include "formats/queue_object.h"
#include "pipeline/repo/repo.h"

struct queue_cache;
struct queue_cache *queue_cache_open(uint32_t shards, size_t bytes_max) MUST_USE;
void queue_cache_close(struct queue_cache *);

/* One object, which stays in memory until it is dropped. Immutable. */
struct queue_held {
    struct queue_object object;
    const struct queue_group **by_session; /* object.n: by project and session, then in order */
};

/* Those of its groups that are of this session: `*n` of them, in their order. */
const struct queue_group *const *queue_held_find(const struct queue_held *,
                                                 const struct id16 *project,
                                                 const struct id16 *session, size_t *n);

struct queue_view {
    const struct queue_held **objects; /* in the order of their keys; in the arena */
    size_t n;
    bool damaged; /* something in the queue could not be read: who knows what is missing here */
};

/* All objects of a shard. When one is gone between the list and the get, what was in it may
 * wait in another by now: the queue is listed again, a few times; then it was settled. A
 * damaged one is logged and passed over. Fails when one cannot be read, for it may have what
 * the caller looks for. ERR_LIMIT: the queue is absurdly long. */
int queue_read(struct repo *, uint32_t shard, struct arena *, struct queue_view *out) MUST_USE;
void queue_drop(struct repo *, const struct queue_view *);

/* Copies of a group's records that live in the arena, byte runs included. */
struct record *queue_records_copy(const struct queue_group *, struct arena *) MUST_USE;

#endif
