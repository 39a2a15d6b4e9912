/* Plain contents that lie in tree objects (64 KiB at most), in memory, checked. Keyed by
 * project and content hash. */
#ifndef PIPELINE_REPO_CONTENT_CONTENT_CACHE_H
#define PIPELINE_REPO_CONTENT_CONTENT_CACHE_H

#include "formats/base/buf.h"
#include "formats/base/hash.h"
#include "pipeline/repo/held_cache.h"

/* Close it with held_cache_close. */
struct held_cache *content_cache_open(size_t bytes_max) MUST_USE;
/* Appends the content to `out`. False when it is not there. */
bool content_cache_find(struct held_cache *, const struct id16 *project, const struct hash *,
                        struct buf *out);
/* Keeps a copy of what has this hash. */
void content_cache_add(struct held_cache *, const struct id16 *project, const struct hash *,
                       struct bytes content);

#endif
