/* Verification: how often a function is run a second time from the same inputs, to see whether
 * it gives the same bytes. */
#ifndef PIPELINE_DERIVE_RUN_VERIFY_H
#define PIPELINE_DERIVE_RUN_VERIFY_H

#include "formats/base/buf.h"
#include "formats/base/err.h"

enum verify_mode {
    VERIFY_OFF,
    VERIFY_DUAL,    /* every run */
    VERIFY_SAMPLED, /* a part of them */
};

struct verify {
    enum verify_mode mode;
    double rate; /* SAMPLED: 0 to 1; 0 is never, 1 is always */
};

/* "off", "dual", "sampled:0.25". ERR_INVALID. */
int verify_parse(struct bytes text, struct verify *out) MUST_USE;
void verify_text(const struct verify *, struct buf *out);
/* Whether a run is verified; `chance` is drawn evenly from all numbers. */
bool verify_wanted(const struct verify *, uint64_t chance);

#endif
