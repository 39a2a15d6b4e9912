/* What mic-pack does with its command line. */
#ifndef JOBS_SHARED_RUN_PACK_H
#define JOBS_SHARED_RUN_PACK_H

#include "jobs/shared/process.h"

struct pack_args {
    bool all;
    bool dry_run;
    bool always;
    bool json;
};

/* Progress goes to stderr, the result to stdout. Gives what main is to return. */
int pack_run(struct process *, const struct pack_args *);

#endif
