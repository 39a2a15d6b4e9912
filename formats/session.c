#include "formats/session.h"

#include <stdlib.h>

#include "formats/base/limits.h"

#define SESSION_MAGIC   "MSES"
#define SESSION_VERSION 1u

static int record_order(const void *a, const void *b)
{
    const struct record *left = a;
    const struct record *right = b;
    return id16_compare(&left->id, &right->id);
}

static bool records_sorted(const struct record *records, size_t n)
{
    for (size_t i = 1; i < n; i++) {
        if (id16_compare(&records[i - 1].id, &records[i].id) > 0)
            return false;
    }
    return true;
}

void session_encode(struct session *session, struct buf *out)
{
    assert(session->n_records <= UINT32_MAX);
    if (!records_sorted(session->records, session->n_records))
        qsort(session->records, session->n_records, sizeof(*session->records), record_order);
    size_t at = envelope_begin(out, SESSION_MAGIC, SESSION_VERSION);
    wr_id16(out, &session->id);
    wr_u8(out, (uint8_t)session->state);
    wr_id16(out, &session->project);
    wr_id16(out, &session->owner);
    wr_u64(out, session->base);
    wr_u64(out, session->hlc_created);
    wr_u64(out, session->hlc_updated);
    wr_u64(out, session->position);
    wr_u64(out, session->version);
    wr_u32(out, (uint32_t)session->n_records);
    for (size_t i = 0; i < session->n_records; i++) {
        const struct record *record = &session->records[i];
        assert(i == 0 || id16_compare(&record[-1].id, &record->id) < 0);
        record_write(out, record);
    }
    envelope_close(out, at);
}

static bool state_known(enum session_state state)
{
    switch (state) {
    case SESSION_OPEN:
    case SESSION_LANDED:
    case SESSION_ABANDONED:
    case SESSION_SETTLED:
        return true;
    }
    return false;
}

static void records_read(struct reader *r, struct arena *arena, struct session *session)
{
    uint32_t n = rd_count(r, RECORD_LEN_MIN, SESSION_RECORDS_MAX);
    session->records = arena_array(arena, n, struct record);
    session->n_records = n;
    for (uint32_t i = 0; i < n && rd_error(r) == OK; i++) {
        session->records[i] = record_read(r, arena);
        const struct record *record = &session->records[i];
        if (record->kind == RECORD_LAND || record->kind == RECORD_ABANDON)
            rd_fail(r, ERR_CORRUPT);
        if (i > 0 && id16_compare(&record[-1].id, &record->id) >= 0)
            rd_fail(r, ERR_CORRUPT);
    }
}

int session_decode(struct bytes in, struct arena *arena, struct session *out)
{
    struct reader r;
    int err = envelope_open(in, SESSION_MAGIC, SESSION_VERSION, &r);
    if (err != OK)
        return err;
    struct session session = {0};
    session.id = rd_id16(&r);
    session.state = (enum session_state)rd_u8(&r);
    session.project = rd_id16(&r);
    session.owner = rd_id16(&r);
    session.base = rd_u64(&r);
    session.hlc_created = rd_u64(&r);
    session.hlc_updated = rd_u64(&r);
    session.position = rd_u64(&r);
    session.version = rd_u64(&r);
    if (!state_known(session.state))
        rd_fail(&r, ERR_CORRUPT);
    if (session.base >= BASE_END)
        rd_fail(&r, ERR_LIMIT);
    records_read(&r, arena, &session);
    err = rd_end(&r);
    if (err == OK)
        *out = session;
    return err;
}
