/* Derivation: what depends on what, and taking results out of the cache. */
#include <stddef.h>
#include <stdlib.h>

#include "api/service/derive_parts.h"
#include "api/service/id_map.h"

int service_derive_look(struct service *service, const struct caller *caller,
                        const struct id16 *project, struct problem *problem)
{
    int err = service_derive_on(service, problem);
    if (err != OK)
        return err;
    struct clock *clock = service->repo->clock;
    err = derive_look_since(service->derive, project,
                            caller->asked_us > 0 ? caller->asked_us : clock->mono_us(clock));
    return err == OK ? OK : service_problem(problem, err, "the derive log");
}

int service_derive_dependents(struct service *service, const struct id16 *project,
                              const struct derive_root *root, const struct hash *after,
                              size_t max, struct arena *arena, struct derive_page *out,
                              struct problem *problem)
{
    int err = service_derive_on(service, problem);
    if (err != OK)
        return err;
    err = derive_index_dependents(service->derive->index, project, root, after, max + 1, arena,
                                  &out->addresses, &out->n);
    if (err != OK)
        return service_problem(problem, err, "the index");
    out->more = out->n > max;
    if (out->more)
        out->n = max;
    return OK;
}

int service_derive_affected(struct service *service, const struct id16 *project,
                            const struct derive_root *root, struct derive_walk *out,
                            struct problem *problem)
{
    int err = service_derive_on(service, problem);
    if (err == OK) {
        err = derive_index_walk(service->derive->index, project, root, NULL, NULL, out);
        if (err != OK)
            err = service_problem(problem, err, "the index");
    }
    return err;
}

/* --- lineage --- */

struct lineage_walk {
    struct derive_source *sees;
    struct arena *arena;
    struct id_map met;
    struct lineage *out;
    size_t cap;
    size_t max;
};

struct lineage_met {
    struct id_link link;
    uint32_t node;
};

static uint64_t address_hash(const struct hash *address)
{
    uint64_t hash;
    memcpy(&hash, address->b, sizeof(hash));
    return hash;
}

/* The node of an address, a new one where it was not met; LINEAGE_MAX beyond the limit. */
static uint32_t node_of(struct lineage_walk *walk, const struct hash *address)
{
    struct lineage *out = walk->out;
    uint64_t hash = address_hash(address);
    for (struct id_link *link = id_map_first(&walk->met, hash); link != NULL;
         link = id_map_next(link)) {
        const struct lineage_met *met =
            (const struct lineage_met *)((char *)link - offsetof(struct lineage_met, link));
        if (hash_equal(&out->nodes[met->node].address, address))
            return met->node;
    }
    if (out->n == walk->max) {
        out->more = true;
        return LINEAGE_MAX;
    }
    struct lineage_met *met = arena_new(walk->arena, struct lineage_met);
    met->node = (uint32_t)out->n;
    id_map_add(&walk->met, &met->link, hash);
    struct lineage_node *node =
        arena_push(walk->arena, (void **)&out->nodes, &out->n, &walk->cap, sizeof(*node));
    node->address = *address;
    return met->node;
}

static int input_node(struct lineage_walk *walk, const struct recipe_input *input,
                      uint32_t *out)
{
    struct hash address = input->address;
    if (input->kind == RECIPE_REF) {
        int err = walk->sees->ref(walk->sees, input->ref, input->path, &address);
        if (err == ERR_NOT_FOUND)
            address = (struct hash){0};
        else if (err != OK)
            return err;
    }
    *out = node_of(walk, &address);
    return OK;
}

static int node_look(struct lineage_walk *walk, size_t at)
{
    struct lineage_node *node = &walk->out->nodes[at];
    int err = walk->sees->find(walk->sees, &node->address, walk->arena, &node->what);
    if (err == ERR_NOT_FOUND)
        return OK;
    if (err != OK)
        return err;
    node->found = true;
    if (node->what.is != DERIVE_IS_RECIPE)
        return OK;
    /* The nodes move when others come. */
    const struct recipe recipe = node->what.recipe;
    uint32_t *inputs = arena_array(walk->arena, recipe.n_inputs, uint32_t);
    node->inputs = inputs;
    for (uint32_t i = 0; i < recipe.n_inputs && err == OK; i++)
        err = input_node(walk, &recipe.inputs[i], &inputs[i]);
    return err;
}

int service_derive_lineage(struct service *service, const struct caller *caller,
                           const struct id16 *project, const struct hash *address, size_t max,
                           struct arena *arena, struct lineage *out, struct problem *problem)
{
    int err = service_derive_on(service, problem);
    if (err != OK)
        return err;
    struct project_source *source =
        project_source_open(service->derive, project, caller->asked_us);
    struct lineage_walk walk = {.sees = project_source_hold(source),
                                .arena = arena,
                                .out = out,
                                .max = max < LINEAGE_MAX ? max : LINEAGE_MAX};
    *out = (struct lineage){.n = 0};
    (void)node_of(&walk, address);
    for (size_t i = 0; i < out->n && err == OK; i++)
        err = node_look(&walk, i);
    id_map_release(&walk.met);
    walk.sees->release(walk.sees);
    project_source_drop(source);
    if (err != OK)
        return service_problem(problem, err, "what it is computed from");
    if (!out->nodes[0].found)
        return service_derive_failed(problem, ERR_NOT_FOUND, address);
    return OK;
}

int service_derive_invalidate(struct service *service, const struct id16 *project,
                              const struct derive_root *root, const struct invalidation *what,
                              struct invalidated *out, struct problem *problem)
{
    int err = service_derive_on(service, problem);
    if (err != OK)
        return err;
    err = derive_invalidate(service->derive, project, root, what, out);
    if (err == ERR_LIMIT)
        return problem_set(problem, ERR_AGAIN, "queue_full", NULL,
                           "too many cascades are being freed; try again later");
    return err == OK ? OK : service_problem(problem, err, "the index");
}

struct project_source *service_derive_before(struct service *service,
                                             const struct id16 *project, struct bytes ref)
{
    AUTO(arena_release) struct arena arena = {0};
    const struct derive_root root = {.ref = ref};
    const struct hash first = {0};
    struct derive_page page;
    struct problem problem;
    struct head refs;
    struct head head;
    if (service_derive_dependents(service, project, &root, &first, 1, &arena, &page,
                                  &problem) != OK ||
        page.n == 0)
        return NULL;
    struct project_source *source = project_source_open(service->derive, project, 0);
    if (project_source_heads(source, &refs, &head) == OK)
        return source;
    project_source_drop(source);
    return NULL;
}

int service_derive_rebound(struct service *service, const struct id16 *project,
                           struct bytes ref, const struct hash *now,
                           struct project_source *before, struct derive_walk *out,
                           struct problem *problem)
{
    const struct derive_root root = {.ref = ref};
    int err = service_derive_affected(service, project, &root, out, problem);
    if (err == OK && before != NULL && out->count > 0)
        derive_rebound(service->derive, project, ref, now, before);
    return err;
}
