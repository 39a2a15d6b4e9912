#include "pipeline/repo/intake/pending.h"

#include "formats/key.h"
#include "pipeline/repo/damage.h"
#include "pipeline/repo/history/landlog.h"
#include "pipeline/repo/intake/queue_read.h"
#include "pipeline/repo/known.h"

/* New batches that are looked through one by one before the log is asked. */
#define BATCHES_SINCE_MAX 64u

/* What the queue has of one session, copied out of it. */
struct found {
    struct queue_group *groups;
    size_t n;
    size_t cap;
    bool damaged; /* there may be more in what cannot be read */
};

static void found_add(struct found *found, const struct queue_group *group, struct arena *arena)
{
    void *items = found->groups;
    struct queue_group *copy = arena_push(arena, &items, &found->n, &found->cap, sizeof(*copy));
    found->groups = items;
    *copy = *group;
    copy->records = queue_records_copy(group, arena);
}

static int queue_find(struct repo *repo, const struct id16 *project, const struct id16 *sid,
                      struct arena *arena, struct found *out)
{
    struct queue_view view;
    int err = queue_read(repo, key_shard(project, repo->bucket.shards), arena, &view);
    if (err != OK)
        return err;
    for (size_t i = 0; i < view.n; i++) {
        size_t n;
        const struct queue_group *const *groups =
            queue_held_find(view.objects[i], project, sid, &n);
        for (size_t k = 0; k < n; k++)
            found_add(out, groups[k], arena);
    }
    out->damaged = view.damaged;
    queue_drop(repo, &view);
    return OK;
}

/* Whether one of the records is the start of this session: then the group's owner is the
 * session's. */
static bool group_starts(const struct queue_group *group)
{
    for (uint32_t i = 0; i < group->n; i++) {
        const struct record *record = &group->records[i];
        if (record->kind != RECORD_START)
            continue;
        struct id16 id =
            session_id(&group->project, &group->owner, record->start.key, record->start.base);
        if (id16_equal(&id, &group->session))
            return true;
    }
    return false;
}

/* The session object, when there is one. */
static int object_read(struct repo *repo, const struct id16 *project, const struct id16 *sid,
                       struct arena *arena, struct session *out)
{
    struct key key = key_session(project, sid);
    AUTO_BUF bytes = {0};
    struct session object;
    int err = store_get(repo->store, key.s, range_all(), &bytes, NULL, NULL);
    if (err == OK)
        err = session_decode(arena_copy(arena, buf_bytes(&bytes)), arena, &object);
    if (err == OK && (!id16_equal(&object.id, sid) || !id16_equal(&object.project, project)))
        err = ERR_CORRUPT;
    if (err == OK)
        *out = object;
    return damage_unless_absent(repo, key.s, err);
}

/* Puts together what queue and object have. False when nobody has started it there. */
static bool fold(const struct found *found, const struct session *object, struct arena *arena,
                 struct session *session)
{
    bool owned = object != NULL;
    if (owned)
        *session = *object;
    for (size_t i = 0; i < found->n && !owned; i++) {
        owned = group_starts(&found->groups[i]);
        session->owner = found->groups[i].owner;
    }
    for (size_t i = 0; i < found->n && owned; i++) {
        if (id16_equal(&found->groups[i].owner, &session->owner))
            (void)session_merge(session, arena, found->groups[i].records, found->groups[i].n);
    }
    return owned;
}

/* What the newest answer makes of the session. */
static void answer_apply(const struct landing *answer, bool owned, struct session *session)
{
    if (!owned) {
        session->owner = answer->owner;
        session->base = session_id_base(&session->id);
    }
    switch (answer->verdict) {
    case VERDICT_LANDED:
        if (answer->has_session)
            *session = answer->landed;
        session->state = SESSION_LANDED;
        session->position = answer->position;
        return;
    case VERDICT_ABANDONED:
        session->state = SESSION_ABANDONED;
        return;
    case VERDICT_CONFLICTED:
    case VERDICT_REFUSED:
    case VERDICT_NOT_TRIED:
        if (answer->closes)
            session->state = SESSION_SETTLED;
        return;
    }
}

bool session_still_unanswered(struct repo *repo, const struct id16 *project,
                              const struct id16 *sid, const struct hash *known,
                              const struct hash *tip)
{
    struct hash at = *tip;
    for (unsigned i = 0; i < BATCHES_SINCE_MAX; i++) {
        if (hash_equal(&at, known))
            return true;
        const struct batch *batch;
        if (hash_is_zero(&at) || chain_batch(repo, project, &at, &batch) != OK)
            return false;
        bool answered = false;
        for (uint32_t k = 0; k < batch->footer.n_records && !answered; k++)
            answered = id16_equal(&batch->ids[k].session, sid);
        at = batch->footer.prev;
        chain_drop(repo, batch);
        if (answered)
            return false;
    }
    return false;
}

/* The session's answer, as landlog_session. Up to which batch a session was found to have none
 * is remembered (`hash` of the fact): who writes to it again and again asks about what is new
 * only. */
static int answer_find(struct repo *repo, const struct id16 *project, const struct id16 *sid,
                       struct arena *arena, struct landing *out, struct hash *tip)
{
    struct head head;
    struct fact fact;
    struct hash tree;
    struct hash name = known_name("unanswered", project, bytes_of(sid->b, sizeof(sid->b)));
    int err = chain_head(repo, project, &head, NULL);
    if (err != OK)
        return err;
    bool none = known_find(repo->known, &name, &fact) &&
                session_still_unanswered(repo, project, sid, &fact.hash, &head.tree_hash);
    err = none ? ERR_NOT_FOUND : landlog_session(repo, project, sid, arena, out, &tree);
    if (err == ERR_NOT_FOUND) {
        fact = (struct fact){.hash = head.tree_hash};
        known_add(repo->known, &name, &fact);
    }
    *tip = head.tree_hash;
    return err;
}

int session_read(struct repo *repo, const struct id16 *project, const struct id16 *sid,
                 struct arena *arena, struct session_current *out)
{
    struct session_current current = {
        .session = {.id = *sid, .project = *project, .state = SESSION_OPEN}};
    struct found found = {0};
    int err = queue_find(repo, project, sid, arena, &found);
    if (err != OK)
        return err;
    struct session object;
    int there = object_read(repo, project, sid, arena, &object);
    if (there != OK && there != ERR_NOT_FOUND && there != ERR_CORRUPT)
        return there;
    bool owned = fold(&found, there == OK ? &object : NULL, arena, &current.session);
    err = answer_find(repo, project, sid, arena, &current.answer, &current.tip);
    if (err != OK && err != ERR_NOT_FOUND)
        return err;
    current.answered = err == OK;
    if (!owned && !current.answered)
        return found.damaged || there == ERR_CORRUPT ? ERR_CORRUPT : ERR_NOT_FOUND;
    if (current.answered)
        answer_apply(&current.answer, owned, &current.session);
    bool open = current.session.state == SESSION_OPEN;
    if (open && there == ERR_CORRUPT)
        return ERR_CORRUPT;
    current.partial = open && found.damaged;
    session_view(&current.session, arena, &current.view);
    *out = current;
    return OK;
}
