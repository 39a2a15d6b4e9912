/* Threads of the code under test, as tasks of the process that starts them: they run in an
 * order that the seed decides, give way where they sleep, wait or call the store, and end with
 * their process when it dies.
 *
 * The linker puts these in place of pthread_create and of what threads wait with (--wrap), in
 * the simulator's programs only. A wait may end for no reason, as it may in reality: after a
 * second at most, because what is kept for each thread (_Thread_local) is one for all tasks,
 * and who relies on it may have taken somebody else for the one that he would wake. */
#ifndef TESTS_SIM_THREADS_H
#define TESTS_SIM_THREADS_H

#include <pthread.h>

#include "formats/base/types.h"

struct bell;

int __wrap_pthread_create(pthread_t *, const pthread_attr_t *, void *(*main)(void *),
                          void *arg);
int __wrap_pthread_join(pthread_t, void **result);
int __wrap_pthread_cond_wait(pthread_cond_t *, pthread_mutex_t *);
int __wrap_pthread_cond_signal(pthread_cond_t *);
int __wrap_pthread_cond_broadcast(pthread_cond_t *);
bool __wrap_bell_wait(struct bell *, uint64_t us);

#endif
