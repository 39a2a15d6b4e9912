#include "pipeline/stages/rollup_project.h"
#include "formats/base/limits.h"
#include "formats/key.h"
#include "pipeline/repo/damage.h"
#include "pipeline/repo/history/rollup_build.h"
#include "pipeline/repo/history/rollup_list.h"
#include "pipeline/repo/history/rollup_source.h"
#include "pipeline/repo/put_once.h"

#define DELETES_AT_ONCE 64u

unsigned rollup_columns_at(unsigned level, uint64_t number, uint64_t full)
{
    assert(number < full);
    unsigned in_group = (unsigned)(number % ROLLUP_COLUMNS_MAX);
    unsigned left = ROLLUP_COLUMNS_MAX - in_group;
    if (full - number < left)
        left = (unsigned)(full - number);
    if (level == ROLLUP_LEVELS)
        return 1;
    if (left == ROLLUP_COLUMNS_MAX)
        return left;
    unsigned columns = 64;
    while (columns > left || in_group % columns != 0)
        columns /= 2;
    return columns;
}

/* One level of one project, while it is gone through. */
struct round {
    struct repo *repo;
    struct rollup_log *log;
    unsigned level;
    struct rollup_ref *refs; /* what lies there from the level's `full` on */
    size_t n_refs;
    uint64_t landings; /* that were read in this run */
    int put;
};

/* ---- putting ---- */

static int object_put(void *arg, const struct rollup *rollup, struct bytes object)
{
    struct round *round = arg;
    const struct rollup_shape *shape = &rollup->shape;
    struct key key = key_rollup(&shape->project, shape->level, shape->first, rollup_end(shape));
    int err = round->log->rebuild ? put_again(round->repo, key.s, object)
                                  : put_once(round->repo, key.s, object);
    /* Something else lies there, and has been logged: for those who make all anew. */
    if (err == ERR_CONFLICT)
        err = OK;
    round->put += err == OK;
    return err;
}

static int object_make(struct round *round, uint64_t first, unsigned columns)
{
    struct rollup_plan plan = {
        .project = round->log->project,
        .level = round->level,
        .first = first,
        .columns = columns,
        /* The one column of the highest level is made along with the group that it stands over,
         * which takes as long a look at the log. */
        .above = columns == ROLLUP_COLUMNS_MAX && round->level + 1 == ROLLUP_LEVELS &&
                 !round->log->rebuild,
    };
    int err = rollup_build(round->repo, &plan, object_put, round);
    round->landings += columns * rollup_span(round->level);
    return err;
}

static bool is_there(const struct round *round, uint64_t first, uint64_t end)
{
    for (size_t i = 0; i < round->n_refs; i++) {
        if (round->refs[i].first == first && round->refs[i].end == end)
            return true;
    }
    return false;
}

/* ---- what has been replaced ---- */

/* Whether it is one that this stage puts: others are left alone. */
static bool is_part(unsigned level, const struct rollup_ref *ref)
{
    uint64_t span = rollup_span(level);
    uint64_t columns = (ref->end - ref->first) / span;
    return (columns & (columns - 1)) == 0 && (ref->first - 1) / span % 100 % columns == 0;
}

/* The object lies there and is what its name says, as far as its header tells. */
static int header_check(const struct round *round, uint64_t first, uint64_t end, bool *whole)
{
    AUTO_BUF header = {0};
    struct rollup rollup;
    uint64_t size;
    const struct id16 *project = &round->log->project;
    struct key key = key_rollup(project, round->level, first, end);
    int err =
        store_get(round->repo->store, key.s, range_of(0, ROLLUP_SECTOR), &header, NULL, &size);
    if (err == OK)
        err = rollup_decode(buf_bytes(&header), &rollup);
    if (err == OK && (!id16_equal(&rollup.shape.project, project) ||
                      rollup.shape.level != round->level || rollup.shape.first != first ||
                      rollup_end(&rollup.shape) != end || rollup_len(&rollup.shape) != size))
        err = ERR_CORRUPT;
    err = damage_of(round->repo, key.s, err);
    *whole = err == OK;
    return err == ERR_CORRUPT ? OK : err;
}

