#include "tests/sim/fiber.h"

#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>

#if defined(__SANITIZE_ADDRESS__)
#define WITH_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define WITH_ASAN 1
#endif
#endif

#ifdef WITH_ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

#define PAGE_LEN 4096u
/* The first page is a wall: who runs over the end of the stack dies there. */
#define STACK_LEN    (1024u * 1024u)
#define STACKS_SPARE 64u

static void *spare[STACKS_SPARE];
static size_t n_spare;

static void *stack_take(void)
{
    if (n_spare > 0)
        return spare[--n_spare];
    void *stack = mmap(NULL, STACK_LEN, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (stack == MAP_FAILED || mprotect(stack, PAGE_LEN, PROT_NONE) != 0)
        abort();
    return stack;
}

static void stack_give(void *stack)
{
#ifdef WITH_ASAN
    __asan_unpoison_memory_region((char *)stack + PAGE_LEN, STACK_LEN - PAGE_LEN);
#endif
    if (n_spare < STACKS_SPARE)
        spare[n_spare++] = stack;
    else
        (void)munmap(stack, STACK_LEN);
}

/* Tells the address sanitizer which stack comes next; `save` NULL: the one that is left is not
 * entered again. */
static void switch_begin(void **save, const void *bottom, size_t len)
{
#ifdef WITH_ASAN
    __sanitizer_start_switch_fiber(save, bottom, len);
#else
    (void)save;
    (void)bottom;
    (void)len;
#endif
}

#ifdef WITH_ASAN
static const void *outside_bottom;
static size_t outside_len;
#endif

static void switch_end(void *fake_stack, bool inside)
{
#ifdef WITH_ASAN
    if (inside)
        __sanitizer_finish_switch_fiber(fake_stack, &outside_bottom, &outside_len);
    else
        __sanitizer_finish_switch_fiber(fake_stack, NULL, NULL);
#else
    (void)fake_stack;
    (void)inside;
#endif
}

static void switch_outside(struct fiber *fiber, void **save)
{
#ifdef WITH_ASAN
    switch_begin(save, outside_bottom, outside_len);
#else
    switch_begin(save, NULL, 0);
#endif
    if (swapcontext(&fiber->context, &fiber->outside) != 0)
        abort();
}

/* makecontext passes ints: a pointer comes in two. */
static void begin(unsigned high, unsigned low)
{
    struct fiber *fiber = (struct fiber *)((uintptr_t)high << 32 | low);
    switch_end(NULL, true);
    fiber->run(fiber->arg);
    fiber->ended = true;
    switch_outside(fiber, NULL);
    abort();
}

void fiber_make(struct fiber *fiber, void (*run)(void *arg), void *arg)
{
    static_assert(sizeof(uintptr_t) == 8, "two ints hold a pointer");
    *fiber = (struct fiber){.run = run, .arg = arg, .stack = stack_take()};
    if (getcontext(&fiber->context) != 0)
        abort();
    fiber->context.uc_stack.ss_sp = (char *)fiber->stack + PAGE_LEN;
    fiber->context.uc_stack.ss_size = STACK_LEN - PAGE_LEN;
    uintptr_t self = (uintptr_t)fiber;
    makecontext(&fiber->context, (void (*)(void))(uintptr_t)begin, 2, (unsigned)(self >> 32),
                (unsigned)(self & UINT32_MAX));
}

bool fiber_enter(struct fiber *fiber)
{
    void *fake_stack = NULL;
    switch_begin(&fake_stack, fiber->context.uc_stack.ss_sp, fiber->context.uc_stack.ss_size);
    if (swapcontext(&fiber->outside, &fiber->context) != 0)
        abort();
    switch_end(fake_stack, false);
    if (fiber->ended)
        fiber_abandon(fiber);
    return fiber->ended;
}

void fiber_leave(struct fiber *fiber)
{
    switch_outside(fiber, &fiber->fake_stack);
    switch_end(fiber->fake_stack, true);
}

void fiber_abandon(struct fiber *fiber)
{
    stack_give(fiber->stack);
    fiber->stack = NULL;
}
