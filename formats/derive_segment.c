#include "formats/derive_segment.h"

#include "formats/base/limits.h"
#include "formats/base/wire.h"

#define VERSION 1u
#define LEN_AT  40u
/* The least that a run takes. */
#define RUN_LEAST 24u
#define LEN_LEAST 4u

static const char magic[4] = "MDSG";

void derive_segment_encode(const struct derive_segment *segment, struct buf *out)
{
    size_t at = envelope_begin(out, magic, VERSION);
    assert(at == 0 && segment->number > 0);
    wr_id16(out, &segment->project);
    wr_u64(out, segment->number);
    assert(out->len == LEN_AT);
    wr_u32(out, 0);
    wr_u32(out, segment->n);
    for (uint32_t i = 0; i < segment->n; i++) {
        const struct derive_run *run = &segment->runs[i];
        wr_u64(out, run->agent);
        wr_u64(out, run->first);
        wr_u32(out, run->n);
        for (uint32_t k = 0; k < run->n; k++)
            wr_u32(out, run->lens[k]);
    }
    assert(out->len <= DERIVE_HEAD_MAX);
    wr_u32_at(out, LEN_AT, (uint32_t)out->len);
    envelope_close(out, 0);
}

int derive_segment_head_len(struct bytes beginning, uint32_t *out)
{
    if (beginning.len < DERIVE_SEGMENT_LEAST || memcmp(beginning.data, magic, 4) != 0)
        return ERR_CORRUPT;
    struct reader r;
    rd_init(&r, bytes_of(beginning.data + LEN_AT, 4));
    uint32_t len = rd_u32(&r);
    if (len < DERIVE_SEGMENT_LEAST || len > DERIVE_HEAD_MAX)
        return ERR_CORRUPT;
    *out = len;
    return OK;
}

/* The offsets of the objects add up to less than 2^64, for there are few of them. */
static struct derive_run run_read(struct reader *r, struct arena *arena, uint64_t *offset)
{
    struct derive_run run = {.agent = rd_u64(r), .first = rd_u64(r), .offset = *offset};
    run.n = rd_count(r, LEN_LEAST, DERIVE_HEAD_MAX / LEN_LEAST);
    run.lens = arena_array(arena, run.n, uint32_t);
    for (uint32_t i = 0; i < run.n; i++) {
        run.lens[i] = rd_u32(r);
        *offset += run.lens[i];
        if (run.lens[i] == 0 || run.lens[i] > DERIVE_OBJECT_MAX)
            rd_fail(r, ERR_CORRUPT);
    }
    if (run.n == 0 || run.first == 0 || run.first > UINT64_MAX - run.n)
        rd_fail(r, ERR_CORRUPT);
    return run;
}

int derive_segment_decode(struct bytes head, struct arena *arena, struct derive_segment *out)
{
    struct reader r;
    int err = envelope_open(head, magic, VERSION, &r);
    if (err != OK)
        return err;
    struct derive_segment segment = {.project = rd_id16(&r)};
    segment.number = rd_u64(&r);
    uint32_t len = rd_u32(&r);
    uint64_t offset = head.len;
    segment.n = rd_count(&r, RUN_LEAST, DERIVE_HEAD_MAX / RUN_LEAST);
    segment.runs = arena_array(arena, segment.n, struct derive_run);
    for (uint32_t i = 0; i < segment.n && rd_error(&r) == OK; i++)
        segment.runs[i] = run_read(&r, arena, &offset);
    if (segment.number == 0 || len != head.len)
        rd_fail(&r, ERR_CORRUPT);
    err = rd_end(&r);
    if (err != OK)
        return err;
    *out = segment;
    return OK;
}

uint64_t derive_segment_size(const struct derive_segment *segment, uint32_t head_len)
{
    uint64_t size = head_len;
    for (uint32_t i = 0; i < segment->n; i++) {
        for (uint32_t k = 0; k < segment->runs[i].n; k++)
            size += segment->runs[i].lens[k];
    }
    return size;
}
