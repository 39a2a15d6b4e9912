#include "formats/lease.h"

#include "formats/base/limits.h"
#include "formats/base/wire.h"

#define VERSION 1u

static const char magic[4] = "MLEA";

void lease_encode(const struct lease *lease, struct buf *out)
{
    assert(lease->length_ms <= LEASE_MS_MAX && lease->shard < SHARDS_MAX);
    size_t at = envelope_begin(out, magic, VERSION);
    wr_u64(out, lease->agent);
    wr_u64(out, lease->counter);
    wr_u32(out, lease->shard);
    wr_u32(out, lease->length_ms);
    envelope_close(out, at);
}

int lease_decode(struct bytes in, struct lease *out)
{
    struct reader r;
    int err = envelope_open(in, magic, VERSION, &r);
    if (err != OK)
        return err;
    struct lease lease;
    lease.agent = rd_u64(&r);
    lease.counter = rd_u64(&r);
    lease.shard = rd_u32(&r);
    lease.length_ms = rd_u32(&r);
    err = rd_end(&r);
    if (err != OK)
        return err;
    if (lease.shard >= SHARDS_MAX || lease.length_ms > LEASE_MS_MAX)
        return ERR_CORRUPT;
    *out = lease;
    return OK;
}
