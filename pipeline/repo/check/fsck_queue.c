#include "pipeline/repo/check/fsck_queue.h"

#include <stdlib.h>

#include "formats/lease.h"
#include "formats/project_id.h"
#include "formats/queue_object.h"

/* Drains end what they have begun meanwhile: an object that seems forgotten is looked for again
 * after this, and after twice as long, so often. */
#define PAUSE_US   1000000u
#define PAUSES_MAX 4u

/* A request that waits, or a session that something waits for (then the request is zero). */
struct waiting {
    struct id16 session;
    struct id16 request;
    bool done; /* answered; closed */
};

struct fsck_queue {
    struct fsck *fsck;
    struct arena arena;
    void *keys; /* of old objects, const char * */
    size_t n_keys;
    size_t cap_keys;
    void *waiting; /* sorted */
    size_t n_waiting;
    size_t cap_waiting;
};

static bool begins(const char *key, const char *prefix)
{
    return strncmp(key, prefix, strlen(prefix)) == 0;
}

/* --- what waits --- */

static void waiting_add(struct fsck_queue *q, const struct id16 *session,
                        const struct id16 *request)
{
    struct waiting *w =
        arena_push(&q->arena, &q->waiting, &q->n_waiting, &q->cap_waiting, sizeof(*w));
    w->session = *session;
    if (request != NULL)
        w->request = *request;
}

static void group_note(struct fsck_queue *q, const struct queue_group *group)
{
    waiting_add(q, &group->session, NULL);
    for (uint32_t i = 0; i < group->n; i++) {
        const struct record *record = &group->records[i];
        if (record->kind == RECORD_ABANDON)
            waiting_add(q, &group->session, &record->id);
        for (uint32_t k = 0; record->kind == RECORD_LAND && k < record->land.n; k++)
            waiting_add(q, &record->land.items[k].session, &record->id);
    }
}

static int waiting_order(const void *a, const void *b)
{
    const struct waiting *left = a;
    const struct waiting *right = b;
    int order = id16_compare(&left->session, &right->session);
    return order != 0 ? order : id16_compare(&left->request, &right->request);
}

static struct waiting *waiting_find(struct fsck_queue *q, const struct id16 *session,
                                    const struct id16 *request)
{
    struct waiting key = {.session = *session};
    if (request != NULL)
        key.request = *request;
    if (q->n_waiting == 0)
        return NULL;
    return bsearch(&key, q->waiting, q->n_waiting, sizeof(key), waiting_order);
}

/* Equal ones are put together, so that a mark finds all of them. */
static void waiting_sort(struct fsck_queue *q)
{
    struct waiting *w = q->waiting;
    size_t n = 0;
    if (q->n_waiting > 0)
        qsort(w, q->n_waiting, sizeof(*w), waiting_order);
    for (size_t i = 0; i < q->n_waiting; i++) {
        if (n == 0 || waiting_order(&w[n - 1], &w[i]) != 0)
            w[n++] = w[i];
    }
    q->n_waiting = n;
}

void fsck_queue_mark(struct fsck_queue *q, const struct fsck_batch *batch)
{
    for (uint32_t i = 0; q->n_waiting > 0 && batch->ids != NULL && i < batch->footer.n_records;
         i++) {
        const struct tree_id *id = &batch->ids[i];
        struct waiting *request = waiting_find(q, &id->session, &id->request);
        if (request != NULL)
            request->done = true;
        struct waiting *session = id->closes ? waiting_find(q, &id->session, NULL) : NULL;
        if (session != NULL)
            session->done = true;
    }
}

/* --- objects --- */

/* Whether the object is what its key says; decoded into the arena. */
static const char *object_wrong(struct fsck_queue *q, const struct store_op *op, bool dead,
                                struct arena *arena, struct queue_object *out)
{
    int err = op->err;
    if (err == OK)
        err = queue_object_decode(buf_bytes(op->body), arena, out);
    if (err != OK)
        return "it cannot be decoded";
    uint32_t shards = q->fsck->repo.bucket.shards;
    for (uint32_t i = 0; i < out->n; i++) {
        uint32_t shard = q->fsck->bucket_known ? key_shard(&out->groups[i].project, shards) : 0;
        struct key key = dead ? key_dead(shard, out->hlc, out->agent, out->seq)
                              : key_queue(shard, out->hlc, out->agent, out->seq);
        if (q->fsck->bucket_known && strcmp(key.s, op->key) != 0)
            return "what is in it belongs under another name";
    }
    return NULL;
}

static bool of_project(const struct queue_object *object, const struct id16 *project)
{
    for (uint32_t i = 0; i < object->n && project != NULL; i++) {
        struct id16 plain = project_id_plain(&object->groups[i].project);
        if (id16_equal(&plain, project))
            return true;
    }
    return project == NULL;
}

