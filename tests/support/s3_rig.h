/* The S3 server that a test is given by its environment: MIC_S3_ENDPOINT,
 * MIC_S3_ACCESS_KEY_ID, MIC_S3_SECRET_ACCESS_KEY, MIC_S3_BUCKET, and MIC_S3_REGION when it is
 * not us-east-1. */
#ifndef TESTS_SUPPORT_S3_RIG_H
#define TESTS_SUPPORT_S3_RIG_H

#include "pipeline/store/s3.h"
#include "tests/support/store_rig.h"

/* Whether there is one. */
bool s3_rig_given(void);
/* How to reach it. `prefix` may be "". */
struct s3_options s3_rig_options(const char *prefix);
/* A store under a prefix of its own, all of which is deleted at the end. */
void s3_rig_open(struct rig *);

#endif
