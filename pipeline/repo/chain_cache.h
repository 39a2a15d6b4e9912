/* The batches that this process has read, bounded by their number and by the ids in them; the
 * least recently used go first. Those that came last keep their records, where these were at
 * hand. One that is held stays in memory until it is dropped, though it may leave the cache
 * before. Any thread. chain.h is what others use. */
#ifndef PIPELINE_REPO_CHAIN_CACHE_H
#define PIPELINE_REPO_CHAIN_CACHE_H

#include "pipeline/repo/chain.h"

/* The batch, held, or NULL. */
const struct batch *chain_cache_find(struct chain_cache *, const struct id16 *project,
                                     const struct hash *tree_hash) MUST_USE;

/* A batch to fill in, whose memory is its arena; chain_cache_add or chain_cache_forget ends
 * that.
 */
struct batch *chain_cache_new(const struct hash *tree_hash) MUST_USE;
void chain_cache_forget(struct batch *);

/* Takes a filled batch in. Gives it back, held; or the one that somebody else has put in
 * since. */
const struct batch *chain_cache_add(struct chain_cache *, const struct id16 *project,
                                    struct batch *) MUST_USE;
/* Keeps a copy of its records with a batch that the caller holds, while there is room. */
void chain_cache_keep(struct chain_cache *, const struct batch *, struct bytes records);
/* NULL is fine. */
void chain_cache_drop(struct chain_cache *, const struct batch *);

#endif
