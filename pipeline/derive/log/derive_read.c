#include "formats/key.h"
#include "pipeline/derive/log/derive_follow.h"
#include "pipeline/repo/damage.h"
#include "pipeline/repo/derived/derive_segments.h"
#include "pipeline/repo/known.h"

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
        uint64_t begin = derive_run_offset(run, k) + find->offset;
        return store_get(find->repo->store, key.s, range_of(begin, find->len), find->body, NULL,
                         NULL);
    }
    return ERR_NOT_FOUND;
}

/* The newest first. */
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
