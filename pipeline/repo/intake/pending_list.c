/* Which sessions of a project are open. */
#include <stdlib.h>

#include "formats/key.h"
#include "pipeline/repo/damage.h"
#include "pipeline/repo/intake/closed.h"
#include "pipeline/repo/intake/pending.h"
#include "pipeline/repo/intake/queue_read.h"

/* Batches at the tip of the chain that are asked first which sessions they have closed: those
 * whose queue objects and session objects may not be put away yet. */
#define TIP_BATCHES  32u
#define GETS_AT_ONCE 64u
/* Lists of session objects, tombstones included, that one call goes through. */
#define LISTS_MAX 1024u
/* Pages that one call goes through, where sessions are left out of them. */
#define PAGES_MAX 1024u

/* A session that the queue, an object or both have. */
struct candidate {
    struct id16 id;
    struct id16 owner;
    const struct queue_group *group; /* or NULL */
    struct session *object;          /* or NULL */
};

struct listing {
    struct repo *repo;
    struct id16 project;
    struct id16 after;
    size_t max;
    struct arena *arena;
    struct candidate *candidates;
    size_t n;
    size_t cap;
    struct id16 *closed; /* sorted */
    size_t n_closed;
    size_t cap_closed;
    struct head head; /* read after queue and objects */
};

static struct candidate *candidate_add(struct listing *l)
{
    void *items = l->candidates;
    struct candidate *c = arena_push(l->arena, &items, &l->n, &l->cap, sizeof(*c));
    l->candidates = items;
    return c;
}

static void closed_add(struct listing *l, const struct id16 *id)
{
    void *items = l->closed;
    struct id16 *slot =
        arena_push(l->arena, &items, &l->n_closed, &l->cap_closed, sizeof(*slot));
    l->closed = items;
    *slot = *id;
}

static int id_order(const void *a, const void *b)
{
    const struct id16 *left = a;
    const struct id16 *right = b;
    return id16_compare(left, right);
}

static bool is_closed(const struct listing *l, const struct id16 *id)
{
    return l->n_closed > 0 &&
           bsearch(id, l->closed, l->n_closed, sizeof(*l->closed), id_order) != NULL;
}

/* --- the queue --- */

static void queue_collect(struct listing *l, const struct queue_view *view)
{
    for (size_t i = 0; i < view->n; i++) {
        const struct queue_object *object = &view->objects[i]->object;
        for (uint32_t k = 0; k < object->n; k++) {
            const struct queue_group *group = &object->groups[k];
            if (!id16_equal(&group->project, &l->project))
                continue;
            for (uint32_t m = 0; m < group->n; m++) {
                const struct record *record = &group->records[m];
                if (record->kind == RECORD_LAND && record->land.whole) {
                    for (uint32_t s = 0; s < record->land.n; s++)
                        closed_add(l, &record->land.items[s].session);
                }
            }
            if (id16_compare(&group->session, &l->after) > 0) {
                struct candidate *c = candidate_add(l);
                *c = (struct candidate){
                    .id = group->session, .owner = group->owner, .group = group};
            }
        }
    }
}

/* --- session objects --- */

/* What lies under a key has to be the session of that name. */
static int object_decode(struct listing *l, const char *key, struct bytes bytes,
                         struct session *out)
{
    struct id16 sid;
    int err = session_decode(arena_copy(l->arena, bytes), l->arena, out);
    if (err != OK || key_session_parse(key, &sid) != OK || !id16_equal(&out->id, &sid) ||
        !id16_equal(&out->project, &l->project))
        return ERR_CORRUPT;
    return OK;
}

