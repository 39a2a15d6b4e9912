/* The recipes and memos that were told or asked for last, in memory: canonical bytes of a
 * recipe by its address, bytes of memo_write by the memo's key. Any thread. */
#ifndef PIPELINE_DERIVE_INDEX_INDEX_FRONT_H
#define PIPELINE_DERIVE_INDEX_INDEX_FRONT_H

#include "formats/base/buf.h"
#include "pipeline/repo/held_cache.h"

enum front_kind {
    FRONT_RECIPE = 1,
    FRONT_MEMO = 2,
};

/* Close it with held_cache_close. */
struct held_cache *index_front_open(size_t bytes_max) MUST_USE;
/* Appends the bytes. False when they are not there. */
bool index_front_find(struct held_cache *, const struct id16 *project, enum front_kind,
                      const struct hash *key, struct buf *out);
void index_front_add(struct held_cache *, const struct id16 *project, enum front_kind,
                     const struct hash *key, struct bytes);
void index_front_remove(struct held_cache *, const struct id16 *project, enum front_kind,
                        const struct hash *key);

#endif
