/* The store that a program works on: a directory, or a bucket of S3. */
#ifndef JOBS_SHARED_OPEN_STORE_H
#define JOBS_SHARED_OPEN_STORE_H

#include "config/settings.h"
#include "pipeline/store/probe.h"

/* Opens what settings->dir names; asks nothing of a server. `program` begins what is said on
 * stderr. Gives -1 to go on, else what main is to return. */
int open_store(const char *program, const struct settings *, struct store **out);
/* The same for a program that only reads: a directory that is not there is not made. */
int open_store_there(const char *program, const struct settings *, struct store **out);
/* Probes it when it is a bucket that has not passed within a day. Gives what the probe gives;
 * what is wrong is a whole sentence in the report then. */
int probe_opened_store(const struct settings *, struct store *, struct probe_report *) MUST_USE;

/* Says on stderr that the probe was not passed, and why. */
void say_not_passed(const char *program, const char *dir, const struct probe_report *);

bool is_s3_place(const char *dir);

#endif
