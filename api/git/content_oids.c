#include "api/git/content_oids.h"

#include <stdlib.h>

void content_oids_release(struct content_oids *oids)
{
    free(oids->slots);
    *oids = (struct content_oids){0};
}

static struct content_oid *slot_find(const struct content_oids *oids, const struct hash *hash)
{
    uint64_t at;
    memcpy(&at, hash->b, sizeof(at));
    size_t i = (size_t)at & (oids->n_slots - 1);
    while (!hash_is_zero(&oids->slots[i].hash) && !hash_equal(&oids->slots[i].hash, hash))
        i = (i + 1) & (oids->n_slots - 1);
    return &oids->slots[i];
}

static void grow(struct content_oids *oids)
{
    struct content_oids wider = {.n_slots = oids->n_slots == 0 ? 1024 : oids->n_slots * 2,
                                 .used = oids->used};
    wider.slots = calloc(wider.n_slots, sizeof(*wider.slots));
    if (wider.slots == NULL)
        abort();
    for (size_t i = 0; i < oids->n_slots; i++) {
        if (!hash_is_zero(&oids->slots[i].hash))
            *slot_find(&wider, &oids->slots[i].hash) = oids->slots[i];
    }
    free(oids->slots);
    *oids = wider;
}

const git_oid *content_oids_find(const struct content_oids *oids, const struct hash *hash)
{
    if (oids->n_slots == 0)
        return NULL;
    const struct content_oid *slot = slot_find(oids, hash);
    return hash_is_zero(&slot->hash) ? NULL : &slot->oid;
}

void content_oids_put(struct content_oids *oids, const struct hash *hash, const git_oid *oid)
{
    if (oids->used * 2 >= oids->n_slots)
        grow(oids);
    struct content_oid *slot = slot_find(oids, hash);
    oids->used += hash_is_zero(&slot->hash) ? 1 : 0;
    *slot = (struct content_oid){.hash = *hash, .oid = *oid};
}
