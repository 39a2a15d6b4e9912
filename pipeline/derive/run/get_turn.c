/* A turn of a get: what follows from what is known, until everything waits for runs. */
#include <string.h>

#include "pipeline/derive/run/executor_inside.h"
#include "pipeline/derive/run/get_range.h"

#define STEP_FIRST 64u
#define TRIES_MAX  16u /* runs whose inputs' bytes went before they were read */

void step_push(struct get *get, struct node *node, enum step what)
{
    if (get->n_steps == get->steps_cap) {
        size_t cap = get->steps_cap == 0 ? STEP_FIRST : 2 * get->steps_cap;
        struct step_item *steps = must_alloc(cap, sizeof(*steps));
        if (get->n_steps > 0)
            memcpy(steps, get->steps, get->n_steps * sizeof(*steps));
        free(get->steps);
        get->steps = steps;
        get->steps_cap = cap;
    }
    get->steps[get->n_steps++] = (struct step_item){.node = node, .what = what};
}

/* ---- who uses whose bytes ---- */

static void inputs_use(struct node *node)
{
    if (node->using)
        return;
    node->using = true;
    for (uint32_t i = 0; i < node->recipe.n_inputs; i++)
        node->inputs[i]->users++;
}

static void inputs_unuse(struct node *node)
{
    if (!node->using)
        return;
    node->using = false;
    for (uint32_t i = 0; i < node->recipe.n_inputs; i++) {
        struct node *input = node->inputs[i];
        if (--input->users > 0)
            continue;
        hold_drop(input->hold);
        input->hold = NULL;
        input->bytes = false;
    }
}

/* The node's bytes are at hand: runs that waited for the last of theirs can go. */
static void bytes_came(struct get *get, struct node *node)
{
    get_range_arrived(get, node);
    for (const struct edge *e = node->parents; e != NULL; e = e->next) {
        struct node *parent = e->node;
        if (parent->state == NODE_INPUTS && --parent->bytes_wait == 0)
            run_submit(get, parent);
    }
}

bool node_open(struct get *get, struct node *node)
{
    int err = hold_open(get->ex, &get->project, &node->content.hash, node->surely, &node->hold);
    if (err == OK)
        return true;
    if (err != ERR_NOT_FOUND)
        get_fail_err(get, &node->address, err);
    return false;
}

bool node_bytes(struct get *get, struct node *node)
{
    if (node->is != DERIVE_IS_RECIPE || node->hold != NULL)
        return true;
    if (node->bytes)
        return false;
    node->bytes = true;
    if (node->known && node_open(get, node))
        return true;
    step_push(get, node, node->known ? STEP_RUN : STEP_WANT);
    return false;
}

/* ---- what is to be done ---- */

static void key_make(struct get *get, struct node *node)
{
    uint32_t n = node->recipe.n_inputs;
    if (get->contents_cap < n) {
        free(get->contents);
        get->contents_cap = n < 16 ? 16 : n;
        get->contents = must_alloc(get->contents_cap, sizeof(*get->contents));
    }
    for (uint32_t i = 0; i < n; i++)
        get->contents[i] = node->inputs[i]->content;
    node->key = memo_key(&node->recipe, &node->function->digest, get->contents, n);
    node->looked = true;
}

void node_fact(struct get *get, struct node *node, const struct fact *fact)
{
    node->known = true;
    node->content = (struct memo_input){.kind = MEMO_BYTES, .hash = fact->result.hash};
    node->size = fact->result.size;
    node->chunk_size = fact->result.chunk_size;
    node->chunks = fact->result.chunks;
    node->cost_us = fact->cost_us;
    node->expected = fact->result.hash;
    node->told = node->parents;
    (void)atomic_fetch_add_explicit(&get->count_known, 1, memory_order_relaxed);
    step_push(get, node, STEP_KNOWN);
}

static int memo_find(struct get *get, struct node *node, struct fact *out)
{
    struct executor *ex = get->ex;
    if (fact_table_find(ex->recent, &get->project, &node->key, out))
        return OK;
    struct memo memo;
    struct derive_source *source = get->source->source;
    int err = source->memo(source, &node->key, &memo);
    if (err != OK)
        return err;
    out->result = (struct result){.hash = memo.output,
                                  .size = memo.size,
                                  .chunk_size = memo.chunk_size,
                                  .chunks = memo.chunks};
    out->cost_us = memo.cost_us;
    if (atomic_load_explicit(&node->function->cost_us, memory_order_relaxed) == 0)
        function_facts_measured(node->function, memo.cost_us);
    return OK;
}

