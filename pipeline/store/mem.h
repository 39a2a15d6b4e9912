/* A store in memory, for tests and simulation. */
#ifndef PIPELINE_STORE_MEM_H
#define PIPELINE_STORE_MEM_H

#include "pipeline/store/store.h"

struct store *mem_store_open(void) MUST_USE;

#endif
