/* Nothing accepted is ever dropped: what leaves the queue is settled, and what a session object
 * holds stays in it. */
#include <stdlib.h>

#include "formats/base/hex.h"
#include "formats/key.h"
#include "formats/log_segment.h"
#include "formats/project_id.h"
#include "tests/sim/counts.h"
#include "tests/sim/sim_oracle.h"

static struct queue_object object_decode(const char *key, struct bytes data,
                                         struct arena *arena)
{
    struct queue_object object;
    if (queue_object_decode(data, arena, &object) != OK)
        broken("named", "a queue object that is none: %s", key);
    return object;
}

/* Of references what clients were told is held against their history (sim_refs.h). */
static bool of_refs(const struct queue_group *group)
{
    return project_id_is_refs(&group->project);
}

void oracle_queue_put(struct oracle *o, const char *key, struct bytes data)
{
    AUTO(arena_release) struct arena arena = {0};
    struct queue_object object = object_decode(key, data, &arena);
    if (object.hlc == object.seq)
        count(COUNT_QUEUE_MERGED);
    for (uint32_t i = 0; i < object.n; i++) {
        const struct queue_group *group = &object.groups[i];
        for (uint32_t k = 0; k < group->n && !of_refs(group); k++) {
            const struct record *record = &group->records[k];
            struct pending *p = id_table_find(&o->pending, &group->session, &record->id);
            if (p == NULL)
                p = id_table_new(&o->pending, &group->session, &record->id, sizeof(*p));
            p->copies++;
            oracle_upload_named(o, &group->project, &group->session, record);
            p->owner = group->owner;
            p->kind = record->kind;
            if (oracle_closed(o, &group->session) != NULL && record->kind != RECORD_LAND)
                count(COUNT_RECORD_LATE);
        }
    }
}

/* What the session's object holds of it. */
static bool in_object(struct oracle *o, const struct queue_group *group,
                      const struct id16 *record)
{
    AUTO(arena_release) struct arena arena = {0};
    AUTO_BUF bytes = {0};
    struct key key = key_session(&group->project, &group->session);
    struct session session;
    if (store_get(far_end_mem(o->end), key.s, range_all(), &bytes, NULL, NULL) != OK ||
        session_decode(buf_bytes(&bytes), &arena, &session) != OK)
        return false;
    if (session.state == SESSION_SETTLED)
        return true;
    for (size_t i = 0; i < session.n_records; i++) {
        if (id16_equal(&session.records[i].id, record))
            return true;
    }
    return false;
}

/* Whether the record needs the queue no more. */
static bool is_settled(struct oracle *o, const struct queue_group *group,
                       const struct record *record)
{
    if (record->kind == RECORD_ABANDON)
        return oracle_answer(o, &group->session, &record->id) != NULL;
    if (record->kind != RECORD_LAND)
        return oracle_closed(o, &group->session) != NULL || in_object(o, group, &record->id);
    for (uint32_t i = 0; i < record->land.n; i++) {
        if (oracle_answer(o, &record->land.items[i].session, &record->id) == NULL)
            return false;
    }
    return true;
}

static bool is_foreign(struct oracle *o, const struct queue_group *group)
{
    const struct asked_session *s = id_table_find(&o->ledger->sessions, &group->session, NULL);
    return s != NULL && !id16_equal(&s->owner, &group->owner);
}

void oracle_queue_deleting(struct oracle *o, const char *key, struct bytes data)
{
    AUTO(arena_release) struct arena arena = {0};
    struct queue_object object = object_decode(key, data, &arena);
    for (uint32_t i = 0; i < object.n; i++) {
        const struct queue_group *group = &object.groups[i];
        for (uint32_t k = 0; k < group->n && !of_refs(group); k++) {
            const struct record *record = &group->records[k];
            struct pending *p = id_table_find(&o->pending, &group->session, &record->id);
            assert(p != NULL && p->copies > 0);
            p->copies--;
            if (p->copies > 0 || is_foreign(o, group) || is_settled(o, group, record))
                continue;
            broken("durable", "session %s: its last copy of a record of kind %u is deleted",
                   id16_hex(&group->session).s, (unsigned)record->kind);
        }
    }
}

