#include "pipeline/repo/history/rollup_read.h"

#include "formats/base/limits.h"
#include "formats/key.h"
#include "pipeline/repo/damage.h"
#include "pipeline/repo/history/rollup_list.h"

/* Of each level: what is left of the run, and at most a hundred columns. */
#define STEPS_MAX (1 + ROLLUP_LEVELS * (ROLLUP_COLUMNS_MAX + 1))
/* Objects may go while they are asked for, when a larger one has taken their place: so often
 * the names are listed again. */
#define RELISTS_MAX 3u
/* An object is read whole, and not a sector for each key, where that saves requests and each of
 * these costs no more bytes than this. */
#define WHOLE_A_REQUEST (256u * KIB)
#define WHOLE_MAX       (1u * MIB)

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

/* The positions [from, end) are to be asked about at this level, for some of the asks; 0: they
 * are an answer. */
struct step {
    unsigned level;
    uint64_t from;
    uint64_t end;
    uint64_t asks;
};

/* What one object has said. */
struct answers {
    struct rollup_shape shape;
    uint64_t silent; /* asks that it says nothing about */
    struct rollup_hits hits[ROLLUP_ASKS_MAX];
};

struct rollup_reader {
    struct arena arena; /* holds the reader itself */
    struct repo *repo;
    struct id16 project;
    struct chunk *chunks;
    unsigned relists;
    struct rollup_asked asks[ROLLUP_ASKS_MAX];
    size_t n_asks;
    uint64_t live; /* asks that have not been dropped */
    struct answers answers;
    struct buf parts[ROLLUP_ASKS_MAX]; /* of an object, as they are read */
    struct step steps[STEPS_MAX];      /* the last one is next */
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
    for (size_t i = 0; i < ROLLUP_ASKS_MAX; i++)
        buf_release(&reader->parts[i]);
    struct arena arena = reader->arena;
    arena_release(&arena);
}

/* For those of the asks that still want to know about positions before `end`. */
static void step_push(struct rollup_reader *reader, unsigned level, uint64_t from, uint64_t end,
                      uint64_t asks)
{
    uint64_t wanted = 0;
    uint64_t least = end;
    for (unsigned i = 0; i < reader->n_asks; i++) {
        uint64_t bit = UINT64_C(1) << i;
        if ((asks & reader->live & bit) == 0 || reader->asks[i].from >= end)
            continue;
        wanted |= bit;
        least = reader->asks[i].from < least ? reader->asks[i].from : least;
    }
    from = from > least ? from : least;
    if (from >= end)
        return;
    assert(reader->n_steps < STEPS_MAX);
    reader->steps[reader->n_steps++] =
        (struct step){.level = level, .from = from, .end = end, .asks = wanted};
}

void rollup_reader_ask_many(struct rollup_reader *reader, const struct rollup_asked *asks,
                            size_t n, uint64_t end)
{
    assert(n <= ROLLUP_ASKS_MAX);
    for (size_t i = 0; i < n; i++)
        reader->asks[i] = asks[i];
    reader->n_asks = n;
    reader->live = UINT64_MAX;
    reader->n_steps = 0;
    reader->relists = 0;
    step_push(reader, ROLLUP_LEVELS, 0, end, UINT64_MAX);
}

void rollup_reader_ask(struct rollup_reader *reader, uint64_t key, uint64_t from, uint64_t end)
{
    struct rollup_asked asked = {.key = key, .from = from};
    rollup_reader_ask_many(reader, &asked, 1, end);
}

