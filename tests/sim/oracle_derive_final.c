/* At the end every node has what the log says, row for row, and so has an index that is made
 * anew by somebody who knows nothing. */
#include <stdlib.h>
#include <unistd.h>

#include "formats/base/hash.h"
#include "formats/base/hex.h"
#include "formats/base/limits.h"
#include "formats/key.h"
#include "pipeline/derive/index/index_follow.h"
#include "pipeline/derive/project_source.h"
#include "tests/sim/oracle_derive.h"
#include "tests/sim/sim.h"
#include "tests/sim/sim_node.h"

#define DEPENDENTS_MAX 100u

/* An index, and whose it is. */
struct rows_check {
    struct derive_index *index;
    struct id16 project;
    const char *who;
};

static void must(const struct rows_check *c, int err, const char *what,
                 const struct hash *address)
{
    if (err != OK)
        broken("rebuild", "%s has not %s %.12s of the log: %s", c->who, what,
               hash_hex(address).s, err_name(err));
}

static void differs(const struct rows_check *c, const char *what, const struct hash *address)
{
    broken("rebuild", "%s has %s %.12s as the log has not", c->who, what, hash_hex(address).s);
}

static void recipe_check(const struct rows_check *c, const struct derived_row *row)
{
    AUTO_BUF canonical = {0};
    must(
        c,
        derive_index_recipe(c->index, &c->project, &row->address, DERIVE_MISS_TELL, &canonical),
        "recipe", &row->address);
    if (!bytes_equal(buf_bytes(&canonical), row->canonical))
        differs(c, "recipe", &row->address);
}

static void leaf_check(const struct rows_check *c, const struct derived_row *row)
{
    struct derive_leaf leaf;
    must(c, derive_index_leaf(c->index, &c->project, &row->address, DERIVE_MISS_TELL, &leaf),
         "leaf", &row->address);
    if (leaf.size != row->size || (leaf.uploaded && !row->uploaded))
        differs(c, "leaf", &row->address);
}

static bool has_quarantine(const struct rows_check *c, const struct memo *memo)
{
    AUTO(arena_release) struct arena arena = {0};
    struct quarantine found;
    return derive_index_quarantine(c->index, &c->project, memo->function, memo->version,
                                   &memo->implementation, &arena, &found) == OK;
}

static void memo_check(const struct rows_check *c, const struct derived_row *row)
{
    AUTO(arena_release) struct arena arena = {0};
    AUTO_BUF body = {0};
    struct memo memo;
    must(c,
         derive_index_memo(c->index, &c->project, &row->address, DERIVE_MISS_TELL, &arena,
                           &memo),
         "memo", &row->address);
    memo_write(&body, &memo);
    if (!bytes_equal(buf_bytes(&body), row->memo))
        differs(c, "memo", &row->address);
    if (row->differs != has_quarantine(c, &memo))
        broken("rebuild", "%s has %s, which has given %s for %.12s", c->who,
               row->differs ? "not quarantined a function" : "quarantined a function",
               row->differs ? "two results" : "one result", hash_hex(&row->address).s);
}

static void pins_check(const struct rows_check *c, size_t pinned)
{
    AUTO(arena_release) struct arena arena = {0};
    struct hash first = {{0}};
    struct hash *pins;
    size_t n;
    int err = derive_index_pins(c->index, &c->project, &first, THINGS, &arena, &pins, &n);
    must(c, err, "pins behind", &first);
    for (size_t i = 0; i < n; i++) {
        const struct derived_row *row = derived_row_find(DERIVED_PINS, &c->project, &pins[i]);
        if (row == NULL || !row->pinned)
            differs(c, "pin", &pins[i]);
    }
    if (n != pinned)
        differs(c, "another count of pins behind", &first);
}

static bool names(const struct thing *thing, const struct hash *input)
{
    for (unsigned i = 0; i < thing->n_inputs; i++) {
        if (hash_equal(&thing_of(thing->inputs[i])->address, input))
            return true;
    }
    return false;
}