static void object_take(struct fsck_queue *q, const struct store_op *op,
                        const struct id16 *project)
{
    AUTO(arena_release) struct arena arena = {0};
    struct queue_object object;
    bool dead = begins(op->key, key_dead_prefix().s);
    struct clock *clock = q->fsck->repo.clock;
    if (op->err == ERR_NOT_FOUND) /* settled since it was listed */
        return;
    q->fsck->counts.queue_objects++;
    const char *what = object_wrong(q, op, dead, &arena, &object);
    if (what != NULL) {
        fsck_damage(q->fsck, "named", dead ? "dead_letter_damaged" : "queue_object_damaged",
                    op->key, "%s", what);
        return;
    }
    if (!of_project(&object, project))
        return;
    if (dead) {
        fsck_note(q->fsck, "dead_letter", op->key,
                  "a record that could not be settled waits for an operator");
        return;
    }
    if (hlc_ms(object.hlc) + FSCK_SETTLED_MS > clock->wall_ms(clock))
        return;
    const char **slot =
        arena_push(&q->arena, &q->keys, &q->n_keys, &q->cap_keys, sizeof(*slot));
    *slot = arena_str(&q->arena, bytes_str(op->key));
    for (uint32_t i = 0; i < object.n; i++)
        group_note(q, &object.groups[i]);
}

static int wave_run(struct fsck_queue *q, struct fsck_gets *gets, const struct id16 *project)
{
    int err = fsck_gets_run(q->fsck, gets);
    for (size_t i = 0; i < gets->n && err == OK; i++)
        object_take(q, &gets->ops[i], project);
    fsck_gets_clear(gets);
    return err;
}

/* Whether the key has the form of one in the queue. */
static bool key_known(const char *key)
{
    uint32_t shard;
    uint64_t hlc;
    uint64_t agent;
    uint64_t seq;
    if (key_queue_parse(key, &shard, &hlc, &agent, &seq) == OK)
        return true;
    /* queue/dead/{shard}-{hlc}-{agent}-{seq} is the same with other slashes. */
    struct key as_queue = {{0}};
    size_t prefix = strlen(key_dead_prefix().s);
    size_t len = strlen(key);
    if (!begins(key, key_dead_prefix().s) || len >= sizeof(as_queue.s))
        return false;
    memcpy(as_queue.s, "queue/", 6);
    memcpy(as_queue.s + 6, key + prefix, len - prefix + 1);
    char *dash = strchr(as_queue.s, '-');
    if (dash == NULL)
        return false;
    *dash = '/';
    return key_queue_parse(as_queue.s, &shard, &hlc, &agent, &seq) == OK;
}

static int objects_read(struct fsck_queue *q, const struct id16 *project)
{
    struct fsck_gets gets = {0};
    AUTO(fsck_keys_release)
    struct fsck_keys keys = {.store = q->fsck->store, .prefix = "queue/"};
    const struct store_key *key;
    int err;
    while ((err = fsck_keys_next(&keys, &key)) == OK) {
        q->fsck->counts.keys++;
        if (!key_known(key->key)) {
            fsck_note(q->fsck, "unknown_key", key->key,
                      "no object of the queue has such a name");
            continue;
        }
        if (gets.n > 0 && (gets.n == FSCK_AT_ONCE || gets.bytes + key->size > FSCK_BYTES)) {
            err = wave_run(q, &gets, project);
            if (err != OK)
                return err;
        }
        struct key name = {{0}};
        memcpy(name.s, key->key, strlen(key->key) + 1);
        (void)fsck_gets_add(&gets, &name, range_all());
        gets.bytes += key->size;
    }
    return err == ERR_NOT_FOUND ? wave_run(q, &gets, project) : err;
}

int fsck_queue_open(struct fsck *fsck, const struct id16 *project, struct fsck_queue **out)
{
    struct arena arena = {0};
    struct fsck_queue *q = arena_new(&arena, struct fsck_queue);
    *q = (struct fsck_queue){.fsck = fsck, .arena = arena};
    *out = q;
    int err = objects_read(q, project);
    waiting_sort(q);
    return err;
}

void fsck_queue_close(struct fsck_queue *q)
{
    if (q == NULL)
        return;
    struct arena arena = q->arena;
    arena_release(&arena);
}

/* --- settled --- */

static bool is_done(struct fsck_queue *q, const struct id16 *session,
                    const struct id16 *request)
{
    const struct waiting *w = waiting_find(q, session, request);
    return w != NULL && w->done;
}

