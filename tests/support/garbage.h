/* One piece of garbage in the bucket of a world, and all that a forge does there with it: a
 * process that knows nothing yet reads everything, lands on both projects, folds, gives up,
 * buries, appends, and reads everything again. The running test fails unless
 *   - what is read is as it was, or ERR_CORRUPT;
 *   - the project that the garbage does not belong to works as if nothing were;
 *   - requests that it hits land, or fail with a reason;
 *   - the garbage stays byte for byte, and so does all that is put once;
 *   - what could not be read is in the log, with the object's key. */
#ifndef TESTS_SUPPORT_GARBAGE_H
#define TESTS_SUPPORT_GARBAGE_H

#include "tests/support/facts.h"

struct garbage_world {
    struct world world;
    struct facts facts[2]; /* of its projects, undamaged */
    struct facts after[2]; /* and when what is asked for has been answered */
};

void garbage_world_open(struct garbage_world *);

/* What pairs have come to. */
struct garbage_tally {
    unsigned pairs;
    unsigned seen;   /* those where something could not be read */
    unsigned errors; /* things that could not be read */
    unsigned landed; /* those where a project that was hit took a landing all the same */
};

/* Puts the bytes under the key and runs all of it; `name` is for messages. */
void garbage_run(struct garbage_world *, const char *key, struct bytes, const char *name,
                 struct garbage_tally *);

/* The keys that all of it puts in an undamaged world, but for those that are there before: in
 * the arena, sorted. Each run puts the same. */
size_t garbage_keys(struct garbage_world *, struct arena *, const char ***out);

#endif
