/* Has it been answered already? The answers of the newest batches of one project in memory, so
 * that a drain asks the store only for what it has not seen.
 *
 * A session can only have been answered at or above the base in its id. The window holds every
 * batch from its tip back to a floor. A session whose base lies below the floor is looked up
 * once, before the batch that is to answer it: batch by batch while that is cheap, else in the
 * landing log, where the rollups say that it may be, together with others and in steps, while
 * the drain goes on with its work. Losing a window costs reads, never an answer. One thread. */
#ifndef PIPELINE_REPO_HISTORY_ANSWERED_H
#define PIPELINE_REPO_HISTORY_ANSWERED_H

#include "pipeline/repo/chain.h"
#include "pipeline/repo/history/answer_index.h"

struct answered;

struct answered *answered_open(struct repo *, const struct id16 *project) MUST_USE;
void answered_close(struct answered *);

/* Brings the window up to `tip`: reads the batches between it and the window's old tip. Before
 * the first time, nothing else may be asked. */
int answered_advance(struct answered *, const struct batch *tip) MUST_USE;

/* Of a window that has grown too large, forgets the older half, or more where the batches of
 * the newer one have left the cache; it asks the store for nothing. Not between a look-up and
 * its use: the look-up is forgotten, too, unless it is under way. */
void answered_trim(struct answered *);

/* What the chain up to the window's tip says of `session` and of `request` about it. False when
 * that cannot be told without more reads; a request that is found is answered all the same. */
bool answered_find(const struct answered *, const struct id16 *session,
                   const struct id16 *request, struct answer *out) MUST_USE;

/* Takes older batches into the window, until sessions with this base can be told about or
 * `*reads` of them, which it counts down, were read. Where that was not enough, or is known to
 * be too few from what is in memory, or one is damaged, the base is too far: it is not tried
 * again. */
int answered_reach(struct answered *, uint64_t base, unsigned *reads) MUST_USE;

/* One step of looking up sessions that answered_find does not tell about: in the landing log,
 * many of them in one pass, about `entries_max` entries of it. What the log does not have yet
 * comes into the window. Which of them can be told about
 * then says answered_find; the next call goes on with those that are left. (Others than in the
 * last call may have to wait until that pass is done.) Log and chain say the same, so damage to
 * the log sends the look-up to the chain. ERR_CORRUPT: what is left cannot be told about. */
int answered_look_up(struct answered *, const struct id16 *sessions, size_t n,
                     size_t entries_max) MUST_USE;

#endif