/* Recipes that have it as an input. */
static void dependents_check(const struct rows_check *c, const struct hash *input)
{
    AUTO(arena_release) struct arena arena = {0};
    const struct derive_root root = {.address = input};
    struct hash none = {{0}};
    struct hash *found;
    size_t n;
    size_t wanted = 0;
    int err = derive_index_dependents(c->index, &c->project, &root, &none, DEPENDENTS_MAX,
                                      &arena, &found, &n);
    must(c, err, "dependents of", input);
    for (const struct derived_row *row = derived_rows(DERIVED_RECIPES, &c->project);
         row != NULL; row = row->next)
        wanted += names(thing_find(&row->address), input);
    for (size_t i = 0; i < n; i++) {
        const struct thing *thing = thing_find(&found[i]);
        if (thing == NULL || !names(thing, input) ||
            derived_row_find(DERIVED_RECIPES, &c->project, &found[i]) == NULL)
            differs(c, "a dependent of", input);
    }
    if (n != wanted)
        differs(c, "another count of dependents of", input);
}

static void agent_check(void *arg, uint64_t agent, uint64_t seq)
{
    const struct rows_check *c = arg;
    AUTO(arena_release) struct arena arena = {0};
    struct derive_read *reads;
    size_t n;
    if (derive_index_agents(c->index, &c->project, &arena, &reads, &n) != OK)
        n = 0;
    for (size_t i = 0; i < n; i++) {
        if (reads[i].agent == agent && reads[i].seq == seq)
            return;
    }
    broken("rebuild", "%s has not read the log of agent %016lx to its end, %lu", c->who,
           (unsigned long)agent, (unsigned long)seq);
}

static void counts_check(const struct rows_check *c, const size_t wanted[DERIVED_CLASSES])
{
    struct derive_counts counts;
    struct hash none = {{0}};
    must(c, derive_index_counts(c->index, &c->project, &counts), "counts behind", &none);
    if (counts.recipes != wanted[DERIVED_RECIPES] || counts.leaves != wanted[DERIVED_LEAVES] ||
        counts.memos != wanted[DERIVED_MEMOS] || counts.pins != wanted[DERIVED_PINS])
        broken("rebuild",
               "%s counts %lu recipes, %lu leaves, %lu memos, %lu pins: it is %zu, "
               "%zu, %zu, %zu",
               c->who, (unsigned long)counts.recipes, (unsigned long)counts.leaves,
               (unsigned long)counts.memos, (unsigned long)counts.pins, wanted[DERIVED_RECIPES],
               wanted[DERIVED_LEAVES], wanted[DERIVED_MEMOS], wanted[DERIVED_PINS]);
}

/* All rows of the log are there, and as many as there are. */
static void rows_check(struct rows_check *c)
{
    size_t n[DERIVED_CLASSES] = {0};
    for (unsigned class = 0; class < DERIVED_CLASSES; class ++) {
        for (const struct derived_row *row =
                 derived_rows((enum derived_class) class, &c->project);
             row != NULL; row = row->next) {
            if (class == DERIVED_RECIPES)
                recipe_check(c, row);
            else if (class == DERIVED_LEAVES)
                leaf_check(c, row);
            else if (class == DERIVED_MEMOS)
                memo_check(c, row);
            n[class] += class != DERIVED_PINS || row->pinned;
        }
    }
    pins_check(c, n[DERIVED_PINS]);
    counts_check(c, n);
    for (unsigned i = 0; i < THINGS; i++)
        dependents_check(c, &thing_of(i)->address);
    derived_agents(&c->project, agent_check, c);
}

/* Whoever meets a damaged page has the database made anew, and what it held comes with the next
 * look: so all of it is read once before it is held against anything. */
static void rows_touch(const struct rows_check *c)
{
    AUTO(arena_release) struct arena arena = {0};
    AUTO_BUF canonical = {0};
    struct hash none = {{0}};
    struct hash *found;
    size_t n;
    struct derive_counts counts;
    for (unsigned i = 0; i < THINGS; i++) {
        const struct derive_root root = {.address = &thing_of(i)->address};
        struct derive_leaf leaf;
        if (thing_of(i)->recipe)
            (void)!derive_index_recipe(c->index, &c->project, root.address, DERIVE_MISS_LOOK,
                                       &canonical);
        else
            (void)!derive_index_leaf(c->index, &c->project, root.address, DERIVE_MISS_LOOK,
                                     &leaf);
        (void)!derive_index_dependents(c->index, &c->project, &root, &none, DEPENDENTS_MAX,
                                       &arena, &found, &n);
    }
    for (unsigned i = 0; i < MEMO_KEYS; i++) {
        struct hash key = thing_memo(i, 0, 0).address;
        struct memo memo;
        (void)!derive_index_memo(c->index, &c->project, &key, DERIVE_MISS_LOOK, &arena, &memo);
    }
    (void)!derive_index_pins(c->index, &c->project, &none, THINGS, &arena, &found, &n);
    (void)!derive_index_counts(c->index, &c->project, &counts);
}

