/* Derivation in a process that has a front. */
#ifndef JOBS_SHARED_PROCESS_DERIVE_H
#define JOBS_SHARED_PROCESS_DERIVE_H

#include "jobs/shared/process.h"
#include "pipeline/derive/derive.h"

/* Whether the settings of derivation make sense; what does not is said on stderr. */
bool process_derive_ok(const struct process *);
/* Opens and starts it when the bucket is open. False: this process derives nothing, and why was
 * logged; a front serves all else all the same. */
bool process_derive_open(struct process *, struct derive *);
void process_derive_close(struct derive *);

#endif