/* --- session objects --- */

static const struct record *record_of(const struct session *session, const struct id16 *id)
{
    for (size_t i = 0; i < session->n_records; i++) {
        if (id16_equal(&session->records[i].id, id))
            return &session->records[i];
    }
    return NULL;
}

/* Folding forgets nothing, and of two copies the lower stamp counts. */
static void fold_check(const struct session *before, const struct session *after)
{
    const char *id = id16_hex(&after->id).s;
    if (before->state == SESSION_SETTLED)
        broken("final", "the object of session %s, which is settled, is written again", id);
    for (size_t i = 0; i < before->n_records; i++) {
        const struct record *is = record_of(after, &before->records[i].id);
        if (is == NULL)
            broken("durable", "session %s has lost a record from its object", id);
        if (is->hlc > before->records[i].hlc)
            broken("serial", "session %s: of two copies of a record the later one counts", id);
    }
}

void oracle_session_put(struct oracle *o, const struct id16 *project, struct bytes old,
                        struct bytes data)
{
    AUTO(arena_release) struct arena arena = {0};
    struct session before;
    struct session after;
    (void)project;
    if (session_decode(data, &arena, &after) != OK)
        broken("named", "a session object that is none");
    if (after.state == SESSION_SETTLED) {
        if (oracle_closed(o, &after.id) == NULL)
            broken("durable", "session %s is retired, and has no answer",
                   id16_hex(&after.id).s);
        count(COUNT_RETIRED);
        return;
    }
    count(COUNT_FOLDED);
    const struct asked_session *s = id_table_find(&o->ledger->sessions, &after.id, NULL);
    if (s != NULL && !id16_equal(&s->owner, &after.owner))
        broken("serial", "the object of session %s is another's", id16_hex(&after.id).s);
    for (size_t i = 0; s != NULL && i < after.n_records; i++) {
        if (ledger_record(s, &after.records[i].id) == NULL)
            broken("serial", "the object of session %s has a record that nobody sent",
                   id16_hex(&after.id).s);
    }
    if (old.len > 0 && session_decode(old, &arena, &before) == OK)
        fold_check(&before, &after);
}

/* --- log segments --- */

static const struct known_answer *answer_at(const struct oracle_project *p, size_t *at,
                                            const struct log_segment *segment)
{
    uint64_t first = segment->first == 1 ? 0 : segment->first;
    while (*at < p->n_answers && p->answers[*at]->position < first)
        ++*at;
    return *at < p->n_answers ? p->answers[(*at)++] : NULL;
}

void oracle_segment_put(struct oracle *o, struct oracle_project *p, struct bytes data)
{
    AUTO(arena_release) struct arena arena = {0};
    struct log_segment segment;
    (void)o;
    if (log_segment_decode(data, &arena, &segment) != OK)
        broken("named", "a log segment that is none");
    count(segment.end - segment.first == 100 ? COUNT_SEGMENT_SMALL : COUNT_SEGMENT_LARGE);
    size_t at = 0;
    for (uint32_t i = 0; i < segment.n; i++) {
        const struct log_entry *entry = &segment.entries[i];
        const struct known_answer *answer = answer_at(p, &at, &segment);
        if (answer == NULL || !id16_equal(&answer->session, &entry->session) ||
            !id16_equal(&answer->request, &entry->request) ||
            answer->verdict != entry->verdict || answer->position != entry->position ||
            !hash_equal(&answer->tree, &entry->tree))
            broken("rebuild", "the log segment from %lu is not what the chain says",
                   (unsigned long)segment.first);
    }
    while (at < p->n_answers && p->answers[at]->position < segment.end) {
        if (p->answers[at]->position >= segment.first)
            broken("rebuild", "the log segment from %lu leaves out an answer",
                   (unsigned long)segment.first);
        at++;
    }
}
