#include "api/http/aside.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

struct aside {
    pthread_mutex_t lock; /* of all below */
    pthread_cond_t some;
    struct aside_work *first;
    struct aside_work **last;
    unsigned running;
    pthread_cond_t none; /* nothing waits or runs any more */
    bool closing;
    void (*run)(struct aside_work *);
    pthread_t *threads;
    unsigned n;
};

static void *aside_run(void *arg)
{
    struct aside *aside = arg;
    (void)pthread_mutex_lock(&aside->lock);
    while (aside->first != NULL || !aside->closing) {
        struct aside_work *work = aside->first;
        if (work == NULL) {
            (void)pthread_cond_wait(&aside->some, &aside->lock);
            continue;
        }
        aside->first = work->next;
        if (aside->first == NULL)
            aside->last = &aside->first;
        aside->running++;
        (void)pthread_mutex_unlock(&aside->lock);
        aside->run(work);
        (void)pthread_mutex_lock(&aside->lock);
        if (--aside->running == 0 && aside->first == NULL)
            (void)pthread_cond_broadcast(&aside->none);
    }
    (void)pthread_mutex_unlock(&aside->lock);
    return NULL;
}

struct aside *aside_open(unsigned threads, void (*run)(struct aside_work *))
{
    struct aside *aside = calloc(1, sizeof(*aside));
    if (aside == NULL)
        abort();
    aside->last = &aside->first;
    aside->run = run;
    (void)pthread_mutex_init(&aside->lock, NULL);
    (void)pthread_cond_init(&aside->some, NULL);
    (void)pthread_cond_init(&aside->none, NULL);
    aside->threads = calloc(threads, sizeof(*aside->threads));
    if (aside->threads == NULL)
        abort();
    while (aside->n < threads) {
        int failed = pthread_create(&aside->threads[aside->n], NULL, aside_run, aside);
        assert(failed == 0);
        (void)failed;
        aside->n++;
    }
    return aside;
}

void aside_add(struct aside *aside, struct aside_work *work)
{
    (void)pthread_mutex_lock(&aside->lock);
    work->next = NULL;
    *aside->last = work;
    aside->last = &work->next;
    (void)pthread_cond_signal(&aside->some);
    (void)pthread_mutex_unlock(&aside->lock);
}

void aside_settle(struct aside *aside, unsigned most_ms)
{
    struct timespec until;
    (void)clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += most_ms / 1000;
    int late = 0;
    (void)pthread_mutex_lock(&aside->lock);
    while ((aside->first != NULL || aside->running > 0) && late == 0)
        late = pthread_cond_timedwait(&aside->none, &aside->lock, &until);
    (void)pthread_mutex_unlock(&aside->lock);
}

void aside_close(struct aside *aside)
{
    (void)pthread_mutex_lock(&aside->lock);
    aside->closing = true;
    (void)pthread_cond_broadcast(&aside->some);
    (void)pthread_mutex_unlock(&aside->lock);
    for (unsigned i = 0; i < aside->n; i++)
        (void)pthread_join(aside->threads[i], NULL);
    (void)pthread_cond_destroy(&aside->none);
    (void)pthread_cond_destroy(&aside->some);
    (void)pthread_mutex_destroy(&aside->lock);
    free(aside->threads);
    free(aside);
}
