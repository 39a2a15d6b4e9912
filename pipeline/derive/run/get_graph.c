/* The graph of a get: what lies below its address. */
#include <string.h>

#include "formats/base/limits.h"
#include "pipeline/derive/run/executor_inside.h"

#define TABLE_FIRST    64u
#define CANCEL_LOOK_AT 256u /* nodes between two looks whether the caller has left */

/* ---- the table of nodes ---- */

static struct node **bucket_of(struct get *get, const struct hash *address)
{
    size_t at;
    memcpy(&at, address->b, sizeof(at));
    return &get->table[at & (get->n_table - 1)];
}

static void table_grow(struct get *get)
{
    size_t n = get->n_table == 0 ? TABLE_FIRST : 2 * get->n_table;
    free(get->table);
    get->table = must_alloc(n, sizeof(struct node *));
    get->n_table = n;
    for (size_t i = 0; i < get->n_nodes; i++) {
        struct node **bucket = bucket_of(get, &get->nodes[i]->address);
        get->nodes[i]->next = *bucket;
        *bucket = get->nodes[i];
    }
}

static void nodes_grow(struct get *get)
{
    size_t cap = get->nodes_cap == 0 ? TABLE_FIRST : 2 * get->nodes_cap;
    struct node **nodes = must_alloc(cap, sizeof(struct node *));
    if (get->n_nodes > 0)
        memcpy(nodes, get->nodes, get->n_nodes * sizeof(struct node *));
    free(get->nodes);
    get->nodes = nodes;
    get->nodes_cap = cap;
}

/* A recipe whose output is known here needs no look at what is below it. */
static void known_take(struct get *get, struct node *node)
{
    struct fact fact;
    if ((get->root == NULL && get->options.again) ||
        !fact_table_find(get->ex->known, &get->project, &node->address, &fact))
        return;
    node->is = DERIVE_IS_RECIPE;
    node->known = true;
    node->content = (struct memo_input){.kind = MEMO_BYTES, .hash = fact.result.hash};
    node->size = fact.result.size;
    node->chunk_size = fact.result.chunk_size;
    node->chunks = fact.result.chunks;
    node->cost_us = fact.cost_us;
    node->expected = fact.result.hash;
}

static struct node *node_of(struct get *get, const struct hash *address)
{
    if (get->n_nodes >= get->n_table)
        table_grow(get);
    struct node **bucket = bucket_of(get, address);
    for (struct node *node = *bucket; node != NULL; node = node->next) {
        if (hash_equal(&node->address, address))
            return node;
    }
    struct node *node = arena_new(&get->arena, struct node);
    node->get = get;
    node->address = *address;
    node->next = *bucket;
    *bucket = node;
    if (get->n_nodes == get->nodes_cap)
        nodes_grow(get);
    get->nodes[get->n_nodes++] = node;
    known_take(get, node);
    return node;
}

/* ---- one node ---- */

static int function_refuse(struct get *get, const struct node *node, enum derive_fault fault,
                           const struct fn_problem *why)
{
    struct derive_problem problem = {
        .fault = fault, .err = ERR_INVALID, .address = node->address};
    const struct recipe *recipe = &node->recipe;
    memcpy(problem.name, recipe->function.data, recipe->function.len);
    memcpy(problem.version, recipe->version.data, recipe->version.len);
    if (why != NULL) {
        memcpy(problem.parameter, why->parameter, sizeof(why->parameter));
        memcpy(problem.message, why->message, sizeof(why->message));
    }
    get_fail(get, &problem);
    return ERR_INVALID;
}

