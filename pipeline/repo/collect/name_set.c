#include "pipeline/repo/collect/name_set.h"

#include <stdlib.h>

#define CAP_FIRST 1024u

void name_set_release(struct name_set *set)
{
    free(set->slots);
    *set = (struct name_set){0};
}

static uint64_t word_of(const struct gc_name *name)
{
    uint64_t word;
    memcpy(&word, name->hash.b, sizeof(word));
    word = (word << 1 | word >> 63) ^ (uint64_t)name->what;
    return word == 0 ? 1 : word;
}

static size_t slot_of(const struct name_set *set, uint64_t word)
{
    size_t i = (size_t)((word * 0x9e3779b97f4a7c15ull) >> 20) & (set->cap - 1);
    while (set->slots[i] != 0 && set->slots[i] != word)
        i = (i + 1) & (set->cap - 1);
    return i;
}

static void grow(struct name_set *set)
{
    struct name_set larger = {.cap = set->cap == 0 ? CAP_FIRST : 2 * set->cap, .n = set->n};
    larger.slots = calloc(larger.cap, sizeof(*larger.slots));
    if (larger.slots == NULL)
        abort();
    for (size_t i = 0; i < set->cap; i++) {
        if (set->slots[i] != 0)
            larger.slots[slot_of(&larger, set->slots[i])] = set->slots[i];
    }
    free(set->slots);
    *set = larger;
}

bool name_set_add(struct name_set *set, const struct gc_name *name)
{
    uint64_t word = word_of(name);
    if (set->cap == 0 || 8 * set->n >= 7 * set->cap)
        grow(set);
    size_t slot = slot_of(set, word);
    if (set->slots[slot] == word)
        return false;
    set->slots[slot] = word;
    set->n++;
    return true;
}

bool name_set_has(const struct name_set *set, const struct gc_name *name)
{
    uint64_t word = word_of(name);
    return set->cap > 0 && set->slots[slot_of(set, word)] == word;
}
