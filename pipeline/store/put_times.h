/* When keys were put last, for stores that take one put to a key in an interval: a lander paces
 * itself by it, and the slow store refuses by it. A time is kept as long as it matters, so this
 * holds about as many keys as are put in one interval. One thread, or the caller's lock. */
#ifndef PIPELINE_STORE_PUT_TIMES_H
#define PIPELINE_STORE_PUT_TIMES_H

#include "formats/base/types.h"

struct put_time;

struct put_times {
    struct put_time *slots; /* a power of two; NULL when nothing was ever noted */
    size_t n_slots;
    size_t n; /* in use, those that do not matter any more included */
};

void put_times_release(struct put_times *);

/* The key was put at `now_us`, or may have been. */
void put_times_note(struct put_times *, const char *key, uint64_t now_us, uint64_t interval_us);
/* It was not put after all. */
void put_times_forget(struct put_times *, const char *key);
/* After how long the key may be put: 0 is now. */
uint64_t put_times_wait_us(const struct put_times *, const char *key, uint64_t now_us,
                           uint64_t interval_us);

#endif
