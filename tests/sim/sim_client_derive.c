/* A client that puts what is to be derived from through any node, and asks any other: for what
 * it has put itself, for what others have, and for what nobody has. */
#include "formats/base/hash.h"
#include "formats/base/hex.h"
#include "formats/hlc.h"
#include "pipeline/derive/log/derive_follow.h"
#include "pipeline/derive/project_source.h"
#include "pipeline/repo/content/blob_store.h"
#include "tests/sim/oracle_derive.h"
#include "tests/sim/sim.h"
#include "tests/sim/sim_node.h"

#define TRIES_MAX   6u
#define ACTS_MAX    5u
#define PATIENCE_US 8000000u

struct derive_call {
    struct call call; /* first */
    struct client *client;
    struct id16 project;
    uint64_t begun_us;
    /* A put: */
    struct derive_item items[DERIVE_AT_ONCE];
    uint32_t n;
    uint64_t floor; /* the greatest stamp that its client had seen */
    /* A question: */
    const struct thing *thing;
    unsigned key; /* of a memo */
    int err;
    uint64_t hlc;
    enum derive_fault fault;
    struct buf body;
};

static struct derive_call *call_new(struct client *c,
                                    void (*run)(struct call *, struct process *))
{
    struct derive_call *dc = arena_new(client_arena(), struct derive_call);
    *dc = (struct derive_call){.client = c};
    dc->project = c->sim->oracle.projects[world_below(c->sim->oracle.n_projects)].id;
    dc->call.run = run;
    return dc;
}

static struct process *any_node(struct client *c)
{
    struct sim *sim = c->sim;
    return &sim->processes[sim->n_processes - 1 - world_below(sim->n_nodes)];
}

/* True when an answer came back. */
static bool ask(struct derive_call *dc, struct process *node)
{
    dc->begun_us = world_now_us();
    dc->floor = dc->client->caller.hlc;
    call_make(&dc->call, node, PATIENCE_US + world_below(4000000));
    return dc->call.state == CALL_DONE;
}

/* --- putting --- */

static void put_told(void *arg, int err, uint64_t hlc)
{
    struct derive_call *dc = arg;
    dc->err = err;
    dc->hlc = hlc;
    call_done(&dc->call);
}

/* As the service admits a call. */
static int admit(struct process *node, uint64_t hlc)
{
    struct repo *repo = node->repo;
    int err = repo_clock_ok(repo);
    if (err == OK && hlc_too_far(hlc, repo->clock->wall_ms(repo->clock), CLOCK_SKEW_MAX_MS))
        err = ERR_AGAIN;
    if (err == OK)
        repo_hlc_seen(repo, hlc);
    return err;
}

static int leaf_put(const struct derive_call *dc, struct process *node)
{
    struct content content;
    const struct thing *thing = thing_find(&dc->items[0].address);
    struct upload *upload = upload_open(node->repo, &dc->project);
    int err = upload_write(upload, thing->data);
    if (err == OK)
        err = upload_finish(upload, NULL, &content);
    upload_close(upload);
    return err == OK ? derive_put_upload(node->derive, &dc->project, &content) : err;
}

static void put_run(struct call *call, struct process *node)
{
    struct derive_call *dc = (struct derive_call *)call;
    int err = admit(node, dc->floor);
    bool upload = dc->items[0].kind == DERIVE_UPLOAD;
    if (err == OK && upload)
        err = leaf_put(dc, node);
    else if (err == OK)
        err = derive_put(node->derive, &dc->project, dc->items, dc->n, put_told, dc);
    if (err != OK || upload)
        put_told(dc, err, err == OK ? repo_hlc(node->repo) : 0);
}

