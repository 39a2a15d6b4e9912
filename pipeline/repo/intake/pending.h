/* Sessions as any agent sees them now: one reads one's own writes, whichever front took
 * them. */
#ifndef PIPELINE_REPO_INTAKE_PENDING_H
#define PIPELINE_REPO_INTAKE_PENDING_H

#include "formats/landing.h"
#include "pipeline/repo/repo.h"

/* The queue, then the session object, then the chain, merged. In this order, or a drain in
 * between would hide a write. */
struct session_current {
    /* Of a landed one: as landed. One that was closed by another answer has the state ABANDONED
     * or SETTLED, and of its records only what is still to be found. */
    struct session session;
    struct session_view view;
    struct hash tip; /* the batch that the head named: what follows takes in all up to it */
    bool answered;   /* there is an answer: `answer` is its newest, or its landing */
    struct landing answer;
    /* An object of the queue is damaged: writes to this session that were accepted may be
     * missing here. Not of one that was answered for good. */
    bool partial;
};

/* ERR_NOT_FOUND when nobody has heard of it; ERR_CORRUPT when what is damaged may have it. */
int session_read(struct repo *, const struct id16 *project, const struct id16 *sid,
                 struct arena *, struct session_current *out) MUST_USE;

/* Whether the session, which has no answer up to the batch `known`, has none up to the batch
 * `tip` either. False when it has one, or when there are too many batches between. */
bool session_still_unanswered(struct repo *, const struct id16 *project, const struct id16 *sid,
                              const struct hash *known, const struct hash *tip) MUST_USE;

struct session_list {
    struct session *sessions; /* sorted by id */
    size_t n;
    bool more;
};
/* Open sessions with ids greater than `after`, at most `max`: session objects and the queue
 * together. A session that came whole with its land is not open. One that was answered for good
 * is left out, also when its object was not put away. */
int session_list(struct repo *, const struct id16 *project, const struct id16 *after,
                 size_t max, struct arena *, struct session_list *out) MUST_USE;

#endif
