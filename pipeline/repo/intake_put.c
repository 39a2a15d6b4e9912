#include "pipeline/repo/intake_put.h"

#include <stdlib.h>

#include "formats/key.h"
#include "pipeline/sys/log.h"

/* Puts that one object gets at most, and the pauses between them: doubling, about a second in
 * all. Longer than that a client had better be told. */
#define PUTS_MAX       8u
#define PAUSE_FIRST_US 4000u
#define PAUSE_MAX_US   250000u
/* Objects that are put side by side. */
#define PUTS_AT_ONCE 64u

struct intake_object *intake_object_new(struct repo *repo, uint32_t shard, uint64_t seq)
{
    struct intake_object *object = calloc(1, sizeof(*object));
    if (object == NULL)
        abort();
    object->shard = shard;
    object->hlc = repo_hlc(repo);
    object->seq = seq;
    queue_object_begin(&object->bytes, object->hlc, repo->agent, seq);
    object->header_len = object->bytes.len;
    return object;
}

static void object_free(struct intake_object *object)
{
    buf_release(&object->bytes);
    free(object->expects);
    free(object);
}

void intake_object_expect(struct intake_object *object, void (*done)(void *arg, int err),
                          void *arg)
{
    if (object->n_expects == object->cap_expects) {
        object->cap_expects = object->cap_expects == 0 ? 8 : object->cap_expects * 2;
        object->expects =
            reallocarray(object->expects, object->cap_expects, sizeof(*object->expects));
        if (object->expects == NULL)
            abort();
    }
    object->expects[object->n_expects++] = (struct intake_expect){.done = done, .arg = arg};
}

/* The same groups under another name. */
static void object_rename(struct repo *repo, struct intake_object *object)
{
    struct buf renamed = {0};
    object->hlc = repo_hlc(repo);
    queue_object_begin(&renamed, object->hlc, repo->agent, object->seq);
    assert(renamed.len == object->header_len);
    buf_append(&renamed, object->bytes.data + renamed.len, object->bytes.len - renamed.len);
    queue_object_finish(&renamed, object->groups);
    buf_release(&object->bytes);
    object->bytes = renamed;
}

/* --- one object's way --- */

struct attempt {
    struct intake_object *object;
    struct key key;
    bool unknown; /* a put under this key may have happened, or may still happen */
    unsigned puts;
    bool settled;
};

static void attempt_settle(struct attempt *a, int err)
{
    a->settled = true;
    a->object->err = err;
}

static void attempt_rename(struct repo *repo, struct attempt *a)
{
    object_rename(repo, a->object);
    a->key = key_queue(a->object->shard, a->object->hlc, repo->agent, a->object->seq);
    a->unknown = false;
}

/* Something lies under the key, or may: is it ours? 0, ERR_CONFLICT (another's), or what the
 * store says. */
static int attempt_compare(struct repo *repo, const struct attempt *a)
{
    AUTO_BUF there = {0};
    int err = store_get(repo->store, a->key.s, range_all(), &there, NULL, NULL);
    if (err != OK)
        return err;
    return bytes_equal(buf_bytes(&there), buf_bytes(&a->object->bytes)) ? OK : ERR_CONFLICT;
}

/* What a put's reply means. */
static void attempt_judge(struct repo *repo, struct attempt *a, int err)
{
    a->puts++;
    /* Ours may lie there: after a put of which nobody knows what became, or one that a proxy
     * has repeated. */
    if (err == ERR_UNKNOWN || err == ERR_CONFLICT) {
        int found = attempt_compare(repo, a);
        if (found == OK) {
            attempt_settle(a, OK);
            return;
        }
        /* Bytes of another stand under the name, so ours can no longer come there. */
        if (found == ERR_CONFLICT) {
            log_warn("queue_key_taken", LOG_STR("key", a->key.s));
            attempt_rename(repo, a);
        } else {
            a->unknown = true; /* nobody can tell whose it is */
        }
    }
    bool again = err == ERR_AGAIN || err == ERR_UNKNOWN || err == ERR_CONFLICT;
    if (again && a->puts < PUTS_MAX)
        return;
    if (again && !a->unknown)
        err = ERR_AGAIN;
    /* Whatever the last reply was, an earlier put may still take effect. */
    attempt_settle(a, a->unknown && err != OK ? ERR_UNKNOWN : err);
}

static void round_put(struct repo *repo, struct attempt *attempts, size_t n)
{
    struct store_op ops[PUTS_AT_ONCE];
    struct attempt *of[PUTS_AT_ONCE];
    size_t n_ops = 0;
    for (size_t i = 0; i < n; i++) {
        if (attempts[i].settled)
            continue;
        of[n_ops] = &attempts[i];
        ops[n_ops++] = (struct store_op){.verb = STORE_PUT,
                                         .key = attempts[i].key.s,
                                         .want_etag = ETAG_NEVER,
                                         .data = buf_bytes(&attempts[i].object->bytes),
                                         .condition = PUT_IF_ABSENT};
    }
    (void)!store_many(repo->store, ops, n_ops); /* each has its own outcome */
    for (size_t i = 0; i < n_ops; i++)
        attempt_judge(repo, of[i], ops[i].err);
}

static uint32_t tell(struct intake_object *object,
                     void (*settled)(void *arg, const struct intake_object *), void *arg)
{
    uint32_t groups = object->groups;
    if (object->err != OK)
        log_warn("queue_object_not_put", LOG_U64("shard", object->shard),
                 LOG_U64("groups", groups), LOG_ERR(object->err));
    settled(arg, object);
    for (size_t i = 0; i < object->n_expects; i++)
        object->expects[i].done(object->expects[i].arg, object->err);
    object_free(object);
    return groups;
}

/* Puts up to PUTS_AT_ONCE objects. */
static uint32_t put_some(struct repo *repo, struct attempt *attempts, size_t n,
                         void (*settled)(void *arg, const struct intake_object *), void *arg)
{
    uint32_t groups = 0;
    uint64_t pause_us = PAUSE_FIRST_US;
    for (size_t left = n; left > 0;) {
        round_put(repo, attempts, n);
        for (size_t i = 0; i < n; i++) {
            if (!attempts[i].settled || attempts[i].object == NULL)
                continue;
            groups += tell(attempts[i].object, settled, arg);
            attempts[i].object = NULL;
            left--;
        }
        if (left == 0)
            break;
        repo->clock->sleep_us(repo->clock, pause_us + rng_below(repo->rng, pause_us));
        pause_us = pause_us * 2 < PAUSE_MAX_US ? pause_us * 2 : PAUSE_MAX_US;
    }
    return groups;
}

uint32_t intake_put(struct repo *repo, struct intake_object *list,
                    void (*settled)(void *arg, const struct intake_object *), void *arg)
{
    uint32_t groups = 0;
    while (list != NULL) {
        struct attempt attempts[PUTS_AT_ONCE];
        size_t n = 0;
        for (; list != NULL && n < PUTS_AT_ONCE; n++) {
            struct intake_object *object = list;
            list = object->next;
            queue_object_finish(&object->bytes, object->groups);
            attempts[n] = (struct attempt){.object = object};
            attempts[n].key = key_queue(object->shard, object->hlc, repo->agent, object->seq);
        }
        groups += put_some(repo, attempts, n, settled, arg);
    }
    return groups;
}
