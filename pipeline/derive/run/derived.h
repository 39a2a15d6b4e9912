/* What a get gives: what is known of the result, and its bytes where they were asked for. One
 * thread at a time. */
#ifndef PIPELINE_DERIVE_RUN_DERIVED_H
#define PIPELINE_DERIVE_RUN_DERIVED_H

#include "pipeline/derive/run/derive_source.h"

/* A ref that the get resolved, and what it was in its snapshot. */
struct derived_ref {
    struct bytes name;
    struct bytes path;
    struct hash address;
};

struct derived {
    struct hash address; /* that was asked for */
    enum derive_is is;   /* what lies under it; a recipe's result is bytes */
    bool by_content;     /* it is not a recipe's, but the hash of a part of its result */
    bool hash_known;     /* not of a size or a range that was found without the whole */
    struct hash hash;
    uint64_t size; /* of bytes */
    /* Of a recipe's result: the manifest of its chunks, each an address that can be got; zero
     * when it lies in one piece or is not known. */
    uint32_t chunk_size;
    struct hash chunks;
    uint64_t cost_us; /* of the run that made it, measured then; 0: not known */
    bool ran;         /* a function ran for this get; else it was all known */
    bool verified;    /* this get ran the function twice, or compared it with the memo */
    struct derived_ref *refs;
    uint32_t n_refs;
    /* [from, end) can be viewed: empty for HASH and SIZE, and for trees. */
    uint64_t from;
    uint64_t end;
};

/* The bytes at `offset` (from to end - 1) and as many behind them as are at hand; valid until
 * the next view. Reads, and does not compute. ERR_CORRUPT or ERR_NOT_FOUND where they went or
 * were damaged meanwhile: get it again. */
int derived_view(struct derived *, uint64_t offset, struct bytes *out) MUST_USE;
/* Of all of a recipe's result that was asked for: the hashes of its chunks, as long as it is
 * open; NULL, and none, where it lies in one piece. */
const struct hash *derived_chunks(const struct derived *, uint32_t *n);
void derived_close(struct derived *);

#endif
