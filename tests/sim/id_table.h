/* A table from one or two ids to whatever they stand for. Nothing is ever taken out of it. */
#ifndef TESTS_SIM_ID_TABLE_H
#define TESTS_SIM_ID_TABLE_H

#include "formats/base/types.h"

struct id_slot {
    struct id16 a;
    struct id16 b;
    void *value; /* NULL: the slot is empty */
};

/* All zero is empty. */
struct id_table {
    struct id_slot *slots;
    size_t n_slots; /* a power of two */
    size_t n;
};

/* `b` NULL is all zero. NULL when there is none. */
void *id_table_find(const struct id_table *, const struct id16 *a, const struct id16 *b);
/* Puts it in, or in place of the one before. */
void id_table_put(struct id_table *, const struct id16 *a, const struct id16 *b, void *value);
void *id_table_new(struct id_table *, const struct id16 *a, const struct id16 *b, size_t size);

#endif
