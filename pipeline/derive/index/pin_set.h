/* What is pinned in a project, in memory: asked after every run. Not thread-safe. */
#ifndef PIPELINE_DERIVE_INDEX_PIN_SET_H
#define PIPELINE_DERIVE_INDEX_PIN_SET_H

#include "pipeline/derive/index/index_rows.h"

struct pin_slot {
    bool used;
    bool pinned; /* else it was, and is not any more */
    struct hash address;
    struct told told;
};

struct pin_set {
    struct pin_slot *slots; /* a power of two of them */
    size_t n_slots;
    size_t used;
    size_t pinned; /* of these */
};

/* All zero is an empty one. */
void pin_set_release(struct pin_set *);
/* Takes in a pin or an unpin; of two the one told later counts. Whether that changed
 * anything. */
bool pin_set_take(struct pin_set *, const struct hash *address, bool pinned,
                  const struct told *);
bool pin_set_has(const struct pin_set *, const struct hash *address);

#endif
