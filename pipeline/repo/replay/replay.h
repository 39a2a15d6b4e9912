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
#ifndef PIPELINE_REPO_REPLAY_REPLAY_H
#define PIPELINE_REPO_REPLAY_REPLAY_H

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
    bool done_before;  /* the new project was whole already */
    struct replay_fault fault;
};

struct replay_options {
    uint64_t to;           /* the last position; UINT64_MAX: the head, with all its answers */
    size_t memory_max;     /* bytes of the tree in memory; 0: 512 MiB */
    uint32_t landings_max; /* that make a batch of a new project full; 0: 1,000 */
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

/* Makes a new project `handle` of what the log gives, compared in the same way. What stays as
 * it was: every position with its answer, request and session ids, owners, authors, goals,
 * decisions, conversations, guards, attributes and stamps of time; the stamps in the tree, and
 * when the project was made. A session still says in which project it was begun, as its id
 * does. What is another: its id, and so where its objects lie; batches are put together up to a
 * thousand landings and end where the log's end, so the hashes of trees and the places of
 * contents are new. Open sessions and the queue are not taken along. With `to` inside a batch
 * the tree at `to` is the last, and the rest of that batch is compared in memory.
 *
 * Records and contents are read out of the tree objects that the log names, and what the
 * records say must be what the log says.
 *
 * The id follows from project, handle and `to`: the same call goes on where an earlier one has
 * ended, whatever has ended it. The handle is put last; before that nothing leads to the
 * project. OK also when all was done before. ERR_CONFLICT: the handle names another project.
 * ERR_AGAIN: another process makes the same. ERR_INVALID: a bad handle, or `to` is over the
 * head. Else as replay_verify. */
int replay_into(struct repo *, const struct id16 *project, struct bytes handle,
                const struct replay_options *, struct replay_report *,
                struct id16 *out) MUST_USE;

#endif
