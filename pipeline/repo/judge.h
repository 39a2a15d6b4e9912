/* What landing a session on a tree comes to: what the landing stage decides by, and whoever
 * asks beforehand. */
#ifndef PIPELINE_REPO_JUDGE_H
#define PIPELINE_REPO_JUDGE_H

#include "formats/landing.h"
#include "pipeline/repo/content/condemned.h"
#include "pipeline/repo/tree/tree_edit.h"

/* What is known of uploads while sessions are judged one after another against one head. */
struct judge_uploads {
    /* Read when the first session names an upload, after the head that the caller has; he drops
     * it. */
    const struct condemned *condemned;
    /* The session names one that a collection is about to take: nobody can say what will be
     * there when that has ended. A lander lets it wait; whoever asks now gets that it is
     * missing. */
    bool awaits;
};

/* Fills in verdict, reason, detail and conflicts: LANDED when the session may be applied, or
 * CONFLICTED, or REFUSED (its own writes clash, or a content that it names is not there).
 * Changes nothing in the tree. ERR_CORRUPT and the store's errors when something cannot be
 * read. */
int judge_session(struct repo *, const struct id16 *project, struct tree_edit *,
                  const struct session_view *, struct judge_uploads *, struct arena *,
                  struct landing *out) MUST_USE;

/* Whether the store has failed: later it may do better. Any other error of judging, applying or
 * sealing is about what was read, and the session is refused for it. */
static inline bool judge_store_failed(int err)
{
    return err == ERR_AGAIN || err == ERR_UNKNOWN || err == ERR_DENIED;
}
/* Refused, because judging it or making the tree that it leads to has failed with `err`. */
void judge_unfit(int err, struct landing *out);

#endif