/* The function, which is there and not quarantined: looked at once a get. */
static int function_take(struct get *get, struct node *node)
{
    const struct recipe *recipe = &node->recipe;
    for (size_t i = get->n_functions; i > 0; i--) {
        const struct function *fn = get->functions[i - 1]->function;
        if (bytes_equal(recipe->function, bytes_str(fn->name)) &&
            bytes_equal(recipe->version, bytes_str(fn->version))) {
            node->function = get->functions[i - 1];
            return OK;
        }
    }
    const struct function *fn = get->ex->options.function(recipe->function, recipe->version);
    if (fn == NULL)
        return function_refuse(get, node, DERIVE_FAULT_UNKNOWN_FUNCTION, NULL);
    node->function = function_facts_of(get->ex, fn);
    struct derive_problem problem = {.address = node->address};
    int err = executor_quarantine_find(get->ex, &get->project, get->source->source,
                                       node->function, &problem);
    if (err == OK) {
        get_fail(get, &problem);
        return problem.err;
    }
    if (err != ERR_NOT_FOUND) {
        get_fail_err(get, &node->address, err);
        return err;
    }
    struct function_facts **item =
        arena_push(&get->arena, (void **)&get->functions, &get->n_functions,
                   &get->functions_cap, sizeof(struct function_facts *));
    *item = node->function;
    return OK;
}

static bool ref_same(const struct derived_ref *seen, const struct recipe_input *input)
{
    return bytes_equal(seen->name, input->ref) && bytes_equal(seen->path, input->path);
}

/* What a ref is in the get's snapshot; asked for once. */
static int ref_take(struct get *get, const struct node *node, const struct recipe_input *input,
                    struct hash *address)
{
    for (size_t i = 0; i < get->n_refs_seen; i++) {
        if (ref_same(&get->refs_seen[i], input)) {
            *address = get->refs_seen[i].address;
            return OK;
        }
    }
    struct derive_source *source = get->source->source;
    int err = source->ref(source, input->ref, input->path, address);
    if (err == ERR_NOT_FOUND) {
        struct derive_problem problem = {
            .fault = DERIVE_FAULT_REF_MISSING, .err = ERR_NOT_FOUND, .address = node->address};
        (void)snprintf(problem.message, sizeof(problem.message), "%.*s%s%.*s",
                       (int)input->ref.len, (const char *)input->ref.data,
                       input->path.len > 0 ? ":" : "", (int)input->path.len,
                       (const char *)input->path.data);
        get_fail(get, &problem);
    } else if (err != OK) {
        get_fail_err(get, &node->address, err);
    } else {
        struct derived_ref *seen = arena_push(&get->arena, (void **)&get->refs_seen,
                                              &get->n_refs_seen, &get->refs_cap, sizeof(*seen));
        *seen =
            (struct derived_ref){.name = input->ref, .path = input->path, .address = *address};
    }
    return err;
}

static void edge_add(struct get *get, struct node *input, struct node *parent)
{
    struct edge *edge = arena_alloc(&get->arena, sizeof(*edge));
    *edge = (struct edge){.next = input->parents, .node = parent};
    input->parents = edge;
}

static int recipe_take(struct get *get, struct node *node)
{
    int err = function_take(get, node);
    if (err != OK)
        return err;
    struct fn_problem why = {0};
    const struct recipe *recipe = &node->recipe;
    err = function_check(node->function->function, recipe, &why);
    if (err != OK)
        return function_refuse(get, node, DERIVE_FAULT_PARAMETER_INVALID, &why);
    node->inputs = arena_array(&get->arena, recipe->n_inputs, struct node *);
    for (uint32_t i = 0; i < recipe->n_inputs; i++) {
        const struct recipe_input *input = &recipe->inputs[i];
        struct hash address = input->address;
        if (input->kind == RECIPE_REF) {
            node->refs = true;
            err = ref_take(get, node, input, &address);
            if (err != OK)
                return err;
        }
        node->inputs[i] = node_of(get, &address);
        edge_add(get, node->inputs[i], node);
    }
    return OK;
}

int get_missing(struct get *get, const struct node *node)
{
    struct derive_problem problem = {.err = ERR_NOT_FOUND, .address = node->address};
    problem.fault = DERIVE_FAULT_NOT_FOUND;
    if (node != get->root && node->parents != NULL) {
        problem.fault = DERIVE_FAULT_INPUT_MISSING;
        problem.address = node->parents->node->address;
        problem.other = node->address;
    }
    get_fail(get, &problem);
    return ERR_NOT_FOUND;
}

