/* Memory of what outlives a batch: zeroed, and there or the process ends. */
#ifndef PIPELINE_SYS_MUST_ALLOC_H
#define PIPELINE_SYS_MUST_ALLOC_H

#include <stdio.h>
#include <stdlib.h>

#include "formats/base/types.h"

static inline void *must_alloc(size_t n, size_t size) MUST_USE;
static inline void *must_alloc(size_t n, size_t size)
{
    void *memory = calloc(n > 0 ? n : 1, size);
    if (memory == NULL) {
        (void)fputs("out of memory\n", stderr);
        abort();
    }
    return memory;
}

#endif
