#include "pipeline/repo/history/rollup_read.h"

#include "formats/key.h"
#include "pipeline/repo/damage.h"
#include "pipeline/repo/history/rollup_list.h"

/* Of each level: what is left of the run, and at most a hundred columns. */
#define STEPS_MAX (1 + ROLLUP_LEVELS * (ROLLUP_COLUMNS_MAX + 1))
/* Objects may go while they are asked for, when a larger one has taken their place: so often
 * the names are listed again. */
#define RELISTS_MAX 3u

/* The names of a hundred groups of a hundred columns: a million positions on the lowest level.
 */
struct chunk {
    unsigned level;
    uint64_t first;
    uint64_t end;
    bool listed;
    struct rollup_ref *refs;
    size_t n;
    struct chunk *next;
};

/* The positions [from, end) are to be asked about at this level; 0: they are an answer. */
struct step {
    unsigned level;
    uint64_t from;
    uint64_t end;
};

struct rollup_reader {
    struct arena arena; /* holds the reader itself */
    struct repo *repo;
    struct id16 project;
    struct chunk *chunks;
    unsigned relists;
    struct buf sector;
    uint64_t key;
    struct step steps[STEPS_MAX]; /* the last one is next */
    size_t n_steps;
};

struct rollup_reader *rollup_reader_open(struct repo *repo, const struct id16 *project)
{
    struct arena arena = {0};
    struct rollup_reader *reader = arena_new(&arena, struct rollup_reader);
    reader->repo = repo;
    reader->project = *project;
    reader->arena = arena;
    return reader;
}

void rollup_reader_close(struct rollup_reader *reader)
{
    if (reader == NULL)
        return;
    buf_release(&reader->sector);
    struct arena arena = reader->arena;
    arena_release(&arena);
}

static void step_push(struct rollup_reader *reader, unsigned level, uint64_t from, uint64_t end)
{
    if (from >= end)
        return;
    assert(reader->n_steps < STEPS_MAX);
    reader->steps[reader->n_steps++] = (struct step){.level = level, .from = from, .end = end};
}

void rollup_reader_ask(struct rollup_reader *reader, uint64_t key, uint64_t from, uint64_t end)
{
    reader->key = key;
    reader->n_steps = 0;
    reader->relists = 0;
    step_push(reader, ROLLUP_LEVELS, from, end);
}

/* ---- which objects there are ---- */

/* What cannot be listed is as if it were not there. */
static const struct chunk *chunk_of(struct rollup_reader *reader, unsigned level,
                                    uint64_t position)
{
    uint64_t len = rollup_span(level) * ROLLUP_COLUMNS_MAX * ROLLUP_COLUMNS_MAX;
    uint64_t first = position - (position - 1) % len;
    struct chunk *chunk = reader->chunks;
    while (chunk != NULL && (chunk->level != level || chunk->first != first))
        chunk = chunk->next;
    if (chunk == NULL) {
        chunk = arena_new(&reader->arena, struct chunk);
        *chunk = (struct chunk){.level = level, .first = first, .end = first + len};
        chunk->next = reader->chunks;
        reader->chunks = chunk;
    }
    if (!chunk->listed) {
        chunk->n = 0;
        (void)!rollup_list(reader->repo, &reader->project, level, chunk->first, chunk->end,
                           &reader->arena, &chunk->refs, &chunk->n);
        chunk->listed = true;
    }
    return chunk;
}

/* The longest that has the position. */
static const struct rollup_ref *ref_at(const struct chunk *chunk, uint64_t position)
{
    const struct rollup_ref *found = NULL;
    for (size_t i = 0; i < chunk->n && chunk->refs[i].first <= position; i++) {
        const struct rollup_ref *ref = &chunk->refs[i];
        if (ref->end > position &&
            (found == NULL || ref->end - ref->first > found->end - found->first))
            found = ref;
    }
    return found;
}

/* The answers under position 0 are covered where position 1 is. */
static uint64_t low_of(uint64_t first)
{
    return first == 1 ? 0 : first;
}

/* The first of the positions up to `position` that no object has. */
static uint64_t bare_from(const struct chunk *chunk, uint64_t position)
{
    uint64_t from = low_of(chunk->first);
    for (size_t i = 0; i < chunk->n && chunk->refs[i].first <= position; i++) {
        if (chunk->refs[i].end <= position && chunk->refs[i].end > from)
            from = chunk->refs[i].end;
    }
    return from;
}

static void relist(struct rollup_reader *reader)
{
    reader->relists++;
    for (struct chunk *chunk = reader->chunks; chunk != NULL; chunk = chunk->next)
        chunk->listed = false;
}

/* ---- asking one ---- */

/* ERR_NOT_FOUND when it has gone; any other error: it says nothing. */
static int object_ask(struct rollup_reader *reader, unsigned level,
                      const struct rollup_ref *ref, struct rollup_shape *shape,
                      struct rollup_hits *out)
{
    struct key key = key_rollup(&reader->project, level, ref->first, ref->end);
    int err = rollup_shape_of(&reader->project, level, ref->first, ref->end, ref->size, shape);
    if (err == OK && shape->sectors == 0)
        return ERR_LIMIT;
    if (err == OK) {
        buf_clear(&reader->sector);
        err = store_get(reader->repo->store, key.s,
                        range_of(rollup_sector_at(shape, reader->key), ROLLUP_SECTOR),
                        &reader->sector, NULL, NULL);
    }
    if (err == OK)
        err = rollup_ask(shape, buf_bytes(&reader->sector), reader->key, out);
    return damage_unless_absent(reader->repo, key.s, err);
}

static void columns_push(struct rollup_reader *reader, const struct step *step, uint64_t low,
                         const struct rollup_shape *shape, const struct rollup_hits *hits)
{
    uint64_t span = rollup_span(step->level);
    for (unsigned c = 0; c < shape->columns; c++) {
        if (!rollup_hit(hits, c))
            continue;
        uint64_t from = low_of(shape->first + c * span);
        uint64_t end = shape->first + (c + 1) * span;
        step_push(reader, step->level - 1, from > low ? from : low,
                  end < step->end ? end : step->end);
    }
}

/* Asks about the newest part of the step, and leaves the rest for later. */
static void step_take(struct rollup_reader *reader, const struct step *step)
{
    uint64_t last = step->end > 1 ? step->end - 1 : 1;
    const struct chunk *chunk = chunk_of(reader, step->level, last);
    const struct rollup_ref *ref = ref_at(chunk, last);
    uint64_t low = ref != NULL ? low_of(ref->first) : bare_from(chunk, last);
    low = low > step->from ? low : step->from;
    struct rollup_shape shape;
    struct rollup_hits hits;
    int err = ERR_LIMIT;
    if (ref != NULL)
        err = object_ask(reader, step->level, ref, &shape, &hits);
    if (err == ERR_NOT_FOUND && reader->relists < RELISTS_MAX) {
        relist(reader);
        step_push(reader, step->level, step->from, step->end);
        return;
    }
    step_push(reader, step->level, step->from, low);
    if (err == OK)
        columns_push(reader, step, low, &shape, &hits);
    else
        step_push(reader, step->level - 1, low, step->end);
}

bool rollup_reader_next(struct rollup_reader *reader, struct rollup_range *out)
{
    while (reader->n_steps > 0) {
        struct step step = reader->steps[--reader->n_steps];
        if (step.level == 0) {
            *out = (struct rollup_range){.from = step.from, .end = step.end};
            return true;
        }
        step_take(reader, &step);
    }
    return false;
}
