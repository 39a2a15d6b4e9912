#include "tests/sim/sim_world.h"

#include <stdlib.h>

#include "pipeline/sys/rng.h"
#include "tests/sim/fiber.h"

struct event {
    uint64_t at_us;
    uint64_t number; /* the older first */
    void (*fn)(void *arg);
    void *arg;
};

struct task {
    struct fiber fiber;
    void *owner;
    uint64_t held_until_us;
    uint64_t sleep; /* counts its sleeps: what is to wake it from an older one is too late */
    bool waits;     /* a wake ends its sleep */
    bool woken;
    bool dead;
    struct task *prev; /* of all that live */
    struct task *next;
    void (*run)(void *arg);
    void *arg;
};

/* What wakes a task from one sleep. */
struct waking {
    struct task *task;
    uint64_t sleep;
};

static struct {
    struct rng_seeded rng;
    uint64_t now_us;
    struct event *heap; /* from 1 */
    size_t n;
    size_t cap;
    uint64_t numbers;
    uint64_t steps;
    uint64_t digest;
    struct task *tasks;
    struct task *current;
} world;

static void *must_have(void *memory)
{
    if (memory == NULL)
        abort();
    return memory;
}

void world_open(uint64_t seed)
{
    memset(&world, 0, sizeof(world));
    rng_seeded_init(&world.rng, seed);
    world.now_us = 1000000;
}

uint64_t world_now_us(void)
{
    return world.now_us;
}

uint64_t world_u64(void)
{
    return rng_u64(&world.rng.rng);
}

uint64_t world_below(uint64_t n)
{
    return rng_below(&world.rng.rng, n);
}

uint64_t world_between(uint64_t low, uint64_t high)
{
    assert(low <= high);
    return low + world_below(high - low + 1);
}

bool world_chance(unsigned of_10000)
{
    return of_10000 > 0 && world_below(10000) < of_10000;
}

void world_mix(uint64_t number)
{
    uint64_t z = (world.digest ^ number) * 0xbf58476d1ce4e5b9;
    world.digest = (z ^ z >> 29) * 0x94d049bb133111eb + 1;
}

uint64_t world_digest(void)
{
    return world.digest;
}

uint64_t world_steps(void)
{
    return world.steps;
}

/* --- events --- */

static bool event_before(const struct event *a, const struct event *b)
{
    return a->at_us != b->at_us ? a->at_us < b->at_us : a->number < b->number;
}

void world_at(uint64_t at_us, void (*fn)(void *arg), void *arg)
{
    if (world.n + 1 >= world.cap) {
        world.cap = world.cap == 0 ? 256 : world.cap * 2;
        world.heap = must_have(reallocarray(world.heap, world.cap, sizeof(*world.heap)));
    }
    struct event event = {.at_us = at_us < world.now_us ? world.now_us : at_us,
                          .number = world.numbers++,
                          .fn = fn,
                          .arg = arg};
    size_t at = ++world.n;
    for (; at > 1 && event_before(&event, &world.heap[at / 2]); at /= 2)
        world.heap[at] = world.heap[at / 2];
    world.heap[at] = event;
}

static struct event event_take(void)
{
    struct event top = world.heap[1];
    struct event last = world.heap[world.n--];
    size_t at = 1;
    for (;;) {
        size_t child = 2 * at;
        if (child > world.n)
            break;
        if (child < world.n && event_before(&world.heap[child + 1], &world.heap[child]))
            child++;
        if (!event_before(&world.heap[child], &last))
            break;
        world.heap[at] = world.heap[child];
        at = child;
    }
    if (world.n > 0)
        world.heap[at] = last;
    return top;
}

bool world_step(void)
{
    assert(world.current == NULL);
    if (world.n == 0)
        return false;
    struct event event = event_take();
    world.now_us = event.at_us;
    world.steps++;
    event.fn(event.arg);
    return true;
}

/* --- tasks --- */

static void task_unlink(struct task *task)
{
    if (task->prev != NULL)
        task->prev->next = task->next;
    else
        world.tasks = task->next;
    if (task->next != NULL)
        task->next->prev = task->prev;
}

static void task_run(void *arg)
{
    struct task *task = arg;
    task->run(task->arg);
}

/* What is waking keeps a pointer to its task, so a task's memory stays. */
static void task_resume(void *arg)
{
    struct waking *waking = arg;
    struct task *task = waking->task;
    bool late = task->dead || waking->sleep != task->sleep;
    if (!late && task->held_until_us > world.now_us) {
        world_at(task->held_until_us, task_resume, waking);
        return;
    }
    free(waking);
    if (late)
        return;
    task->sleep++;
    task->waits = false;
    world.current = task;
    bool ended = fiber_enter(&task->fiber);
    world.current = NULL;
    if (ended) {
        task->dead = true;
        task_unlink(task);
    }
}

static void wake_at(struct task *task, uint64_t at_us)
{
    struct waking *waking = must_have(malloc(sizeof(*waking)));
    *waking = (struct waking){.task = task, .sleep = task->sleep};
    world_at(at_us, task_resume, waking);
}

struct task *task_start(void *owner, void (*run)(void *arg), void *arg)
{
    struct task *task = must_have(calloc(1, sizeof(*task)));
    task->owner = owner;
    task->run = run;
    task->arg = arg;
    task->next = world.tasks;
    if (world.tasks != NULL)
        world.tasks->prev = task;
    world.tasks = task;
    fiber_make(&task->fiber, task_run, task);
    wake_at(task, world.now_us);
    return task;
}

struct task *task_now(void)
{
    return world.current;
}

void *task_owner(void)
{
    return world.current->owner;
}

bool task_is_dead(const struct task *task)
{
    return task->dead;
}

static void give_way(void)
{
    fiber_leave(&world.current->fiber);
}

void task_pause(uint64_t us)
{
    wake_at(world.current, world.now_us + us);
    give_way();
}

void task_wait(void)
{
    struct task *task = world.current;
    if (!task->woken) {
        task->waits = true;
        give_way();
    }
    task->woken = false;
}

void task_wait_for(uint64_t us)
{
    struct task *task = world.current;
    if (!task->woken) {
        task->waits = true;
        wake_at(task, world.now_us + us);
        give_way();
    }
    task->woken = false;
}

void task_wake(struct task *task)
{
    if (task == NULL || task->dead || task->woken)
        return;
    task->woken = true;
    if (task->waits)
        wake_at(task, world.now_us);
}

void task_kill_all(const void *owner)
{
    for (struct task *task = world.tasks; task != NULL;) {
        struct task *next = task->next;
        if (task->owner == owner) {
            assert(task != world.current);
            task->dead = true;
            task_unlink(task);
            fiber_abandon(&task->fiber);
        }
        task = next;
    }
}

void task_hold_all(const void *owner, uint64_t until_us)
{
    for (struct task *task = world.tasks; task != NULL; task = task->next) {
        if (task->owner == owner && task->held_until_us < until_us)
            task->held_until_us = until_us;
    }
}
