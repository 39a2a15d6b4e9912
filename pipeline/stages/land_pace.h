/* How a drain keeps the distance between two puts of one key that the store asks for
 * (store_put_interval_ms). What comes while a head rests is landed by the next batch; a batch
 * that was put too early would only leave a tree object that nothing names.
 *
 * It knows of this drain's own puts. Where another has put the key the store refuses, and the
 * key rests from there. One thread. */
#ifndef PIPELINE_STAGES_LAND_PACE_H
#define PIPELINE_STAGES_LAND_PACE_H

#include "pipeline/repo/repo.h"
#include "pipeline/store/put_times.h"

struct land_pace {
    struct repo *repo;
    struct put_times times;
    uint64_t least_us; /* of what was put off in this run: the shortest time; 0: nothing was */
};

/* Whether the key has to rest. */
bool land_pace_rests(const struct land_pace *, const char *key);
/* The same; then it is noted that there is something left to do. */
bool land_pace_put_off(struct land_pace *, const char *key);
/* The key was put just now, whatever came of it. */
void land_pace_note(struct land_pace *, const char *key);

#endif
