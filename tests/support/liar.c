#include "tests/support/liar.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "pipeline/store/etag.h"

#define USED_MAX 256u

/* One at a time: the lies are about what the calls say, not about threads. */
struct liar {
    struct store store;
    struct store *below;
    enum lie lie;
    bool bare; /* the form of If-Match that is sent */
    pthread_mutex_t lock;
    uint64_t calls;
    struct etag used[USED_MAX]; /* etags that a put has matched, each once a time */
    size_t n_used;
    char last_key[STORE_KEY_MAX + 1]; /* that was put last, and what was there before */
    struct buf before;
    bool was_there;
    unsigned raced; /* puts of the same key and condition in a row */
    enum put_condition condition;
    struct etag etag;
};

static struct liar *liar_of(struct store *store)
{
    return (struct liar *)store;
}

static int below(struct liar *liar, struct store_op *op)
{
    return liar->below->calls->one(liar->below, op);
}

/* Whether it is one of the probe's racing writers who puts. */
static bool races(const struct store_op *op)
{
    return op->data.len > 6 && memcmp(op->data.data, "writer", 6) == 0;
}

static int put_anyway(struct liar *liar, struct store_op *op)
{
    struct store_op any = *op;
    any.condition = PUT_ANY;
    int err = below(liar, &any);
    op->etag = any.etag;
    return err;
}

static bool was_used(const struct liar *liar, const struct etag *etag, unsigned times)
{
    unsigned n = 0;
    for (size_t i = 0; i < liar->n_used; i++)
        n += etag_equal(&liar->used[i], etag);
    return n > 0 && n < times;
}

static void use(struct liar *liar, const struct etag *etag)
{
    liar->used[liar->n_used++ % USED_MAX] = *etag;
    if (liar->n_used >= USED_MAX)
        liar->n_used = 0;
}

/* Remembers what is there before a put, and how many puts like it came in a row. */
static void remember(struct liar *liar, const struct store_op *op)
{
    bool same = strcmp(liar->last_key, op->key) == 0 && liar->condition == op->condition &&
                (op->condition != PUT_IF_MATCH || etag_equal(&liar->etag, &op->etag));
    liar->raced = same ? liar->raced + 1 : 1;
    liar->condition = op->condition;
    liar->etag = op->etag;
    (void)snprintf(liar->last_key, sizeof(liar->last_key), "%s", op->key);
    struct buf now = {0};
    struct store_op get = {
        .verb = STORE_GET, .key = op->key, .range = range_all(), .body = &now};
    liar->was_there = below(liar, &get) == OK;
    buf_release(&liar->before);
    liar->before = now;
}

/* A put whose condition, as the store below sees it, does not hold. */
static int put_in_vain(struct liar *liar, struct store_op *op, const struct etag *given)
{
    bool match = op->condition == PUT_IF_MATCH;
    enum lie lie = liar->lie;
    if (lie == LIE_REFUSES_AND_DOES ||
        (lie == LIE_WINNER_IS_LOST && liar->raced == 2 && races(op))) {
        (void)put_anyway(liar, op);
        return ERR_CONFLICT;
    }
    if (lie == LIE_LOSERS_UNSURE || lie == LIE_WINNER_UNSURE)
        return races(op) ? ERR_UNKNOWN : ERR_CONFLICT;
    bool done = (lie == LIE_IGNORES_IF_ABSENT && !match) ||
                (lie == LIE_IGNORES_IF_MATCH && match && liar->was_there) ||
                (lie == LIE_IGNORES_IF_MATCH_ON_NOTHING && match && !liar->was_there) ||
                (lie == LIE_TAKES_STALE_ETAGS && match && was_used(liar, given, USED_MAX)) ||
                (lie == LIE_TWO_WINNERS && match && was_used(liar, given, 2) && races(op)) ||
                (lie == LIE_TWO_CREATORS && !match && liar->raced == 2 && races(op));
    if (done && match)
        use(liar, given);
    return done ? put_anyway(liar, op) : ERR_CONFLICT;
}

