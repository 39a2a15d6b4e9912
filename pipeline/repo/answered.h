/* Has it been answered already? The ids of the newest batches of one project in memory, so that
 * a drain asks the store only for what it has not seen.
 *
 * A session can only have been answered at or above the base in its id. The window holds every
 * batch from its tip back to `floor`; a question that reaches below it reads on, batch by batch
 * while that is cheap, else in the landing log. Losing a window costs reads, never an answer.
 * One thread. */
#ifndef PIPELINE_REPO_ANSWERED_H
#define PIPELINE_REPO_ANSWERED_H

#include "pipeline/repo/chain.h"

struct answered;

struct answered *answered_open(struct repo *, const struct id16 *project) MUST_USE;
void answered_close(struct answered *);

/* Brings the window up to `tip`: reads the batches between it and the window's old tip. */
int answered_advance(struct answered *, const struct batch *tip) MUST_USE;

struct answer {
    bool answered;        /* this very request has an answer */
    bool closed;          /* the session takes no further request */
    enum verdict verdict; /* of the request's answer; else of what closed it */
};
/* What the chain up to the window's tip says of `session` and of `request` about it. */
int answered_find(struct answered *, const struct id16 *session, const struct id16 *request,
                  struct answer *out) MUST_USE;

#endif
