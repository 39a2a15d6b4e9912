/* A stack that can be left in the middle of a call and entered again. One thread. */
#ifndef TESTS_SIM_FIBER_H
#define TESTS_SIM_FIBER_H

#include <ucontext.h>

#include "formats/base/types.h"

struct fiber {
    ucontext_t context; /* of the fiber while it is left, */
    ucontext_t outside; /* and of who entered it while it runs */
    void *stack;
    void *fake_stack; /* the address sanitizer's */
    void (*run)(void *arg);
    void *arg;
    bool ended;
};

/* Runs `run` when it is entered for the first time. */
void fiber_make(struct fiber *, void (*run)(void *arg), void *arg);
/* Goes on with it until it leaves or ends; true when it has ended, and its stack is gone. */
bool fiber_enter(struct fiber *);
/* Of the fiber that runs. */
void fiber_leave(struct fiber *);
/* It is never entered again. */
void fiber_abandon(struct fiber *);

#endif
