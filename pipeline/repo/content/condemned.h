/* What a project's collector may delete at any moment: the names in its `gc` object. Such a
 * name counts as not there, whatever a look at it gives.
 *
 * When to read it decides what may be concluded:
 *   - a lander reads it after the head that its put is conditional on. A run that is opened
 *     later fences, and the put gets 412;
 *   - who has put a blob reads it after the put. A run that is opened later sees that the blob
 *     is young;
 *   - what was looked at while it was one version is still so as long as it is that version,
 * for no two versions have the same bytes: blob_store.h remembers by version.
 *
 * Of each of some projects the version that was read last is kept, so that reading it again
 * costs one small get whatever it holds. Any thread. */
#ifndef PIPELINE_REPO_CONTENT_CONDEMNED_H
#define PIPELINE_REPO_CONTENT_CONDEMNED_H

#include <stdatomic.h>

#include "formats/gc.h"
#include "pipeline/repo/repo.h"

/* Versions of a project that has none, and of one whose gc nobody has asked for. */
#define CONDEMNED_UNREAD 0u
#define CONDEMNED_ABSENT 1u

/* One version of it. Immutable; drop it when done. */
struct condemned {
    struct id16 project;
    uint64_t version;
    struct gc gc; /* closed and without names where there is none */
    uint8_t head[GC_HEAD_LEN];
    struct arena arena;
    atomic_uint refs;
};

struct condemned_cache;
struct condemned_cache *condemned_cache_open(void) MUST_USE;
void condemned_cache_close(struct condemned_cache *);

/* As it is now. ERR_CORRUPT when it is damaged. */
int condemned_read(struct repo *, const struct id16 *project,
                   const struct condemned **out) MUST_USE;
/* The version that this process has read last; CONDEMNED_UNREAD when it has read none. */
uint64_t condemned_last(struct repo *, const struct id16 *project);
/* NULL is fine. */
void condemned_drop(const struct condemned *);

/* NULL, which is what nobody has asked for, has nothing. */
static inline uint64_t condemned_version(const struct condemned *condemned)
{
    return condemned != NULL ? condemned->version : CONDEMNED_UNREAD;
}
static inline bool condemned_blob(const struct condemned *condemned, const struct hash *hash)
{
    const struct gc_name name = {.what = GC_BLOB, .hash = *hash};
    return condemned != NULL && gc_has(&condemned->gc, &name);
}

#endif
