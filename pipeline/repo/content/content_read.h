/* Reading content, wherever it lies; every byte checked against the hash that named it. */
#ifndef PIPELINE_REPO_CONTENT_CONTENT_READ_H
#define PIPELINE_REPO_CONTENT_CONTENT_READ_H

#include "formats/blob.h"
#include "formats/entry.h"
#include "pipeline/repo/object_ahead.h"
#include "pipeline/repo/repo.h"

/* A reader of one content, in pieces of at most the chunk size; memory is bounded by two
 * chunks. One thread. */
struct content_reader;

/* `where` says PLACE_RAW, ZSTD, BLOB or MANIFEST; `size` and `hash` are the plain content's. */
int content_open(struct repo *, const struct id16 *project, const struct location *where,
                 uint64_t size, const struct hash *hash, struct content_reader **out) MUST_USE;
/* The same for who opens many contents one after the other: those that lie beside each other in
 * a tree object come in longer and longer reads. `ahead` is only used in this call. */
int content_open_ahead(struct repo *, const struct id16 *project, const struct location *where,
                       uint64_t size, const struct hash *hash, struct object_ahead *ahead,
                       struct content_reader **out) MUST_USE;
/* Content that was uploaded, by its hash alone: a blob or a manifest, whichever lies there.
 * ERR_NOT_FOUND. */
int content_open_blob(struct repo *, const struct id16 *project, const struct hash *,
                      struct content_reader **out) MUST_USE;
uint64_t content_size(const struct content_reader *);
/* Appends the plain bytes [offset, offset + len), clipped at the end. Fetches only the chunks
 * that it needs. */
int content_read_at(struct content_reader *, uint64_t offset, size_t len,
                    struct buf *out) MUST_USE;
void content_close(struct content_reader *);

#endif
