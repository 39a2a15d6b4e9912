#include "pipeline/repo/intake/intake_put.h"

#include <stdlib.h>

#include "formats/key.h"
#include "pipeline/sys/log.h"

/* How long one object is tried: longer than that a client had better be told. A put of which
 * nothing is known is made once more all the same, for that may tell. */
#define PATIENCE_US 1000000u
#define PUTS_MAX    16u
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
    if (err == ERR_AGAIN || err == ERR_UNKNOWN || err == ERR_CONFLICT)
        return;
    /* Whatever the last reply was, an earlier put may still take effect. */
    attempt_settle(a, a->unknown && err != OK ? ERR_UNKNOWN : err);
}

/* Puts those that are not settled. Gives whether the store took all of them. */
static bool round_put(struct repo *repo, struct attempt *attempts, size_t n)
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
    bool taken = true;
    for (size_t i = 0; i < n_ops; i++) {
        attempt_judge(repo, of[i], ops[i].err);
        /* Of a name that another has the store says nothing about itself. */
        taken =
            taken && (of[i]->settled ? of[i]->object->err == OK : ops[i].err == ERR_CONFLICT);
    }
    return taken;
}

/* Settles those of which no more is to be found out: the next put would come when the patience
 * is over. */
static void attempts_give_up(struct attempt *attempts, size_t n, bool over)
{
    for (size_t i = 0; i < n; i++) {
        struct attempt *a = &attempts[i];
        bool last = a->puts >= PUTS_MAX || (over && (!a->unknown || a->puts > 1));
        if (!a->settled && last)
            attempt_settle(a, a->unknown ? ERR_UNKNOWN : ERR_AGAIN);
    }
}

static uint32_t tell(struct intake_object *object, const struct intake_teller *teller)
{
    uint32_t groups = object->groups;
    teller->settled(teller->arg, object);
    for (size_t i = 0; i < object->n_expects; i++)
        object->expects[i].done(object->expects[i].arg, object->err);
    object_free(object);
    return groups;
}

/* Puts up to PUTS_AT_ONCE objects. */
static uint32_t put_some(struct repo *repo, struct attempt *attempts, size_t n,
                         const struct intake_teller *teller)
{
    struct clock *clock = repo->clock;
    uint64_t begun_us = clock->mono_us(clock);
    uint32_t groups = 0;
    for (size_t left = n; left > 0;) {
        uint64_t round_us = clock->mono_us(clock);
        bool taken = round_put(repo, attempts, n);
        uint64_t now_us = clock->mono_us(clock);
        uint64_t pause_us = teller->round(teller->arg, now_us - round_us, taken);
        attempts_give_up(attempts, n, now_us - begun_us + pause_us > PATIENCE_US);
        for (size_t i = 0; i < n; i++) {
            if (!attempts[i].settled || attempts[i].object == NULL)
                continue;
            groups += tell(attempts[i].object, teller);
            attempts[i].object = NULL;
            left--;
        }
        if (left > 0 && pause_us > 0)
            clock->sleep_us(clock, pause_us + rng_below(repo->rng, pause_us));
    }
    return groups;
}

uint32_t intake_put(struct repo *repo, struct intake_object *list,
                    const struct intake_teller *teller)
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
        groups += put_some(repo, attempts, n, teller);
    }
    return groups;
}
