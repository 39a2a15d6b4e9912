#include "pipeline/derive/run/executor.h"

#include "pipeline/derive/run/derived_inside.h"

/* A run that counts at most this part of the bound on bytes in flight waits for no room. */
#define SMALL_PART 64u
/* How many runs that are ready are looked at for one that can start. */
#define LOOK_BEHIND 64u

#define RECENT_BYTES (8u * MIB) /* of memos that the source may not know yet */

/* Whether this thread comes back for the next run by itself. */
static _Thread_local bool comes_back;

void executor_lock(struct executor *ex)
{
    int failed = pthread_mutex_lock(&ex->lock);
    assert(failed == 0);
    (void)failed;
}

void executor_unlock(struct executor *ex)
{
    int failed = pthread_mutex_unlock(&ex->lock);
    assert(failed == 0);
    (void)failed;
}

uint64_t executor_chance(struct executor *ex)
{
    /* splitmix64: a step is one atomic addition. */
    uint64_t z = atomic_fetch_add(&ex->chance, 0x9e3779b97f4a7c15u) + 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

/* ---- bytes in flight ---- */

void executor_in_flight(struct executor *ex, int64_t change)
{
    ex->in_flight += (uint64_t)change;
    if (ex->in_flight > ex->in_flight_most)
        ex->in_flight_most = ex->in_flight;
    if (change >= 0)
        return;
    if (ex->room_waits > 0)
        (void)pthread_cond_broadcast(&ex->room_rings);
    executor_wake(ex);
}

/* Whether a run that counts so many bytes may count some more: under the bound, or so few in
 * all that they need not wait for those of large ones. */
static bool fits(const struct executor *ex, uint64_t counted, uint64_t more)
{
    uint64_t most = ex->options.in_flight_max;
    return ex->in_flight + more <= most || counted + more <= most / SMALL_PART;
}

int run_room(struct executor *ex, struct run *run, uint64_t more)
{
    executor_lock(ex);
    ex->room_waits++;
    while (!fits(ex, run->leaf_bytes + atomic_load(&run->written), more) && run != ex->oldest &&
           atomic_load(&run->n_waiters) > 0)
        (void)pthread_cond_wait(&ex->room_rings, &ex->lock);
    ex->room_waits--;
    executor_in_flight(ex, (int64_t)more);
    (void)atomic_fetch_add(&run->written, more);
    executor_unlock(ex);
    return run_unwanted(ex, run) ? ERR_AGAIN : OK;
}

/* ---- runs ---- */

/* The most urgent one, if it can start; else one of the next, so that a large one that waits
 * for room holds up no small ones. */
static struct run *run_next(struct executor *ex)
{
    struct run *run = ready_top(&ex->ready);
    if (run == NULL || ex->running == 0)
        return run;
    for (size_t i = 0; i < ex->ready.n && i < LOOK_BEHIND; i++) {
        run = ex->ready.runs[i];
        if (fits(ex, 0, run->leaf_bytes))
            return run;
    }
    return NULL;
}

void executor_wake(struct executor *ex)
{
    if (ex->idle > 0 && ex->ready.n > (comes_back ? 1u : 0u) && run_next(ex) != NULL)
        (void)pthread_cond_signal(&ex->ready_rings);
}

static void run_start(struct executor *ex, struct run *run)
{
    ready_remove(&ex->ready, run);
    run->started = true;
    run->older = ex->newest;
    if (ex->newest != NULL)
        ex->newest->newer = run;
    else
        ex->oldest = run;
    ex->newest = run;
    ex->running++;
    executor_in_flight(ex, (int64_t)run->leaf_bytes);
}

void executor_run_over(struct executor *ex, struct run *run)
{
    if (run->older != NULL)
        run->older->newer = run->newer;
    else
        ex->oldest = run->newer;
    if (run->newer != NULL)
        run->newer->older = run->older;
    else
        ex->newest = run->older;
    ex->running--;
    uint64_t less = run->leaf_bytes + atomic_load(&run->written);
    uint64_t more = 0;
    if (run->hold != NULL && run->hold->reader != NULL)
        more = run->hold->counted = run->hold->result.size;
    executor_in_flight(ex, (int64_t)more - (int64_t)less);
    if (ex->room_waits > 0)
        (void)pthread_cond_broadcast(&ex->room_rings);
    if (ex->closing && ex->running == 0)
        (void)pthread_cond_broadcast(&ex->ended_rings);
}

static void *run_thread(void *arg)
{
    struct executor *ex = arg;
    comes_back = true;
    executor_lock(ex);
    for (;;) {
        struct run *run = run_next(ex);
        if (run == NULL && ex->closing)
            break;
        if (run == NULL) {
            ex->idle++;
            (void)pthread_cond_wait(&ex->ready_rings, &ex->lock);
            ex->idle--;
            continue;
        }
        run_start(ex, run);
        if (ex->idle > 0 && run_next(ex) != NULL)
            (void)pthread_cond_signal(&ex->ready_rings);
        executor_unlock(ex);
        run_do(ex, run);
        executor_lock(ex);
    }
    executor_unlock(ex);
    return NULL;
}

/* ---- turns ---- */

bool executor_turn_due(struct get *get)
{
    bool due = !get->busy;
    get->busy = true;
    return due;
}

void executor_turn_queue(struct executor *ex, struct get *get)
{
    get->queued = NULL;
    if (ex->last != NULL)
        ex->last->queued = get;
    else
        ex->first = get;
    ex->last = get;
    (void)pthread_cond_signal(&ex->turn_rings);
}

static void *turn_thread(void *arg)
{
    struct executor *ex = arg;
    executor_lock(ex);
    while (!ex->closing || ex->first != NULL || ex->n_gets > 0) {
        struct get *get = ex->first;
        if (get == NULL) {
            (void)pthread_cond_wait(&ex->turn_rings, &ex->lock);
            continue;
        }
        ex->first = get->queued;
        if (ex->first == NULL)
            ex->last = NULL;
        executor_unlock(ex);
        get_turn(get);
        executor_lock(ex);
    }
    executor_unlock(ex);
    return NULL;
}

static void *tick_thread(void *arg)
{
    struct executor *ex = arg;
    while (!bell_wait(&ex->close_rings, ex->options.progress_us))
        executor_tick(ex);
    return NULL;
}

/* ---- open and close ---- */

static void thread_start(struct executor *ex, void *(*main)(void *))
{
    int failed = pthread_create(&ex->threads[ex->n_threads], NULL, main, ex);
    if (failed != 0) {
        (void)fputs("no more threads\n", stderr);
        abort();
    }
    ex->n_threads++;
}

struct executor *executor_open(const struct executor_options *options)
{
    assert(options->slots > 0 && options->planners > 0);
    struct executor *ex = must_alloc(1, sizeof(*ex));
    ex->options = *options;
    if (ex->options.function == NULL)
        ex->options.function = function_find;
    if (ex->options.result_max > RESULT_SIZE_MAX)
        ex->options.result_max = RESULT_SIZE_MAX;
    ex->known = fact_table_open(options->known_max);
    ex->recent = fact_table_open(RECENT_BYTES);
    ex->chance = rng_u64(options->rng);
    (void)pthread_mutex_init(&ex->lock, NULL);
    (void)pthread_cond_init(&ex->ready_rings, NULL);
    (void)pthread_cond_init(&ex->turn_rings, NULL);
    (void)pthread_cond_init(&ex->room_rings, NULL);
    (void)pthread_cond_init(&ex->ended_rings, NULL);
    bell_init(&ex->close_rings);
    ex->threads = must_alloc(options->slots + options->planners + 1u, sizeof(pthread_t));
    for (uint32_t i = 0; i < options->slots; i++)
        thread_start(ex, run_thread);
    for (uint32_t i = 0; i < options->planners; i++)
        thread_start(ex, turn_thread);
    if (options->progress_us > 0)
        thread_start(ex, tick_thread);
    return ex;
}

static void executor_free(struct executor *ex)
{
    while (ex->functions != NULL) {
        struct function_facts *next = ex->functions->next;
        free(ex->functions);
        ex->functions = next;
    }
    while (ex->quarantines != NULL) {
        struct quarantined *next = ex->quarantines->next;
        free(ex->quarantines);
        ex->quarantines = next;
    }
    fact_table_close(ex->known);
    fact_table_close(ex->recent);
    (void)pthread_cond_destroy(&ex->ready_rings);
    (void)pthread_cond_destroy(&ex->turn_rings);
    (void)pthread_cond_destroy(&ex->room_rings);
    (void)pthread_cond_destroy(&ex->ended_rings);
    bell_release(&ex->close_rings);
    (void)pthread_mutex_destroy(&ex->lock);
    free(ex->table);
    free(ex->ready.runs);
    free(ex->threads);
    free(ex);
}

void executor_close(struct executor *ex)
{
    if (ex == NULL)
        return;
    executor_lock(ex);
    ex->closing = true;
    gets_cancel(ex);
    while (ex->n_gets > 0 || ex->running > 0)
        (void)pthread_cond_wait(&ex->ended_rings, &ex->lock);
    (void)pthread_cond_broadcast(&ex->ready_rings);
    (void)pthread_cond_broadcast(&ex->turn_rings);
    bell_ring(&ex->close_rings);
    executor_unlock(ex);
    for (uint32_t i = 0; i < ex->n_threads; i++)
        (void)pthread_join(ex->threads[i], NULL);
    executor_free(ex);
}
