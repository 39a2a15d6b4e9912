#include "tests/sim/sim_refs.h"

#include "api/service/service_refs.h"
#include "formats/base/hash.h"
#include "formats/base/hex.h"
#include "formats/project_id.h"
#include "pipeline/derive/refs/refs_cycle.h"
#include "tests/sim/sim.h"

#define NAMES     4u
#define ADDRESSES (2 * NAMES + 2)
#define TRIES_MAX 6u
#define TOLD_MAX  4096u

struct refs_counts *refs_counts;

static const char *const names[NAMES] = {"a", "b", "c/d", "c/e"};

/* ---- recipes ---- */

/* Over one name, over two of them, and leaves. */
static struct recipe_input inputs_of(unsigned which, unsigned k)
{
    unsigned name = k == 0 ? which % NAMES : (which + 1) % NAMES;
    return (struct recipe_input){.kind = RECIPE_REF, .ref = bytes_str(names[name])};
}

static uint32_t n_inputs_of(unsigned which)
{
    return which < NAMES ? 1 : which < 2 * NAMES ? 2 : 0;
}

static struct hash address_of(unsigned which)
{
    AUTO_BUF canonical = {0};
    struct recipe_input inputs[2] = {inputs_of(which, 0), inputs_of(which, 1)};
    struct recipe recipe = {.function = bytes_str("concat"),
                            .version = bytes_str("1.0.0"),
                            .inputs = inputs,
                            .n_inputs = n_inputs_of(which)};
    if (recipe.n_inputs == 0)
        return sha256(bytes_of(&which, sizeof(which)));
    recipe_encode(&recipe, &canonical);
    return recipe_address(buf_bytes(&canonical));
}

static int recipe_find(void *arg, const struct id16 *project, const struct hash *address,
                       uint64_t *since_us, struct arena *arena, struct recipe *out)
{
    (void)arg;
    (void)project;
    /* All is known here at any time. */
    if (*since_us == 0)
        *since_us = 1;
    for (unsigned which = 0; which < 2 * NAMES; which++) {
        struct hash there = address_of(which);
        if (!hash_equal(&there, address))
            continue;
        *out = (struct recipe){.function = bytes_str("concat"),
                               .version = bytes_str("1.0.0"),
                               .n_inputs = n_inputs_of(which)};
        out->inputs = arena_array(arena, out->n_inputs, struct recipe_input);
        for (unsigned k = 0; k < out->n_inputs; k++)
            out->inputs[k] = inputs_of(which, k);
        return OK;
    }
    return ERR_NOT_FOUND;
}

struct refs_source sim_refs_source(void)
{
    return (struct refs_source){.recipe = recipe_find};
}

/* ---- a client ---- */

/* What somebody was told. */
static struct {
    struct id16 project;
    unsigned name;
    bool bound;
    struct hash address;
    uint64_t position;
} told[TOLD_MAX];
static size_t n_told;

struct ref_call {
    struct call call; /* first */
    struct client *client;
    unsigned project;
    unsigned name;
    bool binds;
    struct hash address;
    struct ref_expected expected;
    uint64_t wait_ms;
    struct ref_done done;
};

static void on_done(void *arg, const struct ref_done *done)
{
    struct ref_call *rc = arg;
    rc->done = *done;
    call_done(&rc->call);
}

static void ref_run(struct call *call, struct process *front)
{
    struct ref_call *rc = (struct ref_call *)call;
    const struct id16 *project = &rc->client->sim->oracle.projects[rc->project].id;
    struct bytes name = bytes_str(names[rc->name]);
    struct problem problem = {0};
    int err = rc->binds ? service_ref_bind(front->service, &rc->client->caller, project, name,
                                           &rc->address, &rc->expected, client_arena(),
                                           rc->wait_ms, on_done, rc, &problem)
                        : service_ref_delete(front->service, &rc->client->caller, project, name,
                                             &rc->expected, client_arena(), rc->wait_ms,
                                             on_done, rc, &problem);
    if (err == OK)
        return;
    rc->done = (struct ref_done){.err = err, .problem = problem};
    trace("%s refuses: %s: %s", front->name, problem.code, problem.message);
    call_done(call);
}

