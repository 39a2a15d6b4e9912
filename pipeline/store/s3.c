#include "pipeline/store/s3.h"

#include <stdlib.h>

#include "pipeline/store/s3_inside.h"

static struct s3_store *s3_of(struct store *store)
{
    return (struct s3_store *)store;
}

static enum s3_what what_of(const struct store_op *op)
{
    switch (op->verb) {
    case STORE_GET:
        return S3_GET;
    case STORE_DELETE:
        return S3_DELETE;
    case STORE_PUT:
        break;
    }
    switch (op->condition) {
    case PUT_ANY:
        return S3_PUT;
    case PUT_IF_ABSENT:
        return S3_PUT_IF_ABSENT;
    case PUT_IF_MATCH:
        break;
    }
    return S3_PUT_IF_MATCH;
}

static int s3_one(struct store *store, struct store_op *op)
{
    struct s3_call call = {.op = op};
    op->err = s3_call_begin(&call, s3_of(store), what_of(op), op->key);
    if (op->err == OK) {
        op->err = s3_call_run(&call);
    }
    s3_call_release(&call);
    return op->err;
}

/* Operations under way, each in a place that the next one takes over. */
struct many {
    struct s3_store *s3;
    struct store_op *ops;
    size_t n;
    size_t next;
    struct s3_call *calls;
    size_t n_calls;
};

static struct http_call *many_next(void *arg)
{
    struct many *many = arg;
    struct s3_call *call = many->calls;
    while (call->busy) { /* there is a free one, for no more run than there are */
        call++;
    }
    while (many->next < many->n) {
        struct store_op *op = &many->ops[many->next++];
        call->op = op;
        op->err = s3_call_begin(call, many->s3, what_of(op), op->key);
        if (op->err == OK) {
            op->err = op->verb == STORE_GET ? ERR_AGAIN : ERR_UNKNOWN;
            call->busy = true;
            return &call->http;
        }
    }
    return NULL;
}

static int64_t many_again(void *arg, struct http_call *http)
{
    (void)arg;
    return s3_call_end((struct s3_call *)http);
}

static int many_done(void *arg, struct http_call *http)
{
    (void)arg;
    struct s3_call *call = (struct s3_call *)http;
    call->op->err = call->err;
    call->busy = false;
    return OK;
}

static int s3_many(struct store *store, struct store_op *ops, size_t n)
{
    struct s3_store *s3 = s3_of(store);
    struct many many = {.s3 = s3, .ops = ops, .n = n};
    struct http_client *client;
    if (n == 1) {
        return s3_one(store, ops);
    }
    for (size_t i = 0; i < n; i++) {
        ops[i].err = ERR_AGAIN;
    }
    if (http_pool_take(s3->pool, &client) != OK) {
        return n == 0 ? OK : ERR_AGAIN;
    }
    many.n_calls = n < s3->concurrency ? n : s3->concurrency;
    many.calls = calloc(many.n_calls + 1, sizeof(*many.calls));
    if (many.calls == NULL) {
        abort();
    }
    const struct http_feed feed = {
        .next = many_next, .done = many_done, .again = many_again, .arg = &many};
    int broken = http_many(client, (unsigned)many.n_calls, &feed);
    http_pool_give(s3->pool, client);
    for (size_t i = 0; i < many.n_calls; i++) {
        s3_call_release(&many.calls[i]);
    }
    free(many.calls);
    for (size_t i = 0; i < n; i++) {
        if (ops[i].err != OK) {
            return ops[i].err;
        }
    }
    return broken;
}

static uint64_t date_ms(struct store *store)
{
    return s3_date_ms(s3_of(store));
}

static uint32_t put_interval_ms(struct store *store)
{
    return s3_store_provider(store)->put_interval_ms;
}

static void s3_close(struct store *store)
{
    struct s3_store *s3 = s3_of(store);
    http_pool_close(s3->pool);
    (void)pthread_mutex_destroy(&s3->lock);
    arena_release(&s3->strings);
    free(s3);
}

const struct store_calls s3_calls = {
    .name = "s3",
    .one = s3_one,
    .many = s3_many,
    .list = s3_list,
    .date_ms = date_ms,
    .put_interval_ms = put_interval_ms,
    .close = s3_close,
};

bool s3_store_is_auto(struct store *store)
{
    return s3_of(store)->chosen == S3_AUTO;
}

const struct s3_provider *s3_store_provider(struct store *store)
{
    struct s3_store *s3 = s3_of(store);
    if (s3->chosen != S3_AUTO) {
        return s3_provider(s3->chosen);
    }
    (void)pthread_mutex_lock(&s3->lock);
    enum s3_provider_id id =
        s3_provider_guess(s3->host, s3->server, atomic_load(&s3->bare_etag));
    (void)pthread_mutex_unlock(&s3->lock);
    return s3_provider(id);
}

void s3_store_use_bare_etag(struct store *store, bool bare)
{
    atomic_store(&s3_of(store)->bare_etag, bare);
}

void s3_store_why(struct store *store, char why[S3_WHY_MAX])
{
    struct s3_store *s3 = s3_of(store);
    (void)pthread_mutex_lock(&s3->lock);
    memcpy(why, s3->why, S3_WHY_MAX);
    (void)pthread_mutex_unlock(&s3->lock);
}
