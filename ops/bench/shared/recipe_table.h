/* Leaves, recipes and memos in a table in memory, as the source of gets. Filled by one thread
 * before it is used. */
#ifndef OPS_BENCH_SHARED_RECIPE_TABLE_H
#define OPS_BENCH_SHARED_RECIPE_TABLE_H

#include "pipeline/derive/run/derive_source.h"

struct recipe_table;

struct recipe_table *recipe_table_open(void) MUST_USE;
void recipe_table_close(struct recipe_table *);

struct hash recipe_table_leaf(struct recipe_table *, struct bytes);
/* Of version 1.0.0, over addresses. */
struct hash recipe_table_recipe(struct recipe_table *, const char *function,
                                const struct hash *inputs, uint32_t n_inputs,
                                const struct parameter *, uint32_t n_parameters);
/* For one get. */
struct derive_source *recipe_table_source(struct recipe_table *) MUST_USE;

#endif
