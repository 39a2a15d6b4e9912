#include "pipeline/repo/history/rollup_read.h"

#include "formats/base/limits.h"
#include "formats/key.h"
#include "pipeline/repo/damage.h"
#include "pipeline/repo/history/rollup_names.h"

/* Objects may go while they are asked for, when a larger one has taken their place: so often
 * the names are listed again. */
#define RELISTS_MAX 3u
/* An object is read whole, and not a sector for each key, where that saves requests and each of
 * these costs no more bytes than this. */
#define WHOLE_A_REQUEST (256u * KIB)
#define WHOLE_MAX       (1u * MIB)
/* Parts of objects that are read side by side. */
#define PARTS_MAX ROLLUP_ASKS_MAX
/* With so many steps to come nothing is read ahead: they are enough to go on with, and what
 * they become stays small. */
#define STEPS_ENOUGH 512u

/* The positions [from, end) are to be asked about at this level, for some of the asks; 0: they
 * are an answer. */
struct step {
    unsigned level;
    uint64_t from;
    uint64_t end;
    uint64_t asks;
    const struct rollup_ref
        *ref; /* the object that has all of them; NULL: not looked for yet */
};

/* One of the objects that are asked side by side. */
struct object {
    size_t above; /* steps above its own, which planning further ones leaves as they are */
    size_t at;    /* its step, when all are planned */
    struct rollup_shape shape;
    int err;
    uint64_t silent; /* asks that it says nothing about */
    /* Of each ask: which of the parts has its sector, and where in the object that begins. */
    unsigned part[ROLLUP_ASKS_MAX];
    uint64_t sector_at[ROLLUP_ASKS_MAX];
    struct rollup_hits hits[ROLLUP_ASKS_MAX];
};

struct round {
    struct object objects[ROLLUP_AHEAD_MAX];
    struct key keys[ROLLUP_AHEAD_MAX];
    unsigned n;
    struct store_op ops[PARTS_MAX];
    unsigned n_parts;
    struct buf parts[PARTS_MAX];
};

struct rollup_reader {
    struct arena arena; /* holds the reader itself */
    struct repo *repo;
    struct id16 project;
    struct rollup_names names;
    unsigned relists;
    struct rollup_asked asks[ROLLUP_ASKS_MAX];
    size_t n_asks;
    uint64_t live; /* asks that have not been dropped */
    unsigned ahead_first;
    unsigned ahead_most;
    unsigned ahead; /* objects of the next round */
    struct round round;
    struct step *steps; /* the last one is next, and has the newest positions */
    size_t n_steps;
    size_t cap_steps;
};

struct rollup_reader *rollup_reader_open(struct repo *repo, const struct id16 *project)
{
    struct arena arena = {0};
    struct rollup_reader *reader = arena_new(&arena, struct rollup_reader);
    reader->repo = repo;
    reader->project = *project;
    reader->ahead_first = reader->ahead_most = 1;
    reader->arena = arena;
    rollup_names_init(&reader->names, repo, project, &reader->arena);
    return reader;
}

void rollup_reader_close(struct rollup_reader *reader)
{
    if (reader == NULL)
        return;
    for (size_t i = 0; i < PARTS_MAX; i++)
        buf_release(&reader->round.parts[i]);
    struct arena arena = reader->arena;
    arena_release(&arena);
}

void rollup_reader_ahead(struct rollup_reader *reader, unsigned first, unsigned most)
{
    assert(first > 0 && first <= most);
    reader->ahead_most = most < ROLLUP_AHEAD_MAX ? most : ROLLUP_AHEAD_MAX;
    reader->ahead_first = first < reader->ahead_most ? first : reader->ahead_most;
}

/* ---- steps ---- */

/* For those of the asks that still want to know about positions before `end`; false when there
 * is nothing to ask. */
static bool step_make(const struct rollup_reader *reader, unsigned level, uint64_t from,
                      uint64_t end, uint64_t asks, struct step *out)
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
        return false;
    *out = (struct step){.level = level, .from = from, .end = end, .asks = wanted};
    return true;
}

static void steps_room(struct rollup_reader *reader, size_t n)
{
    if (n <= reader->cap_steps)
        return;
    size_t cap = 2 * n;
    struct step *steps = arena_array(&reader->arena, cap, struct step);
    if (reader->n_steps > 0)
        memcpy(steps, reader->steps, reader->n_steps * sizeof(*steps));
    reader->steps = steps;
    reader->cap_steps = cap;
}

/* Some that are in order take the place of one. */
static void steps_replace(struct rollup_reader *reader, size_t at, const struct step *steps,
                          size_t n)
{
    size_t above = reader->n_steps - at - 1;
    size_t all = at + n + above;
    steps_room(reader, all);
    memmove(reader->steps + at + n, reader->steps + at + 1, above * sizeof(*steps));
    if (n > 0)
        memcpy(reader->steps + at, steps, n * sizeof(*steps));
    reader->n_steps = all;
}

/* Pushed again, a step asks only for those who have not been dropped. Gives how many steps it
 * has become: none, or one. */
