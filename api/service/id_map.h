/* A hash map whose links lie in what it holds: nothing is allocated for an item. Several items
 * may have one hash. One owner's lock. */
#ifndef API_SERVICE_ID_MAP_H
#define API_SERVICE_ID_MAP_H

#include "formats/base/types.h"

struct id_link {
    struct id_link *next;
    uint64_t hash;
};

struct id_map {
    struct id_link **buckets;
    size_t n_buckets; /* a power of two, or 0 */
    size_t n;
};

/* A map that is all zero is ready for use. */
void id_map_release(struct id_map *); /* what it held stays the caller's */
void id_map_add(struct id_map *, struct id_link *, uint64_t hash);
/* It must be there. */
void id_map_remove(struct id_map *, struct id_link *);
/* The items of this hash, one after another; NULL at the end. */
struct id_link *id_map_first(const struct id_map *, uint64_t hash);
struct id_link *id_map_next(const struct id_link *);

#endif
