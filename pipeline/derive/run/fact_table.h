/* What is known of results, in memory: a table of bounded size from (project, hash) to the
 * result and what it cost. The hash is a recipe's address or a memo's key. What is put in may
 * go for something newer. Any thread. */
#ifndef PIPELINE_DERIVE_RUN_FACT_TABLE_H
#define PIPELINE_DERIVE_RUN_FACT_TABLE_H

#include "pipeline/derive/cache/result_cache.h"

struct fact {
    struct result result;
    uint64_t cost_us;
};

struct fact_table;

struct fact_table *fact_table_open(size_t bytes_max) MUST_USE;
void fact_table_close(struct fact_table *);

bool fact_table_find(struct fact_table *, const struct id16 *project, const struct hash *,
                     struct fact *out);
void fact_table_put(struct fact_table *, const struct id16 *project, const struct hash *,
                    const struct fact *);
/* One, or all of a project (NULL). */
void fact_table_forget(struct fact_table *, const struct id16 *project, const struct hash *);

#endif
