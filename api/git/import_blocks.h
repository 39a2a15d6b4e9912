/* Sessions made ahead: threads take blocks of commits in order and make their sessions; one
 * consumer takes the blocks in the same order. What is ready and not taken is bounded. */
#ifndef API_GIT_IMPORT_BLOCKS_H
#define API_GIT_IMPORT_BLOCKS_H

#include "api/git/session_maker.h"

struct import_blocks;

/* Sessions of one block, as they go into a request. */
struct import_block {
    struct buf bytes;
    size_t *ends; /* offset behind each session */
    size_t n;
    size_t first; /* number of its first commit */
};

/* `commits` are the history's, oldest first; those from `from` on are made. Commits and terms
 * must outlive it. */
int import_blocks_open(const struct session_terms *, const git_oid *commits, size_t n,
                       size_t from, unsigned threads, struct git_report *,
                       struct import_blocks **out) MUST_USE;
/* The next block, the consumer's to release. Waits for it. Gives one without sessions at the
 * end, and with `ready_only` also when it is not there yet. An error of a thread comes in its
 * block's turn, with the problem in the report. */
int import_blocks_next(struct import_blocks *, bool ready_only,
                       struct import_block *out) MUST_USE;
void import_block_release(struct import_block *);
/* Ends the threads, whatever they do. */
void import_blocks_close(struct import_blocks *);

#endif