static int objects_get(struct listing *l, const char *const *keys, size_t n, size_t *open)
{
    struct store_op ops[GETS_AT_ONCE];
    struct buf bodies[GETS_AT_ONCE] = {0};
    for (size_t i = 0; i < n; i++)
        ops[i] = (struct store_op){
            .verb = STORE_GET, .key = keys[i], .range = range_all(), .body = &bodies[i]};
    (void)!store_many(l->repo->store, ops, n); /* each has its own outcome */
    int err = OK;
    for (size_t i = 0; i < n; i++) {
        struct session *object = arena_new(l->arena, struct session);
        int one = ops[i].err;
        if (one == OK)
            one = object_decode(l, keys[i], buf_bytes(&bodies[i]), object);
        buf_release(&bodies[i]);
        one = damage_unless_absent(l->repo, keys[i], one);
        /* One that is damaged hides no other. */
        if (one != OK && one != ERR_NOT_FOUND && one != ERR_CORRUPT)
            err = err == OK ? one : err;
        if (one != OK)
            continue;
        if (object->state == SESSION_OPEN)
            (*open)++;
        else
            closed_add(l, &object->id);
        struct candidate *c = candidate_add(l);
        *c = (struct candidate){.id = object->id, .owner = object->owner, .object = object};
    }
    return err;
}

/* Goes on until one more than asked for are open. `*end`: all ids up to it are known; `*more`:
 * there are objects behind. */
static int objects_collect(struct listing *l, struct id16 *end, bool *more)
{
    struct key prefix = key_session_prefix(&l->project);
    struct key from = key_session(&l->project, &l->after);
    const char *after = from.s;
    size_t open = 0;
    *more = false;
    for (unsigned lists = 0; lists < LISTS_MAX; lists++) {
        struct store_list list;
        int err = store_list(l->repo->store, l->arena, prefix.s, after, STORE_LIST_MAX, &list);
        if (err != OK)
            return err;
        for (size_t i = 0; i < list.n;) {
            const char *keys[GETS_AT_ONCE];
            size_t n = 0;
            for (; i < list.n && n < GETS_AT_ONCE; i++) {
                after = list.keys[i].key;
                if (key_session_parse(after, end) == OK)
                    keys[n++] = after;
            }
            err = objects_get(l, keys, n, &open);
            if (err != OK)
                return err;
            if (open > l->max) {
                *more = true;
                return OK;
            }
        }
        if (!list.more)
            return OK;
    }
    *more = true;
    return OK;
}

/* --- the chain --- */

static int tip_collect(struct listing *l)
{
    int err = chain_head(l->repo, &l->project, &l->head, NULL);
    struct hash at = l->head.tree_hash;
    for (unsigned i = 0; err == OK && i < TIP_BATCHES && !hash_is_zero(&at); i++) {
        const struct batch *batch;
        err = i == 0 ? chain_tip(l->repo, &l->project, &l->head, &batch)
                     : chain_batch(l->repo, &l->project, &at, &batch);
        if (err == ERR_CORRUPT && i > 0) /* history that is damaged hides no session */
            return OK;
        if (err != OK)
            break;
        for (uint32_t k = 0; k < batch->footer.n_records; k++) {
            if (batch->ids[k].closes)
                closed_add(l, &batch->ids[k].session);
        }
        at = batch->footer.prev;
        chain_drop(l->repo, batch);
    }
    return err;
}

/* --- together --- */

static int candidate_order(const void *a, const void *b)
{
    const struct candidate *left = a;
    const struct candidate *right = b;
    int order = id16_compare(&left->id, &right->id);
    /* The object first: it knows the owner. */
    return order != 0 ? order : (right->object != NULL) - (left->object != NULL);
}

static bool starts(const struct candidate *c)
{
    for (uint32_t i = 0; c->group != NULL && i < c->group->n; i++) {
        const struct record *record = &c->group->records[i];
        if (record->kind != RECORD_START)
            continue;
        struct id16 id =
            session_id(&c->group->project, &c->owner, record->start.key, record->start.base);
        if (id16_equal(&id, &c->id))
            return true;
    }
    return false;
}

