#include "tests/sim/ledger.h"

#include <stdlib.h>

#include "api/service/parts.h"
#include "formats/base/hash.h"

static void *push(void *items, size_t *n, size_t *cap, size_t size)
{
    if (*n == *cap) {
        *cap = *cap == 0 ? 16 : *cap * 2;
        items = reallocarray(items, *cap, size);
        if (items == NULL)
            abort();
    }
    (*n)++;
    return items;
}

static void *keep(const void *from, size_t size)
{
    void *copy = malloc(size);
    if (copy == NULL)
        abort();
    memcpy(copy, from, size);
    return copy;
}

struct asked_session *ledger_session_add(struct ledger *l, const struct asked_session *session)
{
    struct asked_session *kept = keep(session, sizeof(*session));
    l->all = push(l->all, &l->n, &l->cap, sizeof(struct asked_session *));
    l->all[l->n - 1] = kept;
    return kept;
}

struct asked_request *ledger_request_add(struct ledger *l, const struct asked_request *request)
{
    struct asked_request *kept = keep(request, sizeof(*request));
    l->requests =
        push(l->requests, &l->n_requests, &l->cap_requests, sizeof(struct asked_request *));
    l->requests[l->n_requests - 1] = kept;
    return kept;
}

struct asked_record *asked_record_add(struct asked_session *s, const struct record *record)
{
    s->records = push(s->records, &s->n, &s->cap, sizeof(*s->records));
    s->records[s->n - 1] = (struct asked_record){.sent = *record};
    return &s->records[s->n - 1];
}

static void base_fill(uint64_t *base, uint64_t otherwise)
{
    if (*base == UINT64_MAX)
        *base = otherwise;
}

void asked_session_settle(struct ledger *l, struct asked_session *s, uint64_t base)
{
    AUTO(arena_release) struct arena arena = {0};
    s->base = base;
    struct record *records = arena_array(&arena, s->n, struct record);
    for (size_t i = 0; i < s->n; i++) {
        struct record *record = &s->records[i].sent;
        if (record->kind == RECORD_START)
            record->start.base = base;
        else if (record->kind == RECORD_OPERATION)
            base_fill(&record->operation.base, base);
        else if (record->kind == RECORD_GUARD)
            base_fill(&record->guard.base, base);
        records[i] = *record;
    }
    s->id = session_id(&l->projects[s->project], &s->owner, s->key, base);
    if (s->whole) {
        struct session session = {.project = l->projects[s->project],
                                  .owner = s->owner,
                                  .records = records,
                                  .n_records = s->n};
        session_assign_ids(&session);
        for (size_t i = 0; i < s->n; i++)
            s->records[i].sent.id = records[i].id;
    }
    id_table_put(&l->sessions, &s->id, NULL, s);
}

static int id_order(const void *a, const void *b)
{
    return id16_compare(a, b);
}

bool asked_request_exact(struct asked_request *r, const struct asked_session *s,
                         struct arena *arena)
{
    bool maybe = false;
    r->ids = arena_array(arena, s->n, struct id16);
    r->n_ids = 0;
    for (size_t i = 0; i < s->n; i++) {
        if (s->records[i].durable)
            r->ids[r->n_ids++] = s->records[i].sent.id;
        else
            maybe = maybe || s->records[i].maybe;
    }
    qsort(r->ids, r->n_ids, sizeof(*r->ids), id_order);
    struct hash records = sha256(bytes_of(r->ids, r->n_ids * sizeof(*r->ids)));
    struct bytes key = bytes_of(records.b, sizeof(records.b));
    r->id = service_request_id(&s->owner, key, false, &s->id, &records, 1);
    return maybe;
}

void asked_request_abandon(struct asked_request *r, const struct asked_session *s,
                           const char *reason)
{
    struct record record = {.kind = RECORD_ABANDON, .abandon = bytes_str(reason)};
    AUTO_BUF payload = {0};
    record_payload(&record, &payload);
    r->id = record_id(&s->owner, &s->id, bytes_str("abandon"), buf_bytes(&payload));
}

struct asked_session *ledger_session(struct ledger *l, unsigned project,
                                     const struct id16 *session)
{
    struct asked_session *found = id_table_find(&l->sessions, session, NULL);
    uint64_t base = session_id_base(session);
    for (size_t i = 0; i < l->n && found == NULL; i++) {
        struct asked_session *s = l->all[i];
        if (s->base != UINT64_MAX || s->project != project)
            continue;
        struct id16 id = session_id(&l->projects[project], &s->owner, s->key, base);
        if (!id16_equal(&id, session))
            continue;
        asked_session_settle(l, s, base);
        found = s;
    }
    return found;
}

struct asked_record *ledger_record(const struct asked_session *s, const struct id16 *record)
{
    for (size_t i = 0; i < s->n; i++) {
        if (id16_equal(&s->records[i].sent.id, record))
            return &s->records[i];
    }
    return NULL;
}

struct asked_request *ledger_request(struct ledger *l, const struct asked_session *s,
                                     const struct id16 *request)
{
    for (size_t i = l->n_requests; i > 0; i--) {
        struct asked_request *r = l->requests[i - 1];
        if (id16_equal(&r->id, request))
            return r;
    }
    /* Of several such nobody knows which it is: the oldest has seen the least. */
    for (size_t i = 0; i < l->n_requests; i++) {
        struct asked_request *r = l->requests[i];
        if (r->loose && r->sessions[0] == s)
            return r;
    }
    /* A whole session has one. */
    struct asked_request *r = s->request;
    if (r == NULL || !id16_is_zero(&r->id))
        return NULL;
    r->id = *request;
    return r;
}
