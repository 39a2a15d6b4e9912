/* Content that is uploaded by itself. Blobs are put plainly, never "if absent": that renews
 * their age and heals a damaged one. A manifest is there only if each of its chunks is.
 *
 * Blobs that nothing names are collected, so what is known of them is known under a version of
 * the project's `gc` (condemned.h): a name that it condemns is not there, and what was found is
 * remembered for as long as that version is the newest. `condemned` is the caller's, read when
 * his conclusion needs it; NULL: he asks about a project that no collector works on. */
#ifndef PIPELINE_REPO_CONTENT_BLOB_STORE_H
#define PIPELINE_REPO_CONTENT_BLOB_STORE_H

#include "formats/content.h"
#include "pipeline/repo/content/condemned.h"
#include "pipeline/repo/repo.h"

/* One upload that comes in pieces. Memory is bounded by the chunk that fills and the few packed
 * ones that are put side by side. One thread. */
struct upload;

struct upload *upload_open(struct repo *, const struct id16 *project) MUST_USE;
/* ERR_LIMIT over CONTENT_SIZE_MAX; else the store's errors. */
int upload_write(struct upload *, struct bytes) MUST_USE;
/* Puts what is left and, above the chunk size, the manifest, and makes sure that no collector
 * is about to take it. When `expected` is not NULL and the content's hash is another:
 * ERR_INVALID, and nothing under `expected`. ERR_CONFLICT while a collection condemns it or a
 * part of it: it is to be uploaded again when that is over. Gives the content's hash, size, and
 * carrier BLOB or MANIFEST with the manifest's hash. */
int upload_finish(struct upload *, const struct hash *expected, struct content *out) MUST_USE;
void upload_close(struct upload *);

/* Which of the hashes are not there (a manifest without all its chunks is not there): sets
 * missing[i]. One request per hash, side by side; what was there is remembered. `*awaits`,
 * unless that is NULL: one of them, or a chunk, is condemned, so that nobody can say what will
 * be there when the run is over. */
int blob_missing(struct repo *, const struct id16 *project, const struct condemned *,
                 const struct hash *hashes, size_t n, bool *missing, bool *awaits) MUST_USE;
/* What lies under the hash: size, carrier and manifest of an operation that names it. A blob
 * is read whole for that, unless it is remembered, and held to its hash. ERR_NOT_FOUND, also
 * for what is damaged. */
int blob_describe(struct repo *, const struct id16 *project, const struct condemned *,
                  const struct hash *, struct content *out) MUST_USE;
/* Remembers that `content` (BLOB or MANIFEST) is there: for who has put it, and has read the
 * `condemned` after that. */
void blob_learn(struct repo *, const struct id16 *project, const struct condemned *,
                const struct content *);

#endif