/* Whether the session's object has all the group's writes, or wants none of them. */
static int is_folded(struct fsck_queue *q, const struct queue_group *group, bool *folded)
{
    AUTO(arena_release) struct arena arena = {0};
    AUTO_BUF bytes = {0};
    struct session session;
    struct key key = key_session(&group->project, &group->session);
    int err = store_get(q->fsck->store, key.s, range_all(), &bytes, NULL, NULL);
    if (err == OK)
        err = session_decode(buf_bytes(&bytes), &arena, &session);
    *folded = false;
    if (err != OK)
        return fsck_is_damage(err) ? OK : err;
    *folded = true;
    if (session.state == SESSION_SETTLED || !id16_equal(&session.owner, &group->owner))
        return OK;
    for (uint32_t i = 0; i < group->n && *folded; i++) {
        const struct record *record = &group->records[i];
        bool found = record->kind == RECORD_LAND || record->kind == RECORD_ABANDON;
        for (size_t k = 0; k < session.n_records && !found; k++)
            found = id16_equal(&session.records[k].id, &record->id);
        *folded = found;
    }
    return OK;
}

static int group_settled(struct fsck_queue *q, const struct queue_group *group, bool *settled)
{
    bool others = false;
    *settled = true;
    for (uint32_t i = 0; i < group->n && *settled; i++) {
        const struct record *record = &group->records[i];
        bool land = record->kind == RECORD_LAND;
        bool abandon = record->kind == RECORD_ABANDON;
        others = others || !(land || abandon);
        if (abandon)
            *settled = is_done(q, &group->session, &record->id);
        for (uint32_t k = 0; land && k < record->land.n && *settled; k++)
            *settled = is_done(q, &record->land.items[k].session, &record->id);
    }
    if (!*settled || !others || is_done(q, &group->session, NULL))
        return OK;
    return is_folded(q, group, settled);
}

static int object_settled(struct fsck_queue *q, const char *key, bool *settled)
{
    AUTO(arena_release) struct arena arena = {0};
    AUTO_BUF bytes = {0};
    struct queue_object object;
    int err = store_get(q->fsck->store, key, range_all(), &bytes, NULL, NULL);
    if (err == OK)
        err = queue_object_decode(buf_bytes(&bytes), &arena, &object);
    *settled = err == OK;
    if (err != OK)
        return fsck_is_damage(err) ? OK : err;
    for (uint32_t i = 0; i < object.n && err == OK && *settled; i++)
        err = group_settled(q, &object.groups[i], settled);
    return err;
}

/* Leaves those that are still there. */
static int still_there(struct fsck_queue *q, const char **keys, size_t *n)
{
    size_t left = 0;
    for (size_t i = 0; i < *n; i++) {
        int err = store_get(q->fsck->store, keys[i], range_none(), NULL, NULL, NULL);
        if (err != OK && err != ERR_NOT_FOUND)
            return err;
        if (err == OK)
            keys[left++] = keys[i];
    }
    *n = left;
    return OK;
}

int fsck_queue_check(struct fsck_queue *q)
{
    const char **keys = q->keys;
    struct clock *clock = q->fsck->repo.clock;
    size_t n = 0;
    int err = OK;
    for (size_t i = 0; i < q->n_keys && err == OK; i++) {
        bool settled = false;
        err = object_settled(q, keys[i], &settled);
        if (settled)
            keys[n++] = keys[i];
    }
    for (unsigned i = 0; i < PAUSES_MAX && n > 0 && err == OK; i++) {
        clock->sleep_us(clock, (uint64_t)PAUSE_US << i);
        err = still_there(q, keys, &n);
    }
    for (size_t i = 0; i < n && err == OK; i++)
        fsck_damage(q->fsck, "once", "queue_object_settled", keys[i],
                    "all that is in it was settled more than a minute ago, and it is not "
                    "deleted");
    return err;
}

/* --- leases --- */

static int lease_check(struct fsck *fsck, const char *key)
{
    AUTO_BUF bytes = {0};
    struct lease lease;
    int err = store_get(fsck->store, key, range_all(), &bytes, NULL, NULL);
    if (err != OK)
        return fsck_is_damage(err) ? OK : err;
    err = lease_decode(buf_bytes(&bytes), &lease);
    if (err != OK || strcmp(key_lease(lease.shard).s, key) != 0)
        fsck_damage(fsck, "named", "lease_damaged", key, "%s",
                    err != OK ? "it cannot be decoded" : "it is of another shard");
    return OK;
}

int fsck_leases_check(struct fsck *fsck)
{
    AUTO(fsck_keys_release)
    struct fsck_keys keys = {.store = fsck->store, .prefix = "leases/"};
    const struct store_key *key;
    int err;
    while ((err = fsck_keys_next(&keys, &key)) == OK) {
        fsck->counts.keys++;
        char *end;
        unsigned long shard = strtoul(key->key + strlen("leases/"), &end, 16);
        if (*end != '\0' || shard >= SHARDS_MAX ||
            strcmp(key_lease((uint32_t)shard).s, key->key) != 0)
            fsck_note(fsck, "unknown_key", key->key, "no lease has such a name");
        else
            err = lease_check(fsck, key->key);
        if (err != OK)
            return err;
    }
    return err == ERR_NOT_FOUND ? OK : err;
}