static void items_draw(struct derive_call *dc)
{
    uint64_t roll = world_below(100);
    unsigned key = (unsigned)world_below(MEMO_KEYS);
    dc->n = 1;
    if (roll < 12) {
        dc->items[0] = thing_memo(key, (unsigned)world_below(3) / 2, 0);
    } else if (roll < 30) {
        unsigned number = (unsigned)world_below(THINGS_LEAVES);
        dc->items[0] =
            (struct derive_item){.kind = world_chance(6000) ? DERIVE_PIN : DERIVE_UNPIN,
                                 .address = thing_of(THINGS_LEAVES + number % 5)->address};
    } else if (roll < 42) {
        dc->items[0] =
            thing_item(thing_of(THINGS_INLINE + (unsigned)world_below(THINGS_UPLOAD)));
    } else {
        dc->n = (uint32_t)world_between(1, DERIVE_AT_ONCE);
        for (uint32_t i = 0; i < dc->n; i++) {
            unsigned number = (unsigned)world_below(THINGS - THINGS_UPLOAD);
            number += number >= THINGS_INLINE ? THINGS_UPLOAD : 0;
            dc->items[i] = thing_item(thing_of(number));
        }
    }
}

/* True when it is to be asked again. */
static bool put_answered(struct derive_call *dc, struct process *node)
{
    struct oracle *o = &dc->client->sim->oracle;
    if (dc->err == ERR_CONFLICT) {
        count(COUNT_DERIVE_HELD);
        return true;
    }
    if (dc->err != OK && dc->err != ERR_AGAIN && dc->err != ERR_UNKNOWN)
        broken("durable", "%s says of a put: %s", node->name, err_name(dc->err));
    if (dc->err != OK) {
        count(dc->err == ERR_AGAIN ? COUNT_DERIVE_AGAIN : COUNT_DERIVE_UNKNOWN);
        if (dc->err == ERR_AGAIN)
            oracle_derive_refused(&dc->items[0], node);
        return true;
    }
    count(COUNT_DERIVE_PUT);
    if (dc->hlc <= dc->floor)
        broken("causal", "%s answers %.3f s to who has seen %.3f s", node->name,
               sim_stamp_s(dc->hlc), sim_stamp_s(dc->floor));
    for (uint32_t i = 0; i < dc->n; i++)
        oracle_derive_told(o, &dc->project, &dc->items[i], node);
    if (dc->items[0].kind == DERIVE_UPLOAD)
        count(COUNT_DERIVE_UPLOADED);
    client_seen(dc->client, dc->hlc);
    return false;
}

/* Every try of a memo is another one. */
static uint64_t cost_next(void)
{
    static uint64_t cost;
    return ++cost % MEMO_COSTS;
}

static void act_put(struct client *c)
{
    struct derive_call first = *call_new(c, put_run);
    items_draw(&first);
    for (unsigned tries = 0; tries < TRIES_MAX; tries++) {
        struct derive_call *dc = arena_new(client_arena(), struct derive_call);
        struct process *node = any_node(c);
        *dc = first;
        if (dc->items[0].kind == DERIVE_MEMO)
            dc->items[0].memo.cost_us = cost_next();
        if (ask(dc, node) && !put_answered(dc, node)) {
            if (c->sim->profile.crash > 0 && !c->sim->calm && node->up && world_chance(300)) {
                count(COUNT_KILLED_ANSWERED);
                process_die(node);
            }
            return;
        }
        client_rest(c, tries);
    }
}

/* --- finding --- */

/* What this client may rely on: it was told before it asked. */
static bool was_told(const struct derive_call *dc, enum derived_class class,
                     const struct hash *address)
{
    const struct derived_row *row = derived_row_find(class, &dc->project, address);
    return row != NULL && row->told_us > 0 && row->told_us < dc->begun_us;
}

static enum derived_class class_of(const struct thing *thing)
{
    return thing->recipe ? DERIVED_RECIPES : DERIVED_LEAVES;
}

static int leaf_read(struct derive_call *dc, struct process *node,
                     const struct derive_leaf *leaf)
{
    if (leaf->uploaded)
        return OK;
    count(derived_merged(&dc->project, leaf->agent, leaf->seq) ? COUNT_DERIVE_READ_MERGED
                                                               : COUNT_DERIVE_READ);
    return derive_read(node->repo, &dc->project, leaf->agent, leaf->seq, leaf->offset,
                       (uint32_t)leaf->size, &dc->body);
}

