/* Many small contents out of tree objects: read in long ranges on the caller's thread,
 * unpacked, checked and handed out on others. */
#ifndef API_CLIENT_THICK_CONTENTS_H
#define API_CLIENT_THICK_CONTENTS_H

#include "api/client/range.h"
#include "formats/entry.h"

#define THICK_WORKERS_MAX 8u

/* Called with the plain bytes of entries[index], already checked, on thread `worker` (from 0).
 * An error ends all and is given back. */
typedef int (*thick_content_fn)(void *arg, unsigned worker, size_t index, struct bytes plain);

/* `entries` that lie in tree objects (PLACE_RAW, PLACE_ZSTD) are given in the order of their
 * places; others are passed over: see thick_in_tree. `workers` from 1 to THICK_WORKERS_MAX. */
int thick_contents(struct range_source *, const struct entry *const *entries, size_t n,
                   unsigned workers, thick_content_fn fn, void *arg) MUST_USE;

static inline bool thick_in_tree(const struct entry *e)
{
    return e->where.place == PLACE_RAW || e->where.place == PLACE_ZSTD;
}

#endif
