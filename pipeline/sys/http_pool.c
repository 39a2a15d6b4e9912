#include "pipeline/sys/http_pool.h"

#include <pthread.h>
#include <stdlib.h>

#define IDLE_MAX 16u

struct http_pool {
    struct http_client_options options;
    pthread_mutex_t lock;
    struct http_client *idle[IDLE_MAX]; /* under lock, as is their number */
    unsigned n_idle;
};

struct http_pool *http_pool_open(const struct http_client_options *options)
{
    struct http_pool *pool = calloc(1, sizeof(*pool));
    if (pool == NULL || pthread_mutex_init(&pool->lock, NULL) != 0)
        abort();
    pool->options = *options;
    return pool;
}

void http_pool_close(struct http_pool *pool)
{
    for (unsigned i = 0; i < pool->n_idle; i++)
        http_client_close(pool->idle[i]);
    (void)pthread_mutex_destroy(&pool->lock);
    free(pool);
}

int http_pool_take(struct http_pool *pool, struct http_client **out)
{
    struct http_client *client = NULL;
    (void)pthread_mutex_lock(&pool->lock);
    if (pool->n_idle > 0)
        client = pool->idle[--pool->n_idle];
    (void)pthread_mutex_unlock(&pool->lock);
    if (client == NULL)
        return http_client_open(&pool->options, out);
    *out = client;
    return OK;
}

void http_pool_give(struct http_pool *pool, struct http_client *client)
{
    (void)pthread_mutex_lock(&pool->lock);
    bool keep = pool->n_idle < IDLE_MAX;
    if (keep)
        pool->idle[pool->n_idle++] = client;
    (void)pthread_mutex_unlock(&pool->lock);
    if (!keep)
        http_client_close(client);
}