static void find_run(struct call *call, struct process *node)
{
    struct derive_call *dc = (struct derive_call *)call;
    struct derive_index *index = node->derive->index;
    struct derive_leaf leaf;
    if (dc->thing->recipe) {
        dc->err = derive_index_recipe(index, &dc->project, &dc->thing->address,
                                      DERIVE_MISS_LOOK, &dc->body);
    } else {
        dc->err = derive_index_leaf(index, &dc->project, &dc->thing->address, DERIVE_MISS_LOOK,
                                    &leaf);
        if (dc->err == OK) {
            dc->err = leaf_read(dc, node, &leaf);
            if (dc->err == ERR_NOT_FOUND || dc->err == ERR_CORRUPT)
                broken("durable", "%s finds a leaf, and cannot read it: %s", node->name,
                       err_name(dc->err));
        }
    }
    call_done(call);
}

static void act_find(struct client *c)
{
    struct derive_call *dc = call_new(c, find_run);
    struct process *node = any_node(c);
    dc->thing = thing_of((unsigned)world_below(THINGS));
    if (!ask(dc, node))
        return;
    const struct derived_row *row =
        derived_row_find(class_of(dc->thing), &dc->project, &dc->thing->address);
    if (dc->err == ERR_NOT_FOUND && was_told(dc, class_of(dc->thing), &dc->thing->address))
        broken("durable", "%s does not find %.12s, which was put and answered", node->name,
               hash_hex(&dc->thing->address).s);
    if (dc->err == ERR_NOT_FOUND)
        count(COUNT_DERIVE_ABSENT);
    if (dc->err != OK)
        return;
    if (row == NULL)
        broken("named", "%s finds %.12s, which was never put", node->name,
               hash_hex(&dc->thing->address).s);
    if (dc->body.len > 0 && !bytes_equal(buf_bytes(&dc->body), dc->thing->data))
        broken("named", "%s finds %.12s, and other bytes", node->name,
               hash_hex(&dc->thing->address).s);
    count(COUNT_DERIVE_FOUND);
    if (row->by != NULL && (!row->by->up || row->by->line.life != row->by_life))
        count(COUNT_DERIVE_FOUND_DEAD);
}

/* --- memos --- */

static void memo_run(struct call *call, struct process *node)
{
    AUTO(arena_release) struct arena arena = {0};
    struct derive_call *dc = (struct derive_call *)call;
    struct derive_index *index = node->derive->index;
    struct hash key = thing_memo(dc->key, 0, 0).address;
    struct memo memo;
    dc->err = derive_index_look(index, &dc->project);
    if (dc->err == OK)
        dc->err = derive_index_memo(index, &dc->project, &key, DERIVE_MISS_LOOK, &arena, &memo);
    if (dc->err == OK)
        memo_write(&dc->body, &memo);
    call_done(call);
}

/* The first memo that lay there when it was asked stays, but for one that was told before it
 * and came later. */
static void act_memo(struct client *c)
{
    struct derive_call *dc = call_new(c, memo_run);
    struct process *node = any_node(c);
    dc->key = (unsigned)world_below(MEMO_KEYS);
    struct hash key = thing_memo(dc->key, 0, 0).address;
    const struct derived_row *row = derived_row_find(DERIVED_MEMOS, &dc->project, &key);
    struct bytes before = row != NULL ? row->memo : bytes_of(NULL, 0);
    bool known = row != NULL;
    if (!ask(dc, node) || (dc->err != OK && dc->err != ERR_NOT_FOUND))
        return;
    row = derived_row_find(DERIVED_MEMOS, &dc->project, &key);
    if (dc->err == ERR_NOT_FOUND && known)
        broken("durable", "%s does not find a memo that lay there", node->name);
    if (dc->err == ERR_NOT_FOUND)
        return;
    if (row == NULL)
        broken("named", "%s finds a memo that was never told", node->name);
    bool changed = !bytes_equal(before, row->memo);
    if (!changed && !bytes_equal(buf_bytes(&dc->body), row->memo))
        broken("final", "%s has another memo of a key than the first", node->name);
    count(COUNT_DERIVE_MEMO);
}

/* --- results --- */

