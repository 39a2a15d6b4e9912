#include "pipeline/repo/history/answer_index.h"

#include <stdlib.h>

#include "formats/base/hash.h"

#define SLOTS_FIRST 1024u

/* A session has one slot of its own, which holds what is true of the whole session and one of
 * its answers; each further answer has another one, found by session and request. */
struct answer_slot {
    struct id16 session;
    struct id16 request; /* where has_answer */
    uint8_t verdict;
    bool taken;
    bool has_answer;
    bool further;  /* not the session's own slot */
    bool closed;   /* own slot: one of the answers closes the session */
    bool complete; /* own slot: marked */
    bool more;     /* own slot: there are further ones */
};

void answer_index_release(struct answer_index *index)
{
    free(index->slots);
    *index = (struct answer_index){0};
}

static size_t first_slot(const struct answer_index *index, const struct id16 *session,
                         const struct id16 *request)
{
    struct id16 both[2] = {*session};
    if (request != NULL)
        both[1] = *request;
    size_t len = request != NULL ? sizeof(both) : sizeof(*session);
    return (size_t)xxh3_64(bytes_of(both, len)) & (index->n_slots - 1);
}

/* The session's own slot, or that of a further answer where `request` is given; an empty one
 * where it would be. */
static struct answer_slot *slot_find(const struct answer_index *index,
                                     const struct id16 *session, const struct id16 *request)
{
    size_t i = first_slot(index, session, request);
    for (;; i = (i + 1) & (index->n_slots - 1)) {
        struct answer_slot *slot = &index->slots[i];
        if (!slot->taken)
            return slot;
        if (slot->further == (request != NULL) && id16_equal(&slot->session, session) &&
            (request == NULL || id16_equal(&slot->request, request)))
            return slot;
    }
}

static void grow(struct answer_index *index)
{
    struct answer_index larger = {
        .n_slots = index->n_slots == 0 ? SLOTS_FIRST : index->n_slots * 2, .n = index->n};
    larger.slots = calloc(larger.n_slots, sizeof(*larger.slots));
    if (larger.slots == NULL)
        abort();
    for (size_t i = 0; i < index->n_slots; i++) {
        const struct answer_slot *slot = &index->slots[i];
        if (slot->taken)
            *slot_find(&larger, &slot->session, slot->further ? &slot->request : NULL) = *slot;
    }
    free(index->slots);
    *index = larger;
}

/* The same as slot_find; an empty slot is taken. Earlier slots may move. */
static struct answer_slot *slot_take(struct answer_index *index, const struct id16 *session,
                                     const struct id16 *request)
{
    if (index->n * 2 >= index->n_slots)
        grow(index);
    struct answer_slot *slot = slot_find(index, session, request);
    if (!slot->taken) {
        *slot = (struct answer_slot){
            .session = *session, .taken = true, .further = request != NULL};
        index->n++;
    }
    return slot;
}

void answer_index_add(struct answer_index *index, const struct id16 *session,
                      const struct id16 *request, enum verdict verdict, bool closes)
{
    struct answer_slot *slot = slot_take(index, session, NULL);
    slot->closed = slot->closed || closes;
    if (slot->has_answer && !id16_equal(&slot->request, request)) {
        slot->more = true;
        slot = slot_take(index, session, request);
    }
    if (slot->has_answer)
        return;
    slot->has_answer = true;
    slot->request = *request;
    slot->verdict = (uint8_t)verdict;
}

void answer_index_complete(struct answer_index *index, const struct id16 *session)
{
    slot_take(index, session, NULL)->complete = true;
}

bool answer_index_find(const struct answer_index *index, const struct id16 *session,
                       const struct id16 *request, struct answer *out)
{
    *out = (struct answer){0};
    if (index->n_slots == 0)
        return false;
    const struct answer_slot *own = slot_find(index, session, NULL);
    out->closed = own->closed;
    const struct answer_slot *slot = own;
    if (own->more && !id16_equal(&own->request, request))
        slot = slot_find(index, session, request);
    out->answered = slot->has_answer && id16_equal(&slot->request, request);
    if (out->answered)
        out->verdict = (enum verdict)slot->verdict;
    return own->complete;
}
