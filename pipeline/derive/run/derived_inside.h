/* Inside the executor: how what was derived is made. */
#ifndef PIPELINE_DERIVE_RUN_DERIVED_INSIDE_H
#define PIPELINE_DERIVE_RUN_DERIVED_INSIDE_H

#include "pipeline/derive/run/executor_inside.h"

/* Of a get that is complete; NULL, and the get has failed, when its bytes cannot be opened. */
struct derived *derived_make(struct get *) MUST_USE;
/* By the fast path. ERR_NOT_FOUND. */
int derived_known(struct executor *, const struct id16 *project, const struct hash *address,
                  const struct get_options *, struct derived **out) MUST_USE;
/* Cancels all; under the lock. */
void gets_cancel(struct executor *);

#endif
