/* Ids for the records of a session that comes as a whole. */
#include <stdio.h>
#include <stdlib.h>

#include "formats/session.h"

/* A record's id under the key "0", which is the same for equal payloads, and its place in the
 * array. */
struct numbered {
    struct id16 id;
    size_t index;
};

static int numbered_order(const void *a, const void *b)
{
    const struct numbered *left = a;
    const struct numbered *right = b;
    int order = id16_compare(&left->id, &right->id);
    return order != 0 ? order : (left->index > right->index) - (left->index < right->index);
}

static struct id16 nth_id(const struct session *session, const struct record *record,
                          size_t nth, struct buf *scratch)
{
    char key[32];
    (void)snprintf(key, sizeof(key), "%zu", nth);
    buf_clear(scratch);
    record_payload(record, scratch);
    return record_id(&session->owner, &session->id, bytes_str(key), buf_bytes(scratch));
}

static const struct record *find_start(const struct session *session)
{
    for (size_t i = 0; i < session->n_records; i++) {
        if (session->records[i].kind == RECORD_START)
            return &session->records[i];
    }
    return NULL;
}

void session_assign_ids(struct session *session)
{
    const struct record *start = find_start(session);
    assert(start != NULL);
    session->id =
        session_id(&session->project, &session->owner, start->start.key, start->start.base);

    AUTO_BUF payload = {0};
    AUTO_BUF memory = {0};
    size_t n = session->n_records;
    struct numbered *all = (void *)buf_reserve(&memory, n * sizeof(struct numbered));
    for (size_t i = 0; i < n; i++) {
        all[i].id = nth_id(session, &session->records[i], 0, &payload);
        all[i].index = i;
    }
    qsort(all, n, sizeof(*all), numbered_order);
    for (size_t i = 0, first = 0; i < n; i++) {
        if (!id16_equal(&all[i].id, &all[first].id))
            first = i;
        struct record *record = &session->records[all[i].index];
        record->id = i == first ? all[i].id : nth_id(session, record, i - first, &payload);
    }
}