/* The candidates [from, to) are about one session. False when its start has not come. */
static bool session_fold(struct listing *l, size_t from, size_t to, struct session *out)
{
    struct candidate *first = &l->candidates[from];
    struct session session = {.id = first->id, .project = l->project, .state = SESSION_OPEN};
    bool owned = first->object != NULL;
    if (owned)
        session = *first->object;
    for (size_t i = from; i < to && !owned; i++) {
        owned = starts(&l->candidates[i]);
        session.owner = l->candidates[i].owner;
    }
    if (!owned)
        return false;
    for (size_t i = from; i < to; i++) {
        const struct candidate *c = &l->candidates[i];
        if (c->group != NULL && id16_equal(&c->owner, &session.owner))
            (void)session_merge(&session, l->arena, queue_records_copy(c->group, l->arena),
                                c->group->n);
    }
    *out = session;
    return true;
}

/* On return all ids up to `end` are in the list, or need not be. */
static void list_fill(struct listing *l, struct id16 *end, bool more, struct session_list *out)
{
    if (l->n > 0)
        qsort(l->candidates, l->n, sizeof(*l->candidates), candidate_order);
    if (l->n_closed > 0)
        qsort(l->closed, l->n_closed, sizeof(*l->closed), id_order);
    struct session_list list = {.sessions = arena_array(l->arena, l->max, struct session),
                                .more = more};
    for (size_t i = 0; i < l->n;) {
        size_t to = i + 1;
        while (to < l->n && id16_equal(&l->candidates[i].id, &l->candidates[to].id))
            to++;
        const struct id16 *id = &l->candidates[i].id;
        /* Past `end` there may be objects that were not read. */
        if (more && id16_compare(id, end) > 0)
            break;
        if (list.n == l->max) {
            list.more = true;
            break;
        }
        struct session session;
        if (!is_closed(l, id) && session_fold(l, i, to, &session))
            list.sessions[list.n++] = session;
        i = to;
    }
    if (list.n == l->max)
        *end = list.sessions[list.n - 1].id;
    *out = list;
}

static int list_read(struct listing *l, struct id16 *end, struct session_list *out)
{
    struct queue_view view;
    int err =
        queue_read(l->repo, key_shard(&l->project, l->repo->bucket.shards), l->arena, &view);
    if (err != OK)
        return err;
    bool more = false;
    *end = l->after;
    queue_collect(l, &view);
    err = objects_collect(l, end, &more);
    if (err == OK)
        err = tip_collect(l);
    if (err == OK)
        list_fill(l, end, more, out);
    queue_drop(l->repo, &view);
    return err;
}

/* Leaves out what the chain has closed, though its object is as it was. */
static int list_check(struct listing *l, struct session_list *list)
{
    struct id16 *ids = arena_array(l->arena, list->n, struct id16);
    bool *closed = arena_array(l->arena, list->n, bool);
    for (size_t i = 0; i < list->n; i++)
        ids[i] = list->sessions[i].id;
    int err = closed_check(l->repo, &l->project, &l->head, ids, list->n, closed);
    if (err != OK)
        return err;
    size_t n = 0;
    for (size_t i = 0; i < list->n; i++) {
        if (!closed[i])
            list->sessions[n++] = list->sessions[i];
    }
    list->n = n;
    return OK;
}

int session_list(struct repo *repo, const struct id16 *project, const struct id16 *after,
                 size_t max, struct arena *arena, struct session_list *out)
{
    struct session_list list = {.sessions = arena_array(arena, max, struct session),
                                .more = true};
    struct id16 from = *after;
    size_t ask = max;
    for (unsigned pages = 0; pages < PAGES_MAX && list.more && list.n < max; pages++) {
        struct listing l = {
            .repo = repo, .project = *project, .after = from, .max = ask, .arena = arena};
        struct session_list page;
        struct id16 end;
        int err = list_read(&l, &end, &page);
        if (err == OK)
            err = list_check(&l, &page);
        if (err != OK)
            return err;
        size_t taken = 0;
        while (taken < page.n && list.n < max)
            list.sessions[list.n++] = page.sessions[taken++];
        list.more = page.more || taken < page.n;
        if (id16_equal(&end, &from))
            break;
        from = end;
        ask = max - list.n < GETS_AT_ONCE ? GETS_AT_ONCE : max - list.n;
    }
    *out = list;
    return OK;
}
