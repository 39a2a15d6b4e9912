/* What a request's own operations have made of paths so far. Lives in an arena; one thread. */
#ifndef API_SERVICE_PATH_MAP_H
#define API_SERVICE_PATH_MAP_H

#include "formats/base/arena.h"
#include "formats/entry.h"

struct path_item {
    struct bytes path;
    bool changed;       /* the path itself: `there` says what is there now */
    bool below;         /* something below it */
    struct entry there; /* kind, mode, size and hash; KIND_NONE is absent */
};

struct path_map {
    struct arena *arena;
    struct path_item **slots; /* open addressing */
    size_t n_slots;           /* a power of two, or 0 */
    size_t n;
};

/* NULL when nothing is known of it. */
struct path_item *path_map_find(const struct path_map *, struct bytes path);
/* Says what is at `path` now, and of every directory above it that something below changed. The
 * path must live as long as the map. */
void path_map_set(struct path_map *, struct bytes path, const struct entry *there);

#endif
