/* What mic-fsck prints: a line a finding, and a sum; or JSON objects, one a line. */
#ifndef JOBS_SHARED_PRINT_FINDINGS_H
#define JOBS_SHARED_PRINT_FINDINGS_H

#include "config/settings.h"
#include "pipeline/repo/check/fsck.h"

struct findings_printer {
    bool json;
};

/* For fsck_options.found: `arg` is the printer. */
void finding_print(void *arg, const struct fsck_finding *);
/* Prints the sum, or on stderr why it could not be checked. Gives what main is to return. */
int findings_end(const struct findings_printer *, const struct settings *,
                 const struct fsck_options *, const struct fsck_counts *, int err) MUST_USE;

#endif
