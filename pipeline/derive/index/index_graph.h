/* Who depends on whom, breadth first: one walk over the edges of a database. Few steps ask the
 * database for each recipe; when that has cost as much as reading all edges in one go would,
 * they are read into memory, if they fit. One thread. */
#ifndef PIPELINE_DERIVE_INDEX_INDEX_GRAPH_H
#define PIPELINE_DERIVE_INDEX_INDEX_GRAPH_H

#include "pipeline/derive/index/index_rows.h"

/* What edges and addresses in memory may take. */
#define GRAPH_BYTES_MAX (256u * 1024u * 1024u)

/* All edges as they were read, and those that came since; it may be kept for the next walk. */
struct graph_edges {
    /* All recipes that have an input, side by side: those of n from first[n] to
     * first[n + 1]. */
    uint32_t *first;
    uint32_t *recipes;
    uint64_t n_nodes;
    uint64_t n_edges;
    uint64_t *fresh; /* input << 31 | recipe, sorted */
    size_t n_fresh;
};

struct index_graph {
    struct index_rows *rows;
    size_t bytes_max;
    uint64_t n_nodes; /* one more than the greatest number */
    uint64_t n_edges;
    uint64_t asked;            /* recipes whose dependents the database was asked for */
    struct graph_edges *edges; /* NULL while they are in the database only */
    uint64_t named;            /* nodes whose addresses were wanted */
    struct hash *addresses;    /* by number, or NULL */
    uint64_t *seen;            /* a bit for each number */
    uint64_t row;              /* of ROWS_ALL_ADDRESSES, the number of the row that it shows */
};

struct graph_level {
    uint32_t *nodes;
    size_t n;
    size_t cap;
};

/* The database must not change until it is released: it is in a transaction. `edges` is what an
 * earlier walk has kept, or NULL; it is the graph's now. */
int index_graph_init(struct index_graph *, struct index_rows *, size_t bytes_max,
                     struct graph_edges *edges) MUST_USE;
void index_graph_release(struct index_graph *);

/* Reads all edges into memory, if they fit and are not there. */
int index_graph_load(struct index_graph *) MUST_USE;
/* Adds a recipe to a level, unless it was added to one before. */
void index_graph_visit(struct index_graph *, uint64_t node, struct graph_level *);
/* Visits all that depend directly on the nodes of `level`. */
int index_graph_next(struct index_graph *, const struct graph_level *level,
                     struct graph_level *next) MUST_USE;
/* The addresses of a level's nodes, which it sorts by number. */
int index_graph_addresses(struct index_graph *, struct graph_level *,
                          int (*each)(void *arg, const struct hash *), void *arg) MUST_USE;
void graph_level_release(struct graph_level *);

/* Adds edges that came since they were read; some may be there already. */
void graph_edges_add(struct graph_edges *, const uint64_t *fresh, size_t n);
/* Bytes of memory. */
size_t graph_edges_bytes(const struct graph_edges *);
/* NULL does nothing. */
void graph_edges_free(struct graph_edges *);

#endif
