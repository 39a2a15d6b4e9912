#include "pipeline/repo/derived/derive_segments.h"

#include "formats/base/limits.h"
#include "formats/key.h"

/* Of most segments all of the head. */
#define HEAD_FIRST (64u * KIB)

static int head_get(struct repo *repo, const struct key *key, struct buf *head, uint64_t *size)
{
    uint32_t len;
    int err = store_get(repo->store, key->s, range_of(0, HEAD_FIRST), head, NULL, size);
    if (err == OK)
        err = derive_segment_head_len(buf_bytes(head), &len);
    if (err != OK)
        return err;
    if (len > *size)
        return ERR_CORRUPT;
    if (len > head->len)
        err = store_get(repo->store, key->s, range_of(head->len, len - head->len), head, NULL,
                        NULL);
    head->len = head->len > len ? len : head->len;
    return err == OK && head->len < len ? ERR_CORRUPT : err;
}

int derive_segment_read(struct repo *repo, const struct id16 *project, uint64_t number,
                        struct arena *arena, struct derive_segment *out)
{
    AUTO_BUF head = {0};
    struct derive_segment segment;
    struct key key = key_derive_segment(project, number);
    uint64_t size;
    int err = head_get(repo, &key, &head, &size);
    if (err == OK)
        err = derive_segment_decode(buf_bytes(&head), arena, &segment);
    if (err != OK)
        return err == ERR_INVALID || err == ERR_LIMIT ? ERR_CORRUPT : err;
    if (!id16_equal(&segment.project, project) || segment.number != number ||
        derive_segment_size(&segment, (uint32_t)head.len) != size)
        return ERR_CORRUPT;
    *out = segment;
    return OK;
}

uint64_t derive_run_offset(const struct derive_run *run, uint32_t i)
{
    uint64_t offset = run->offset;
    for (uint32_t k = 0; k < i; k++)
        offset += run->lens[k];
    return offset;
}

int derive_run_read(struct repo *repo, const struct derive_segment *segment,
                    const struct derive_run *run, uint32_t i, uint32_t n, struct buf *out)
{
    struct key key = key_derive_segment(&segment->project, segment->number);
    uint64_t begin = derive_run_offset(run, i);
    uint64_t len = derive_run_offset(run, i + n) - begin;
    size_t before = out->len;
    int err = store_get(repo->store, key.s, range_of(begin, len), out, NULL, NULL);
    /* Its size was what its head says. */
    return err == OK && out->len - before != len ? ERR_CORRUPT : err;
}
