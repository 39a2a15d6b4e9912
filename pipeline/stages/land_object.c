/* The objects of open sessions: read, folded and retired side by side, for a round has many. */
#include "formats/base/limits.h"
#include "pipeline/repo/damage.h"
#include "pipeline/stages/land.h"

/* Puts that one object gets at most in a round: others may put it at the same time. */
#define PUTS_MAX 8u
/* Bytes of a session's object: with what the queue can have besides, its landing record is
 * below RECORDS_MAX. */
#define OBJECT_MAX (RECORDS_MAX / 2)
/* Objects that are read or put side by side, and bytes, but for the first, that are put. */
#define AT_ONCE       64u
#define BYTES_AT_ONCE (32u * MIB)

/* Works whose objects are asked for, or put, together. */
struct wave {
    struct land *land;
    size_t n;
    size_t bytes;
    struct work *works[AT_ONCE];
    struct key keys[AT_ONCE];
    struct buf bodies[AT_ONCE];
    struct store_op ops[AT_ONCE];
};

static void wave_clear(struct wave *wave)
{
    for (size_t i = 0; i < wave->n; i++)
        buf_release(&wave->bodies[i]);
    wave->n = 0;
    wave->bytes = 0;
}

static struct store_op *wave_add(struct wave *wave, struct work *work, enum store_verb verb)
{
    size_t i = wave->n++;
    wave->works[i] = work;
    wave->keys[i] = key_session(&work->project, &work->id);
    wave->bodies[i] = (struct buf){0};
    wave->ops[i] = (struct store_op){.verb = verb, .key = wave->keys[i].s};
    return &wave->ops[i];
}

/* --- reading --- */

static int object_decode(struct land *land, const struct work *work, struct bytes bytes,
                         struct session *out)
{
    int err = session_decode(arena_copy(&land->arena, bytes), &land->arena, out);
    bool good = err == OK && id16_equal(&out->id, &work->id) &&
                id16_equal(&out->project, &work->project);
    return good ? OK : ERR_CORRUPT;
}

/* Whether the object has all that the queue has, which is merged into `all` by now. */
static bool object_has(const struct session *object, const struct session *all)
{
    bool has = object->n_records == all->n_records;
    for (size_t i = 0; i < all->n_records && has; i++)
        has = id16_equal(&object->records[i].id, &all->records[i].id) &&
              object->records[i].hlc == all->records[i].hlc;
    return has;
}

static void object_take(struct land *land, struct work *work, const struct store_op *op)
{
    int err = op->err;
    struct session object;
    work->has_object = err == OK;
    work->object_has = false;
    work->object = op->etag;
    if (err == OK)
        err = object_decode(land, work, buf_bytes(op->body), &object);
    if (err == ERR_LIMIT) /* no object of ours is so long */
        err = ERR_CORRUPT;
    if (err == ERR_CORRUPT)
        damage_log(land->repo, op->key, err);
    work->object_damaged = err == ERR_CORRUPT;
    work->object_read = err == OK || err == ERR_NOT_FOUND || err == ERR_CORRUPT;
    work->object_err = work->object_read ? OK : err;
    if (err != OK)
        return;
    if (!work->owned) {
        work->owned = true;
        work->session.owner = object.owner;
        land_work_merge(land, work);
    }
    work->session.state = object.state;
    work->session.version = object.version;
    session_merge(&work->session, &land->arena, object.records, object.n_records);
    work->object_has = object_has(&object, &work->session);
}

static void wave_read(struct wave *wave)
{
    (void)!store_many(wave->land->repo->store, wave->ops, wave->n); /* each its own outcome */
    for (size_t i = 0; i < wave->n; i++)
        object_take(wave->land, wave->works[i], &wave->ops[i]);
    wave_clear(wave);
}

void land_objects_read(struct land *land, struct work *const *works, size_t n)
{
    struct wave wave = {.land = land};
    for (size_t i = 0; i < n; i++) {
        if (works[i]->object_read)
            continue;
        struct store_op *op = wave_add(&wave, works[i], STORE_GET);
        op->range = range_all();
        op->want_etag = ETAG_ALWAYS;
        op->body = &wave.bodies[wave.n - 1];
        if (wave.n == AT_ONCE)
            wave_read(&wave);
    }
    if (wave.n > 0)
        wave_read(&wave);
}

int land_object_read(struct land *land, struct work *work)
{
    land_objects_read(land, &work, 1);
    if (!work->object_read)
        return work->object_err;
    return work->object_damaged ? ERR_CORRUPT : OK;
}

/* Whether the request needs what only the session's object can have, as far as the queue
 * tells. */
static bool object_wanted(const struct request *r)
{
    const struct work *work = r->work;
    if (!work->owned)
        return r->item == NULL || !r->record->land.whole;
    if (r->item == NULL || r->record->land.whole)
        return false;
    const struct session *all = &work->session;
    size_t at = 0;
    for (uint32_t i = 0; i < r->item->n; i++) {
        const struct id16 *id = &r->item->records[i];
        while (at < all->n_records && id16_compare(&all->records[at].id, id) < 0)
            at++;
        if (at == all->n_records || !id16_equal(&all->records[at].id, id))
            return true;
    }
    return false;
}

/* Side by side, and before the head: one by one they would hold up the batch. */
void land_objects_prefetch(struct land *land, struct project_round *round)
{
    struct work **works = arena_array(&land->arena, round->n_requests, struct work *);
    size_t n = 0;
    for (size_t i = 0; i < round->n_requests; i++) {
        struct request *r = &round->requests[i];
        if (r->copy_of != NULL || r->work->object_wanted || !object_wanted(r))
            continue;
        r->work->object_wanted = true; /* by another request, too, perhaps */
        works[n++] = r->work;
    }
    land_objects_read(land, works, n);
}

