#include "pipeline/derive/refs/refs_cycle.h"

#include "formats/base/hash.h"
#include "formats/base/limits.h"
#include "formats/ref.h"

/* An address to be looked at, and over which ref the walk came to it. */
struct step {
    struct hash address;
    uint32_t ref; /* 0: the name that is to be bound; else number in `refs`, plus 1 */
};

/* A ref that the walk has come to. */
struct passed {
    struct bytes name;
    uint32_t from; /* as in a step */
};

struct walk {
    struct refs_snapshot *snap;
    const struct refs_source *source;
    uint64_t since_us;
    const struct id16 *project;
    struct bytes name;
    struct arena arena;
    struct step *steps;
    size_t n_steps;
    size_t cap_steps;
    /* Addresses that are or were among the steps, and hashes of the names of refs that were
     * asked for; open addressing. */
    struct hash *known;
    size_t n_known;
    size_t n_slots;
    size_t n_names;
    struct passed *refs;
    size_t n_refs;
    size_t cap_refs;
    bool found;
    uint32_t last; /* the ref that is over the name again */
};

/* ---- addresses ---- */

static struct hash *slot_of(const struct walk *w, const struct hash *address)
{
    size_t at = (size_t)xxh3_64(bytes_of(address->b, sizeof(address->b))) & (w->n_slots - 1);
    while (!hash_is_zero(&w->known[at]) && !hash_equal(&w->known[at], address))
        at = (at + 1) & (w->n_slots - 1);
    return &w->known[at];
}

static void table_grow(struct walk *w)
{
    struct hash *old = w->known;
    size_t n_old = w->n_slots;
    w->n_slots = n_old > 0 ? 2 * n_old : 1024;
    w->known = arena_array(&w->arena, w->n_slots, struct hash);
    for (size_t i = 0; i < n_old; i++) {
        if (!hash_is_zero(&old[i]))
            *slot_of(w, &old[i]) = old[i];
    }
}

/* Whether the walk meets it for the first time. */
static bool is_new(struct walk *w, const struct hash *what)
{
    if (2 * (w->n_known + 1) > w->n_slots)
        table_grow(w);
    struct hash *slot = slot_of(w, what);
    if (hash_is_zero(what) || hash_equal(slot, what))
        return false;
    *slot = *what;
    w->n_known++;
    return true;
}

static int address_add(struct walk *w, const struct hash *address, uint32_t ref)
{
    if (!is_new(w, address))
        return OK;
    if (w->n_known > REF_WALK_MAX)
        return ERR_LIMIT;
    struct step *step =
        arena_push(&w->arena, (void **)&w->steps, &w->n_steps, &w->cap_steps, sizeof(*step));
    *step = (struct step){.address = *address, .ref = ref};
    return OK;
}

/* ---- refs ---- */

static int ref_add(struct walk *w, struct bytes name, uint32_t from)
{
    struct hash address;
    struct hash hash = sha512_256("micelio ref of a walk", name);
    if (bytes_equal(name, w->name)) {
        w->found = true;
        w->last = from;
        return OK;
    }
    /* `head` is a tree, and what nobody can bind is nothing. */
    if (ref_name_check(name, NULL) != OK || !is_new(w, &hash))
        return OK;
    if (++w->n_names > REF_READS_MAX)
        return ERR_LIMIT;
    int err = refs_snapshot_bound(w->snap, name, &address);
    if (err != OK)
        return err == ERR_NOT_FOUND ? OK : err;
    struct passed *passed =
        arena_push(&w->arena, (void **)&w->refs, &w->n_refs, &w->cap_refs, sizeof(*passed));
    *passed = (struct passed){.name = arena_copy(&w->arena, name), .from = from};
    /* It may have been bound a moment ago to what was told a moment ago. */
    w->since_us = 0;
    return address_add(w, &address, (uint32_t)w->n_refs);
}

static int step_take(struct walk *w, const struct step *step)
{
    AUTO(arena_release) struct arena scratch = {0};
    struct recipe recipe;
    int err = w->source->recipe(w->source->arg, w->project, &step->address, &w->since_us,
                                &scratch, &recipe);
    if (err != OK)
        return err == ERR_NOT_FOUND ? OK : err;
    for (uint32_t i = 0; i < recipe.n_inputs && err == OK && !w->found; i++) {
        const struct recipe_input *input = &recipe.inputs[i];
        if (input->kind == RECIPE_ADDRESS)
            err = address_add(w, &input->address, step->ref);
        else
            err = ref_add(w, input->ref, step->ref);
    }
    return err;
}

/* The refs on the way from the name back to it. */
static void cycle_take(const struct walk *w, struct arena *arena, struct refs_cycle *out)
{
    size_t n = 1;
    for (uint32_t at = w->last; at != 0; at = w->refs[at - 1].from)
        n++;
    out->names = arena_array(arena, n, struct bytes);
    out->n = n;
    out->names[0] = arena_copy(arena, w->name);
    for (uint32_t at = w->last; at != 0; at = w->refs[at - 1].from)
        out->names[--n] = arena_copy(arena, w->refs[at - 1].name);
}

int refs_cycle_find(struct refs_snapshot *snap, const struct refs_source *source,
                    const struct id16 *project, struct bytes name, const struct hash *address,
                    struct arena *arena, struct refs_cycle *out)
{
    struct walk w = {.snap = snap, .source = source, .project = project, .name = name};
    *out = (struct refs_cycle){0};
    if (source == NULL || source->recipe == NULL)
        return OK;
    w.since_us = source->since_us;
    int err = address_add(&w, address, 0);
    while (err == OK && !w.found && w.n_steps > 0) {
        struct step step = w.steps[--w.n_steps];
        err = step_take(&w, &step);
    }
    if (err == OK && w.found)
        cycle_take(&w, arena, out);
    arena_release(&w.arena);
    return err;
}