static void told_keep(const struct ref_call *rc)
{
    if (n_told == TOLD_MAX)
        return;
    told[n_told].project = rc->client->sim->oracle.projects[rc->project].id;
    told[n_told].name = rc->name;
    told[n_told].bound = rc->binds;
    told[n_told].address = rc->address;
    told[n_told++].position = rc->done.position;
    if (rc->binds)
        refs_counts->bound++;
    else
        refs_counts->deleted++;
}

/* One answer. True when it is to be asked again. */
static bool answer_take(const struct ref_call *rc)
{
    const struct ref_done *done = &rc->done;
    const char *code = done->err == OK ? "" : done->problem.code;
    client_seen(rc->client, done->hlc);
    if (done->err == OK && !done->pending)
        told_keep(rc);
    if (strcmp(code, "project_damaged") == 0)
        broken("named", "a front says project_damaged of references");
    refs_counts->conflicts += strcmp(code, "ref_conflict") == 0;
    refs_counts->cycles += strcmp(code, "ref_cycle") == 0;
    refs_counts->moved += strcmp(code, "ref_moved") == 0;
    return done->err == ERR_AGAIN || done->err == ERR_UNKNOWN;
}

void client_ref(struct client *c)
{
    struct ref_call asked = {.client = c, .binds = world_below(100) < 85};
    asked.project = (unsigned)world_below(c->sim->oracle.n_projects);
    asked.name = (unsigned)world_below(NAMES);
    asked.address = address_of((unsigned)world_below(ADDRESSES));
    asked.expected.what = (enum ref_expected_what)(world_chance(7000) ? 0 : world_below(3));
    asked.expected.address = address_of((unsigned)world_below(ADDRESSES));
    asked.wait_ms = world_chance(8000) ? 30000 : 0;
    for (unsigned tries = 0; tries < TRIES_MAX; tries++) {
        struct ref_call *rc = arena_new(client_arena(), struct ref_call);
        *rc = asked;
        rc->call.run = ref_run;
        call_make(&rc->call, client_front(c), client_patience_us(rc->wait_ms));
        bool came = !rc->call.refused && rc->call.state == CALL_DONE;
        if (came && !answer_take(rc))
            return;
        client_rest(c, tries);
    }
}

/* ---- what must hold ---- */

static void project_check(struct oracle *o, const struct id16 *project)
{
    AUTO(arena_release) struct arena arena = {0};
    const struct refs_source source = sim_refs_source();
    struct refs_snapshot *snap = refs_snapshot_open(&o->repo, project, &source);
    for (unsigned i = 0; i < NAMES; i++) {
        struct hash address;
        struct refs_cycle cycle = {0};
        struct bytes name = bytes_str(names[i]);
        int err = refs_snapshot_bound(snap, name, &address);
        if (err == OK)
            err = refs_cycle_find(snap, &source, project, name, &address, &arena, &cycle);
        if (err != OK && err != ERR_NOT_FOUND)
            broken("durable", "references cannot be read: %s", err_name(err));
        if (cycle.n > 0)
            broken("serial", "ref %s is computed from itself, over %zu refs", names[i],
                   cycle.n);
    }
    refs_snapshot_close(snap);
    refs_counts->heads++;
}

void oracle_refs_head(struct oracle *o, const struct id16 *refs)
{
    struct id16 project = project_id_plain(refs);
    project_check(o, &project);
}

static bool in_history(struct oracle *o, size_t i)
{
    AUTO(arena_release) struct arena arena = {0};
    struct refs_history history;
    int err = refs_history(&o->repo, &told[i].project, bytes_str(names[told[i].name]),
                           told[i].position, 1, &arena, &history);
    if (err != OK || history.n == 0)
        return false;
    const struct ref_change *change = &history.changes[0];
    return change->position == told[i].position && change->bound == told[i].bound &&
           (!change->bound || hash_equal(&change->address, &told[i].address));
}

void oracle_refs_final(struct oracle *o)
{
    for (unsigned i = 0; i < o->n_projects; i++)
        project_check(o, &o->projects[i].id);
    for (size_t i = 0; i < n_told; i++) {
        if (!in_history(o, i))
            broken("durable", "ref %s was told to be %s at %lu, and was not",
                   names[told[i].name], told[i].bound ? "bound" : "deleted",
                   (unsigned long)told[i].position);
    }
}