static void get_done(void *arg, struct derived *derived, const struct derive_problem *problem)
{
    struct derive_call *dc = arg;
    if (derived == NULL) {
        dc->err = problem->err;
        dc->fault = problem->fault;
        call_done(&dc->call);
        return;
    }
    dc->err = OK;
    count(derived->ran ? COUNT_DERIVE_RAN : COUNT_DERIVE_KNOWN);
    while (dc->body.len < derived->size && dc->err == OK) {
        struct bytes piece;
        dc->err = derived_view(derived, dc->body.len, &piece);
        if (dc->err == OK)
            buf_append_bytes(&dc->body, piece);
    }
    /* It went meanwhile: it is to be got again. */
    if (dc->err != OK) {
        dc->err = ERR_AGAIN;
        dc->fault = DERIVE_FAULT_STORE;
    }
    derived_close(derived);
    call_done(&dc->call);
}

static void get_run(struct call *call, struct process *node)
{
    static const struct verify dual = {.mode = VERIFY_DUAL};
    struct derive_call *dc = (struct derive_call *)call;
    const struct get_options options = {.want = GET_BYTES,
                                        .again = world_chance(500),
                                        .verify = world_chance(1000) ? &dual : NULL,
                                        .done = get_done,
                                        .arg = dc};
    struct project_source *source = project_source_open(node->derive, &dc->project, 0);
    executor_get(node->derive->executor, &dc->project, project_source_hold(source),
                 &dc->thing->address, &options, NULL);
    project_source_drop(source);
}

/* Whether all that it is computed from was told before; and whether each recipe was ever put.
 */
static bool all_told(const struct derive_call *dc, const struct thing *thing)
{
    bool told = was_told(dc, class_of(thing), &thing->address);
    for (unsigned i = 0; i < thing->n_inputs && told; i++)
        told = all_told(dc, thing_of(thing->inputs[i]));
    return told;
}

static bool all_put(const struct derive_call *dc, const struct thing *thing)
{
    bool put = !thing->recipe ||
               derived_row_find(DERIVED_RECIPES, &dc->project, &thing->address) != NULL;
    for (unsigned i = 0; i < thing->n_inputs && put; i++)
        put = all_put(dc, thing_of(thing->inputs[i]));
    return put;
}

static void get_failed(const struct derive_call *dc, const struct process *node)
{
    const struct hash *address = &dc->thing->address;
    bool absent =
        dc->fault == DERIVE_FAULT_NOT_FOUND || dc->fault == DERIVE_FAULT_INPUT_MISSING;
    if (absent && all_told(dc, dc->thing))
        broken("durable", "%s misses something of %.12s, of which all was put and answered",
               node->name, hash_hex(address).s);
    if (absent)
        count(COUNT_DERIVE_MISSING);
    bool passes = dc->fault == DERIVE_FAULT_CANCELLED ||
                  (dc->fault == DERIVE_FAULT_STORE && dc->err != ERR_CORRUPT);
    if (!absent && !passes)
        broken("pure", "%s has no result of %.12s: %s (%s)", node->name, hash_hex(address).s,
               derive_fault_name(dc->fault), err_name(dc->err));
}

static void act_get(struct client *c)
{
    struct derive_call *dc = call_new(c, get_run);
    struct process *node = any_node(c);
    dc->thing = thing_of((unsigned)world_between(THINGS_INLINE, THINGS - 1));
    if (!ask(dc, node))
        return;
    if (dc->err != OK) {
        get_failed(dc, node);
        return;
    }
    if (!all_put(dc, dc->thing))
        broken("named", "%s computes %.12s of recipes that were never put", node->name,
               hash_hex(&dc->thing->address).s);
    if (!bytes_equal(buf_bytes(&dc->body), dc->thing->gives))
        broken("pure", "%s gives %zu bytes for %.12s, and it comes to %zu", node->name,
               dc->body.len, hash_hex(&dc->thing->address).s, dc->thing->gives.len);
}

void client_derive(struct client *c)
{
    for (uint64_t n = world_between(1, ACTS_MAX); n > 0; n--) {
        uint64_t roll = world_below(100);
        if (roll < 45)
            act_put(c);
        else if (roll < 72)
            act_find(c);
        else if (roll < 80)
            act_memo(c);
        else
            act_get(c);
    }
}
