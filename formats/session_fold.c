/* Folding: what a set of records makes of a session. It depends on the set alone, never on the
 * order or the number of pieces in which the records came. */
#include <stdlib.h>

#include "formats/session.h"

static bool record_kept(const struct session *session, const struct record *record)
{
    switch (record->kind) {
    case RECORD_START:
        if (record->start.base >= BASE_END)
            return false;
        struct id16 id = session_id(&session->project, &session->owner, record->start.key,
                                    record->start.base);
        return id16_equal(&id, &session->id);
    case RECORD_OPERATION:
    case RECORD_GUARD:
    case RECORD_DECISION:
    case RECORD_CONVERSATION:
    case RECORD_REBASE:
        return true;
    case RECORD_ABANDON:
    case RECORD_LAND:
        return false;
    }
    return false;
}

static int id_order(const void *a, const void *b)
{
    const struct record *const *left = a;
    const struct record *const *right = b;
    return id16_compare(&(*left)->id, &(*right)->id);
}

/* Which of two copies of a record counts: the one with the lower hlc. An id is a hash over the
 * content as the client sent it, so copies differ in what a front added at most; their bytes
 * settle what is then left, so that the order in which they came cannot. */
static const struct record *better_copy(const struct record *a, const struct record *b)
{
    if (a->hlc != b->hlc)
        return a->hlc < b->hlc ? a : b;
    AUTO_BUF a_bytes = {0};
    AUTO_BUF b_bytes = {0};
    record_payload(a, &a_bytes);
    record_payload(b, &b_bytes);
    return bytes_compare(buf_bytes(&a_bytes), buf_bytes(&b_bytes)) <= 0 ? a : b;
}

/* The records that are kept of those given, one of each id, by id. Gives their count. */
static size_t records_select(const struct session *session, const struct record *records,
                             size_t n, const struct record **out)
{
    size_t kept = 0;
    for (size_t i = 0; i < n; i++) {
        if (record_kept(session, &records[i]))
            out[kept++] = &records[i];
    }
    qsort(out, kept, sizeof(struct record *), id_order);
    size_t unique = 0;
    for (size_t i = 0; i < kept; i++) {
        if (unique > 0 && id16_equal(&out[unique - 1]->id, &out[i]->id))
            out[unique - 1] = better_copy(out[unique - 1], out[i]);
        else
            out[unique++] = out[i];
    }
    return unique;
}

static void session_sum_up(struct session *session)
{
    session->base = 0;
    session->hlc_created = 0;
    session->hlc_updated = 0;
    for (size_t i = 0; i < session->n_records; i++) {
        const struct record *record = &session->records[i];
        uint64_t base = 0;
        if (record->kind == RECORD_START) {
            base = record->start.base;
            if (session->hlc_created == 0 || record->hlc < session->hlc_created)
                session->hlc_created = record->hlc;
        } else if (record->kind == RECORD_REBASE) {
            base = record->rebase;
        }
        if (base > session->base)
            session->base = base;
        if (record->hlc > session->hlc_updated)
            session->hlc_updated = record->hlc;
    }
}

size_t session_merge(struct session *session, struct arena *arena, const struct record *records,
                     size_t n)
{
    if (session->state == SESSION_LANDED || session->state == SESSION_ABANDONED ||
        session->state == SESSION_SETTLED)
        return 0;
    const struct record **more = arena_array(arena, n, const struct record *);
    size_t n_more = records_select(session, records, n, more);
    if (n_more == 0)
        return 0;

    const struct record *old = session->records;
    size_t n_old = session->n_records;
    struct record *merged = arena_array(arena, n_old + n_more, struct record);
    size_t count = 0;
    size_t known = 0;
    for (size_t i = 0, j = 0; i < n_old || j < n_more; count++) {
        assert(i == 0 || i == n_old || id16_compare(&old[i - 1].id, &old[i].id) < 0);
        int order = i == n_old ? 1 : j == n_more ? -1 : id16_compare(&old[i].id, &more[j]->id);
        if (order < 0) {
            merged[count] = old[i++];
        } else if (order > 0) {
            merged[count] = *more[j++];
        } else {
            merged[count] = *better_copy(&old[i++], more[j++]);
            known++;
        }
    }
    session->records = merged;
    session->n_records = count;
    session_sum_up(session);
    return n_more - known;
}
