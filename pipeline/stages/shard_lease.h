/* Who drains a shard, so that two drains do not do the same work twice. For efficiency only:
 * whatever a lease says, and whether it can be asked for at all, the head put decides.
 *
 * A lease is its holder's while its bytes change. Another drain takes it when it has not seen
 * them change for the lease's length on its own monotonic clock: no wall clock is asked, and no
 * two clocks are compared. Bytes that say nothing count as a lease like any other. The holder
 * puts it anew at a third of its length while there is work, and releases it when there has
 * been none for as long; so a shard without work costs nothing.
 *
 * All of it is memory of one drain, and may be lost. One thread. */
#ifndef PIPELINE_STAGES_SHARD_LEASE_H
#define PIPELINE_STAGES_SHARD_LEASE_H

#include "pipeline/repo/repo.h"

struct shard_leases;

/* For the shards [first, end). A length of 0: there are no leases, and every shard is
 * everybody's; one that is too short for how often the store lets a key be put is
 * longer. `claim`: what another holds at the first look is taken, too: for a drain that is
 * mostly alone, so that it does not wait for the one before it, which was killed. */
struct shard_leases *shard_leases_open(struct repo *, uint32_t first, uint32_t end,
                                       uint32_t length_ms, bool claim) MUST_USE;
/* Releases what is held. */
void shard_leases_close(struct shard_leases *);

/* There is work in the shard. True when it is this drain's: it holds the lease, or the store
 * cannot say who does. False: another is at it. */
bool shard_lease_hold(struct shard_leases *, uint32_t shard) MUST_USE;
/* There is none. */
void shard_lease_idle(struct shard_leases *, uint32_t shard);
/* Whether the last round over the shard could do nothing for an error. While it fails a lease
 * is not put anew, and so runs out: another drain may fare better. */
void shard_lease_failing(struct shard_leases *, uint32_t shard, bool failing);

/* For a run that ends when all is done: whether it is still to watch a shard that was left to
 * another, and whose queue has objects with stamps from `oldest` to `newest`. It is not once
 * what lay there at first is gone, or the holder has shown for about a lease's length that it
 * is alive. */
bool shard_lease_watch(struct shard_leases *, uint32_t shard, uint64_t oldest,
                       uint64_t newest) MUST_USE;

#endif