static size_t step_renew(struct rollup_reader *reader, size_t at)
{
    struct step old = reader->steps[at];
    struct step step;
    size_t n = step_make(reader, old.level, old.from, old.end, old.asks, &step);
    if (n > 0)
        step.ref = old.ref;
    steps_replace(reader, at, &step, n);
    return n;
}

/* The newest part of the step becomes one that an object has, or one of the level below; the
 * rest stays as it is. Gives how many steps it has become. */
static size_t step_part(struct rollup_reader *reader, size_t at)
{
    struct step parts[2];
    struct step step = reader->steps[at];
    uint64_t low;
    const struct rollup_ref *ref =
        rollup_names_at(&reader->names, step.level, step.end > 1 ? step.end - 1 : 1, &low);
    unsigned level = ref != NULL ? step.level : step.level - 1;
    low = low > step.from ? low : step.from;
    size_t n = step_make(reader, step.level, step.from, low, step.asks, &parts[0]);
    if (step_make(reader, level, low, step.end, step.asks, &parts[n]))
        parts[n++].ref = ref;
    steps_replace(reader, at, parts, n);
    return n;
}

void rollup_reader_ask_many(struct rollup_reader *reader, const struct rollup_asked *asks,
                            size_t n, uint64_t end)
{
    assert(n <= ROLLUP_ASKS_MAX);
    for (size_t i = 0; i < n; i++)
        reader->asks[i] = asks[i];
    reader->n_asks = n;
    reader->live = UINT64_MAX;
    reader->relists = 0;
    reader->ahead = reader->ahead_first;
    reader->n_steps = 0;
    steps_room(reader, 1);
    reader->n_steps = step_make(reader, ROLLUP_LEVELS, 0, end, UINT64_MAX, &reader->steps[0]);
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

/* ---- which objects are asked ---- */

static bool step_asks(const struct step *step, unsigned ask)
{
    return (step->asks >> ask & 1) != 0;
}

/* One sector for each ask, those that are alike once; or the whole object. */
static void parts_plan(const struct rollup_reader *reader, const struct step *step,
                       const char *key, struct object *object, struct round *round)
{
    const struct rollup_shape *shape = &object->shape;
    unsigned first = round->n_parts;
    for (unsigned i = 0; i < reader->n_asks; i++) {
        if (!step_asks(step, i))
            continue;
        uint64_t at = rollup_sector_at(shape, reader->asks[i].key);
        unsigned part = first;
        while (part < round->n_parts && round->ops[part].range.offset != at)
            part++;
        if (part == round->n_parts)
            round->ops[round->n_parts++].range = range_of(at, ROLLUP_SECTOR);
        object->part[i] = part;
        object->sector_at[i] = at;
    }
    uint64_t all = (uint64_t)shape->sectors * ROLLUP_SECTOR;
    if (all <= WHOLE_MAX && all <= (uint64_t)(round->n_parts - first - 1) * WHOLE_A_REQUEST) {
        round->n_parts = first + 1;
        round->ops[first].range = range_of(ROLLUP_SECTOR, all);
        for (unsigned i = 0; i < reader->n_asks; i++)
            object->part[i] = first;
    }
    for (unsigned i = first; i < round->n_parts; i++) {
        buf_clear(&round->parts[i]);
        round->ops[i] = (struct store_op){.verb = STORE_GET,
                                          .key = key,
                                          .want_etag = ETAG_NEVER,
                                          .range = round->ops[i].range,
                                          .body = &round->parts[i]};
    }
}

/* What is wrong with its name or size makes it silent, and so does a filter that was too large
 * to make. */
static void object_plan(struct rollup_reader *reader, size_t at, struct round *round)
{
    const struct step *step = &reader->steps[at];
    const struct rollup_ref *ref = step->ref;
    struct key *key = &round->keys[round->n];
    struct object *object = &round->objects[round->n++];
    object->above = reader->n_steps - 1 - at;
    object->silent = step->asks;
    *key = key_rollup(&reader->project, step->level, ref->first, ref->end);
    object->err = rollup_shape_of(&reader->project, step->level, ref->first, ref->end,
                                  ref->size, &object->shape);
    if (object->err != OK) {
        damage_log(reader->repo, key->s, object->err);
        object->shape = (struct rollup_shape){0};
    }
    if (object->shape.sectors > 0)
        parts_plan(reader, step, key->s, object, round);
}

static unsigned asks_of(const struct step *step)
{
    return (unsigned)__builtin_popcountll(step->asks);
}

/* The newest objects that are to be asked, from the last step on; none where an answer comes
 * first. */
static bool round_plan(struct rollup_reader *reader, struct round *round)
{
    round->n = round->n_parts = 0;
    for (size_t at = reader->n_steps; at-- > 0 && round->n < reader->ahead;) {
        bool ahead = at + 1 < reader->n_steps;
        if (ahead && reader->n_steps > STEPS_ENOUGH)
            break;
        if (reader->steps[at].level == 0 && round->n == 0)
            break;
        if (reader->steps[at].level == 0 || step_renew(reader, at) == 0)
            continue;
        const struct step *step = &reader->steps[at];
        if (step->ref == NULL) {
            uint64_t last = step->end > 1 ? step->end - 1 : 1;
            if (ahead && !rollup_names_known(&reader->names, step->level, last))
                break;
            at += step_part(reader, at);
            continue;
        }
        if (round->n_parts + asks_of(step) > PARTS_MAX)
            break;
        object_plan(reader, at, round);
    }
    for (unsigned i = 0; i < round->n; i++)
        round->objects[i].at = reader->n_steps - 1 - round->objects[i].above;
    return round->n > 0;
}

/* ---- asking them ---- */

static int part_ask(const struct round *round, struct object *object, uint64_t key,
                    unsigned ask)
{
    unsigned part = object->part[ask];
    const struct store_op *op = &round->ops[part];
    struct bytes bytes = buf_bytes(&round->parts[part]);
    if (op->err != OK)
        return op->err;
    uint64_t skip = object->sector_at[ask] - op->range.offset;
    if (skip + ROLLUP_SECTOR > bytes.len)
        return ERR_CORRUPT;
    return rollup_ask(&object->shape, bytes_of(bytes.data + skip, ROLLUP_SECTOR), key,
                      &object->hits[ask]);
}

/* ERR_NOT_FOUND when it has gone. What is wrong with it otherwise makes it silent about the
 * asks that it concerns. */
static int object_ask(struct rollup_reader *reader, const struct round *round,
                      struct object *object, const char *key)
{
    const struct step *step = &reader->steps[object->at];
    int wrong = OK;
    if (object->shape.sectors == 0)
        return OK;
    for (unsigned i = 0; i < reader->n_asks; i++) {
        if (!step_asks(step, i))
            continue;
        int err = part_ask(round, object, reader->asks[i].key, i);
        if (err == ERR_NOT_FOUND)
            return err;
        if (err == OK)
            object->silent &= ~(UINT64_C(1) << i);
        else
            wrong = err;
    }
    (void)!damage_of(reader->repo, key, wrong);
    return OK;
}

/* The step becomes what is left of it on the level below. */
static void object_expand(struct rollup_reader *reader, const struct object *object)
{
    struct step below[ROLLUP_COLUMNS_MAX];
    struct step step = reader->steps[object->at];
    size_t n = 0;
    if (object->silent == step.asks) {
        n += step_make(reader, step.level - 1, step.from, step.end, step.asks, &below[0]);
        steps_replace(reader, object->at, below, n);
        return;
    }
    uint64_t span = rollup_span(step.level);
    for (unsigned c = 0; c < object->shape.columns; c++) {
        uint64_t asks = object->silent;
        for (unsigned i = 0; i < reader->n_asks; i++) {
            if (step_asks(&step, i) && (object->silent >> i & 1) == 0 &&
                rollup_hit(&object->hits[i], c))
                asks |= UINT64_C(1) << i;
        }
        uint64_t from = rollup_low_of(object->shape.first + c * span);
        uint64_t end = object->shape.first + (c + 1) * span;
        n += step_make(reader, step.level - 1, from > step.from ? from : step.from,
                       end < step.end ? end : step.end, asks, &below[n]);
    }
    steps_replace(reader, object->at, below, n);
}

static void relist(struct rollup_reader *reader)
{
    reader->relists++;
    rollup_names_again(&reader->names);
    for (size_t i = 0; i < reader->n_steps; i++)
        reader->steps[i].ref = NULL;
}

/* The newest object stands first, and the steps of the others lie below its own. */
static void round_run(struct rollup_reader *reader, struct round *round)
{
    bool gone = false;
    if (round->n_parts == 1)
        (void)!store_one(reader->repo->store, &round->ops[0]);
    else if (round->n_parts > 1)
        (void)!store_many(reader->repo->store, round->ops, round->n_parts);
    for (unsigned i = 0; i < round->n; i++) {
        struct object *object = &round->objects[i];
        int err = object_ask(reader, round, object, round->keys[i].s);
        if (err == ERR_NOT_FOUND && reader->relists < RELISTS_MAX) {
            gone = true;
            continue;
        }
        if (err != OK)
            object->silent = reader->steps[object->at].asks;
        object_expand(reader, object);
    }
    if (gone)
        relist(reader);
    reader->ahead =
        2 * reader->ahead < reader->ahead_most ? 2 * reader->ahead : reader->ahead_most;
}

bool rollup_reader_next(struct rollup_reader *reader, struct rollup_range *out)
{
    while (reader->n_steps > 0) {
        size_t last = reader->n_steps - 1;
        if (reader->steps[last].level > 0) {
            if (round_plan(reader, &reader->round))
                round_run(reader, &reader->round);
            continue;
        }
        if (step_renew(reader, last) == 0)
            continue;
        const struct step *step = &reader->steps[last];
        *out = (struct rollup_range){.from = step->from, .end = step->end, .asks = step->asks};
        reader->n_steps--;
        return true;
    }
    return false;
}
