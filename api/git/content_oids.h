/* What contents of the forge are called in git: a map from SHA-256 to the id of the blob. One
 * thread, but for what its user locks. */
#ifndef API_GIT_CONTENT_OIDS_H
#define API_GIT_CONTENT_OIDS_H

#include <git2.h>

#include "formats/base/types.h"

struct content_oid {
    struct hash hash;
    git_oid oid; /* zero while it is under way */
};

struct content_oids {
    struct content_oid *slots; /* open addressing; an empty one has no hash */
    size_t n_slots;            /* a power of two */
    size_t used;
};

void content_oids_release(struct content_oids *);
/* NULL when it has none. */
const git_oid *content_oids_find(const struct content_oids *, const struct hash *);
void content_oids_put(struct content_oids *, const struct hash *, const git_oid *);

#endif
