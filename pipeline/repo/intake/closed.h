/* Which sessions have been answered for good, whatever their objects in the store say: one that
 * came whole with its land has no object that anybody would put away, though an older one of
 * the same key may be there, and a drain may end between putting an object and noticing that
 * the session was closed meanwhile. */
#ifndef PIPELINE_REPO_INTAKE_CLOSED_H
#define PIPELINE_REPO_INTAKE_CLOSED_H

#include "pipeline/repo/chain.h"

/* Sets closed[i] when session ids[i] is closed by the chain up to `head`. One walk for all,
 * from the head down to where each was found open the last time, or to its base; further back
 * by the log. What a session is that cannot be told, because of damage, is called open. Fails
 * when the store does. */
int closed_check(struct repo *, const struct id16 *project, const struct head *,
                 const struct id16 *ids, size_t n, bool *closed) MUST_USE;

#endif