static int put(struct liar *liar, struct store_op *op)
{
    struct etag given = op->etag;
    bool match = op->condition == PUT_IF_MATCH;
    remember(liar, op);
    if (liar->lie == LIE_FORGETS_PUTS) {
        op->etag = etag_of(op->data);
        return OK;
    }
    if ((match &&
         (liar->lie == LIE_NO_ETAG_MATCHES || (liar->lie == LIE_BARE_ETAGS && !liar->bare) ||
          (liar->lie == LIE_QUOTED_ETAGS && liar->bare))) ||
        (liar->lie == LIE_REFUSES_CREATION && op->condition == PUT_IF_ABSENT) ||
        (liar->lie == LIE_NOBODY_WINS && races(op)))
        return ERR_CONFLICT;
    int err = below(liar, op);
    if (err == ERR_CONFLICT)
        return put_in_vain(liar, op, &given);
    if (err == OK && match)
        use(liar, &given);
    if (liar->lie == LIE_WINNER_UNSURE && races(op))
        return ERR_UNKNOWN;
    if (liar->lie == LIE_WINNER_TOLD_LOST && races(op))
        return ERR_CONFLICT;
    if (liar->lie == LIE_NO_ETAGS)
        op->etag = (struct etag){{0}};
    return err;
}

static int get(struct liar *liar, struct store_op *op)
{
    if (liar->lie == LIE_STALE_READS && strcmp(op->key, liar->last_key) == 0 &&
        op->body != NULL) {
        if (!liar->was_there)
            return ERR_NOT_FOUND;
        buf_append_bytes(op->body, buf_bytes(&liar->before));
        return OK;
    }
    int err = below(liar, op);
    if (liar->lie == LIE_OTHER_ETAGS)
        op->etag.s[0] = 'x';
    return err;
}

static int liar_one(struct store *store, struct store_op *op)
{
    struct liar *liar = liar_of(store);
    (void)pthread_mutex_lock(&liar->lock);
    liar->calls++;
    if (liar->lie == LIE_DENIES) {
        op->err = ERR_DENIED;
    } else if (liar->lie == LIE_OFTEN_LATER && liar->calls % 2 == 0) {
        op->err = ERR_AGAIN;
    } else {
        switch (op->verb) {
        case STORE_GET:
            op->err = get(liar, op);
            break;
        case STORE_PUT:
            op->err = put(liar, op);
            break;
        case STORE_DELETE:
            op->err = liar->lie == LIE_KEEPS_DELETED ? OK : below(liar, op);
            break;
        }
    }
    (void)pthread_mutex_unlock(&liar->lock);
    return op->err;
}

static int liar_many(struct store *store, struct store_op *ops, size_t n)
{
    int first = OK;
    for (size_t i = 0; i < n; i++) {
        int err = liar_one(store, &ops[i]);
        first = first != OK ? first : err;
    }
    return first;
}

static int liar_list(struct store *store, struct arena *arena, const char *prefix,
                     const char *after, size_t max, struct store_list *out)
{
    struct liar *liar = liar_of(store);
    if (liar->lie == LIE_OFTEN_LATER && ++liar->calls % 2 == 0)
        return ERR_AGAIN;
    if (liar->lie == LIE_CORRUPT_LISTS && strstr(prefix, "/list") != NULL)
        return ERR_CORRUPT;
    int err = liar->below->calls->list(liar->below, arena, prefix, after, max, out);
    for (size_t i = 0; err == OK && i < out->n; i++) {
        if (liar->lie == LIE_LISTS_BACKWARDS && i < out->n / 2) {
            struct store_key other = out->keys[i];
            out->keys[i] = out->keys[out->n - 1 - i];
            out->keys[out->n - 1 - i] = other;
        }
        if (liar->lie == LIE_STALE_LISTS && strcmp(out->keys[i].key, liar->last_key) == 0)
            out->keys[i].size = liar->before.len;
    }
    return err;
}

static uint64_t liar_date_ms(struct store *store)
{
    return store_date_ms(liar_of(store)->below);
}

static uint32_t liar_put_interval_ms(struct store *store)
{
    return store_put_interval_ms(liar_of(store)->below);
}

static void liar_close(struct store *store)
{
    struct liar *liar = liar_of(store);
    buf_release(&liar->before);
    (void)pthread_mutex_destroy(&liar->lock);
    free(liar);
}

struct store *liar_open(struct store *below_it, enum lie lie)
{
    static const struct store_calls calls = {
        .name = "liar",
        .one = liar_one,
        .many = liar_many,
        .list = liar_list,
        .date_ms = liar_date_ms,
        .put_interval_ms = liar_put_interval_ms,
        .close = liar_close,
    };
    struct liar *liar = calloc(1, sizeof(*liar));
    if (liar == NULL || pthread_mutex_init(&liar->lock, NULL) != 0)
        abort();
    liar->store.calls = &calls;
    liar->below = below_it;
    liar->lie = lie;
    return &liar->store;
}

void liar_use_bare_etag(struct store *store, bool bare)
{
    liar_of(store)->bare = bare;
}
