/* The tree at a client's base, for looking up what the client saw there. What is answered is
 * what a snapshot of that position answers (snapshot.h), but a position inside a batch costs
 * one read of the batch's records for all positions in it: what it changed is kept by path, and
 * the batch is replayed only where somebody asks for a directory that it changed.
 *
 * A tree at a position never changes, so bases are cached by project and position. A head that
 * was seen once is good for every position up to its own, for ever; so only a base that is
 * newer than that reads the head again. Any thread. */
#ifndef PIPELINE_REPO_TREE_BASE_TREE_H
#define PIPELINE_REPO_TREE_BASE_TREE_H

#include "pipeline/repo/chain.h"

struct base_cache;
struct base_tree;

struct base_cache *base_cache_open(struct repo *) MUST_USE;
void base_cache_close(struct base_cache *); /* all are dropped */

/* The tree at `position`, held until it is dropped; UINT64_MAX is that of the head as it is
 * now, which costs a read of the head. ERR_INVALID when the position is over the head's;
 * ERR_NOT_FOUND when there is no such project. */
int base_open(struct base_cache *, const struct id16 *project, uint64_t position,
              struct base_tree **out) MUST_USE;
void base_drop(struct base_cache *, struct base_tree *);

uint64_t base_position(const struct base_tree *);
/* The entry at `path` without its name, location and stamp; "" is the root. A directory's hash
 * is its content hash. ERR_NOT_FOUND. */
int base_find(struct base_tree *, struct bytes path, struct entry *out) MUST_USE;
/* Only what it is: KIND_NONE when nothing is there. That takes no replay where the batch has
 * put something below the path. */
int base_kind(struct base_tree *, struct bytes path, enum kind *out) MUST_USE;

/* The newest head of a project that this process has seen; all zero when it has seen none. */
struct head base_head(struct base_cache *, const struct id16 *project) MUST_USE;
/* The head as it is now: read, held to what its batch says, and remembered. */
int base_head_read(struct base_cache *, const struct id16 *project, struct head *out) MUST_USE;
/* Tells of a head that was read and that its batch agrees with. A damaged one would stay. */
void base_head_seen(struct base_cache *, const struct id16 *project, const struct head *);

#endif
