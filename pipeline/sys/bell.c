#include "pipeline/sys/bell.h"

#include <assert.h>
#include <errno.h>
#include <time.h>

#define NS_PER_SECOND 1000000000u
/* The clock's range ends somewhere; who waits longer is woken for nothing. */
#define WAIT_MAX_US (3600ull * 1000000)

void bell_init(struct bell *bell)
{
    pthread_condattr_t attributes;
    int err = pthread_condattr_init(&attributes);
    assert(err == 0);
    err = pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    assert(err == 0);
    err = pthread_cond_init(&bell->rings, &attributes);
    assert(err == 0);
    (void)pthread_condattr_destroy(&attributes);
    err = pthread_mutex_init(&bell->lock, NULL);
    assert(err == 0);
    bell->rung = false;
}

void bell_release(struct bell *bell)
{
    (void)pthread_cond_destroy(&bell->rings);
    (void)pthread_mutex_destroy(&bell->lock);
}

void bell_ring(struct bell *bell)
{
    (void)pthread_mutex_lock(&bell->lock);
    bool first = !bell->rung;
    bell->rung = true;
    if (first)
        (void)pthread_cond_signal(&bell->rings);
    (void)pthread_mutex_unlock(&bell->lock);
}

static struct timespec deadline_in(uint64_t us)
{
    struct timespec at;
    (void)clock_gettime(CLOCK_MONOTONIC, &at);
    uint64_t ns = (uint64_t)at.tv_nsec + us % 1000000 * 1000;
    at.tv_sec += (time_t)(us / 1000000 + ns / NS_PER_SECOND);
    at.tv_nsec = (long)(ns % NS_PER_SECOND);
    return at;
}

bool bell_wait(struct bell *bell, uint64_t us)
{
    struct timespec until = deadline_in(us < WAIT_MAX_US ? us : WAIT_MAX_US);
    (void)pthread_mutex_lock(&bell->lock);
    int err = 0;
    while (!bell->rung && err != ETIMEDOUT)
        err = pthread_cond_timedwait(&bell->rings, &bell->lock, &until);
    bool rung = bell->rung;
    bell->rung = false;
    (void)pthread_mutex_unlock(&bell->lock);
    return rung;
}
