#include "pipeline/derive/index/index_graph.h"

#include <stdlib.h>

#include "pipeline/derive/run/must_alloc.h"

/* So many edges are read in one go in the time in which the database is asked for one. */
#define EDGES_A_QUESTION 8u
/* So many rows are stepped over before one is sought anew. */
#define STEPS_MAX 16u

int index_graph_init(struct index_graph *g, struct index_rows *rows, size_t bytes_max)
{
    *g = (struct index_graph){.rows = rows, .bytes_max = bytes_max};
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
    free(g->first);
    free(g->recipes);
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

/* Reads all edges, which come sorted. */
static int edges_load(struct index_graph *g)
{
    struct index_query *query;
    int err = rows_query(g->rows, ROWS_ALL_EDGES, &query);
    if (err != OK)
        return err;
    uint32_t *first = must_alloc(g->n_nodes + 1, sizeof(*first));
    uint32_t *recipes = must_alloc(g->n_edges, sizeof(*recipes));
    uint64_t n = 0;
    uint64_t input = 0;
    while ((err = index_query_next(query)) == OK) {
        uint64_t edge = index_row_number(query, 0);
        uint64_t from = edge >> 31;
        uint64_t to = edge & (INDEX_NODES_MAX - 1);
        if (n == g->n_edges || from >= g->n_nodes || to >= g->n_nodes) {
            err = ERR_CORRUPT;
            break;
        }
        while (input < from)
            first[++input] = (uint32_t)n;
        recipes[n++] = (uint32_t)to;
    }
    while (input < g->n_nodes)
        first[++input] = (uint32_t)n;
    index_query_reset(query);
    g->first = first;
    g->recipes = recipes;
    return err == ERR_NOT_FOUND ? OK : err;
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

int index_graph_next(struct index_graph *g, const struct graph_level *level,
                     struct graph_level *next)
{
    int err = OK;
    for (size_t i = 0; i < level->n && err == OK; i++) {
        uint32_t node = level->nodes[i];
        if (g->first == NULL && g->asked * EDGES_A_QUESTION >= g->n_edges && edges_fit(g))
            err = edges_load(g);
        if (err != OK)
            return err;
        if (g->first == NULL) {
            err = edges_ask(g, node, next);
            continue;
        }
        for (uint32_t at = g->first[node]; at < g->first[node + 1]; at++)
            index_graph_visit(g, g->recipes[at], next);
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
    /* A walk that has read all edges is a long one. */
    if (err == OK && g->first != NULL && g->addresses == NULL &&
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
