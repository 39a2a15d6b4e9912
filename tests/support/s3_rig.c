#include "tests/support/s3_rig.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "formats/key.h"
#include "pipeline/store/s3_probe.h"

static const char *env(const char *name)
{
    const char *value = getenv(name);
    return value == NULL ? "" : value;
}

bool s3_rig_given(void)
{
    return env("MIC_S3_ENDPOINT")[0] != '\0';
}

struct s3_options s3_rig_options(const char *prefix)
{
    return (struct s3_options){
        .bucket = env("MIC_S3_BUCKET"),
        .prefix = prefix,
        .endpoint = env("MIC_S3_ENDPOINT"),
        .region = env("MIC_S3_REGION")[0] != '\0' ? env("MIC_S3_REGION") : "us-east-1",
        .access_key_id = env("MIC_S3_ACCESS_KEY_ID"),
        .secret_access_key = env("MIC_S3_SECRET_ACCESS_KEY"),
        .clock = clock_system(),
        .rng = rng_system(),
    };
}

void s3_rig_open(struct rig *rig)
{
    char prefix[32];
    char why[S3_WHY_MAX] = "";
    (void)snprintf(prefix, sizeof(prefix), "t/%016llx",
                   (unsigned long long)rng_u64(rng_system()));
    struct s3_options options = s3_rig_options(prefix);
    ck_assert_msg(s3_store_open(&options, &rig->store, why) == OK, "%s", why);
    struct probe_report report;
    ck_assert_msg(s3_store_probe(rig->store, true, &report) == OK, "%s", report.says);
    ck_assert_int_eq(store_delete(rig->store, key_probe_note().s), OK);
    rig->sweep = true;
}
