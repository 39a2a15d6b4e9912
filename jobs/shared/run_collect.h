/* What mic-gc does with its command line. */
#ifndef JOBS_SHARED_RUN_COLLECT_H
#define JOBS_SHARED_RUN_COLLECT_H

#include "config/settings.h"

struct collect_args {
    bool act;
    bool json;
    const char *resume; /* a run, or NULL */
    const char *close;
};

/* Collects, prints, and gives what main is to return. */
int collect_main(const char *program, const struct settings *, const struct collect_args *);

#endif
