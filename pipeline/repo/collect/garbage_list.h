/* The objects of a project that may go, found by listing. One thread. */
#ifndef PIPELINE_REPO_COLLECT_GARBAGE_LIST_H
#define PIPELINE_REPO_COLLECT_GARBAGE_LIST_H

#include "pipeline/repo/collect/collect.h"

struct garbage {
    struct gc_name name;
    uint64_t size;
    uint64_t put_ms;
};

struct key garbage_key(const struct id16 *project, const struct gc_name *);

struct garbage_list {
    struct garbage *items; /* sorted by name when the list is made */
    size_t n;
    size_t cap;
    size_t max; /* 0: any number */
    bool more;  /* there are others */
};

void garbage_list_release(struct garbage_list *);
/* Lists tree objects and uploads, and keeps what is unmarked and was put before `before_ms`.
 * `only`, unless it is NULL: if it is among the names in it. Adds all that was listed to the
 * sums of the report. Manifests that are younger keep their chunks, whatever `only` says; an
 * upload that is unmarked and young takes 32 bytes, and one get of a few bytes when anything
 * may go. */
int garbage_list_make(struct garbage_list *, struct reach *, uint64_t before_ms,
                      const struct gc *only, const struct collect_options *,
                      struct collect_report *) MUST_USE;

#endif