/* Its address is what it comes to, so what is below it is looked at only when it has to be
 * computed. */
static void content_take(struct get *get, struct node *node, uint64_t size)
{
    if (get->options.again && node == get->root)
        return;
    node->known = true;
    node->size = size;
    node->content = (struct memo_input){.kind = MEMO_BYTES, .hash = node->address};
}

static int node_expand(struct get *get, struct node *node)
{
    struct derive_found found = {0};
    struct derive_source *source = get->source->source;
    int err = source->find(source, &node->address, &get->arena, &found);
    if (err == ERR_NOT_FOUND)
        return get_missing(get, node);
    if (err != OK) {
        get_fail_err(get, &node->address, err);
        return err;
    }
    node->is = found.is;
    if (found.by_content && !node->by_content) {
        node->by_content = true;
        content_take(get, node, found.size);
        if (node->known)
            return OK;
    }
    node->expanded = true;
    if (found.is == DERIVE_IS_RECIPE) {
        node->recipe = found.recipe;
        return recipe_take(get, node);
    }
    node->known = true;
    node->size = found.size;
    node->content = (struct memo_input){
        .kind = found.is == DERIVE_IS_TREE ? MEMO_TREE : MEMO_BYTES, .hash = node->address};
    return OK;
}

static int too_large(struct get *get)
{
    struct derive_problem problem = {
        .fault = DERIVE_FAULT_GRAPH_TOO_LARGE, .err = ERR_LIMIT, .address = get->address};
    get_fail(get, &problem);
    return ERR_LIMIT;
}

/* Finds all that is below the nodes that were made and not expanded, but for what is below
 * known outputs. */
static int expand_new(struct get *get)
{
    for (; get->n_expanded < get->n_nodes; get->n_expanded++) {
        struct node *node = get->nodes[get->n_expanded];
        if (get->n_expanded % CANCEL_LOOK_AT == 0 && get_cancelled(get))
            return ERR_AGAIN;
        if (get->n_nodes > GET_NODES_MAX || get->arena.used > GET_GRAPH_MAX)
            return too_large(get);
        int err = node->known ? OK : node_expand(get, node);
        if (err != OK)
            return err;
    }
    atomic_store(&get->count_nodes, get->n_nodes);
    return OK;
}

static void count_waits(struct node *node)
{
    node->waits = 0;
    for (uint32_t i = 0; i < node->recipe.n_inputs; i++)
        node->waits += !node->inputs[i]->known;
}

/* Asks for the memos of those nodes whose inputs are all known; the rest follows. */
static void look_up(struct get *get, size_t first)
{
    uint64_t known = 0;
    for (size_t i = first; i < get->n_nodes; i++) {
        struct node *node = get->nodes[i];
        known += node->known;
        if (!node->expanded || node->is != DERIVE_IS_RECIPE)
            continue;
        count_waits(node);
        if (node->waits == 0)
            step_push(get, node, STEP_LOOK);
    }
    (void)atomic_fetch_add(&get->count_known, known);
}

static uint64_t cost_of(const struct node *node)
{
    if (node->function == NULL)
        return 0;
    uint64_t cost = atomic_load_explicit(&node->function->cost_us, memory_order_relaxed);
    return cost > 0 ? cost : 1;
}

/* Whether what is below a node leads to it again. A recipe can be said to give what it, or
 * something below it, has as an input by its content. */
static bool leads_back(struct get *get, struct node *node)
{
    uint32_t search = ++get->searches;
    struct node **stack = must_alloc(get->n_nodes, sizeof(struct node *));
    size_t n = 0;
    bool back = false;
    stack[n++] = node;
    while (n > 0 && !back) {
        const struct node *at = stack[--n];
        uint32_t n_inputs = at->inputs != NULL ? at->recipe.n_inputs : 0;
        for (uint32_t i = 0; i < n_inputs && !back; i++) {
            struct node *input = at->inputs[i];
            back = input == node;
            if (input->passed == search)
                continue;
            input->passed = search;
            stack[n++] = input;
        }
    }
    free(stack);
    return back;
}

