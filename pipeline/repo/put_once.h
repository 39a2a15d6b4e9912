/* Putting what has a name of its own: nobody else puts other bytes under it. */
#ifndef PIPELINE_REPO_PUT_ONCE_H
#define PIPELINE_REPO_PUT_ONCE_H

#include "pipeline/repo/repo.h"

/* Puts the bytes if the name is free. Where it is not, or nobody knows what became of the put,
 * what lies there tells: OK when it is these bytes. ERR_CONFLICT when it is others, which is
 * damage, is logged, and stays. */
int put_once(struct repo *, const char *key, struct bytes) MUST_USE;

/* Puts the bytes where others lie, or none: for those who make again what follows from
 * something else. Its bytes follow from that alone, so whoever puts it, and whenever, puts the
 * same, and a reader sees one or the other whole. What is replaced is damage, and logged. */
int put_again(struct repo *, const char *key, struct bytes) MUST_USE;

#endif
