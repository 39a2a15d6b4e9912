#include "pipeline/repo/history/rollup_names.h"

#include "formats/key.h"

/* So many names of all levels are listed at once. Near the head there are a hundred for the
 * last million landings at most, one for each million below, and some that are left behind; far
 * from it there may be any number, of which no more are wanted. */
#define LIST_ALL_MAX 256u

/* The names of a hundred groups of a hundred columns: a million positions on the lowest level.
 */
struct rollup_chunk {
    unsigned level;
    uint64_t first;
    uint64_t end;
    bool listed;
    struct rollup_ref *refs;
    size_t n;
    size_t cap;
    struct rollup_chunk *next;
};

void rollup_names_init(struct rollup_names *names, struct repo *repo,
                       const struct id16 *project, struct arena *arena)
{
    *names = (struct rollup_names){.repo = repo, .project = *project, .arena = arena};
}

void rollup_names_again(struct rollup_names *names)
{
    names->begun = false;
    for (struct rollup_chunk *chunk = names->chunks; chunk != NULL; chunk = chunk->next)
        chunk->listed = false;
}

/* ---- the lists ---- */

static uint64_t chunk_len(unsigned level)
{
    return rollup_span(level) * ROLLUP_COLUMNS_MAX * ROLLUP_COLUMNS_MAX;
}

static struct rollup_chunk *chunk_find(const struct rollup_names *names, unsigned level,
                                       uint64_t position)
{
    struct rollup_chunk *chunk = names->chunks;
    while (chunk != NULL &&
           (chunk->level != level || position < chunk->first || position >= chunk->end))
        chunk = chunk->next;
    return chunk;
}

static struct rollup_chunk *chunk_at(struct rollup_names *names, unsigned level,
                                     uint64_t position)
{
    struct rollup_chunk *chunk = chunk_find(names, level, position);
    if (chunk != NULL)
        return chunk;
    uint64_t len = chunk_len(level);
    uint64_t first = position - (position - 1) % len;
    chunk = arena_new(names->arena, struct rollup_chunk);
    *chunk = (struct rollup_chunk){.level = level, .first = first, .end = first + len};
    chunk->next = names->chunks;
    names->chunks = chunk;
    return chunk;
}

/* Those who were told of a name keep what it points to. */
static void chunk_clear(struct rollup_chunk *chunk)
{
    chunk->refs = NULL;
    chunk->n = chunk->cap = 0;
}

static void chunk_add(struct rollup_names *names, struct rollup_chunk *chunk,
                      const struct rollup_ref *ref)
{
    void *items = chunk->refs;
    struct rollup_ref *item =
        arena_push(names->arena, &items, &chunk->n, &chunk->cap, sizeof(*item));
    *item = *ref;
    chunk->refs = items;
}

/* The names of all levels from those on that tell about the position on the lowest one, as far
 * as one list goes. What is behind its last name is still to be listed. */
static void list_all(struct rollup_names *names, uint64_t position)
{
    struct rollup_chunk *chunks[ROLLUP_LEVELS];
    struct key prefix = key_rollups_prefix(&names->project);
    struct store_list keys;
    for (unsigned i = 0; i < ROLLUP_LEVELS; i++)
        chunks[i] = chunk_at(names, i + 1, position);
    struct key before = key_rollup(&names->project, 1, chunks[0]->first - 1, UINT64_MAX);
    int err =
        store_list(names->repo->store, names->arena, prefix.s, before.s, LIST_ALL_MAX, &keys);
    if (err != OK)
        return;
    for (unsigned i = 0; i < ROLLUP_LEVELS; i++)
        chunk_clear(chunks[i]);
    unsigned level = 1;
    struct rollup_ref ref = {0};
    for (size_t i = 0; i < keys.n; i++) {
        ref = (struct rollup_ref){.size = keys.keys[i].size};
        unsigned of_level;
        if (key_rollup_parse(keys.keys[i].key, &of_level, &ref.first, &ref.end) != OK ||
            !rollup_name_ok(of_level, ref.first, ref.end))
            continue;
        level = of_level;
        struct rollup_chunk *chunk = chunks[level - 1];
        if (ref.first >= chunk->first && ref.first < chunk->end)
            chunk_add(names, chunk, &ref);
    }
    for (unsigned i = 0; i < ROLLUP_LEVELS; i++)
        chunks[i]->listed =
            !keys.more || i + 1 < level || (i + 1 == level && ref.first >= chunks[i]->end);
}

/* What cannot be listed is as if it were not there. */
static const struct rollup_chunk *chunk_listed(struct rollup_names *names, unsigned level,
                                               uint64_t position)
{
    struct rollup_chunk *chunk = chunk_at(names, level, position);
    if (!chunk->listed && !names->begun) {
        names->begun = true;
        list_all(names, position);
    }
    if (!chunk->listed) {
        chunk_clear(chunk);
        (void)!rollup_list(names->repo, &names->project, level, chunk->first, chunk->end,
                           names->arena, &chunk->refs, &chunk->n);
        chunk->cap = chunk->n;
        chunk->listed = true;
    }
    return chunk;
}

/* ---- looking in them ---- */

bool rollup_names_known(const struct rollup_names *names, unsigned level, uint64_t position)
{
    const struct rollup_chunk *chunk = chunk_find(names, level, position);
    return chunk != NULL && chunk->listed;
}

/* The first of the positions up to `position` that no object has. */
static uint64_t bare_from(const struct rollup_chunk *chunk, uint64_t position)
{
    uint64_t from = rollup_low_of(chunk->first);
    for (size_t i = 0; i < chunk->n && chunk->refs[i].first <= position; i++) {
        if (chunk->refs[i].end <= position && chunk->refs[i].end > from)
            from = chunk->refs[i].end;
    }
    return from;
}

const struct rollup_ref *rollup_names_at(struct rollup_names *names, unsigned level,
                                         uint64_t position, uint64_t *low)
{
    const struct rollup_chunk *chunk = chunk_listed(names, level, position);
    const struct rollup_ref *found = NULL;
    for (size_t i = 0; i < chunk->n && chunk->refs[i].first <= position; i++) {
        const struct rollup_ref *ref = &chunk->refs[i];
        if (ref->end > position &&
            (found == NULL || ref->end - ref->first > found->end - found->first))
            found = ref;
    }
    *low = found != NULL ? rollup_low_of(found->first) : bare_from(chunk, position);
    return found;
}
