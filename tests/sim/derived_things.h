/* What clients derive from: a few leaves and recipes over them, the same in every world, so
 * that many put the same and ask for what others have put. */
#ifndef TESTS_SIM_DERIVED_THINGS_H
#define TESTS_SIM_DERIVED_THINGS_H

#include "formats/derive_object.h"

#define THINGS_INLINE 10u
#define THINGS_UPLOAD 5u
#define THINGS_LEAVES (THINGS_INLINE + THINGS_UPLOAD)
#define THINGS        40u
#define MEMO_KEYS     6u
#define MEMO_COSTS    100000u

/* Items that a client puts at once, at most. */
#define DERIVE_AT_ONCE 4u

struct thing {
    struct hash address;
    bool upload;        /* a leaf that is uploaded */
    bool recipe;        /* else a leaf */
    struct bytes data;  /* of a leaf, or canonical */
    struct bytes gives; /* what it comes to */
    unsigned inputs[2]; /* of a recipe: things before it */
    unsigned n_inputs;
};

/* By number, below THINGS. */
const struct thing *thing_of(unsigned number);
/* NULL: none has that address. */
const struct thing *thing_find(const struct hash *address);
static inline bool thing_is_leaf(const struct thing *thing)
{
    return !thing->recipe;
}
/* Putting it. */
struct derive_item thing_item(const struct thing *);

/* A memo that a client tells of a function that nobody has, by key, below MEMO_KEYS; so that
 * two may differ. Its cost, below MEMO_COSTS, tells one from another. */
bool thing_is_memo(const struct memo *);
struct derive_item thing_memo(unsigned key, unsigned output, uint64_t cost_us);

#endif
