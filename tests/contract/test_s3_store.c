/* The contract of stores, asked of a bucket on a real server. */
#include <stdio.h>

#include "tests/support/s3_rig.h"
#include "tests/support/store_contract.h"

int main(void)
{
    static const store_maker makers[] = {s3_rig_open};
    if (!s3_rig_given())
        printf("skipped: no S3 server is given by MIC_S3_ENDPOINT\n");
    return store_contract_run("s3", makers, s3_rig_given() ? ARRAY_LEN(makers) : 0);
}
