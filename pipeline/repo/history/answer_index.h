/* Answers by session and request, in memory: a drain asks for each of them whether it is there.
 * However many answers one session has, finding one costs the same. One thread. */
#ifndef PIPELINE_REPO_HISTORY_ANSWER_INDEX_H
#define PIPELINE_REPO_HISTORY_ANSWER_INDEX_H

#include "formats/tree_object.h"

struct answer {
    bool answered;        /* this very request has an answer */
    bool closed;          /* the session takes no further request */
    enum verdict verdict; /* of the request's answer */
};

struct answer_slot;

/* All zero is an empty one. */
struct answer_index {
    struct answer_slot *slots; /* open addressing */
    size_t n_slots;            /* a power of two, or 0 */
    size_t n;
};

void answer_index_release(struct answer_index *);

/* An answer that is there already stays as it is. */
void answer_index_add(struct answer_index *, const struct id16 *session,
                      const struct id16 *request, enum verdict verdict, bool closes);
/* Marks the session as one of which the index has every answer. */
void answer_index_complete(struct answer_index *, const struct id16 *session);
/* What it has of the request and its session. True when the session is marked. */
bool answer_index_find(const struct answer_index *, const struct id16 *session,
                       const struct id16 *request, struct answer *out);

#endif
