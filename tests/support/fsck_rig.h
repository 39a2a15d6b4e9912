/* Runs the check and keeps what it finds. */
#ifndef TESTS_SUPPORT_FSCK_RIG_H
#define TESTS_SUPPORT_FSCK_RIG_H

#include "pipeline/repo/check/fsck.h"

#define FSCK_KEPT_MAX 64u

struct fsck_kept {
    bool damage;
    char invariant[32];
    char problem[64];
    char key[300];
    char detail[600];
};

struct fsck_result {
    int err;
    struct fsck_counts counts;
    struct fsck_kept kept[FSCK_KEPT_MAX]; /* the first ones */
    size_t n;                             /* of them */
};

/* Checks all of a store, and writes nothing to it: that is seen to. `ids_max` 0 for the usual
 * one. The log is silent meanwhile. */
void fsck_rig_run(struct store *, struct clock *, bool deep, size_t ids_max,
                  struct fsck_result *out);

/* All that was found, as text. */
const char *fsck_rig_text(const struct fsck_result *);

#endif
