#include "tests/sim/sim_pack.h"

#include <stdlib.h>

#include "pipeline/repo/pack/pack.h"
#include "pipeline/repo/project.h"
#include "tests/sim/counts.h"
#include "tests/sim/sim.h"

struct sim_pack {
    struct stage stage;
    struct repo *repo;
    const bool *calm;
};

/* Gives 1 when it was packed. */
static int pack_one(struct sim_pack *pack, const struct id16 *project)
{
    const struct pack_options options = {.always = !*pack->calm && world_chance(8000),
                                         .part_bytes = (size_t)world_between(1, 3000),
                                         .pages_kept = world_chance(2000) ? 8 : 1000,
                                         .tries_max = (unsigned)world_between(1, 8)};
    struct pack_report report;
    int err = pack_project(pack->repo, project, &options, &report);
    trace("pack: %s, %lu tries", err_name(err), (unsigned long)report.tries);
    if (err != OK && err != ERR_CONFLICT && err != ERR_AGAIN && err != ERR_UNKNOWN)
        broken("named", "a tree cannot be packed: %s", err_name(err));
    if (report.packed)
        count(COUNT_PACKED);
    if (report.packed && report.tries > 1)
        count(COUNT_PACKED_AGAIN);
    return err != OK ? err : report.packed;
}

static int run(struct stage *stage)
{
    struct sim_pack *pack = (struct sim_pack *)stage;
    AUTO(arena_release) struct arena arena = {0};
    struct project_list list;
    int err = project_list(pack->repo, &arena, "", PROJECTS_MAX, &list);
    if (err != OK || list.n == 0)
        return err;
    if (!*pack->calm)
        return pack_one(pack, &list.projects[world_below(list.n)].id);
    int packed = 0;
    for (size_t i = 0; i < list.n; i++) {
        int one = pack_one(pack, &list.projects[i].id);
        if (one < 0)
            return one;
        packed += one;
    }
    return packed;
}

static void close_stage(struct stage *stage)
{
    free(stage);
}

struct stage *sim_pack_open(struct repo *repo, const bool *calm)
{
    struct sim_pack *pack = malloc(sizeof(*pack));
    if (pack == NULL)
        abort();
    *pack = (struct sim_pack){.stage = {.name = "pack", .run = run, .close = close_stage},
                              .repo = repo,
                              .calm = calm};
    return &pack->stage;
}