/* Deletes what lies inside [first, end), which one object has by now. */
static int parts_delete(struct round *round, uint64_t first, uint64_t end)
{
    struct key keys[DELETES_AT_ONCE];
    struct store_op ops[DELETES_AT_ONCE] = {0};
    size_t n = 0;
    for (size_t i = 0; i < round->n_refs && n < DELETES_AT_ONCE; i++) {
        const struct rollup_ref *ref = &round->refs[i];
        if (ref->first < first || ref->end > end || ref->end - ref->first == end - first ||
            !is_part(round->level, ref))
            continue;
        keys[n] = key_rollup(&round->log->project, round->level, ref->first, ref->end);
        ops[n] = (struct store_op){.verb = STORE_DELETE, .key = keys[n].s};
        n++;
    }
    if (n == 0)
        return OK;
    bool whole;
    int err = header_check(round, first, end, &whole);
    return err == OK && whole ? store_many(round->repo->store, ops, n) : err;
}

/* ---- a level ---- */

static bool has_read_enough(const struct round *round)
{
    return round->landings >= ROLLUP_LANDINGS_A_RUN;
}

/* One object after another, from the last full group on. */
static int level_go(struct round *round, uint64_t full)
{
    struct rollup_level *level = &round->log->levels[round->level - 1];
    uint64_t span = rollup_span(round->level);
    uint64_t group = span * (round->level == ROLLUP_LEVELS ? 1 : ROLLUP_COLUMNS_MAX);
    uint64_t at = level->full;
    while ((at - 1) / span < full) {
        if (has_read_enough(round))
            return OK;
        unsigned columns = rollup_columns_at(round->level, (at - 1) / span, full);
        uint64_t end = at + columns * span;
        bool again = round->log->rebuild && end > level->rebuilt;
        int err = OK;
        if (again || !is_there(round, at, end))
            err = object_make(round, at, columns);
        if (err == OK)
            err = parts_delete(round, at, end);
        if (err != OK)
            return err;
        if (again)
            level->rebuilt = end;
        if ((at - 1) % group == 0 && end - at == group)
            level->full = end;
        at = end;
    }
    level->end = at;
    return OK;
}

static int level_visit(struct repo *repo, struct rollup_log *log, unsigned number,
                       struct round *round)
{
    AUTO(arena_release) struct arena arena = {0};
    struct rollup_level *level = &log->levels[number - 1];
    uint64_t full = (log->end - 1) / rollup_span(number);
    if (level->full == 0)
        *level = (struct rollup_level){.full = 1, .end = 1, .rebuilt = 1};
    if (level->end == 1 + full * rollup_span(number) && level->end > 1)
        return OK;
    if (full == 0)
        return OK;
    round->level = number;
    int err = rollup_list(repo, &log->project, number, level->full, UINT64_MAX, &arena,
                          &round->refs, &round->n_refs);
    return err == OK ? level_go(round, full) : err;
}

/* ---- a project ---- */

int rollup_project(struct repo *repo, struct rollup_log *log, const struct head *head)
{
    struct round round = {.repo = repo, .log = log};
    bool settled = log->end > 0;
    for (unsigned i = 0; i < ROLLUP_LEVELS && settled; i++)
        settled = log->levels[i].end + rollup_span(i + 1) > log->end;
    if (settled && head->position < log->end + rollup_span(1))
        return 0;
    uint64_t end;
    int err = rollup_source_end(repo, &log->project, log->end > 0 ? log->end : 1, &end);
    if (err == OK)
        log->end = end;
    for (unsigned i = 1; i <= ROLLUP_LEVELS && err == OK && !has_read_enough(&round); i++)
        err = level_visit(repo, log, i, &round);
    /* Nobody knows what came of a put or delete. What the log does not have any more under the
     * name that was asked for, it has under another: the next visit looks again. */
    for (unsigned i = 0; i < ROLLUP_LEVELS && err != OK; i++)
        log->levels[i].end = log->levels[i].full;
    return err != OK && err != ERR_CONFLICT ? err : round.put;
}
