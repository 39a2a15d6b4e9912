/* Reading what lies under blobs/: one frame, or a manifest. Used by content_read and
 * blob_store. */
#ifndef PIPELINE_REPO_CONTENT_BLOB_READ_H
#define PIPELINE_REPO_CONTENT_BLOB_READ_H

#include "formats/blob.h"
#include "pipeline/repo/repo.h"

/* The most that a frame of `size` plain bytes takes. */
uint64_t blob_frame_max(uint64_t size);

/* Appends the first bytes of the object under `hash`, at most `max`; gives its whole size.
 * ERR_NOT_FOUND; ERR_CORRUPT for an empty object. */
int blob_get(struct repo *, const struct id16 *project, const struct hash *, uint64_t max,
             struct buf *out, uint64_t *size) MUST_USE;

/* Appends the `size` plain bytes of the blob under `hash`, checked. ERR_NOT_FOUND,
 * ERR_CORRUPT. */
int blob_plain_get(struct repo *, const struct id16 *project, const struct hash *,
                   uint64_t size, struct buf *out) MUST_USE;

/* Appends the plain bytes of the frame that was read as the whole object under `hash`, checked.
 * ERR_CORRUPT, also when it is longer than a blob can be. */
int blob_plain_of(struct repo *, const struct id16 *project, const struct hash *,
                  struct bytes frame, uint64_t object_size, struct buf *out) MUST_USE;

/* Decodes the manifest under `hash`, whose first bytes are in `begun` (which grows by the
 * rest): it must be about that hash. Gives the manifest's own SHA-256. ERR_CORRUPT. */
int blob_manifest_get(struct repo *, const struct id16 *project, const struct hash *,
                      struct buf *begun, uint64_t object_size, struct arena *,
                      struct manifest *out, struct hash *check) MUST_USE;

#endif
