/* What landed in a project, out of the records of its tree objects: read in the batches that
 * they landed in, and checked by the hashes that lead from the head to them. */
#ifndef API_GIT_LANDINGS_H
#define API_GIT_LANDINGS_H

#include "api/client/client_range.h"
#include "api/client/thick_tree.h"

struct landing_batch {
    struct hash tree;
    uint64_t first; /* position before */
    uint64_t position;
    struct section records;
    uint32_t n_records;
};

/* All batches that landed something, oldest first, in `out` (the arena's). */
int landings_list(struct range_source *, const struct hash *tree, struct arena *,
                  struct landing_batch **out, size_t *n) MUST_USE;
/* The landings of a batch in order of position: those of verdict LANDED only, which have their
 * sessions. ERR_CORRUPT unless there is one for each position. */
int landings_read(struct range_source *, const struct landing_batch *, struct arena *,
                  struct landing **out, size_t *n) MUST_USE;

/* An attribute of a landed session; false when it has none of this name. */
bool landing_attribute(const struct landing *, const char *name, struct bytes *out);

/* The newest landing of an imported commit. ERR_NOT_FOUND. */
struct landed_commit {
    struct bytes id;  /* in hex, as its attribute says: any bytes */
    struct bytes key; /* of its session */
    uint64_t base;
    uint64_t position;
};
int landings_newest_commit(struct range_source *, const struct hash *tree, struct arena *,
                           struct landed_commit *out) MUST_USE;

#endif
