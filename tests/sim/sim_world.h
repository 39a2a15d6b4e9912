/* The simulated world: virtual time, seeded chance, and tasks that give way to each other.
 *
 * A task is a coroutine with a stack of its own. One thread runs all of them and whatever is
 * due at a time (an event), in an order that only the seed decides; so a run of one seed is the
 * same every time. A task runs until it pauses, waits or ends: that is at every store call, at
 * every sleep, and where it finds a lock taken.
 *
 * There is one world a process. Whoever runs many seeds forks, for a task that is killed leaves
 * its memory behind, as a process that crashes does. */
#ifndef TESTS_SIM_SIM_WORLD_H
#define TESTS_SIM_SIM_WORLD_H

#include "formats/base/types.h"

void world_open(uint64_t seed);
uint64_t world_now_us(void);

/* Chance, from the seed. */
uint64_t world_u64(void);
uint64_t world_below(uint64_t n);
uint64_t world_between(uint64_t low, uint64_t high); /* both included */
bool world_chance(unsigned of_10000);

/* Runs `fn` at that time, in nobody's task. What is due at the same time runs in the order in
 * which it was asked for. */
void world_at(uint64_t at_us, void (*fn)(void *arg), void *arg);
/* Runs what is due next. False when nothing will ever be due. */
bool world_step(void);
uint64_t world_steps(void);

/* A running number over all that happened: two runs of one seed agree in it. */
void world_mix(uint64_t number);
uint64_t world_digest(void);

struct task;

/* Starts a task, which runs from the next step on. `owner` is what task_kill_all means, and may
 * be NULL. */
struct task *task_start(void *owner, void (*run)(void *arg), void *arg);
/* The one that runs; NULL in an event. */
struct task *task_now(void);
/* Of the one that runs. */
void *task_owner(void);
/* It was ended where it stood, or has come to its end. */
bool task_is_dead(const struct task *);
/* Of the task that runs: gives way for so long, or until somebody wakes it. A wake that comes
 * while it does not wait is kept for its next wait. */
void task_pause(uint64_t us);
void task_wait(void);
void task_wait_for(uint64_t us);
void task_wake(struct task *);
/* Ends all tasks of the owner where they stand; none of them may be the one that runs. */
void task_kill_all(const void *owner);
/* Holds all tasks of the owner still until then, as a process that is stopped is. */
void task_hold_all(const void *owner, uint64_t until_us);

#endif
