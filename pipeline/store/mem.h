/* A store in memory, for tests and simulation. */
#ifndef PIPELINE_STORE_MEM_H
#define PIPELINE_STORE_MEM_H

#include "pipeline/store/store.h"
#include "pipeline/sys/clock.h"

struct store *mem_store_open(void) MUST_USE;
/* Memory has no clock of its own, and so no date. From now on it goes by this one. */
void mem_store_date(struct store *, struct clock *);

#endif
