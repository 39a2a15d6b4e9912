/* An input in blocks of one size, whatever views it comes in: for libraries whose output may
 * depend on how their input is cut. */
#ifndef PIPELINE_DERIVE_FUNCTIONS_FN_FEED_H
#define PIPELINE_DERIVE_FUNCTIONS_FN_FEED_H

#include "pipeline/derive/function.h"

#define FN_FEED_BLOCK (128u * KIB)

struct fn_feed {
    struct fn_bytes *in;
    uint64_t at;
    struct buf block;
};

void fn_feed_init(struct fn_feed *, struct fn_bytes *);
void fn_feed_release(struct fn_feed *);
/* The next block, valid until the next call: FN_FEED_BLOCK bytes, the last one what is left;
 * `last` is true with it. An empty input has one empty block. Called no more after the last. */
int fn_feed_next(struct fn_feed *, struct bytes *block, bool *last) MUST_USE;

#endif
