#include "pipeline/derive/index/pin_set.h"

#include <stdlib.h>

#include "pipeline/sys/must_alloc.h"

#define SLOTS_FIRST 16u

void pin_set_release(struct pin_set *set)
{
    free(set->slots);
    *set = (struct pin_set){0};
}

/* The slot of the address, or a free one. Addresses are hashes, so some of their bytes are as
 * good as a hash of them. */
static struct pin_slot *slot_of(const struct pin_set *set, const struct hash *address)
{
    uint64_t at;
    memcpy(&at, address->b, sizeof(at));
    for (;; at++) {
        struct pin_slot *slot = &set->slots[at & (set->n_slots - 1)];
        if (!slot->used || hash_equal(&slot->address, address))
            return slot;
    }
}

static void grow(struct pin_set *set)
{
    const struct pin_set old = *set;
    set->n_slots = old.n_slots == 0 ? SLOTS_FIRST : 2 * old.n_slots;
    set->slots = must_alloc(set->n_slots, sizeof(*set->slots));
    for (size_t i = 0; i < old.n_slots; i++) {
        if (old.slots[i].used)
            *slot_of(set, &old.slots[i].address) = old.slots[i];
    }
    free(old.slots);
}

bool pin_set_take(struct pin_set *set, const struct hash *address, bool pinned,
                  const struct told *told)
{
    if (2 * set->used >= set->n_slots)
        grow(set);
    struct pin_slot *slot = slot_of(set, address);
    if (slot->used && told_compare(told, &slot->told) <= 0)
        return false;
    bool was = slot->used && slot->pinned;
    set->used += !slot->used;
    set->pinned += (size_t)pinned - (size_t)was;
    *slot =
        (struct pin_slot){.used = true, .pinned = pinned, .address = *address, .told = *told};
    return pinned != was;
}

bool pin_set_has(const struct pin_set *set, const struct hash *address)
{
    if (set->pinned == 0)
        return false;
    const struct pin_slot *slot = slot_of(set, address);
    return slot->used && slot->pinned;
}
