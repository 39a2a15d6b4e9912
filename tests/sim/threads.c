#include "tests/sim/threads.h"

#include <stdlib.h>

#include "pipeline/sys/bell.h"
#include "tests/sim/sim_world.h"

#define SPURIOUS_US 1000000u

int __real_pthread_create(pthread_t *, const pthread_attr_t *, void *(*main)(void *),
                          void *arg);
int __real_pthread_join(pthread_t, void **result);
int __real_pthread_cond_wait(pthread_cond_t *, pthread_mutex_t *);
int __real_pthread_cond_signal(pthread_cond_t *);
int __real_pthread_cond_broadcast(pthread_cond_t *);
bool __real_bell_wait(struct bell *, uint64_t us);

/* --- starting and ending --- */

struct thread {
    void *(*main)(void *);
    void *arg;
    void *result;
    bool ended;
    struct task *joiner;
};

static void thread_life(void *arg)
{
    struct thread *thread = arg;
    thread->result = thread->main(thread->arg);
    thread->ended = true;
    task_wake(thread->joiner);
}

int __wrap_pthread_create(pthread_t *out, const pthread_attr_t *attributes,
                          void *(*main)(void *), void *arg)
{
    if (task_now() == NULL)
        return __real_pthread_create(out, attributes, main, arg);
    struct thread *thread = calloc(1, sizeof(*thread));
    if (thread == NULL)
        abort();
    *thread = (struct thread){.main = main, .arg = arg};
    static_assert(sizeof(*out) == sizeof(thread), "a thread is named by its memory");
    memcpy(out, &thread, sizeof(thread));
    (void)task_start(task_owner(), thread_life, thread);
    return 0;
}

int __wrap_pthread_join(pthread_t which, void **result)
{
    if (task_now() == NULL)
        return __real_pthread_join(which, result);
    struct thread *thread;
    memcpy(&thread, &which, sizeof(thread));
    thread->joiner = task_now();
    while (!thread->ended)
        task_wait();
    if (result != NULL)
        *result = thread->result;
    free(thread);
    return 0;
}

/* --- waiting --- */

/* Who waits for a condition; the oldest first. */
struct waiter {
    struct waiter *next;
    const pthread_cond_t *cond;
    struct task *task;
    bool signalled;
};
static struct waiter *waiters;

/* Those whose process has died wait for nothing. */
static void waiters_clean(void)
{
    for (struct waiter **at = &waiters; *at != NULL;) {
        struct waiter *waiter = *at;
        if (task_is_dead(waiter->task)) {
            *at = waiter->next;
            free(waiter);
        } else {
            at = &waiter->next;
        }
    }
}

static struct waiter *waiter_add(const pthread_cond_t *cond)
{
    struct waiter *waiter = calloc(1, sizeof(*waiter));
    if (waiter == NULL)
        abort();
    waiters_clean();
    *waiter = (struct waiter){.cond = cond, .task = task_now()};
    struct waiter **at = &waiters;
    while (*at != NULL)
        at = &(*at)->next;
    *at = waiter;
    return waiter;
}

static void waiter_remove(struct waiter *waiter)
{
    struct waiter **at = &waiters;
    while (*at != waiter)
        at = &(*at)->next;
    *at = waiter->next;
    free(waiter);
}

static void wait_for(const pthread_cond_t *cond, pthread_mutex_t *mutex, uint64_t us)
{
    struct waiter *waiter = waiter_add(cond);
    uint64_t until = world_now_us() + us;
    (void)pthread_mutex_unlock(mutex);
    while (!waiter->signalled && world_now_us() < until)
        task_wait_for(until - world_now_us());
    waiter_remove(waiter);
    (void)pthread_mutex_lock(mutex);
}

static void signal_up_to(const pthread_cond_t *cond, unsigned n)
{
    waiters_clean();
    for (struct waiter *at = waiters; at != NULL && n > 0; at = at->next) {
        if (at->cond != cond || at->signalled)
            continue;
        at->signalled = true;
        task_wake(at->task);
        n--;
    }
}

int __wrap_pthread_cond_wait(pthread_cond_t *cond, pthread_mutex_t *mutex)
{
    if (task_now() == NULL)
        return __real_pthread_cond_wait(cond, mutex);
    wait_for(cond, mutex, world_between(SPURIOUS_US / 2, SPURIOUS_US));
    return 0;
}

int __wrap_pthread_cond_signal(pthread_cond_t *cond)
{
    signal_up_to(cond, 1);
    return __real_pthread_cond_signal(cond);
}

int __wrap_pthread_cond_broadcast(pthread_cond_t *cond)
{
    signal_up_to(cond, UINT32_MAX);
    return __real_pthread_cond_broadcast(cond);
}

bool __wrap_bell_wait(struct bell *bell, uint64_t us)
{
    if (task_now() == NULL)
        return __real_bell_wait(bell, us);
    uint64_t until = us == BELL_FOR_EVER ? UINT64_MAX : world_now_us() + us;
    (void)pthread_mutex_lock(&bell->lock);
    while (!bell->rung && world_now_us() < until)
        wait_for(&bell->rings, &bell->lock,
                 until == UINT64_MAX ? UINT32_MAX : until - world_now_us());
    bool rung = bell->rung;
    bell->rung = false;
    (void)pthread_mutex_unlock(&bell->lock);
    return rung;
}