/* --- who is asked --- */

static void look_and_check(struct sim *sim, struct derive_index *index, const char *who)
{
    for (unsigned i = 0; i < sim->oracle.n_projects; i++) {
        struct rows_check c = {
            .index = index, .project = sim->oracle.projects[i].id, .who = who};
        rows_touch(&c);
        int err = derive_index_look(index, &c.project);
        for (unsigned tries = 0; err == ERR_AGAIN && tries < 10; tries++)
            err = derive_index_look(index, &c.project);
        /* That two memos differ is found when the second goes into the database. */
        if (err == OK)
            err = derive_index_flush(index);
        if (err != OK)
            broken("rebuild", "%s cannot read the log: %s", who, err_name(err));
        rows_check(&c);
    }
}

static void anew_check(struct sim *sim)
{
    struct repo fresh;
    struct rng_seeded rng;
    struct derive_index *index;
    const struct repo_options options = {
        .page_cache_bytes = MIB, .shards = 1, .chunk_size = SIM_CHUNK_SIZE};
    AUTO_BUF dir = {0};
    sim_node_folder_of(getpid(), &dir);
    dir.len--;
    buf_printf(&dir, "/anew%c", 0);
    rng_seeded_init(&rng, 1);
    int err = repo_open(&fresh, far_end_mem(sim->end), sim_true_clock(), &rng.rng, &options);
    const struct derive_index_options index_options = {.dir = (const char *)dir.data,
                                                       .clock = sim_true_clock(),
                                                       .look_us = 1,
                                                       .follow = index_follow,
                                                       .arg = &fresh};
    if (err == OK)
        err = derive_index_open(&index_options, &index);
    if (err != OK)
        broken("rebuild", "an index cannot be made: %s", err_name(err));
    look_and_check(sim, index, "an index that is made anew");
    derive_index_close(index);
    repo_close(&fresh);
}

/* What clients were told to be put can be read. */
static void leaves_check(struct sim *sim, const struct process *node)
{
    for (unsigned i = 0; i < sim->oracle.n_projects; i++) {
        const struct id16 *project = &sim->oracle.projects[i].id;
        for (const struct derived_row *row = derived_rows(DERIVED_LEAVES, project); row != NULL;
             row = row->next) {
            AUTO_BUF plain = {0};
            if (row->told_us == 0)
                continue;
            struct project_source *holder = project_source_open(node->derive, project, 0);
            struct derive_source *source = project_source_hold(holder);
            struct derive_input *input;
            int err = source->open(source, &row->address, &input);
            while (err == OK && plain.len < input->bytes->size) {
                struct bytes piece;
                err = input->bytes->view(input->bytes, plain.len, &piece);
                if (err == OK)
                    buf_append_bytes(&plain, piece);
            }
            if (err != OK)
                broken("durable", "%s cannot read leaf %.12s, which was put and answered: %s",
                       node->name, hash_hex(&row->address).s, err_name(err));
            input->close(input);
            source->release(source);
            project_source_drop(holder);
            if (!bytes_equal(buf_bytes(&plain), thing_find(&row->address)->data))
                broken("named", "%s reads leaf %.12s, and other bytes", node->name,
                       hash_hex(&row->address).s);
        }
    }
}

void oracle_derive_final(struct sim *sim)
{
    for (unsigned i = sim->n_processes - sim->n_nodes; i < sim->n_processes; i++) {
        const struct process *node = &sim->processes[i];
        look_and_check(sim, node->derive->index, node->name);
        leaves_check(sim, node);
    }
    anew_check(sim);
}

bool oracle_derive_may_lack(const char *key)
{
    struct id16 project;
    struct hash hash;
    if (key_kind(key, &project) != KEY_BLOB || key_blob_parse(key, &hash) != OK)
        return false;
    const struct derived_row *row = derived_row_find(DERIVED_LEAVES, &project, &hash);
    return row != NULL && row->uploaded && row->told_us == 0;
}