int get_expand(struct get *get, struct node *node)
{
    size_t first = get->n_nodes;
    int err = node_expand(get, node);
    if (err == OK)
        err = expand_new(get);
    if (err == OK && node->by_content && leads_back(get, node))
        err = get_missing(get, node);
    if (err != OK)
        return err;
    /* Parents come before what they were the first to name. */
    count_waits(node);
    for (size_t i = first; i < get->n_nodes; i++) {
        struct node *below = get->nodes[i];
        const struct node *above = below->parents->node;
        below->priority = above->priority + cost_of(below);
        below->depth = above->depth + 1;
    }
    look_up(get, first);
    return OK;
}

/* ---- order ---- */

/* What is not in order is on a cycle or below one. Up from any of these, always to one that is
 * left too, a cycle is reached before there are no more steps. */
static int cycle(struct get *get, size_t ordered)
{
    size_t left = 0;
    while (get->nodes[left]->parents_left == 0)
        left++;
    const struct node *node = get->nodes[left];
    for (size_t steps = ordered; steps < get->n_nodes; steps++) {
        const struct edge *edge = node->parents;
        while (edge != NULL && edge->node->parents_left == 0)
            edge = edge->next;
        assert(edge != NULL);
        node = edge->node;
    }
    struct derive_problem problem = {
        .fault = DERIVE_FAULT_REF_CYCLE, .err = ERR_CONFLICT, .address = node->address};
    get_fail(get, &problem);
    return ERR_CONFLICT;
}

static void below_ready(struct node *node, struct node **order, size_t *n)
{
    uint32_t n_inputs = node->inputs != NULL ? node->recipe.n_inputs : 0;
    for (uint32_t i = 0; i < n_inputs; i++) {
        struct node *input = node->inputs[i];
        uint64_t priority = node->priority + cost_of(input);
        if (priority > input->priority)
            input->priority = priority;
        if (node->depth + 1 > input->depth)
            input->depth = node->depth + 1;
        if (--input->parents_left == 0)
            order[(*n)++] = input;
    }
}

/* From the root down, each node after all that use it: how long the way to the root is, and
 * whether there is a cycle. */
static int put_in_order(struct get *get)
{
    struct node **order = must_alloc(get->n_nodes, sizeof(struct node *));
    for (size_t i = 0; i < get->n_nodes; i++) {
        for (const struct edge *e = get->nodes[i]->parents; e != NULL; e = e->next)
            get->nodes[i]->parents_left++;
    }
    size_t n = 0;
    if (get->root->parents_left == 0)
        order[n++] = get->root;
    get->root->priority = cost_of(get->root);
    uint64_t depth = 0;
    for (size_t i = 0; i < n; i++) {
        below_ready(order[i], order, &n);
        if (order[i]->depth > depth)
            depth = order[i]->depth;
    }
    int err = n < get->n_nodes ? cycle(get, n) : OK;
    for (size_t i = n; i > 0 && err == OK; i--) {
        for (const struct edge *e = order[i - 1]->parents; e != NULL; e = e->next)
            e->node->refs |= order[i - 1]->refs;
    }
    free(order);
    struct counters *counters = &get->ex->counters;
    atomic_store(&counters->depth_last, depth);
    uint64_t most = atomic_load(&counters->depth_most);
    while (depth > most && !atomic_compare_exchange_weak(&counters->depth_most, &most, depth))
        ;
    return err;
}

int get_plan(struct get *get)
{
    get->root = node_of(get, &get->address);
    int err = expand_new(get);
    if (err == OK)
        err = put_in_order(get);
    if (err == OK)
        look_up(get, 0);
    return err;
}
