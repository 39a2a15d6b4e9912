/* The gc object of a project as its collector writes it: under a condition, until the outcome
 * is known. One thread. */
#ifndef PIPELINE_REPO_COLLECT_GC_PUT_H
#define PIPELINE_REPO_COLLECT_GC_PUT_H

#include "formats/gc.h"
#include "pipeline/repo/repo.h"

/* The object as it was read, or put, last. */
struct gc_object {
    struct repo *repo;
    struct id16 project;
    struct arena arena; /* of what was read */
    bool there;
    struct etag etag;
    uint8_t head[GC_HEAD_LEN];
    struct gc gc;
};

/* ERR_CORRUPT when it is damaged; absent is OK. gc_object_release it, also after an error. */
int gc_object_read(struct gc_object *, struct repo *, const struct id16 *project) MUST_USE;
void gc_object_release(struct gc_object *);
/* Puts `next` in its place; the count is filled in. ERR_CONFLICT when it is another by now;
 * ERR_AGAIN: it was not put; ERR_UNKNOWN: it may be, at any time. */
int gc_object_put(struct gc_object *, struct gc *next) MUST_USE;
/* ERR_CONFLICT unless it still is what it was. */
int gc_object_check(struct gc_object *) MUST_USE;

#endif
