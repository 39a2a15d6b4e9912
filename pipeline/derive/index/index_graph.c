#include "pipeline/derive/index/index_graph.h"

#include <stdlib.h>

#include "pipeline/derive/index/index_runs.h"
#include "pipeline/sys/must_alloc.h"

/* In the time in which the database is asked for the recipes of one input some 200 edges are
 * read in one go; and a walk that has asked for a part of that is likely to go on. */
#define EDGES_A_QUESTION 4096u
/* So many addresses are read in one go in the time in which it is asked for one. */
#define ADDRESSES_A_QUESTION 8u
/* So many rows are stepped over before one is sought anew. */
#define STEPS_MAX 16u

int index_graph_init(struct index_graph *g, struct index_rows *rows, size_t bytes_max,
                     struct graph_edges *edges)
{
    *g = (struct index_graph){.rows = rows, .bytes_max = bytes_max, .edges = edges};
    struct derive_counts counts;
    struct index_query *query;
    int err = rows_counts(rows, &counts, &g->n_edges);
    if (err == OK)
        err = rows_query(rows, ROWS_NEXT_NODE, &query);
    if (err == OK)
        err = index_query_next(query);
    if (err != OK)
        return err;
    g->n_nodes = index_row_number(query, 0);
    index_query_reset(query);
    if (g->n_nodes > INDEX_NODES_MAX)
        return ERR_CORRUPT;
    g->seen = must_alloc(g->n_nodes / 64 + 1, sizeof(*g->seen));
    return OK;
}

void index_graph_release(struct index_graph *g)
{
    graph_edges_free(g->edges);
    free(g->addresses);
    free(g->seen);
    if (g->rows != NULL && g->rows->queries[ROWS_ALL_ADDRESSES] != NULL)
        index_query_reset(g->rows->queries[ROWS_ALL_ADDRESSES]);
}

void graph_level_release(struct graph_level *level)
{
    free(level->nodes);
}

void index_graph_visit(struct index_graph *g, uint64_t node, struct graph_level *level)
{
    uint64_t bit = 1ull << node % 64;
    if ((g->seen[node / 64] & bit) != 0)
        return;
    g->seen[node / 64] |= bit;
    if (level->n == level->cap) {
        level->cap = level->cap == 0 ? 64 : 2 * level->cap;
        level->nodes = reallocarray(level->nodes, level->cap, sizeof(*level->nodes));
        if (level->nodes == NULL)
            abort();
    }
    level->nodes[level->n++] = (uint32_t)node;
}

/* ---- edges ---- */

