#include <stdio.h>
#include <stdlib.h>

#include "formats/queue_object.h"
#include "pipeline/repo/collect/reach.h"

/* Lists until one of which nothing was gone; each reads what it has not read. Under a heavy
 * load some are drained between a list and its reads, over and over. */
#define LISTS_MAX 64u

struct queue_walk {
    struct reach *reach;
    struct arena arena;
    void *read; /* keys that were read, const char *, sorted from one list to the next */
    size_t n_read;
    size_t cap_read;
    size_t n_sorted;
    bool gone; /* one that was listed */
    struct fsck_gets gets;
};

static int key_order(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void read_sort(struct queue_walk *walk)
{
    if (walk->n_read > 0)
        qsort(walk->read, walk->n_read, sizeof(char *), key_order);
    walk->n_sorted = walk->n_read;
}

static bool was_read(const struct queue_walk *walk, const char *key)
{
    return walk->n_sorted > 0 &&
           bsearch(&key, walk->read, walk->n_sorted, sizeof(char *), key_order) != NULL;
}

static int object_take(struct queue_walk *walk, const struct store_op *op)
{
    AUTO(arena_release) struct arena arena = {0};
    struct reach *reach = walk->reach;
    struct queue_object object;
    if (op->err == ERR_NOT_FOUND) {
        walk->gone = true;
        return OK;
    }
    if (op->err != OK || queue_object_decode(buf_bytes(op->body), &arena, &object) != OK)
        return reach_damaged(reach, op->key);
    reach->counts.queue_objects++;
    for (uint32_t i = 0; i < object.n; i++) {
        const struct queue_group *group = &object.groups[i];
        if (id16_equal(&group->project, &reach->project))
            reach_records(reach, group->records, group->n);
    }
    const char **slot =
        arena_push(&walk->arena, &walk->read, &walk->n_read, &walk->cap_read, sizeof(*slot));
    *slot = arena_str(&walk->arena, bytes_str(op->key));
    return OK;
}

static int wave_run(struct queue_walk *walk)
{
    int err = fsck_gets_run(&walk->reach->fsck, &walk->gets);
    for (size_t i = 0; i < walk->gets.n && err == OK; i++)
        err = object_take(walk, &walk->gets.ops[i]);
    fsck_gets_clear(&walk->gets);
    return err;
}

static int prefix_read(struct queue_walk *walk, const char *prefix)
{
    AUTO(fsck_keys_release)
    struct fsck_keys keys = {.store = walk->reach->repo->store, .prefix = prefix};
    struct fsck_gets *gets = &walk->gets;
    const struct store_key *key;
    int err;
    while ((err = fsck_keys_next(&keys, &key)) == OK) {
        if (was_read(walk, key->key))
            continue;
        if (gets->n > 0 && (gets->n == FSCK_AT_ONCE || gets->bytes + key->size > FSCK_BYTES)) {
            err = wave_run(walk);
            if (err != OK)
                return err;
        }
        struct key name;
        (void)snprintf(name.s, sizeof(name.s), "%s", key->key);
        (void)fsck_gets_add(gets, &name, range_all());
        gets->bytes += key->size;
    }
    return err == ERR_NOT_FOUND ? wave_run(walk) : err;
}

/* The pending, then the dead: that is how a record moves. One that an operator puts back goes
 * the other way, so the pending come once more. */
static int list_once(struct queue_walk *walk)
{
    struct reach *reach = walk->reach;
    uint32_t shard = key_shard(&reach->project, reach->repo->bucket.shards);
    struct key pending = key_queue_prefix(shard);
    struct key dead = key_dead_prefix();
    walk->gone = false;
    int err = prefix_read(walk, pending.s);
    if (err == OK)
        err = prefix_read(walk, dead.s);
    read_sort(walk);
    if (err == OK)
        err = prefix_read(walk, pending.s);
    read_sort(walk);
    return err;
}

int reach_queue(struct reach *reach)
{
    struct queue_walk walk = {.reach = reach, .gone = true};
    int err = OK;
    reach->counts.queue_objects = 0;
    for (unsigned i = 0; err == OK && walk.gone; i++)
        err = i < LISTS_MAX ? list_once(&walk) : ERR_AGAIN;
    arena_release(&walk.arena);
    return err;
}
