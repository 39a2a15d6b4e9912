#include "api/git/content_names.h"

#include <pthread.h>
#include <stdlib.h>

#define SHARDS 64u

struct name_slot {
    bool used;
    git_oid oid;
    struct content_name name;
};

struct shard {
    pthread_mutex_t lock;
    struct name_slot *slots; /* open addressing */
    size_t n_slots;          /* a power of two */
    size_t used;
};

struct content_names {
    struct shard shards[SHARDS];
    size_t shard_max;
};

struct content_names *content_names_open(size_t max)
{
    struct content_names *names = calloc(1, sizeof(*names));
    if (names == NULL)
        abort();
    names->shard_max = max / SHARDS + 1;
    for (size_t i = 0; i < SHARDS; i++) {
        if (pthread_mutex_init(&names->shards[i].lock, NULL) != 0)
            abort();
    }
    return names;
}

void content_names_close(struct content_names *names)
{
    for (size_t i = 0; i < SHARDS; i++) {
        (void)pthread_mutex_destroy(&names->shards[i].lock);
        free(names->shards[i].slots);
    }
    free(names);
}

static struct shard *shard_of(struct content_names *names, const git_oid *oid)
{
    return &names->shards[oid->id[0] % SHARDS];
}

static struct name_slot *slot_find(const struct shard *shard, const git_oid *oid)
{
    uint64_t at;
    memcpy(&at, oid->id + 4, sizeof(at));
    size_t i = (size_t)at & (shard->n_slots - 1);
    while (shard->slots[i].used && !git_oid_equal(&shard->slots[i].oid, oid))
        i = (i + 1) & (shard->n_slots - 1);
    return &shard->slots[i];
}

static void shard_grow(struct shard *shard)
{
    struct name_slot *old = shard->slots;
    size_t n_old = shard->n_slots;
    shard->n_slots = n_old == 0 ? 64 : n_old * 2;
    shard->slots = calloc(shard->n_slots, sizeof(*shard->slots));
    if (shard->slots == NULL)
        abort();
    for (size_t i = 0; i < n_old; i++) {
        if (old[i].used)
            *slot_find(shard, &old[i].oid) = old[i];
    }
    free(old);
}

bool content_names_find(struct content_names *names, const git_oid *oid,
                        struct content_name *out)
{
    struct shard *shard = shard_of(names, oid);
    (void)pthread_mutex_lock(&shard->lock);
    const struct name_slot *slot = shard->n_slots == 0 ? NULL : slot_find(shard, oid);
    bool found = slot != NULL && slot->used;
    if (found)
        *out = slot->name;
    (void)pthread_mutex_unlock(&shard->lock);
    return found;
}

void content_names_put(struct content_names *names, const git_oid *oid,
                       const struct content_name *name)
{
    struct shard *shard = shard_of(names, oid);
    (void)pthread_mutex_lock(&shard->lock);
    if (shard->used * 2 >= shard->n_slots && shard->used < names->shard_max)
        shard_grow(shard);
    struct name_slot *slot = slot_find(shard, oid);
    if (slot->used) {
        slot->name.uploaded = slot->name.uploaded || name->uploaded;
    } else if (shard->used < names->shard_max) {
        *slot = (struct name_slot){.used = true, .oid = *oid, .name = *name};
        shard->used++;
    }
    (void)pthread_mutex_unlock(&shard->lock);
}
