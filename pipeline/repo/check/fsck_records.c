#include "pipeline/repo/check/fsck_records.h"

#include <inttypes.h>

#include "formats/base/hex.h"
#include "pipeline/repo/check/fsck_blobs.h"
#include "pipeline/repo/check/fsck_log.h"

struct check {
    struct fsck_project *p;
    const struct fsck_batch *batch;
    struct arena *arena;
    bool good;
};

static void wrong(struct check *c, const char *invariant, const char *problem, uint32_t i,
                  const char *what)
{
    c->good = false;
    fsck_damage(c->p->fsck, invariant, problem, c->batch->key.s,
                "landing record %" PRIu32 " of batch %" PRIu64 ": %s", i,
                c->batch->footer.batch, what);
}

/* --- one record --- */

static bool record_decode(struct check *c, uint32_t i, size_t *at, struct landing *out)
{
    struct reader r;
    struct bytes section = c->batch->records;
    rd_init(&r, bytes_of(section.data + *at, section.len - *at));
    struct bytes bytes = rd_run32(&r, RECORDS_MAX);
    if (rd_error(&r) != OK || landing_decode(bytes, c->arena, out) != OK) {
        wrong(c, "named", "record_damaged", i, "it cannot be decoded");
        return false;
    }
    if (c->batch->ids != NULL) {
        const struct tree_id *id = &c->batch->ids[i];
        if (id->offset != *at || !id16_equal(&out->session, &id->session) ||
            !id16_equal(&out->request, &id->request) || out->verdict != id->verdict ||
            out->closes != id->closes)
            wrong(c, "named", "record_differs", i, "it is not what the ids say");
    }
    *at = section.len - rd_left(&r);
    return true;
}

static bool content_in_object(const struct check *c, const struct content *content)
{
    return content->offset >= TREE_HEADER_LEN &&
           (uint64_t)content->offset + content->len <= c->batch->footer.records.offset;
}

/* What an operation of a landed session brings in the tree object. */
static void content_check(struct check *c, uint32_t i, const struct content *content)
{
    switch (content->carrier) {
    case CARRIER_INLINE_RAW:
    case CARRIER_INLINE_ZSTD:
        wrong(c, "named", "record_differs", i, "a content of its session is still inline");
        return;
    case CARRIER_TREE_RAW:
    case CARRIER_TREE_ZSTD:
        if (!content_in_object(c, content))
            wrong(c, "named", "location_wrong", i,
                  "a content of its session is said to lie where none can");
        return;
    case CARRIER_BLOB:
    case CARRIER_MANIFEST:
    case CARRIER_SOURCE:
        return;
    }
}

/* What it was landed with and was uploaded; what a later operation of its own has replaced
 * nobody looked for. */
static int uploads_check(struct check *c, const struct session *session)
{
    struct session_view view;
    int err = OK;
    session_view(session, c->arena, &view);
    for (size_t i = 0; i < view.n_effects && err == OK; i++) {
        const struct effect *e = &view.effects[i];
        if (e->kind == EFFECT_WRITE &&
            (e->content.carrier == CARRIER_BLOB || e->content.carrier == CARRIER_MANIFEST))
            err = fsck_blobs_need(c->p->blobs, &e->content, c->batch->key.s);
    }
    return err;
}

/* Its project is the one in which it was begun: another one, where a replay has brought it. */
static bool session_ok(const struct landing *landing)
{
    const struct session *s = &landing->landed;
    if (!id16_equal(&s->id, &landing->session) || !id16_equal(&s->owner, &landing->owner) ||
        s->position != landing->position || s->state != SESSION_LANDED)
        return false;
    bool started = false;
    for (size_t i = 0; i < s->n_records; i++) {
        const struct record *record = &s->records[i];
        if (record->kind != RECORD_START)
            continue;
        struct id16 begun =
            session_id(&s->project, &s->owner, record->start.key, record->start.base);
        started = started || id16_equal(&begun, &s->id);
    }
    return started;
}

static int landed_check(struct check *c, uint32_t i, const struct landing *landing)
{
    if (!landing->has_session) {
        wrong(c, "atomic", "session_missing", i, "it has landed, and its session is not there");
        return OK;
    }
    if (!session_ok(landing))
        wrong(c, "atomic", "session_differs", i,
              "the session in it is not the one that it is about");
    for (size_t k = 0; k < landing->landed.n_records; k++) {
        const struct record *record = &landing->landed.records[k];
        if (record->kind == RECORD_OPERATION && record->operation.op != OP_DELETE)
            content_check(c, i, &record->operation.content);
    }
    return uploads_check(c, &landing->landed);
}

/* --- all of them --- */

static int all_check(struct check *c, struct landing *landings)
{
    const struct footer *f = &c->batch->footer;
    uint64_t position = f->first;
    size_t at = 0;
    for (uint32_t i = 0; i < f->n_records; i++) {
        struct landing *landing = &landings[i];
        if (!record_decode(c, i, &at, landing))
            return OK;
        position += landing->verdict == VERDICT_LANDED;
        if (landing->position != position)
            wrong(c, "monotone", "position_gap", i,
                  "its position is not the one that follows from those before");
        int err = landing->verdict == VERDICT_LANDED ? landed_check(c, i, landing) : OK;
        if (err != OK)
            return err;
        c->p->fsck->counts.landings += landing->verdict == VERDICT_LANDED;
    }
    if (at != c->batch->records.len || position != f->position)
        wrong(c, "monotone", "position_gap", f->n_records,
              "the records do not come to what the footer says");
    return OK;
}

static void log_add(struct check *c, const struct landing *landings)
{
    const struct footer *f = &c->batch->footer;
    struct fsck_log *log = c->p->log;
    if (!fsck_log_wants(log, f->first))
        return;
    struct log_entry *entries = arena_array(c->arena, f->n_records, struct log_entry);
    bool good = c->good;
    for (uint32_t i = 0; i < f->n_records && good; i++)
        good = log_entry_of(&landings[i], &c->batch->tree, c->arena, &entries[i]) == OK;
    if (good)
        fsck_log_add(log, entries, f->n_records);
    else
        fsck_log_unknown(log, f->first, f->position + 1);
}

int fsck_records_check(struct fsck_project *p, const struct fsck_batch *batch,
                       struct arena *arena, struct fsck_records *out)
{
    const struct footer *f = &batch->footer;
    struct check c = {.p = p, .batch = batch, .arena = arena, .good = batch->records_ok};
    struct landing *landings = arena_array(arena, f->n_records, struct landing);
    int err = c.good ? all_check(&c, landings) : OK;
    if (err != OK)
        return err;
    p->fsck->counts.answers += f->n_records;
    if (f->n_records > 0)
        log_add(&c, landings);
    *out = (struct fsck_records){.landings = landings, .good = c.good};
    return OK;
}