static void do_look(struct get *get, struct node *node)
{
    if (node->looked)
        return;
    key_make(get, node);
    if (node->known) {
        if (node->run_wanted)
            step_push(get, node, STEP_RUN);
        return;
    }
    struct fact fact;
    int err = memo_find(get, node, &fact);
    bool again = get->options.again && node == get->root;
    if (err == OK && again) {
        node->expected = fact.result.hash;
        err = ERR_NOT_FOUND;
    }
    if (err == OK) {
        COUNT(get->ex, hits);
        node_fact(get, node, &fact);
    } else if (err == ERR_NOT_FOUND) {
        COUNT(get->ex, misses);
        node->again = again;
        if (node->wanted)
            step_push(get, node, STEP_RUN);
    } else {
        get_fail_err(get, &node->address, err);
    }
}

static void do_bytes(struct get *get, struct node *node)
{
    if (node->hold != NULL)
        return;
    if (node_open(get, node))
        bytes_came(get, node);
    else
        step_push(get, node, STEP_RUN);
}

static void do_known(struct get *get, struct node *node)
{
    for (const struct edge *e = node->told; e != NULL; e = e->next) {
        if (--e->node->waits == 0)
            step_push(get, e->node, STEP_LOOK);
    }
    get_range_arrived(get, node);
    if (node->bytes && node->hold == NULL) {
        do_bytes(get, node);
        return;
    }
    if (node->state == NODE_IDLE)
        inputs_unuse(node);
}

static void inputs_want(struct get *get, struct node *node)
{
    inputs_use(node);
    for (uint32_t i = 0; i < node->recipe.n_inputs; i++) {
        if (!node->inputs[i]->known && !node->inputs[i]->wanted)
            step_push(get, node->inputs[i], STEP_WANT);
    }
}

static void do_want(struct get *get, struct node *node)
{
    if (node->known || node->wanted)
        return;
    node->wanted = true;
    if (node->looked)
        step_push(get, node, STEP_RUN);
    else
        inputs_want(get, node);
}

static void do_run(struct get *get, struct node *node)
{
    if (node->state != NODE_IDLE || (node->known && node->hold != NULL && !node->again))
        return;
    if (!node->expanded && get_expand(get, node) != OK)
        return;
    if (node->waits > 0) {
        node->run_wanted = true;
        inputs_want(get, node);
        return;
    }
    if (!node->looked)
        key_make(get, node);
    node->state = NODE_INPUTS;
    inputs_use(node);
    node->bytes_wait = 0;
    for (uint32_t i = 0; i < node->recipe.n_inputs; i++)
        node->bytes_wait += !node_bytes(get, node->inputs[i]);
    if (node->bytes_wait == 0)
        run_submit(get, node);
}

static void step_drain(struct get *get)
{
    while (get->n_steps > 0 && !get->failed) {
        struct step_item item = get->steps[--get->n_steps];
        switch (item.what) {
        case STEP_LOOK:
            do_look(get, item.node);
            break;
        case STEP_KNOWN:
            do_known(get, item.node);
            break;
        case STEP_WANT:
            do_want(get, item.node);
            break;
        case STEP_RUN:
            do_run(get, item.node);
            break;
        case STEP_BYTES:
            do_bytes(get, item.node);
            break;
        case STEP_SIZE:
            get_range_size(get, item.node);
            break;
        case STEP_SIZED:
            get_range_sized(get, item.node);
            break;
        }
    }
}

/* ---- what came ---- */

/* An input's bytes went before they were read: they are made again, and then this run. */
static void run_again(struct get *get, struct node *node, const struct hash *gone)
{
    if (++node->retries > TRIES_MAX) {
        get_fail_err(get, &node->address, ERR_AGAIN);
        return;
    }
    for (uint32_t i = 0; i < node->recipe.n_inputs; i++) {
        struct node *input = node->inputs[i];
        if (input->hold == NULL || !hash_equal(&input->content.hash, gone))
            continue;
        hold_drop(input->hold);
        input->hold = NULL;
        input->bytes = false;
        input->surely = true;
    }
    step_push(get, node, STEP_RUN);
}

static void run_failed(struct get *get, const struct node *node,
                       const struct derive_problem *problem)
{
    struct derive_problem mine = *problem;
    mine.address = node->address;
    get_fail(get, &mine);
}

/* Whether a run gave another result than the memo that the node goes by. Who began the run may
 * have known none. */
