#include "pipeline/stages/follow.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "pipeline/sys/log.h"

struct follow {
    struct stage *stage;
    uint64_t pause_min_ms;
    uint64_t pause_max_ms;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool woken;
    bool stopping;
};

/* Waits until woken, stopped, or the pause is over. False when it is to stop. */
static bool follow_pause(struct follow *f, uint64_t pause_ms)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += (time_t)(pause_ms / 1000);
    until.tv_nsec += (long)(pause_ms % 1000) * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    pthread_mutex_lock(&f->lock);
    int err = 0;
    while (!f->woken && !f->stopping && pause_ms > 0 && err != ETIMEDOUT)
        err = pthread_cond_timedwait(&f->changed, &f->lock, &until);
    f->woken = false;
    bool go_on = !f->stopping;
    pthread_mutex_unlock(&f->lock);
    return go_on;
}

static void *follow_run(void *arg)
{
    struct follow *f = arg;
    uint64_t pause_ms = 0;
    int last = OK;
    uint64_t again_ms = 0;
    while (follow_pause(f, again_ms > 0 && again_ms < pause_ms ? again_ms : pause_ms)) {
        int did = f->stage->run(f->stage);
        if (did < 0 && did != last)
            log_warn("stage_failed", LOG_STR("stage", f->stage->name), LOG_ERR(did));
        else if (did >= 0 && last < 0)
            log_info("stage_well", LOG_STR("stage", f->stage->name));
        last = did < 0 ? did : OK;
        again_ms = f->stage->again_ms;
        if (did > 0)
            pause_ms = 0;
        else if (pause_ms == 0)
            pause_ms = f->pause_min_ms;
        else
            pause_ms = pause_ms * 2 > f->pause_max_ms ? f->pause_max_ms : pause_ms * 2;
    }
    return NULL;
}

struct follow *follow_start(struct stage *stage, uint64_t pause_min_ms, uint64_t pause_max_ms)
{
    struct follow *f = calloc(1, sizeof(*f));
    if (f == NULL)
        abort();
    f->stage = stage;
    f->pause_min_ms = pause_min_ms;
    f->pause_max_ms = pause_max_ms;
    pthread_mutex_init(&f->lock, NULL);
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&f->changed, &attr);
    pthread_condattr_destroy(&attr);
    if (pthread_create(&f->thread, NULL, follow_run, f) != 0)
        abort();
    return f;
}

void follow_wake(struct follow *f)
{
    pthread_mutex_lock(&f->lock);
    f->woken = true;
    pthread_cond_signal(&f->changed);
    pthread_mutex_unlock(&f->lock);
}

void follow_stop(struct follow *f)
{
    pthread_mutex_lock(&f->lock);
    f->stopping = true;
    pthread_cond_signal(&f->changed);
    pthread_mutex_unlock(&f->lock);
    pthread_join(f->thread, NULL);
    pthread_cond_destroy(&f->changed);
    pthread_mutex_destroy(&f->lock);
    free(f);
}