static int compare_edges(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a;
    uint64_t y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

void graph_edges_add(struct graph_edges *edges, const uint64_t *fresh, size_t n)
{
    if (n == 0)
        return;
    edges->fresh = reallocarray(edges->fresh, edges->n_fresh + n, sizeof(*edges->fresh));
    if (edges->fresh == NULL)
        abort();
    memcpy(edges->fresh + edges->n_fresh, fresh, n * sizeof(*fresh));
    edges->n_fresh += n;
    qsort(edges->fresh, edges->n_fresh, sizeof(*edges->fresh), compare_edges);
}

size_t graph_edges_bytes(const struct graph_edges *edges)
{
    return (edges->n_nodes + 1 + edges->n_edges) * sizeof(uint32_t) +
           edges->n_fresh * sizeof(uint64_t);
}

void graph_edges_free(struct graph_edges *edges)
{
    if (edges == NULL)
        return;
    free(edges->first);
    free(edges->recipes);
    free(edges->fresh);
    free(edges);
}

/* Edges as they are read, sorted. */
struct placing {
    struct graph_edges *edges;
    uint64_t n;
    uint64_t last;
};

/* Without branches on the edges: nobody can foretell how many recipes an input has. */
static int edges_place(void *arg, const uint64_t *some, size_t n)
{
    struct placing *p = arg;
    uint64_t n_nodes = p->edges->n_nodes;
    uint32_t *first = p->edges->first;
    uint32_t *recipes = p->edges->recipes + p->n;
    if (n > p->edges->n_edges - p->n)
        return ERR_CORRUPT;
    p->n += n;
    for (size_t i = 0; i < n; i++) {
        uint64_t from = some[i] >> 31;
        uint64_t to = some[i] & (INDEX_NODES_MAX - 1);
        if (from >= n_nodes || to >= n_nodes || some[i] < p->last)
            return ERR_CORRUPT;
        p->last = some[i];
        first[from + 1]++;
        recipes[i] = (uint32_t)to;
    }
    return OK;
}

static int edges_load(struct index_graph *g)
{
    struct graph_edges *edges = must_alloc(1, sizeof(*edges));
    edges->first = must_alloc(g->n_nodes + 1, sizeof(*edges->first));
    edges->recipes = must_alloc(g->n_edges, sizeof(*edges->recipes));
    edges->n_nodes = g->n_nodes;
    edges->n_edges = g->n_edges;
    struct placing placing = {.edges = edges};
    int err = runs_read(g->rows, g->n_edges, edges_place, &placing);
    for (uint64_t node = 0; node < g->n_nodes; node++)
        edges->first[node + 1] += edges->first[node];
    if (err == OK)
        g->edges = edges;
    else
        graph_edges_free(edges);
    return err;
}

/* The first of the fresh edges of a node, or where it would be. */
static size_t fresh_place(const struct graph_edges *edges, uint64_t node)
{
    size_t low = 0;
    size_t high = edges->n_fresh;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (edges->fresh[middle] >> 31 < node)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static int edges_visit(struct index_graph *g, uint64_t node, struct graph_level *next)
{
    const struct graph_edges *edges = g->edges;
    if (node < edges->n_nodes) {
        for (uint32_t at = edges->first[node]; at < edges->first[node + 1]; at++)
            index_graph_visit(g, edges->recipes[at], next);
    }
    for (size_t i = fresh_place(edges, node);
         i < edges->n_fresh && edges->fresh[i] >> 31 == node; i++) {
        uint64_t recipe = edges->fresh[i] & (INDEX_NODES_MAX - 1);
        if (recipe >= g->n_nodes)
            return ERR_CORRUPT;
        index_graph_visit(g, recipe, next);
    }
    return OK;
}

static int edges_ask(struct index_graph *g, uint64_t node, struct graph_level *next)
{
    struct index_query *query;
    int err = rows_query(g->rows, ROWS_EDGES, &query);
    if (err != OK)
        return err;
    index_query_number(query, 1, node);
    index_query_number(query, 2, 0);
    while ((err = index_query_next(query)) == OK) {
        uint64_t recipe = index_row_number(query, 0);
        if (recipe >= g->n_nodes) {
            err = ERR_CORRUPT;
            break;
        }
        index_graph_visit(g, recipe, next);
    }
    index_query_reset(query);
    g->asked++;
    return err == ERR_NOT_FOUND ? OK : err;
}

static bool edges_fit(const struct index_graph *g)
{
    return g->n_edges < UINT32_MAX &&
           (g->n_edges + g->n_nodes + 1) * sizeof(uint32_t) <= g->bytes_max;
}

int index_graph_load(struct index_graph *g)
{
    return g->edges == NULL && edges_fit(g) ? edges_load(g) : OK;
}

int index_graph_next(struct index_graph *g, const struct graph_level *level,
                     struct graph_level *next)
{
    int err = OK;
    for (size_t i = 0; i < level->n && err == OK; i++) {
        uint32_t node = level->nodes[i];
        if (g->edges == NULL && (g->asked + level->n - i) * EDGES_A_QUESTION >= g->n_edges)
            err = index_graph_load(g);
        if (err == OK)
            err = g->edges != NULL ? edges_visit(g, node, next) : edges_ask(g, node, next);
    }
    return err;
}

/* ---- addresses ---- */

static int compare_nodes(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a;
    uint32_t y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

/* Shows the row of a node: a few rows on from where it is, or sought. */
static int row_show(struct index_graph *g, struct index_query *query, uint64_t node)
{
    int err = OK;
    if (g->row == 0 || node <= g->row || node - g->row > STEPS_MAX) {
        index_query_reset(query);
        index_query_number(query, 1, node);
        err = index_query_next(query);
        g->row = node;
    }
    for (; err == OK && g->row < node; g->row++)
        err = index_query_next(query);
    if (err == OK && index_row_number(query, 0) != node)
        err = ERR_CORRUPT;
    return err == ERR_NOT_FOUND ? ERR_CORRUPT : err;
}

static int addresses_load(struct index_graph *g)
{
    struct index_query *query;
    int err = rows_query(g->rows, ROWS_ALL_ADDRESSES, &query);
    if (err != OK)
        return err;
    index_query_reset(query);
    index_query_number(query, 1, 0);
    g->addresses = must_alloc(g->n_nodes, sizeof(*g->addresses));
    while ((err = index_query_next(query)) == OK) {
        uint64_t node = index_row_number(query, 0);
        err = node >= g->n_nodes ? ERR_CORRUPT : index_row_hash(query, 1, &g->addresses[node]);
        if (err != OK)
            break;
    }
    index_query_reset(query);
    return err == ERR_NOT_FOUND ? OK : err;
}

int index_graph_addresses(struct index_graph *g, struct graph_level *level,
                          int (*each)(void *arg, const struct hash *), void *arg)
{
    struct index_query *query;
    int err = rows_query(g->rows, ROWS_ALL_ADDRESSES, &query);
    g->named += level->n;
    if (err == OK && g->addresses == NULL && g->named * ADDRESSES_A_QUESTION >= g->n_nodes &&
        g->n_nodes * sizeof(struct hash) <= g->bytes_max)
        err = addresses_load(g);
    if (level->n > 1 && g->addresses == NULL)
        qsort(level->nodes, level->n, sizeof(*level->nodes), compare_nodes);
    for (size_t i = 0; i < level->n && err == OK; i++) {
        uint32_t node = level->nodes[i];
        struct hash address;
        if (g->addresses != NULL) {
            address = g->addresses[node];
        } else {
            err = row_show(g, query, node);
            if (err == OK)
                err = index_row_hash(query, 1, &address);
        }
        if (err == OK)
            err = each(arg, &address);
    }
    return err;
}
