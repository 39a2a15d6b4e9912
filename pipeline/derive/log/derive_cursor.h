/* How far one reader has come in the derive log of a project: for each agent the number up to
 * which it has taken in every object, but for holes. A hole is a run of numbers of which the
 * first could not be read, for it is damaged or missing; it is tried again at each look, and
 * holds up nothing that comes behind it.
 *
 * It lives in memory, for as long as its reader does: one that is made anew out of what an
 * index remembers begins below its holes, and reads what lies behind them once more. One owner
 * at a time. */
#ifndef PIPELINE_DERIVE_LOG_DERIVE_CURSOR_H
#define PIPELINE_DERIVE_LOG_DERIVE_CURSOR_H

#include "formats/base/types.h"

/* An agent with more holes is read no further until some are mended. */
#define DERIVE_HOLES_MAX 64u

struct derive_hole {
    uint64_t first;
    uint64_t last;
};

struct derive_at {
    uint64_t agent;
    uint64_t seq;              /* all up to here, but for the holes */
    struct derive_hole *holes; /* sorted */
    uint32_t n_holes;
};

struct derive_cursor {
    struct derive_at *agents; /* sorted by agent */
    size_t n;
    size_t cap;
    uint64_t segment; /* all merged segments up to this number are known */
};

/* All zero is one that has read nothing. */
void derive_cursor_release(struct derive_cursor *);
/* NULL: nothing of the agent was read. */
const struct derive_at *derive_cursor_find(const struct derive_cursor *, uint64_t agent);
/* The reader has all of the agent up to `seq`, from elsewhere: out of an index, or because it
 * was told by its own log. Never goes back; holes up to there are gone. */
void derive_cursor_know(struct derive_cursor *, uint64_t agent, uint64_t seq);

#endif
