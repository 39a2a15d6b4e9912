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

#include "formats/base/err.h"
#include "formats/base/types.h"

/* Where there are more, nothing further is read until some are mended. */
#define DERIVE_HOLES_MAX 256u

struct derive_hole {
    uint64_t first;
    uint64_t last;
    int err; /* what was wrong with the first */
};

/* How far a run of numbers, from 1, has been read. */
struct derive_at {
    uint64_t agent;
    uint64_t seq;              /* all up to here, but for the holes */
    struct derive_hole *holes; /* sorted */
    uint32_t n_holes;
    bool held; /* it has too many holes: it is read no further in this look */
};

struct derive_cursor {
    struct derive_at *agents; /* sorted by agent */
    size_t n;
    size_t cap;
    struct derive_at segments; /* the numbers of merged segments; no agent's */
    bool begun;                /* a look has been made */
};

/* All zero is one that has read nothing. */
void derive_cursor_release(struct derive_cursor *);
/* NULL: nothing of the agent was read. */
struct derive_at *derive_cursor_find(const struct derive_cursor *, uint64_t agent);
/* The same, and begins with nothing read where there is none. Any other may have moved. */
struct derive_at *derive_cursor_get(struct derive_cursor *, uint64_t agent);
/* The reader has all of the agent up to `seq`, from elsewhere: out of an index, or because it
 * was told by its own log. Never goes back; holes up to there are gone. */
void derive_cursor_know(struct derive_cursor *, uint64_t agent, uint64_t seq);

/* Whether `seq` is still to be read. */
bool derive_at_wants(const struct derive_at *, uint64_t seq);
/* It was read: the next one, or one out of a hole. */
void derive_at_took(struct derive_at *, uint64_t seq);
/* The next ones, up to `last`, could not be: they become a hole, the same one as that before
 * them where they follow it. ERR_LIMIT when there are too many. */
int derive_at_missed(struct derive_at *, uint64_t last, int err) MUST_USE;

#endif