static bool run_differs(struct get *get, const struct node *node, const struct run *run)
{
    const struct hash *given = &run->hold->result.hash;
    struct derive_problem problem;
    if (hash_is_zero(&node->expected) || hash_equal(&node->expected, given))
        return false;
    executor_quarantine(get->ex, run, &node->expected, given, &problem);
    run_failed(get, node, &problem);
    return true;
}

static void run_succeeded(struct get *get, struct node *node, const struct run *run)
{
    if (run_differs(get, node, run))
        return;
    if (node->by_content && !hash_equal(&run->hold->result.hash, &node->address)) {
        (void)get_missing(get, node);
        return;
    }
    (void)atomic_fetch_add(&get->count_bytes, run->hold->result.size);
    get->ran = true;
    get->verified |= run->verified;
    get_keep(get, &node->address, &run->hold->result.hash);
    if (node->verify && !run->verified) {
        /* The run was nearly over when this node joined it. */
        node->again = true;
        step_push(get, node, STEP_RUN);
        return;
    }
    node->again = false;
    node->cost_us = run->cost_us;
    if (!node->known) {
        struct fact fact = {.result = run->hold->result, .cost_us = run->cost_us};
        node_fact(get, node, &fact);
    }
    if (node->bytes && node->surely && run->hold->reader == NULL) {
        /* Another get began the run, and leaves its bytes to the cache. */
        step_push(get, node, STEP_BYTES);
        return;
    }
    if (node->users > 0 || node->bytes) {
        hold_drop(node->hold);
        node->hold = hold_take(run->hold);
    }
    if (node->bytes)
        bytes_came(get, node);
    inputs_unuse(node);
}

static void run_came(struct get *get, struct node *node)
{
    struct run *run = node->run;
    node->run = NULL;
    node->state = NODE_IDLE;
    if (run->problem.fault != DERIVE_FAULT_NONE)
        run_failed(get, node, &run->problem);
    else if (run->gone)
        run_again(get, node, &run->gone_input);
    else
        run_succeeded(get, node, run);
    (void)atomic_fetch_add(&get->count_runs, 1);
    run_drop(run);
}

/* ---- the turn ---- */

static void begin(struct get *get)
{
    get->planned = true;
    get->forgets = atomic_load(&get->ex->forgets);
    if (get_plan(get) != OK)
        return;
    step_drain(get);
    if (get->failed)
        return;
    bool bytes = get->options.want == GET_BYTES || get->options.want == GET_RANGE;
    if (bytes && get->root->by_content) {
        get->checks = true;
        get_range_begin(get);
        return;
    }
    switch (get->options.want) {
    case GET_HASH:
        step_push(get, get->root, STEP_WANT);
        break;
    case GET_KNOWN:
        if (!get->root->known)
            get_fail(get, &(struct derive_problem){.fault = DERIVE_FAULT_NOT_KNOWN,
                                                   .err = ERR_NOT_FOUND,
                                                   .address = get->root->address});
        break;
    case GET_BYTES:
        get->root->users++;
        get->root->surely = true;
        (void)node_bytes(get, get->root);
        break;
    case GET_SIZE:
    case GET_RANGE:
        get_range_begin(get);
        break;
    }
}

static bool complete(struct get *get)
{
    const struct node *root = get->root;
    if (get->checks)
        return get_range_complete(get);
    switch (get->options.want) {
    case GET_HASH:
    case GET_KNOWN:
        return root->known;
    case GET_BYTES:
        return root->known && (root->is != DERIVE_IS_RECIPE || root->hold != NULL);
    case GET_SIZE:
    case GET_RANGE:
        return get_range_complete(get);
    }
    return false;
}

/* False when there is nothing in the inbox: the turn is over. */
static bool inbox_take(struct get *get, struct node **out)
{
    executor_lock(get->ex);
    *out = get->inbox;
    get->inbox = NULL;
    bool cancelled = atomic_load(&get->cancelled);
    bool more = *out != NULL || !get->planned || cancelled;
    if (!more)
        get->busy = false;
    executor_unlock(get->ex);
    return more;
}

void get_turn(struct get *get)
{
    struct node *came;
    while (inbox_take(get, &came)) {
        if (!get->planned)
            begin(get);
        while (came != NULL) {
            struct node *next = came->inbox_next;
            run_came(get, came);
            came = next;
        }
        bool over;
        do {
            step_drain(get);
            over = get->failed || get_cancelled(get) || complete(get);
        } while (!over && get->n_steps > 0);
        if (over) {
            get_end(get);
            return;
        }
    }
}
