/* The probe of a bucket of S3: it also finds out which form of If-Match the server takes. */
#ifndef PIPELINE_STORE_S3_PROBE_H
#define PIPELINE_STORE_S3_PROBE_H

#include "pipeline/store/probe.h"
#include "pipeline/store/s3.h"

/* As probe_store, for a store that s3_store_open gave. A bucket that passed within a day, seen
 * from this address, is not tried again but with `always`; and without it, a server that cannot
 * be asked whether it did is not tried at all: ERR_AGAIN. */
int s3_store_probe(struct store *, bool always, struct probe_report *out) MUST_USE;

#endif
