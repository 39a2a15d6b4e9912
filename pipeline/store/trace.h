/* A layer that counts the requests that pass through it, by verb and by the first words of the
 * key: budgets are asserted on these counts, and /metrics shows them. */
#ifndef PIPELINE_STORE_TRACE_H
#define PIPELINE_STORE_TRACE_H

#include "pipeline/store/store.h"

/* What a key is, by its prefix; spelled as in formats/key.h. */
enum trace_kind {
    TRACE_BUCKET,
    TRACE_HANDLE,
    TRACE_QUEUE,
    TRACE_LEASE,
    TRACE_PROJECT,
    TRACE_HEAD,
    TRACE_GC,
    TRACE_TREE,
    TRACE_LOG,
    TRACE_ROLLUP,
    TRACE_SESSION,
    TRACE_BLOB,
    TRACE_DERIVE,
    TRACE_OTHER,
    TRACE_KINDS,
};

struct trace_counts {
    uint64_t gets[TRACE_KINDS];
    uint64_t puts[TRACE_KINDS];
    uint64_t deletes[TRACE_KINDS];
    uint64_t lists;
    uint64_t rounds;    /* calls, however many requests one made side by side */
    uint64_t bytes_in;  /* of puts */
    uint64_t bytes_out; /* of gets */
    uint64_t failed;    /* requests that did not answer OK */
};

const char *trace_kind_name(enum trace_kind);

/* Does not own `below`. */
struct store *trace_store_open(struct store *below) MUST_USE;
/* The counts since the start or the last reset; `reset` may be done in the same step. */
struct trace_counts trace_store_counts(struct store *trace, bool reset);

#endif
