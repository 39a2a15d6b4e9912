#include "formats/queue_object.h"

#include "formats/base/limits.h"

#define QUEUE_MAGIC    "MQUE"
#define QUEUE_VERSION  1u
#define QUEUE_COUNT_AT 40u
#define GROUP_LEN_MIN  (52u + RECORD_LEN_MIN)

void queue_group_write(struct buf *out, const struct queue_group *group)
{
    assert(group->n > 0);
    wr_id16(out, &group->project);
    wr_id16(out, &group->session);
    wr_id16(out, &group->owner);
    wr_u32(out, group->n);
    for (uint32_t i = 0; i < group->n; i++)
        record_write(out, &group->records[i]);
}

void queue_object_begin(struct buf *out, uint64_t hlc, uint64_t agent, uint64_t seq)
{
    size_t at = envelope_begin(out, QUEUE_MAGIC, QUEUE_VERSION);
    assert(at == 0);
    wr_u64(out, hlc);
    wr_u64(out, agent);
    wr_u64(out, seq);
    assert(out->len == QUEUE_COUNT_AT);
    wr_u32(out, 0);
}

void queue_object_finish(struct buf *out, uint32_t groups)
{
    wr_u32_at(out, QUEUE_COUNT_AT, groups);
    envelope_close(out, 0);
}

static struct queue_group group_read(struct reader *r, struct arena *arena)
{
    struct queue_group group = {0};
    group.project = rd_id16(r);
    group.session = rd_id16(r);
    group.owner = rd_id16(r);
    uint32_t n = rd_count(r, RECORD_LEN_MIN, SESSION_RECORDS_MAX);
    if (n == 0)
        rd_fail(r, ERR_CORRUPT);
    group.records = arena_array(arena, n, struct record);
    group.n = n;
    for (uint32_t i = 0; i < n && rd_error(r) == OK; i++)
        group.records[i] = record_read(r, arena);
    return group;
}

int queue_object_decode(struct bytes in, struct arena *arena, struct queue_object *out)
{
    if (in.len > QUEUE_OBJECT_MAX)
        return ERR_LIMIT;
    struct reader r;
    int err = envelope_open(in, QUEUE_MAGIC, QUEUE_VERSION, &r);
    if (err != OK)
        return err;
    struct queue_object object = {0};
    object.hlc = rd_u64(&r);
    object.agent = rd_u64(&r);
    object.seq = rd_u64(&r);
    object.n = rd_count(&r, GROUP_LEN_MIN, QUEUE_OBJECT_MAX / GROUP_LEN_MIN);
    object.groups = arena_array(arena, object.n, struct queue_group);
    for (uint32_t i = 0; i < object.n && rd_error(&r) == OK; i++)
        object.groups[i] = group_read(&r, arena);
    err = rd_end(&r);
    if (err == OK)
        *out = object;
    return err;
}
