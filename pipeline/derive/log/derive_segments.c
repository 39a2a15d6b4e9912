#include "pipeline/derive/log/derive_segments.h"

#include "formats/base/limits.h"
#include "pipeline/derive/log/derive_look.h"
#include "pipeline/repo/damage.h"
#include "pipeline/repo/known.h"

/* Of most segments all of the head. */
#define HEAD_FIRST (64u * KIB)

/* --- one segment --- */

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

static uint64_t run_offset(const struct derive_run *run, uint32_t i)
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
    uint64_t begin = run_offset(run, i);
    uint64_t len = run_offset(run, i + n) - begin;
    size_t before = out->len;
    int err = store_get(repo->store, key.s, range_of(begin, len), out, NULL, NULL);
    /* Its size was what its head says. */
    return err == OK && out->len - before != len ? ERR_CORRUPT : err;
}

/* --- a look --- */

/* Takes `n` objects of a run, from the `i`th on, which are read in one. */
static int part_take(struct look *look, const struct derive_segment *segment,
                     const struct derive_run *run, uint32_t i, uint32_t n)
{
    AUTO_BUF bytes = {0};
    int read = derive_run_read(look->repo, segment, run, i, n, &bytes);
    int err = read == OK || look_is_damage(read) ? OK : read;
    size_t at = 0;
    for (uint32_t k = i; k < i + n && err == OK; k++) {
        struct bytes object = {0};
        if (read == OK)
            object = bytes_of(bytes.data + at, run->lens[k]);
        err = look_take(look, run->agent, run->first + k, object, read);
        at += run->lens[k];
    }
    return err;
}

static int run_take(struct look *look, const struct derive_segment *segment,
                    const struct derive_run *run)
{
    const struct derive_at *at = derive_cursor_get(look->cursor, run->agent);
    int err = OK;
    if (run->first > at->seq + 1)
        err = look_miss(look, run->agent, run->first - 1, ERR_NOT_FOUND);
    for (uint32_t i = 0; i < run->n && err == OK;) {
        at = derive_cursor_get(look->cursor, run->agent);
        uint32_t n = 0;
        uint64_t bytes = 0;
        while (i + n < run->n && derive_at_wants(at, run->first + i + n) &&
               (n == 0 || bytes + run->lens[i + n] <= LOOK_BYTES))
            bytes += run->lens[i + n++];
        if (n > 0)
            err = part_take(look, segment, run, i, n);
        i += n > 0 ? n : 1;
    }
    return err;
}

int look_segment(struct look *look, uint64_t number)
{
    AUTO(arena_release) struct arena arena = {0};
    struct derive_segment segment;
    struct derive_at *at = &look->cursor->segments;
    struct key key = key_derive_segment(&look->project, number);
    if (at->held)
        return OK;
    int err = derive_segment_read(look->repo, &look->project, number, &arena, &segment);
    if (look_is_damage(err)) {
        damage_log(look->repo, key.s, err);
        if (number > at->seq)
            at->held = derive_at_missed(at, number, err) != OK;
        return OK;
    }
    for (uint32_t i = 0; i < segment.n && err == OK; i++)
        err = run_take(look, &segment, &segment.runs[i]);
    if (err == OK)
        derive_at_took(at, number);
    return err;
}

/* --- one object --- */

struct find {
    struct repo *repo;
    struct id16 project;
    uint64_t agent;
    uint64_t seq;
    uint32_t offset;
    uint32_t len;
    struct buf *body;
};

static int segment_find(const struct find *find, uint64_t number)
{
    AUTO(arena_release) struct arena arena = {0};
    struct derive_segment segment;
    struct key key = key_derive_segment(&find->project, number);
    int err = derive_segment_read(find->repo, &find->project, number, &arena, &segment);
    if (err != OK)
        return damage_unless_absent(find->repo, key.s, err);
    for (uint32_t i = 0; i < segment.n; i++) {
        const struct derive_run *run = &segment.runs[i];
        if (run->agent != find->agent || find->seq < run->first ||
            find->seq - run->first >= run->n)
            continue;
        uint32_t k = (uint32_t)(find->seq - run->first);
        if ((uint64_t)find->offset + find->len > run->lens[k])
            return ERR_CORRUPT;
        uint64_t begin = run_offset(run, k) + find->offset;
        return store_get(find->repo->store, key.s, range_of(begin, find->len), find->body, NULL,
                         NULL);
    }
    return ERR_NOT_FOUND;
}

/* The newest first: what is gone went last. */
static int segments_find(const struct find *find, const struct hash *name)
{
    struct key prefix = key_derive_segment_prefix(&find->project);
    struct key after = {.s = ""};
    uint64_t last = 0;
    struct store_list list = {.more = true};
    while (list.more) {
        AUTO(arena_release) struct arena arena = {0};
        int err =
            store_list(find->repo->store, &arena, prefix.s, after.s, STORE_LIST_MAX, &list);
        if (err != OK)
            return err;
        for (size_t i = 0; i < list.n; i++) {
            uint64_t number;
            if (key_derive_segment_parse(list.keys[i].key, &number) != OK)
                continue;
            last = number;
            after = key_derive_segment(&find->project, number);
        }
        list.more = list.more && list.n > 0;
    }
    int damage = ERR_NOT_FOUND;
    for (uint64_t number = last; number > 0; number--) {
        int err = segment_find(find, number);
        if (err == OK)
            known_add(find->repo->known, name, &(struct fact){.number = number});
        if (err != ERR_NOT_FOUND && err != ERR_CORRUPT)
            return err;
        damage = err == ERR_CORRUPT ? err : damage;
    }
    return damage;
}

/* What the range of an object gave: all of it, or it ends before. */
static int whole(int err, size_t got, uint32_t len)
{
    if (err == ERR_INVALID)
        return ERR_CORRUPT;
    return err == OK && got != len ? ERR_CORRUPT : err;
}

int derive_read(struct repo *repo, const struct id16 *project, uint64_t agent, uint64_t seq,
                uint32_t offset, uint32_t len, struct buf *body)
{
    const struct find find = {.repo = repo,
                              .project = *project,
                              .agent = agent,
                              .seq = seq,
                              .offset = offset,
                              .len = len,
                              .body = body};
    struct key key = key_derive(project, agent, seq);
    /* Remembered of an agent: the segment in which one of its objects was found last. */
    struct hash name =
        known_name("derive segment", project, bytes_of(&find.agent, sizeof(find.agent)));
    struct fact fact;
    size_t before = body->len;
    int err = ERR_NOT_FOUND;
    if (known_find(repo->known, &name, &fact))
        err = segment_find(&find, fact.number);
    if (err == ERR_NOT_FOUND)
        err = store_get(repo->store, key.s, range_of(offset, len), body, NULL, NULL);
    if (err == ERR_NOT_FOUND)
        err = segments_find(&find, &name);
    return whole(err, body->len - before, len);
}
