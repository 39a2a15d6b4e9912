/* Runs: who waits for which, and their life from the first who wants it to the end. */
#include <string.h>

#include "pipeline/derive/run/executor_inside.h"

#define TABLE_FIRST 256u

/* ---- the table of those that can be joined; under the lock ---- */

static struct run **bucket_of(struct executor *ex, const struct hash *key)
{
    size_t at;
    memcpy(&at, key->b, sizeof(at));
    return &ex->table[at & (ex->n_table - 1)];
}

static void table_grow(struct executor *ex)
{
    struct run **old = ex->table;
    size_t n_old = ex->n_table;
    ex->n_table = n_old == 0 ? TABLE_FIRST : 2 * n_old;
    ex->table = must_alloc(ex->n_table, sizeof(struct run *));
    for (size_t i = 0; i < n_old; i++) {
        for (struct run *run = old[i]; run != NULL;) {
            struct run *next = run->next;
            struct run **bucket = bucket_of(ex, &run->key);
            run->next = *bucket;
            *bucket = run;
            run = next;
        }
    }
    free(old);
}

static struct run *table_find(struct executor *ex, const struct id16 *project,
                              const struct hash *key)
{
    struct run *run = ex->n_table > 0 ? *bucket_of(ex, key) : NULL;
    while (run != NULL && !(hash_equal(&run->key, key) && id16_equal(&run->project, project)))
        run = run->next;
    return run;
}

static void table_add(struct executor *ex, struct run *run)
{
    if (ex->n_runs >= ex->n_table)
        table_grow(ex);
    struct run **bucket = bucket_of(ex, &run->key);
    run->next = *bucket;
    *bucket = run;
    ex->n_runs++;
}

static void table_remove(struct executor *ex, struct run *run)
{
    struct run **at = bucket_of(ex, &run->key);
    while (*at != run)
        at = &(*at)->next;
    *at = run->next;
    ex->n_runs--;
}

/* ---- one run ---- */

static struct run *run_new(struct get *get, const struct node *node)
{
    struct run *run = must_alloc(1, sizeof(*run));
    const struct recipe *recipe = &node->recipe;
    run->project = get->project;
    run->key = node->key;
    run->address = node->address;
    run->function = node->function;
    run->source = source_ref_take(get->source);
    run->expected = node->expected;
    run->surely = node->surely;
    run->recipe = (struct recipe){
        .function = bytes_str(node->function->function->name),
        .version = bytes_str(node->function->function->version),
        .parameters = arena_array(&run->arena, recipe->n_parameters, struct parameter),
        .n_parameters = recipe->n_parameters};
    for (uint32_t i = 0; i < recipe->n_parameters; i++) {
        run->recipe.parameters[i].name = arena_copy(&run->arena, recipe->parameters[i].name);
        run->recipe.parameters[i].value = arena_copy(&run->arena, recipe->parameters[i].value);
    }
    run->n_inputs = recipe->n_inputs;
    run->inputs = arena_array(&run->arena, run->n_inputs, struct run_input);
    for (uint32_t i = 0; i < run->n_inputs; i++) {
        const struct node *input = node->inputs[i];
        struct run_input *to = &run->inputs[i];
        *to = (struct run_input){.content = input->content, .size = input->size};
        to->result = input->is == DERIVE_IS_RECIPE;
        if (to->result)
            to->hold = hold_take(input->hold);
        else if (input->is == DERIVE_IS_BYTES)
            run->leaf_bytes += input->size;
    }
    atomic_init(&run->refs, 1);
    return run;
}

void run_drop(struct run *run)
{
    if (atomic_fetch_sub(&run->refs, 1) > 1)
        return;
    for (uint32_t i = 0; i < run->n_inputs; i++)
        hold_drop(run->inputs[i].hold);
    hold_drop(run->hold);
    source_ref_drop(run->source);
    arena_release(&run->arena);
    free(run);
}

/* ---- waiting; under the lock ---- */

