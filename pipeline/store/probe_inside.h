/* What the parts of the probe share. */
#ifndef PIPELINE_STORE_PROBE_INSIDE_H
#define PIPELINE_STORE_PROBE_INSIDE_H

#include "formats/key.h"
#include "pipeline/store/probe.h"

struct probe {
    struct store *store;
    const struct probe_options *options;
    struct probe_report report;
    uint64_t ms; /* when it began */
    uint64_t id;
};

/* The store did what no store may: gives ERR_INVALID. */
int probe_refuse(struct probe *, const char *fmt, ...) MUST_USE
    __attribute__((format(printf, 2, 3)));
/* `what` could not be tried: gives `err`. */
int probe_cannot(struct probe *, int err, const char *what) MUST_USE;

/* Names are those of this probe's own folder. What the store wants to be asked again later is
 * asked again, for a few seconds. */
struct key probe_key(const struct probe *, const char *name);
int probe_one(struct probe *, struct store_op *) MUST_USE;
int probe_put(struct probe *, const char *name, const char *text, enum put_condition,
              struct etag *) MUST_USE;
/* ERR_CONFLICT when the object is not `text`, or is not there. `etag` may be NULL. */
int probe_expect(struct probe *, const char *name, const char *text, struct etag *) MUST_USE;
int probe_list(struct probe *, struct arena *, const char *prefix, const char *after,
               size_t max, struct store_list *) MUST_USE;

/* probe_reads.c: `etag` is that of the object `swap`. */
int probe_reads(struct probe *, struct etag *etag) MUST_USE;
int probe_lists_and_deletes(struct probe *) MUST_USE;
/* probe_race.c: writers race for the object of that etag; or to make it, for NULL. */
int probe_race(struct probe *, const char *name, const struct etag *etag) MUST_USE;

#endif
