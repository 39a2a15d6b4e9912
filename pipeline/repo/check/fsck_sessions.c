#include "pipeline/repo/check/fsck_sessions.h"

#include "formats/session.h"

struct sessions {
    struct fsck_project *p;
    bool quiet;
    void (*tombstone)(void *arg, const struct id16 *session);
    void *arg;
    struct fsck_gets gets;
    struct id16 ids[FSCK_AT_ONCE];
};

static const char *session_wrong(const struct sessions *s, const struct session *session,
                                 const struct id16 *id)
{
    if (!id16_equal(&session->id, id) || !id16_equal(&session->project, &s->p->id))
        return "it is of another session";
    for (size_t i = 0; i < session->n_records; i++) {
        const struct record *record = &session->records[i];
        if (record->kind != RECORD_START)
            continue;
        struct id16 begun = session_id(&session->project, &session->owner, record->start.key,
                                       record->start.base);
        if (!id16_equal(&begun, id))
            return "its start is of another session";
    }
    return NULL;
}

/* The inline contents of one that is open: deep only. */
static bool contents_ok(struct sessions *s, const struct session *session)
{
    for (size_t i = 0; i < session->n_records; i++) {
        AUTO(arena_release) struct arena arena = {0};
        const struct record *record = &session->records[i];
        struct bytes plain;
        if (record->kind != RECORD_OPERATION || record->operation.op != OP_WRITE)
            continue;
        int err = content_plain(&arena, &record->operation.content, &plain);
        if (err != OK && err != ERR_INVALID) /* that is one that lies elsewhere */
            return false;
        s->p->fsck->counts.contents += err == OK;
    }
    return true;
}

static void session_take(struct sessions *s, size_t i)
{
    AUTO(arena_release) struct arena arena = {0};
    struct fsck *fsck = s->p->fsck;
    const struct store_op *op = &s->gets.ops[i];
    struct session session;
    if (op->err == ERR_NOT_FOUND) /* they are never deleted by the forge */
        return;
    int err = op->err;
    if (err == OK)
        err = session_decode(buf_bytes(op->body), &arena, &session);
    const char *wrong = err != OK ? "it cannot be decoded" : NULL;
    if (wrong == NULL)
        wrong = session_wrong(s, &session, &s->ids[i]);
    if (wrong == NULL && fsck->options->deep && !s->quiet && !contents_ok(s, &session))
        wrong = "a content in it is not what its hash says";
    if (wrong != NULL && !s->quiet)
        fsck_damage(fsck, "named", "session_damaged", op->key, "%s", wrong);
    if (wrong == NULL && session.state == SESSION_SETTLED)
        s->tombstone(s->arg, &session.id);
    fsck->counts.sessions += !s->quiet;
}

static int wave_run(struct sessions *s)
{
    int err = fsck_gets_run(s->p->fsck, &s->gets);
    for (size_t i = 0; i < s->gets.n && err == OK; i++)
        session_take(s, i);
    fsck_gets_clear(&s->gets);
    return err;
}

int fsck_sessions_walk(struct fsck_project *p, bool quiet,
                       void (*tombstone)(void *arg, const struct id16 *session), void *arg)
{
    struct sessions s = {.p = p, .quiet = quiet, .tombstone = tombstone, .arg = arg};
    struct key prefix = key_session_prefix(&p->id);
    AUTO(fsck_keys_release)
    struct fsck_keys keys = {.store = p->fsck->store, .prefix = prefix.s};
    const struct store_key *key;
    int err;
    while ((err = fsck_keys_next(&keys, &key)) == OK) {
        struct id16 id;
        if (key_session_parse(key->key, &id) != OK)
            continue;
        if (s.gets.n > 0 &&
            (s.gets.n == FSCK_AT_ONCE || s.gets.bytes + key->size > FSCK_BYTES)) {
            err = wave_run(&s);
            if (err != OK)
                return err;
        }
        struct key name = key_session(&p->id, &id);
        s.ids[fsck_gets_add(&s.gets, &name, range_all())] = id;
        s.gets.bytes += key->size;
    }
    return err == ERR_NOT_FOUND ? wave_run(&s) : err;
}