/* Between gets the one that came first is served first, by as much as it came earlier. */
static uint64_t rank_of(const struct get *get, const struct node *node)
{
    return UINT64_MAX / 2 - get->began_us + node->priority;
}

static void run_join(struct executor *ex, struct run *run, struct node *node)
{
    node->state = NODE_RUN;
    node->run = run;
    node->waiter_older = run->waiters;
    node->waiter_newer = NULL;
    if (run->waiters != NULL)
        run->waiters->waiter_newer = node;
    run->waiters = node;
    (void)atomic_fetch_add(&run->n_waiters, 1);
    (void)atomic_fetch_add(&run->refs, 1);
    if (!node->refs && !node->by_content)
        run->plain = node->address;
    if (!run->verify_over)
        run->verify |= node->verify;
    uint64_t rank = rank_of(node->get, node);
    if (rank > run->rank) {
        run->rank = rank;
        if (!run->started && run->n_waiters > 1)
            ready_raise(&ex->ready, run);
    }
}

/* Gives how many references of the caller's are to be dropped when the lock is not held. */
static unsigned run_leave(struct executor *ex, struct node *node, struct run *run)
{
    if (run->ended)
        return 1;
    if (node->waiter_newer != NULL)
        node->waiter_newer->waiter_older = node->waiter_older;
    else
        run->waiters = node->waiter_older;
    if (node->waiter_older != NULL)
        node->waiter_older->waiter_newer = node->waiter_newer;
    if (atomic_fetch_sub(&run->n_waiters, 1) > 1)
        return 1;
    if (run->started) {
        (void)pthread_cond_broadcast(&ex->room_rings);
        return 1;
    }
    ready_remove(&ex->ready, run);
    table_remove(ex, run);
    return 2;
}

void runs_leave(struct get *get)
{
    for (size_t i = 0; i < get->n_nodes; i++) {
        struct node *node = get->nodes[i];
        struct run *run = node->run;
        if (run == NULL)
            continue;
        node->run = NULL;
        executor_lock(get->ex);
        unsigned n = run_leave(get->ex, node, run);
        executor_unlock(get->ex);
        for (; n > 0; n--)
            run_drop(run);
    }
}

bool run_unwanted(struct executor *ex, struct run *run)
{
    if (atomic_load_explicit(&run->n_waiters, memory_order_relaxed) > 0)
        return false;
    executor_lock(ex);
    if (!run->dead && atomic_load(&run->n_waiters) == 0) {
        run->dead = true;
        table_remove(ex, run);
    }
    executor_unlock(ex);
    return run->dead;
}

/* ---- submitting ---- */

static void verify_draw(struct get *get, struct node *node)
{
    if (node->drawn)
        return;
    node->drawn = true;
    bool again = get->options.again && node == get->root;
    node->verify = again || verify_wanted(&get->verify, executor_chance(get->ex));
}

static bool inputs_held(const struct node *node)
{
    for (uint32_t i = 0; i < node->recipe.n_inputs; i++) {
        if (node->inputs[i]->is == DERIVE_IS_RECIPE && node->inputs[i]->hold == NULL)
            return false;
    }
    return true;
}

enum submitted {
    SUBMITTED,
    SUBMIT_KNOWN, /* it was run meanwhile */
    SUBMIT_BYTES, /* its bytes came back meanwhile */
};

/* Under the lock: what ended left the table after it was known. */
static enum submitted submit(struct get *get, struct node *node, struct fact *fact)
{
    struct executor *ex = get->ex;
    struct run *run = table_find(ex, &get->project, &node->key);
    if (run != NULL) {
        COUNT(ex, shared);
        run_join(ex, run, node);
        return SUBMITTED;
    }
    if (!node->again && !node->known &&
        fact_table_find(ex->recent, &get->project, &node->key, fact))
        return SUBMIT_KNOWN;
    if (!node->again && node->known &&
        result_has(ex->options.cache, &get->project, &node->content.hash, NULL))
        return SUBMIT_BYTES;
    if (node->known && !node->again)
        COUNT(ex, recomputed);
    run = run_new(get, node);
    run_join(ex, run, node);
    table_add(ex, run);
    ready_push(&ex->ready, run);
    return SUBMITTED;
}

