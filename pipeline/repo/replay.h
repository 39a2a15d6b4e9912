/* Replay: a project's tree and head, built again from its landing log alone, and held against
 * what its batches say of themselves.
 *
 * The log is read forwards: its segments, and from the chain what these do not have yet. The
 * effects of its landings are applied to a tree in memory that begins empty, and at the end of
 * every batch the content hash of that tree, its files and bytes and its position must be those
 * of the batch's footer, which the log names by its hash. Between two batches that the log
 * names there may be others only if these have answered nothing. The small contents that the
 * log names are read and held to their hashes; of large ones it is asked whether they are
 * there.
 *
 * Memory is bounded: what has been found to be equal can be read from the project itself again,
 * so a tree that has grown over `memory_max` in memory is dropped, and only then are pages of
 * the project read. */
#ifndef PIPELINE_REPO_REPLAY_H
#define PIPELINE_REPO_REPLAY_H

#include "pipeline/repo/repo.h"

#define REPLAY_WHAT_MAX 512u

/* Where the log and the project part, and how. */
struct replay_fault {
    bool found;
    uint64_t first; /* the first position of the batch or segment in which it shows */
    char what[REPLAY_WHAT_MAX];
};

struct replay_report {
    uint64_t from;     /* where it began: 0, or where an earlier run has ended */
    uint64_t position; /* up to here all agrees */
    uint64_t end;      /* where it is to end */
    uint64_t batches;
    uint64_t contents; /* small ones that were read */
    uint64_t blobs;    /* names of large ones */
    struct replay_fault fault;
};

struct replay_options {
    uint64_t to;       /* the last position; UINT64_MAX: the head, with all its answers */
    size_t memory_max; /* bytes of the tree in memory; 0: 256 MiB */
    /* A second thread reads ahead. Without it all is done in the order of the log. */
    bool read_ahead;
    /* Called after every block of the log, in the caller's thread; may be NULL. */
    void (*progress)(void *arg, const struct replay_report *);
    void *progress_arg;
};

/* Writes nothing. OK: all agrees. ERR_CORRUPT: the report says what does not. ERR_INVALID: `to`
 * is over the head. Else the store's error. */
int replay_verify(struct repo *, const struct id16 *project, const struct replay_options *,
                  struct replay_report *) MUST_USE;

#endif
