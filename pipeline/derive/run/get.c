/* A get from its beginning to its end. */
#include <string.h>

#include "pipeline/derive/run/derived_inside.h"
#include "pipeline/derive/run/get_range.h"

void get_fail(struct get *get, const struct derive_problem *problem)
{
    if (get->failed)
        return;
    get->failed = true;
    get->problem = *problem;
}

void get_fail_err(struct get *get, const struct hash *address, int err)
{
    struct derive_problem problem = {
        .fault = DERIVE_FAULT_STORE, .err = err, .address = *address};
    get_fail(get, &problem);
}

void get_keep(struct get *get, const struct hash *address, const struct hash *result)
{
    struct derive_source *source = get->source->source;
    if (source->keeps(source, address))
        result_pin(get->ex->options.cache, &get->project, result);
}

bool get_cancelled(struct get *get)
{
    if (!atomic_load_explicit(&get->cancelled, memory_order_relaxed))
        return false;
    struct derive_problem problem = {
        .fault = DERIVE_FAULT_CANCELLED, .err = ERR_AGAIN, .address = get->address};
    get_fail(get, &problem);
    return true;
}

static void holds_drop(struct get *get)
{
    for (size_t i = 0; i < get->n_nodes; i++) {
        hold_drop(get->nodes[i]->hold);
        get->nodes[i]->hold = NULL;
    }
}

void get_drop(struct get *get)
{
    if (atomic_fetch_sub(&get->refs, 1) > 1)
        return;
    get_range_close(get);
    holds_drop(get);
    source_ref_drop(get->source);
    free(get->table);
    free(get->nodes);
    free(get->steps);
    free(get->contents);
    (void)pthread_mutex_destroy(&get->told);
    arena_release(&get->arena);
    struct executor *ex = get->ex;
    free(get);
    executor_lock(ex);
    if (--ex->n_gets == 0)
        (void)pthread_cond_broadcast(&ex->ended_rings);
    executor_unlock(ex);
}

/* ---- the beginning ---- */

static struct get **ticket_bucket(struct executor *ex, uint64_t ticket)
{
    return &ex->tickets[ticket % TICKET_BUCKETS];
}

void executor_get(struct executor *ex, const struct id16 *project, struct derive_source *source,
                  const struct hash *address, const struct get_options *options,
                  uint64_t *ticket)
{
    if (ticket != NULL)
        *ticket = 0;
    struct derived *known;
    if (!options->again && derived_known(ex, project, address, options, &known) == OK) {
        source->release(source);
        options->done(options->arg, known, NULL);
        return;
    }
    struct get *get = must_alloc(1, sizeof(*get));
    get->ex = ex;
    get->project = *project;
    get->address = *address;
    get->options = *options;
    get->verify = options->verify != NULL ? *options->verify : ex->options.verify;
    get->source = must_alloc(1, sizeof(*get->source));
    get->source->source = source;
    atomic_init(&get->source->refs, 1);
    get->began_us = ex->options.clock->mono_us(ex->options.clock);
    atomic_init(&get->refs, 1);
    (void)pthread_mutex_init(&get->told, NULL);
    COUNT(ex, gets);
    executor_lock(ex);
    get->ticket = ++ex->next_ticket;
    struct get **bucket = ticket_bucket(ex, get->ticket);
    get->next = *bucket;
    *bucket = get;
    ex->n_gets++;
    get->busy = true;
    atomic_store(&get->cancelled, ex->closing);
    if (ticket != NULL)
        *ticket = get->ticket;
    executor_turn_queue(ex, get);
    executor_unlock(ex);
}

/* Under the lock. */
static struct get *ticket_find(struct executor *ex, uint64_t ticket)
{
    struct get *get = *ticket_bucket(ex, ticket);
    while (get != NULL && get->ticket != ticket)
        get = get->next;
    return get;
}

void executor_cancel(struct executor *ex, uint64_t ticket)
{
    executor_lock(ex);
    struct get *get = ticket_find(ex, ticket);
    if (get != NULL) {
        atomic_store(&get->cancelled, true);
        if (executor_turn_due(get))
            executor_turn_queue(ex, get);
    }
    executor_unlock(ex);
}

