/* Names that must stay, by the first eight bytes of their hash: two that begin alike count as
 * one, and so something is kept that nothing names. Eight bytes a name, at least half of the
 * slots filled when it is large: at most 16 bytes a name. A million landings in batches of 32,
 * each with one uploaded content, take 16 MiB. One thread. */
#ifndef PIPELINE_REPO_COLLECT_NAME_SET_H
#define PIPELINE_REPO_COLLECT_NAME_SET_H

#include "formats/gc.h"

struct name_set {
    uint64_t *slots; /* 0: empty */
    size_t cap;      /* a power of two, or 0 */
    size_t n;
};

void name_set_release(struct name_set *);
/* False when it was there. */
bool name_set_add(struct name_set *, const struct gc_name *);
bool name_set_has(const struct name_set *, const struct gc_name *);

#endif