void rollup_reader_drop(struct rollup_reader *reader, unsigned ask)
{
    assert(ask < reader->n_asks);
    reader->live &= ~(UINT64_C(1) << ask);
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

/* Which parts of an object are read, and which of them has the sector of each ask. */
struct parts {
    struct store_op ops[ROLLUP_ASKS_MAX];
    unsigned n;
    unsigned of_ask[ROLLUP_ASKS_MAX];
    uint64_t sector_at[ROLLUP_ASKS_MAX];
};

static bool step_asks(const struct step *step, unsigned ask)
{
    return (step->asks >> ask & 1) != 0;
}

/* One sector for each ask, those that are alike once. */
static void sectors_plan(const struct rollup_reader *reader, const struct step *step,
                         const struct rollup_shape *shape, struct parts *parts)
{
    parts->n = 0;
    for (unsigned i = 0; i < reader->n_asks; i++) {
        if (!step_asks(step, i))
            continue;
        uint64_t at = rollup_sector_at(shape, reader->asks[i].key);
        unsigned part = 0;
        while (part < parts->n && parts->ops[part].range.offset != at)
            part++;
        if (part == parts->n)
            parts->ops[parts->n++].range = range_of(at, ROLLUP_SECTOR);
        parts->of_ask[i] = part;
        parts->sector_at[i] = at;
    }
    uint64_t all = (uint64_t)shape->sectors * ROLLUP_SECTOR;
    if (all > WHOLE_MAX || all > (uint64_t)(parts->n - 1) * WHOLE_A_REQUEST)
        return;
    parts->n = 1;
    parts->ops[0].range = range_of(ROLLUP_SECTOR, all);
    memset(parts->of_ask, 0, sizeof(parts->of_ask));
}

static void parts_read(struct rollup_reader *reader, const char *key, struct parts *parts)
{
    for (unsigned i = 0; i < parts->n; i++) {
        struct store_range range = parts->ops[i].range;
        buf_clear(&reader->parts[i]);
        parts->ops[i] = (struct store_op){.verb = STORE_GET,
                                          .key = key,
                                          .want_etag = ETAG_NEVER,
                                          .range = range,
                                          .body = &reader->parts[i]};
    }
    if (parts->n == 1)
        (void)!store_one(reader->repo->store, &parts->ops[0]);
    else
        (void)!store_many(reader->repo->store, parts->ops, parts->n);
}

static int part_ask(struct rollup_reader *reader, const struct parts *parts, unsigned ask)
{
    unsigned part = parts->of_ask[ask];
    struct bytes bytes = buf_bytes(&reader->parts[part]);
    if (parts->ops[part].err != OK)
        return parts->ops[part].err;
    uint64_t skip = parts->sector_at[ask] - parts->ops[part].range.offset;
    if (skip + ROLLUP_SECTOR > bytes.len)
        return ERR_CORRUPT;
    return rollup_ask(&reader->answers.shape, bytes_of(bytes.data + skip, ROLLUP_SECTOR),
                      reader->asks[ask].key, &reader->answers.hits[ask]);
}

/* ERR_NOT_FOUND when it has gone. What is wrong with it otherwise makes it silent about the
 * asks that it concerns. */
static int object_ask(struct rollup_reader *reader, const struct step *step,
                      const struct rollup_ref *ref)
{
    struct answers *answers = &reader->answers;
    struct rollup_shape *shape = &answers->shape;
    struct key key = key_rollup(&reader->project, step->level, ref->first, ref->end);
    answers->silent = step->asks;
    int err =
        rollup_shape_of(&reader->project, step->level, ref->first, ref->end, ref->size, shape);
    if (err != OK || shape->sectors == 0) {
        if (err != OK)
            damage_log(reader->repo, key.s, err);
        return OK;
    }
    struct parts parts = {0};
    sectors_plan(reader, step, shape, &parts);
    parts_read(reader, key.s, &parts);
    int wrong = OK;
    for (unsigned i = 0; i < reader->n_asks; i++) {
        if (!step_asks(step, i))
            continue;
        err = part_ask(reader, &parts, i);
        if (err == ERR_NOT_FOUND)
            return err;
        if (err == OK)
            answers->silent &= ~(UINT64_C(1) << i);
        else
            wrong = err;
    }
    (void)!damage_of(reader->repo, key.s, wrong);
    return OK;
}

static void columns_push(struct rollup_reader *reader, const struct step *step, uint64_t low)
{
    const struct answers *answers = &reader->answers;
    uint64_t span = rollup_span(step->level);
    if (answers->silent == step->asks) {
        step_push(reader, step->level - 1, low, step->end, step->asks);
        return;
    }
    for (unsigned c = 0; c < answers->shape.columns; c++) {
        uint64_t asks = answers->silent;
        for (unsigned i = 0; i < reader->n_asks; i++) {
            if (step_asks(step, i) && (answers->silent >> i & 1) == 0 &&
                rollup_hit(&answers->hits[i], c))
                asks |= UINT64_C(1) << i;
        }
        uint64_t from = low_of(answers->shape.first + c * span);
        uint64_t end = answers->shape.first + (c + 1) * span;
        step_push(reader, step->level - 1, from > low ? from : low,
                  end < step->end ? end : step->end, asks);
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
    int err = OK;
    reader->answers.silent = step->asks;
    if (ref != NULL)
        err = object_ask(reader, step, ref);
    if (err == ERR_NOT_FOUND && reader->relists < RELISTS_MAX) {
        relist(reader);
        step_push(reader, step->level, step->from, step->end, step->asks);
        return;
    }
    if (err != OK)
        reader->answers.silent = step->asks;
    step_push(reader, step->level, step->from, low, step->asks);
    columns_push(reader, step, low);
}

bool rollup_reader_next(struct rollup_reader *reader, struct rollup_range *out)
{
    while (reader->n_steps > 0) {
        /* Pushed again, it asks only for those who have not been dropped. */
        struct step step = reader->steps[--reader->n_steps];
        size_t below = reader->n_steps;
        step_push(reader, step.level, step.from, step.end, step.asks);
        if (reader->n_steps == below)
            continue;
        step = reader->steps[--reader->n_steps];
        if (step.level == 0) {
            *out = (struct rollup_range){.from = step.from, .end = step.end, .asks = step.asks};
            return true;
        }
        step_take(reader, &step);
    }
    return false;
}
