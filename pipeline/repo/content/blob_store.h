/* Content that is uploaded by itself. Blobs are put plainly, never "if absent": that renews
 * their age and heals a damaged one. A manifest is there only if each of its chunks is. */
#ifndef PIPELINE_REPO_CONTENT_BLOB_STORE_H
#define PIPELINE_REPO_CONTENT_BLOB_STORE_H

#include "formats/content.h"
#include "pipeline/repo/repo.h"

/* One upload that comes in pieces. Memory is bounded by the chunk that fills and the few packed
 * ones that are put side by side. One thread. */
struct upload;

struct upload *upload_open(struct repo *, const struct id16 *project) MUST_USE;
/* ERR_LIMIT over CONTENT_SIZE_MAX; else the store's errors. */
int upload_write(struct upload *, struct bytes) MUST_USE;
/* Puts what is left and, above the chunk size, the manifest. When `expected` is not NULL and
 * the content's hash is another: ERR_INVALID, and nothing under `expected`. Gives the content's
 * hash, size, and carrier BLOB or MANIFEST with the manifest's hash. */
int upload_finish(struct upload *, const struct hash *expected, struct content *out) MUST_USE;
void upload_close(struct upload *);

/* Which of the hashes are not there (a manifest without all its chunks is not there): sets
 * missing[i]. One request per hash, side by side; what was there is remembered. */
int blob_missing(struct repo *, const struct id16 *project, const struct hash *hashes, size_t n,
                 bool *missing) MUST_USE;
/* What lies under the hash: size, carrier and manifest of an operation that names it. A blob
 * is read whole for that, unless it is remembered, and held to its hash. ERR_NOT_FOUND, also
 * for what is damaged. */
int blob_describe(struct repo *, const struct id16 *project, const struct hash *,
                  struct content *out) MUST_USE;
/* Remembers that `content` (BLOB or MANIFEST) is there: for who has just put it. */
void blob_learn(struct repo *, const struct id16 *project, const struct content *);

#endif
