#include "tests/sim/id_table.h"

#include <stdlib.h>

#include "formats/base/hash.h"

static struct id_slot *slot_of(const struct id_table *t, const struct id16 *a,
                               const struct id16 *b)
{
    struct id16 both[2] = {*a, *b};
    size_t i = (size_t)xxh3_64(bytes_of(both, sizeof(both))) & (t->n_slots - 1);
    while (t->slots[i].value != NULL &&
           (!id16_equal(&t->slots[i].a, a) || !id16_equal(&t->slots[i].b, b)))
        i = (i + 1) & (t->n_slots - 1);
    return &t->slots[i];
}

void *id_table_find(const struct id_table *t, const struct id16 *a, const struct id16 *b)
{
    static const struct id16 none;
    return t->n_slots == 0 ? NULL : slot_of(t, a, b == NULL ? &none : b)->value;
}

static void grow(struct id_table *t)
{
    struct id_table bigger = {.n_slots = t->n_slots == 0 ? 256 : t->n_slots * 2, .n = t->n};
    bigger.slots = calloc(bigger.n_slots, sizeof(*bigger.slots));
    if (bigger.slots == NULL)
        abort();
    for (size_t i = 0; i < t->n_slots; i++) {
        if (t->slots[i].value != NULL)
            *slot_of(&bigger, &t->slots[i].a, &t->slots[i].b) = t->slots[i];
    }
    free(t->slots);
    *t = bigger;
}

void id_table_put(struct id_table *t, const struct id16 *a, const struct id16 *b, void *value)
{
    static const struct id16 none;
    assert(value != NULL);
    b = b == NULL ? &none : b;
    if (t->n * 2 >= t->n_slots)
        grow(t);
    struct id_slot *slot = slot_of(t, a, b);
    t->n += slot->value == NULL;
    *slot = (struct id_slot){.a = *a, .b = *b, .value = value};
}

void *id_table_new(struct id_table *t, const struct id16 *a, const struct id16 *b, size_t size)
{
    void *value = calloc(1, size);
    if (value == NULL)
        abort();
    id_table_put(t, a, b, value);
    return value;
}
