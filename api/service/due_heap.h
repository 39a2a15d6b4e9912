/* A binary heap of things that are due at some time, the next on top. One owner's lock. */
#ifndef API_SERVICE_DUE_HEAP_H
#define API_SERVICE_DUE_HEAP_H

#include "formats/base/types.h"

struct due {
    uint64_t at_us;
    size_t index; /* in the heap, from 1; 0: not in it */
};

struct due_heap {
    struct due **items; /* from 1 */
    size_t n;
    size_t cap;
};

/* A heap that is all zero is ready for use. */
void due_heap_release(struct due_heap *);
/* Adds it, or moves it to its new time. */
void due_heap_set(struct due_heap *, struct due *, uint64_t at_us);
/* Nothing when it is not in it. */
void due_heap_remove(struct due_heap *, struct due *);
/* The next, or NULL. */
struct due *due_heap_top(const struct due_heap *);

#endif
