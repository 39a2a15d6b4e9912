#include "pipeline/repo/history/rollup_build.h"

#include <stdio.h>
#include <stdlib.h>

#include "formats/base/limits.h"
#include "pipeline/repo/history/rollup_keys.h"

struct build {
    struct repo *repo;
    const struct rollup_plan *plan;
    struct key_gather gather;
    bool one_pass; /* all keys are in `gather` */
    uint64_t counts[ROLLUP_COLUMNS_MAX];
    uint64_t count_above;
    bool too_large; /* whatever was wanted: it need not be counted further */
};

/* ---- passes ---- */

static int pass_run(struct build *build, uint64_t low, uint64_t width)
{
    const struct rollup_plan *plan = build->plan;
    struct key_gather *gather = &build->gather;
    gather->low = low;
    gather->high = width > UINT64_MAX - low ? UINT64_MAX : low + width;
    return key_gather_run(gather, build->repo, &plan->project, plan->first,
                          rollup_span(plan->level), plan->columns);
}

static int build_passes(struct build *build, void (*use)(struct build *, void *arg), void *arg)
{
    struct key_gather *gather = &build->gather;
    uint64_t low = 0;
    uint64_t width = UINT64_MAX;
    for (;;) {
        int err = pass_run(build, low, width);
        if (err != OK)
            return err;
        use(build, arg);
        if (gather->high == UINT64_MAX || build->too_large)
            return OK;
        width = gather->high - gather->low;
        low = gather->high + 1;
    }
}

static uint64_t count_most(const struct build *build)
{
    uint64_t most = 0;
    for (unsigned c = 0; c < build->plan->columns; c++)
        most = build->counts[c] > most ? build->counts[c] : most;
    return most;
}

static void keys_count(struct build *build, void *arg UNUSED)
{
    struct key_gather *gather = &build->gather;
    build->one_pass = gather->low == 0 && gather->high == UINT64_MAX;
    for (unsigned c = 0; c < gather->n; c++)
        build->counts[c] += gather->columns[c].n;
    if (build->plan->above)
        build->count_above += key_gather_union(gather);
    build->too_large = rollup_sectors(count_most(build), build->plan->columns) == 0 &&
                       (!build->plan->above || rollup_sectors(build->count_above, 1) == 0);
}

/* ---- objects ---- */

struct object {
    struct rollup rollup;
    bool above; /* all keys go into one column */
    uint8_t *bytes;
};

/* Slice by slice of the numbers, each about one sector of the object: so a part of it is filled
 * by all columns while it is at hand. */
static void keys_fill(struct build *build, void *arg)
{
    struct object *object = arg;
    const struct key_gather *gather = &build->gather;
    const struct rollup_shape *shape = &object->rollup.shape;
    size_t at[ROLLUP_COLUMNS_MAX] = {0};
    uint64_t width = (gather->high - gather->low) / shape->sectors;
    for (uint32_t slice = 1; slice <= shape->sectors; slice++) {
        uint64_t last = slice == shape->sectors ? gather->high : gather->low + slice * width;
        for (unsigned c = 0; c < gather->n; c++) {
            const struct key_list *list = &gather->columns[c];
            size_t from = at[c];
            while (at[c] < list->n && list->keys[at[c]] <= last)
                at[c]++;
            if (at[c] > from)
                rollup_add(shape, object->above ? 0 : c, list->keys + from, at[c] - from,
                           object->bytes);
        }
    }
}

static int object_fill(struct build *build, struct object *object, rollup_sink *sink, void *arg)
{
    struct rollup_shape *shape = &object->rollup.shape;
    size_t len = rollup_len(shape);
    int err = OK;
    object->bytes = calloc(1, len);
    if (object->bytes == NULL) {
        (void)fputs("out of memory\n", stderr);
        abort();
    }
    if (shape->sectors > 0 && build->one_pass)
        keys_fill(build, object);
    else if (shape->sectors > 0)
        err = build_passes(build, keys_fill, object);
    if (err == OK) {
        rollup_seal(&object->rollup, object->bytes);
        err = sink(arg, &object->rollup, bytes_of(object->bytes, len));
    }
    free(object->bytes);
    return err;
}

/* Counts of what is too large to be made say nothing, and are left at zero. */
static struct object object_of(const struct build *build, bool above, uint64_t source)
{
    const struct rollup_plan *plan = build->plan;
    struct object object = {.above = above};
    unsigned columns = above ? 1 : plan->columns;
    const uint64_t *counts = above ? &build->count_above : build->counts;
    uint64_t most = above ? build->count_above : count_most(build);
    object.rollup = (struct rollup){
        .shape = {.project = plan->project,
                  .level = plan->level + above,
                  .columns = columns,
                  .first = plan->first,
                  .sectors = rollup_sectors(most, columns)},
        .source = source,
    };
    for (unsigned c = 0; c < columns && object.rollup.shape.sectors > 0; c++)
        object.rollup.keys[c] = (uint32_t)counts[c];
    return object;
}

int rollup_build(struct repo *repo, const struct rollup_plan *plan, rollup_sink *sink,
                 void *arg)
{
    uint64_t end = plan->first + plan->columns * rollup_span(plan->level);
    assert(rollup_name_ok(plan->level, plan->first, end));
    assert(!plan->above ||
           (plan->columns == ROLLUP_COLUMNS_MAX && plan->level < ROLLUP_LEVELS));
    struct build build = {.repo = repo, .plan = plan};
    build.gather.kept_max = plan->keys_kept > 0 ? plan->keys_kept : ROLLUP_KEYS_KEPT;
    int err = build_passes(&build, keys_count, NULL);
    uint64_t source = build.gather.source;
    struct object object = object_of(&build, false, source);
    if (err == OK)
        err = object_fill(&build, &object, sink, arg);
    if (err == OK && plan->above) {
        object = object_of(&build, true, source);
        err = object_fill(&build, &object, sink, arg);
    }
    key_gather_release(&build.gather);
    return err;
}
