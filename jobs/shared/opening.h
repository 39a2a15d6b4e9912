/* The bucket, opened in a thread of its own, so that who opens it may do something else
 * meanwhile: a store that is away (it cannot be reached, says "later", or does not say what it
 * did) is tried again and again, ever more rarely. Everything else that is wrong with it is
 * said on stderr, and is the end. */
#ifndef JOBS_SHARED_OPENING_H
#define JOBS_SHARED_OPENING_H

#include <stdatomic.h>

#include "jobs/shared/process.h"

/* What opening_code gives as long as it is under way. */
#define OPENING_UNDER_WAY (-2)

struct opening {
    struct process *process;
    bool wait; /* for a store that is away */
    pthread_t thread;
    _Atomic int code;
    _Atomic bool away; /* it was tried, and is away */
};

/* Opens process->repo. SIGUSR1, which is blocked, comes when it is over, and when the store was
 * found to be away for the first time. */
void opening_start(struct opening *, struct process *, bool wait);
/* -1: the bucket is open; OPENING_UNDER_WAY; else what main is to return. After any other than
 * OPENING_UNDER_WAY the thread has ended. */
int opening_code(struct opening *);

#endif