void gets_cancel(struct executor *ex)
{
    for (size_t i = 0; i < TICKET_BUCKETS; i++) {
        for (struct get *get = ex->tickets[i]; get != NULL; get = get->next) {
            atomic_store(&get->cancelled, true);
            if (executor_turn_due(get))
                executor_turn_queue(ex, get);
        }
    }
}

/* ---- the end ---- */

static void ticket_remove(struct get *get)
{
    struct executor *ex = get->ex;
    executor_lock(ex);
    struct get **at = ticket_bucket(ex, get->ticket);
    while (*at != get)
        at = &(*at)->next;
    *at = get->next;
    executor_unlock(ex);
    (void)pthread_mutex_lock(&get->told);
    get->ended = true;
    (void)pthread_mutex_unlock(&get->told);
}

/* Not when something was forgotten since the get began: it may rest on a function that was
 * quarantined after the get had looked at it. */
static void remember(struct get *get)
{
    const struct node *root = get->root;
    struct executor *ex = get->ex;
    if (root->is != DERIVE_IS_RECIPE || root->by_content || root->refs || !root->known ||
        atomic_load(&ex->forgets) != get->forgets)
        return;
    struct fact fact = {.result = {.hash = root->content.hash,
                                   .size = root->size,
                                   .chunk_size = root->chunk_size,
                                   .chunks = root->chunks},
                        .cost_us = root->cost_us};
    fact_table_put(ex->known, &get->project, &get->address, &fact);
    if (atomic_load(&ex->forgets) != get->forgets)
        fact_table_forget(ex->known, &get->project, &get->address);
}

void get_end(struct get *get)
{
    ticket_remove(get);
    runs_leave(get);
    struct derived *derived = NULL;
    if (!get->failed) {
        remember(get);
        derived = derived_make(get);
    }
    if (get->options.want != GET_RANGE)
        holds_drop(get);
    if (derived != NULL)
        get->options.done(get->options.arg, derived, NULL);
    else
        get->options.done(get->options.arg, NULL, &get->problem);
    get_drop(get);
}

/* ---- progress ---- */

/* Under the lock. */
static struct get_progress progress_of(struct executor *ex, struct get *get)
{
    struct clock *clock = ex->options.clock;
    struct get_progress p = {.nodes = atomic_load(&get->count_nodes),
                             .known = atomic_load(&get->count_known),
                             .runs = atomic_load(&get->count_runs),
                             .bytes_out = atomic_load(&get->count_bytes),
                             .elapsed_us = clock->mono_us(clock) - get->began_us};
    for (const struct run *run = ex->oldest; run != NULL; run = run->newer) {
        for (const struct node *node = run->waiters; node != NULL; node = node->waiter_older) {
            if (node->get != get)
                continue;
            p.running++;
            p.bytes_out += atomic_load(&run->written);
            p.address = node->address;
        }
    }
    return p;
}

int executor_look(struct executor *ex, uint64_t ticket, struct get_progress *out)
{
    executor_lock(ex);
    struct get *get = ticket_find(ex, ticket);
    if (get != NULL)
        *out = progress_of(ex, get);
    executor_unlock(ex);
    return get != NULL ? OK : ERR_NOT_FOUND;
}

/* Those that are to be told, held. */
static struct get **gets_hold(struct executor *ex, size_t *n)
{
    executor_lock(ex);
    struct get **gets = must_alloc(ex->n_gets, sizeof(struct get *));
    *n = 0;
    for (size_t i = 0; i < TICKET_BUCKETS; i++) {
        for (struct get *get = ex->tickets[i]; get != NULL; get = get->next) {
            if (get->options.progress == NULL)
                continue;
            (void)atomic_fetch_add(&get->refs, 1);
            gets[(*n)++] = get;
        }
    }
    executor_unlock(ex);
    return gets;
}

void executor_tick(struct executor *ex)
{
    size_t n;
    struct get **gets = gets_hold(ex, &n);
    for (size_t i = 0; i < n; i++) {
        struct get *get = gets[i];
        executor_lock(ex);
        struct get_progress progress = progress_of(ex, get);
        executor_unlock(ex);
        (void)pthread_mutex_lock(&get->told);
        if (!get->ended)
            get->options.progress(get->options.arg, &progress);
        (void)pthread_mutex_unlock(&get->told);
        get_drop(get);
    }
    free(gets);
}