/* --- putting --- */

/* Whether its object, as it is now, has to be known first. One whose records are all in the
 * queue has none, as a rule. */
static bool object_needed(const struct work *work)
{
    bool leave = work->asked && work->owned;
    return work->step == SETTLE_FOLD || !leave || work->puts > 0;
}

/* The session with all that the queue has of it. ERR_NOT_FOUND: whose session it is has not
 * come. ERR_CORRUPT, ERR_LIMIT: there is no object that could take the records. */
static int fold_prepare(struct work *work, bool *put)
{
    if (work->object_damaged)
        return ERR_CORRUPT;
    if (!work->owned)
        return ERR_NOT_FOUND;
    if (work->session.state == SESSION_SETTLED)
        return OK;
    if (work->session.n_records > SESSION_RECORDS_MAX)
        return ERR_LIMIT;
    /* Who has put it may not have come as far as to look whether it was answered meanwhile. */
    work->folded = work->folded || (work->has_object && work->object_has);
    if (work->has_object && work->object_has)
        return OK;
    work->session.state = SESSION_OPEN;
    *put = true;
    return OK;
}

/* A tombstone in place of the object of a session that is answered for good: its records lie in
 * the chain. A damaged one stays for an operator to look at: nothing of it is needed, and it
 * takes no more records either.
 *
 * It comes also where there is no object yet: another drain may have read the session's records
 * before they were deleted, and its put of an open object must fail, whenever it comes. Who
 * finds records of a session that was answered before finds that tombstone. */
static int retire_prepare(struct work *work, bool *put)
{
    bool settled = work->object_damaged || work->session.state == SESSION_SETTLED;
    if (work->has_object ? settled : !work->asked || !work->owned)
        return OK;
    work->session.state = SESSION_SETTLED;
    work->session.n_records = 0;
    *put = true;
    return OK;
}

/* What is to be put of it now: nothing, when it is done, or cannot be done. */
static bool object_prepare(struct wave *wave, struct work *work)
{
    bool put = false;
    int err = object_needed(work) ? work->object_err : OK;
    if (err == OK)
        err = work->step == SETTLE_FOLD ? fold_prepare(work, &put) : retire_prepare(work, &put);
    AUTO_BUF bytes = {0};
    if (put) {
        work->session.version++;
        session_encode(&work->session, &bytes);
        err = bytes.len > OBJECT_MAX ? ERR_LIMIT : OK;
    }
    work->err = err;
    if (!put || err != OK)
        return false;
    struct key key = key_session(&work->project, &work->id);
    work->put_off = land_pace_put_off(&wave->land->pace, key.s);
    if (work->put_off) {
        work->err = ERR_AGAIN;
        return false;
    }
    struct store_op *op = wave_add(wave, work, STORE_PUT);
    wave->bodies[wave->n - 1] = bytes;
    wave->bytes += bytes.len;
    bytes = (struct buf){0};
    op->data = buf_bytes(&wave->bodies[wave->n - 1]);
    op->want_etag = ETAG_NEVER;
    op->condition = work->has_object ? PUT_IF_MATCH : PUT_IF_ABSENT;
    op->etag = work->object;
    return true;
}

/* Gives, in `left`, those that another drain, or an outcome that nobody knows, sends back to
 * read the object again. */
static size_t wave_put(struct wave *wave, struct work **left)
{
    size_t n = 0;
    (void)!store_many(wave->land->repo->store, wave->ops, wave->n); /* each its own outcome */
    for (size_t i = 0; i < wave->n; i++) {
        struct work *work = wave->works[i];
        int err = wave->ops[i].err;
        /* A condition that did not hold has used up nothing, and the next put needs its turn.
         */
        if (err != ERR_CONFLICT)
            land_pace_note(&wave->land->pace, wave->keys[i].s);
        work->err = err;
        work->puts++;
        work->folded = work->folded || work->step == SETTLE_FOLD;
        work->object_read = false; /* it is another one now */
        work->has_object = false;
        if (err == ERR_CONFLICT || err == ERR_UNKNOWN)
            left[n++] = work;
    }
    wave_clear(wave);
    return n;
}

/* One put each, at most. Gives how many are left, at the front of `works`. */
static size_t objects_try(struct land *land, struct work **works, size_t n)
{
    struct work **look = arena_array(&land->arena, n, struct work *);
    size_t n_look = 0;
    size_t left = 0;
    for (size_t i = 0; i < n; i++) {
        works[i]->object_err = OK;
        if (object_needed(works[i]))
            look[n_look++] = works[i];
    }
    land_objects_read(land, look, n_look);
    struct wave wave = {.land = land};
    for (size_t i = 0; i < n; i++) {
        if (!object_prepare(&wave, works[i]))
            continue;
        if (wave.n == AT_ONCE || wave.bytes > BYTES_AT_ONCE)
            left += wave_put(&wave, works + left);
    }
    if (wave.n > 0)
        left += wave_put(&wave, works + left);
    return left;
}

void land_objects_settle(struct land *land, struct work **works, size_t n)
{
    for (size_t i = 0; i < n; i++)
        works[i]->puts = 0;
    for (unsigned tries = 0; tries < PUTS_MAX && n > 0; tries++)
        n = objects_try(land, works, n);
    for (size_t i = 0; i < n; i++)
        works[i]->err = ERR_AGAIN;
}
