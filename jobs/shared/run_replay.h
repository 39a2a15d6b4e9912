/* What mic-replay does with its command line. */
#ifndef JOBS_SHARED_RUN_REPLAY_H
#define JOBS_SHARED_RUN_REPLAY_H

#include "jobs/shared/process.h"

struct replay_args {
    bool verify;
    const char *to;   /* NULL: not given */
    const char *into; /* NULL: not given */
};

/* Progress goes to stderr, the result to stdout. Gives what main is to return. */
int replay_run(struct process *, const struct replay_args *);

#endif
