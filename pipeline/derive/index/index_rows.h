/* What the database of an index holds, and its statements; one connection, one thread at a
 * time.
 *
 *   node        a number for each address that is a recipe or an input of one, in the order in
 *               which they were told of
 *   prefix      the numbers of addresses by their first eight bytes
 *   recipe      canonical bytes, by number
 *   edge        input << 31 | recipe, one number each, so that all recipes that have an input
 *               lie side by side
 *   run         all edges once more, in few blobs, 8 bytes each as the machine has them, and
 *               how many
 *   ref_edge    name of a ref, recipe
 *   leaf memo tree quarantine pin chunk  what was told of them
 *   agent       up to which number its log was read
 *   total       one row: project, counts
 *
 * Errors are those of index_db.h, and ERR_NOT_FOUND where something is looked for. */
#ifndef PIPELINE_DERIVE_INDEX_INDEX_ROWS_H
#define PIPELINE_DERIVE_INDEX_INDEX_ROWS_H

#include "pipeline/derive/index/derive_index.h"
#include "pipeline/derive/index/index_db.h"

/* Numbers of addresses are below this. */
#define INDEX_NODES_MAX (1ull << 31)

/* When something was told: of two that say different things of one key this decides. */
struct told {
    uint64_t hlc;
    uint64_t agent;
    uint64_t seq;
    uint64_t item; /* number in its object */
};
int told_compare(const struct told *, const struct told *);

enum rows_query {
    ROWS_TOTAL,
    ROWS_NODE,
    ROWS_NODE_PUT,
    ROWS_PREFIX_PUT,
    ROWS_ADDRESS,
    ROWS_RECIPE,
    ROWS_RECIPE_PUT,
    ROWS_EDGES,
    ROWS_EDGE_PUT,
    ROWS_REF_EDGES,
    ROWS_REF_EDGE_PUT,
    ROWS_RUNS,
    ROWS_LAST_RUNS,
    ROWS_RUNS_DROP,
    ROWS_RUN_PUT,
    ROWS_ALL_ADDRESSES,
    ROWS_LEAF,
    ROWS_LEAF_PUT,
    ROWS_MEMO,
    ROWS_OUTPUT,
    ROWS_MEMO_KEYS,
    ROWS_MEMO_PUT,
    ROWS_TREE,
    ROWS_TREE_PUT,
    ROWS_QUARANTINES,
    ROWS_QUARANTINE_PUT,
    ROWS_PIN,
    ROWS_PIN_PUT,
    ROWS_PINS,
    ROWS_ALL_PINS,
    ROWS_CHUNK,
    ROWS_CHUNK_PUT,
    ROWS_AGENTS,
    ROWS_AGENT_PUT,
    ROWS_NEXT_NODE,
    ROWS_COUNT,
    ROWS_QUERIES,
};

struct index_rows {
    struct index_db *db;
    struct index_query *queries[ROWS_QUERIES]; /* prepared when first used */
};

/* Makes the tables if there are none. ERR_CORRUPT for a file of another version or project. */
int index_rows_open(const char *path, const struct id16 *project, size_t cache_bytes,
                    struct index_rows **out) MUST_USE;
void index_rows_close(struct index_rows *);

/* The statement, ready for values; reset it when it was used. */
int rows_query(struct index_rows *, enum rows_query, struct index_query **out) MUST_USE;

/* The first bytes of an address as the database has them, in the order of addresses. */
uint64_t rows_prefix(const struct hash *address);
int rows_node(struct index_rows *, const struct hash *address, uint64_t *out) MUST_USE;
int rows_address(struct index_rows *, uint64_t node, struct hash *out) MUST_USE;
int rows_recipe(struct index_rows *, const struct hash *address, struct buf *out) MUST_USE;
int rows_leaf(struct index_rows *, const struct hash *address,
              struct derive_leaf *out) MUST_USE;
/* Bytes in the arena. */
int rows_memo(struct index_rows *, const struct hash *key, struct arena *, struct memo *out,
              struct told *told) MUST_USE;
int rows_output(struct index_rows *, const struct hash *output, struct arena *,
                struct memo *out) MUST_USE;
int rows_tree(struct index_rows *, const struct hash *content, struct location *out) MUST_USE;
int rows_pin(struct index_rows *, const struct hash *address, bool *pinned,
             struct told *told) MUST_USE;
int rows_pins(struct index_rows *, const struct hash *after, size_t max, struct arena *,
              struct hash **out, size_t *n) MUST_USE;
int rows_chunk(struct index_rows *, const struct hash *, struct derive_chunk *out,
               struct told *told) MUST_USE;
int rows_counts(struct index_rows *, struct derive_counts *out, uint64_t *edges) MUST_USE;
/* Recipes that name `node` or `ref` (where it is not NULL), behind `after`, by number. */
int rows_dependents(struct index_rows *, uint64_t node, const struct bytes *ref, uint64_t after,
                    size_t max, struct arena *, uint64_t **out, size_t *n) MUST_USE;

#endif
