/* The small objects: what the bucket is, what a project is, whom a handle names, when the
 * store below passed its probe.
 *
 * bucket:  envelope "MBUC" version 1, 16 bucket id, 4 shard count, 4 chunk size, 8 hlc created
 * project: envelope "MPRJ" version 1, 16 project id, 8 hlc created, 1+n handle
 * handle:  envelope "MHND" version 1, 16 project id, 8 hlc created, 1+n handle
 * probe:   envelope "MPRB" version 1, 32 where, 8 passed ms, 1 bare etag (0 or 1) */
#ifndef FORMATS_BUCKET_H
#define FORMATS_BUCKET_H

#include "formats/base/arena.h"
#include "formats/base/buf.h"
#include "formats/base/err.h"
#include "formats/base/types.h"

struct bucket {
    struct id16 id;
    uint32_t shards;
    uint32_t chunk_size;
    uint64_t hlc_created;
};

struct project_info {
    struct id16 id;
    uint64_t hlc_created;
    struct bytes handle; /* checked by handle_check when decoded */
};

/* The store at `where` did what a store must, then; so not every start needs to try. */
struct probe_note {
    struct hash where; /* over the address and all that else decides whom one talks to */
    uint64_t passed_ms;
    bool bare_etag; /* If-Match is sent with a bare etag */
};

void bucket_encode(const struct bucket *, struct buf *out);
int bucket_decode(struct bytes in, struct bucket *out) MUST_USE;
void project_info_encode(const struct project_info *, struct buf *out);
int project_info_decode(struct bytes in, struct arena *, struct project_info *out) MUST_USE;
void handle_encode(const struct project_info *, struct buf *out);
/* A handle names no tree of references (project_id.h). */
int handle_decode(struct bytes in, struct arena *, struct project_info *out) MUST_USE;
void probe_note_encode(const struct probe_note *, struct buf *out);
int probe_note_decode(struct bytes in, struct probe_note *out) MUST_USE;

#endif