void run_submit(struct get *get, struct node *node)
{
    struct executor *ex = get->ex;
    node->state = NODE_IDLE;
    if (!inputs_held(node)) {
        step_push(get, node, STEP_RUN);
        return;
    }
    verify_draw(get, node);
    struct fact fact;
    executor_lock(ex);
    enum submitted how = submit(get, node, &fact);
    executor_wake(ex);
    executor_unlock(ex);
    switch (how) {
    case SUBMITTED:
        break;
    case SUBMIT_KNOWN:
        node_fact(get, node, &fact);
        break;
    case SUBMIT_BYTES:
        step_push(get, node, STEP_BYTES);
        break;
    }
}

/* ---- the end ---- */

static void remember(struct executor *ex, const struct run *run)
{
    struct fact fact = {.result = run->hold->result, .cost_us = run->cost_us};
    fact_table_put(ex->recent, &run->project, &run->key, &fact);
}

static void tell_memo(const struct run *run)
{
    const struct result *result = &run->hold->result;
    struct derive_item item = {
        .kind = DERIVE_MEMO,
        .address = run->key,
        .memo = {.key = run->key,
                 .function = run->recipe.function,
                 .version = run->recipe.version,
                 .implementation = run->function->digest,
                 .cost_us = run->cost_us,
                 .size = result->size,
                 .output = result->hash,
                 .chunk_size = result->chunk_size,
                 .chunks = result->chunks},
    };
    struct derive_source *source = run->source->source;
    /* What is not told is computed once more by who asks later. */
    (void)source->tell(source, &item, 1);
}

void run_tell_chunks(struct executor *ex, struct run *run, const struct result_reader *reader)
{
    uint32_t n;
    const struct hash *hashes = result_chunks(reader, &n);
    const struct result *result = result_of(reader);
    executor_lock(ex);
    struct hash recipe = run->plain;
    executor_unlock(ex);
    if (n == 0 || hash_is_zero(&recipe))
        return;
    struct derive_source *source = run->source->source;
    for (uint32_t at = 0; at < n; at += DERIVE_CHUNKS_MAX) {
        uint32_t left = n - at;
        const struct derive_item item = {
            .kind = DERIVE_CHUNKS,
            .address = result->hash,
            .chunks = {.recipe = recipe,
                       .output = result->hash,
                       .size = result->size,
                       .chunk_size = result->chunk_size,
                       .first = at,
                       .n = left < DERIVE_CHUNKS_MAX ? left : DERIVE_CHUNKS_MAX,
                       .hashes = hashes + at},
        };
        /* Those that cannot be told now are when somebody asks which there are. */
        (void)source->tell(source, &item, 1);
    }
}

/* Every waiter's get has its node in the inbox, and a turn: the first of these for this thread.
 */
static struct get *waiters_tell(struct executor *ex, struct run *run)
{
    struct get *mine = NULL;
    for (struct node *node = run->waiters; node != NULL;) {
        struct node *older = node->waiter_older;
        struct get *get = node->get;
        node->inbox_next = get->inbox;
        get->inbox = node;
        if (executor_turn_due(get)) {
            if (mine == NULL)
                mine = get;
            else
                executor_turn_queue(ex, get);
        }
        node = older;
    }
    run->waiters = NULL;
    return mine;
}

void run_do(struct executor *ex, struct run *run)
{
    run_execute(ex, run);
    bool good = run->hold != NULL && run->problem.fault == DERIVE_FAULT_NONE;
    if (good && hash_is_zero(&run->expected))
        tell_memo(run);
    executor_lock(ex);
    if (good)
        remember(ex, run);
    if (!run->dead)
        table_remove(ex, run);
    run->ended = true;
    executor_run_over(ex, run);
    struct get *mine = waiters_tell(ex, run);
    executor_unlock(ex);
    run_drop(run);
    if (mine != NULL)
        get_turn(mine);
}
