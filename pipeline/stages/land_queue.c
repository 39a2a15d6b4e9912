/* Reading a shard's queue: one list, and one get for each object that is new. */
#include <stdlib.h>

#include "formats/base/limits.h"
#include "pipeline/repo/damage.h"
#include "pipeline/stages/land.h"
#include "pipeline/sys/log.h"

/* Objects that one round takes; the rest is taken by the next. */
#define ROUND_OBJECTS_MAX 1000u
/* Lists that one round makes. */
#define LISTS_MAX 64u
/* Bytes of queue objects that one round takes, but for the first. */
#define ROUND_BYTES_MAX (128u * MIB)
/* Heads that one round reads ahead. */
#define AHEAD_MAX 16u

void land_queued_free(struct queued *q)
{
    buf_release(&q->bytes);
    arena_release(&q->arena);
    free(q);
}

/* Index of the first kept object whose key is at least `key`. */
static size_t queued_from(const struct land *land, const char *key)
{
    size_t low = 0;
    size_t high = land->n_queued;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (strcmp(land->queued[middle]->key.s, key) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static struct queued *queued_new(const struct store_key *key)
{
    struct queued *q = calloc(1, sizeof(*q));
    if (q == NULL)
        abort();
    /* A longer key is none of ours; land_queue_read has left it out. */
    memcpy(q->key.s, key->key, strlen(key->key) + 1);
    q->size = key->size;
    uint32_t shard;
    uint64_t agent;
    uint64_t seq;
    (void)!key_queue_parse(key->key, &shard, &q->hlc, &agent, &seq);
    return q;
}

/* Merges the listed keys into what is kept, and forgets what is gone. */
static void queued_update(struct land *land, const char *prefix, const struct store_list *list)
{
    size_t from = queued_from(land, prefix);
    size_t to = from;
    while (to < land->n_queued && strncmp(land->queued[to]->key.s, prefix, strlen(prefix)) == 0)
        to++;
    size_t tail = land->n_queued - to;
    struct queued **all = malloc((from + list->n + tail + 1) * sizeof(struct queued *));
    if (all == NULL)
        abort();
    size_t n = 0;
    while (n < from) {
        all[n] = land->queued[n];
        n++;
    }
    size_t old = from;
    for (size_t i = 0; i < list->n; i++) {
        while (old < to && strcmp(land->queued[old]->key.s, list->keys[i].key) < 0)
            land_queued_free(land->queued[old++]);
        if (old < to && strcmp(land->queued[old]->key.s, list->keys[i].key) == 0) {
            /* Deleted, and there again: the list is behind, or a late put has come. */
            land->queued[old]->deleted = false;
            all[n++] = land->queued[old++];
        } else {
            all[n++] = queued_new(&list->keys[i]);
        }
    }
    while (old < to)
        land_queued_free(land->queued[old++]);
    for (size_t i = 0; i < tail; i++)
        all[n++] = land->queued[to + i];
    free(land->queued);
    land->queued = all;
    land->n_queued = n;
}

/* What the rounds ask of every object again and again. Gives the greatest stamp in it. */
static uint64_t queued_scan(struct queued *q)
{
    uint64_t newest = q->object.hlc;
    q->oldest_hlc = UINT64_MAX;
    for (uint32_t i = 0; i < q->object.n; i++) {
        const struct queue_group *group = &q->object.groups[i];
        q->named++;
        for (uint32_t k = 0; k < group->n; k++) {
            const struct record *record = &group->records[k];
            if (record->kind == RECORD_LAND || record->kind == RECORD_ABANDON)
                q->has_request = true;
            if (record->kind == RECORD_LAND)
                q->named += record->land.n;
            if (record->hlc < q->oldest_hlc)
                q->oldest_hlc = record->hlc;
            if (record->hlc > newest)
                newest = record->hlc;
        }
    }
    return newest;
}

static void queued_decode(struct land *land, struct queued *q)
{
    uint32_t shard;
    uint64_t hlc;
    uint64_t agent;
    uint64_t seq;
    int err = key_queue_parse(q->key.s, &shard, &hlc, &agent, &seq);
    if (err == OK)
        err = queue_object_decode(buf_bytes(&q->bytes), &q->arena, &q->object);
    /* A valid object under another's name is as wrong as a damaged one. */
    if (err == OK && (q->object.hlc != hlc || q->object.agent != agent || q->object.seq != seq))
        err = ERR_CORRUPT;
    if (damage_of(land->repo, q->key.s, err) != OK) {
        q->damaged = true;
        buf_release(&q->bytes);
        arena_release(&q->arena);
        return;
    }
    q->read = true;
    /* An answer is later than the request; but nobody's clock carries ours away. */
    uint64_t newest = queued_scan(q);
    if (!hlc_too_far(newest, land->repo->clock->wall_ms(land->repo->clock), CLOCK_SKEW_MAX_MS))
        repo_hlc_seen(land->repo, newest);
}

/* --- what one round reads, side by side --- */

struct reads {
    struct store_op *ops;
    size_t n;
    struct queued **fetch; /* the first operations are of these */
    size_t n_fetch;
    struct project_memory *heads[AHEAD_MAX]; /* the next ones of these */
    struct key keys[AHEAD_MAX];
    struct buf bodies[AHEAD_MAX];
    size_t n_heads;
    struct queued **settled; /* and the last ones of these */
    size_t n_settled;
};

static void reads_fetch(struct reads *reads, struct queued *q)
{
    buf_clear(&q->bytes);
    reads->fetch[reads->n_fetch++] = q;
    reads->ops[reads->n++] = (struct store_op){
        .verb = STORE_GET, .key = q->key.s, .range = range_all(), .body = &q->bytes};
}

/* Heads that the round before has put: under load there is more to land. Whatever has become of
 * such a head since, its etag says when it is put. */
static void reads_heads(struct land *land, uint32_t shard, struct reads *reads)
{
    for (size_t i = 0; i < land->n_memory; i++) {
        struct project_memory *m = &land->memory[i];
        if (!m->ahead || key_shard(&m->project, land->repo->bucket.shards) != shard)
            continue;
        m->ahead = false;
        size_t n = reads->n_heads;
        struct key key = key_head(&m->project);
        if (reads->n_fetch == 0 || n == AHEAD_MAX || land_pace_rests(&land->pace, key.s))
            continue;
        reads->keys[n] = key;
        reads->bodies[n] = (struct buf){0};
        reads->heads[n] = m;
        reads->ops[reads->n++] = (struct store_op){.verb = STORE_GET,
                                                   .key = reads->keys[n].s,
                                                   .range = range_all(),
                                                   .body = &reads->bodies[n]};
        reads->n_heads++;
    }
}

static void reads_deletes(struct reads *reads, const struct shard_list *list)
{
    for (size_t i = 0; i < list->n; i++) {
        struct queued *q = list->queued[i];
        if (!q->settled || q->deleted)
            continue;
        reads->settled[reads->n_settled++] = q;
        reads->ops[reads->n++] = (struct store_op){.verb = STORE_DELETE, .key = q->key.s};
    }
}

/* A head that could not be read so is read when it is needed. */
static void head_take(struct land *land, struct project_memory *m, const struct store_op *op)
{
    int err = op->err;
    if (err == OK)
        err = chain_head_decode(land->repo, &m->project, buf_bytes(op->body), &m->head);
    if (err != OK)
        return;
    m->etag = op->etag;
    m->head_round = land->round;
}

/* Gives the first error of those that are not deleted; they are tried again. */
static int deletes_take(struct reads *reads)
{
    int first = OK;
    for (size_t i = 0; i < reads->n_settled; i++) {
        int err = reads->ops[reads->n_fetch + reads->n_heads + i].err;
        reads->settled[i]->deleted = err == OK;
        if (first == OK)
            first = err;
    }
    return first;
}

/* One that cannot be read now is left for a later round: another drain may have settled it. */
static void reads_run(struct land *land, struct reads *reads)
{
    int first = OK;
    (void)!store_many(land->repo->store, reads->ops, reads->n); /* each has its own outcome */
    (void)deletes_take(reads);
    for (size_t i = 0; i < reads->n_fetch; i++) {
        int err = reads->ops[i].err;
        if (err == OK)
            queued_decode(land, reads->fetch[i]);
        else if (err != ERR_NOT_FOUND && first == OK)
            first = err;
    }
    if (first != OK)
        log_warn("queue_object_unread", LOG_ERR(first));
    for (size_t i = 0; i < reads->n_heads; i++) {
        head_take(land, reads->heads[i], &reads->ops[reads->n_fetch + i]);
        buf_release(&reads->bodies[i]);
    }
}

static int settled_delete(struct land *land, const struct shard_list *list)
{
    struct reads reads = {.ops = arena_array(&land->arena, list->n, struct store_op),
                          .settled = arena_array(&land->arena, list->n, struct queued *)};
    reads_deletes(&reads, list);
    if (reads.n > 0)
        (void)!store_many(land->repo->store, reads.ops, reads.n); /* each has its own outcome */
    return deletes_take(&reads);
}

int land_queue_rest(struct land *land, uint32_t shard, const struct shard_list *list)
{
    for (size_t i = 0; i < land->n_memory; i++) {
        struct project_memory *m = &land->memory[i];
        if (key_shard(&m->project, land->repo->bucket.shards) == shard)
            m->ahead = false;
    }
    return settled_delete(land, list);
}

void land_queue_end(struct land *land)
{
    const struct shard_list all = {.queued = land->queued, .n = land->n_queued};
    if (land->options.delete_late)
        (void)!settled_delete(land, &all); /* what stays the next drain finds settled */
}

/* --- the list --- */

/* Whether it is known by now that nothing can be made of the object. */
static bool queued_is_damaged(const struct land *land, const char *key)
{
    size_t at = queued_from(land, key);
    return at < land->n_queued && strcmp(land->queued[at]->key.s, key) == 0 &&
           land->queued[at]->damaged;
}

/* The keys of a shard, up to ROUND_OBJECTS_MAX that may be of use: damaged ones stay for ever,
 * and what lies behind them must be seen all the same. */
static int queue_list(struct land *land, const char *prefix, struct store_list *out)
{
    struct arena *arena = &land->arena;
    struct store_list all = {.more = true};
    size_t cap = 0;
    size_t useful = 0;
    const char *after = "";
    for (unsigned lists = 0; lists < LISTS_MAX && all.more && useful < ROUND_OBJECTS_MAX;
         lists++) {
        struct store_list list;
        int err = store_list(land->repo->store, arena, prefix, after,
                             ROUND_OBJECTS_MAX - useful, &list);
        if (err != OK)
            return err;
        for (size_t i = 0; i < list.n; i++) {
            after = list.keys[i].key;
            /* A longer key is none of ours. */
            if (strlen(after) >= sizeof(struct key))
                continue;
            void *items = all.keys;
            struct store_key *slot = arena_push(arena, &items, &all.n, &cap, sizeof(*slot));
            all.keys = items;
            *slot = list.keys[i];
            useful += !queued_is_damaged(land, after);
        }
        all.more = list.more;
    }
    *out = all;
    return OK;
}

int land_queue_list(struct land *land, uint32_t shard, struct shard_list *out)
{
    struct key prefix = key_queue_prefix(shard);
    struct store_list list;
    int err = queue_list(land, prefix.s, &list);
    if (err != OK)
        return err;
    queued_update(land, prefix.s, &list);
    *out = (struct shard_list){
        .queued = land->queued + queued_from(land, prefix.s), .n = list.n, .more = list.more};
    return OK;
}

void land_queue_read(struct land *land, uint32_t shard, const struct shard_list *list,
                     struct queued ***out, size_t *n)
{
    struct reads reads = {
        .ops = arena_array(&land->arena, 2 * list->n + AHEAD_MAX, struct store_op),
        .fetch = arena_array(&land->arena, list->n, struct queued *),
        .settled = arena_array(&land->arena, list->n, struct queued *)};
    uint64_t bytes = 0;
    for (size_t i = 0; i < list->n; i++) {
        struct queued *q = list->queued[i];
        if (q->damaged || q->settled)
            continue;
        bytes += q->size;
        if (!q->read && (reads.n_fetch == 0 || bytes <= ROUND_BYTES_MAX))
            reads_fetch(&reads, q);
    }
    reads_heads(land, shard, &reads);
    reads_deletes(&reads, list);
    if (reads.n > 0)
        reads_run(land, &reads);
    *out = arena_array(&land->arena, list->n, struct queued *);
    *n = 0;
    /* One that is gone since the list may have been put together with others: listed by the
     * next round. */
    land->complete = !list->more;
    for (size_t i = 0; i < list->n; i++) {
        struct queued *q = list->queued[i];
        land->complete = land->complete && (q->read || q->damaged);
        if (q->read && !q->settled)
            (*out)[(*n)++] = q;
    }
}
