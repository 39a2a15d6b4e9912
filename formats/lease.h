/* Who drains a shard of the queue: one small object a shard. Nothing that must be right may
 * rest on it.
 *
 *   offset size field
 *        0   16 envelope "MLEA" version 1
 *       16    8 agent that put it
 *       24    8 count of what this agent has put of leases: with the agent it makes the bytes
 *               unlike any that ever lay there
 *       32    4 shard
 *       36    4 length in milliseconds, at most LEASE_MS_MAX; 0: nobody drains the shard
 */
#ifndef FORMATS_LEASE_H
#define FORMATS_LEASE_H

#include "formats/base/buf.h"
#include "formats/base/err.h"
#include "formats/base/types.h"

#define LEASE_LEN 40u

struct lease {
    uint64_t agent;
    uint64_t counter;
    uint32_t shard;
    uint32_t length_ms;
};

void lease_encode(const struct lease *, struct buf *out);
int lease_decode(struct bytes in, struct lease *out) MUST_USE;

#endif
