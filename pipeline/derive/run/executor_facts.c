/* What the executor knows of functions, and its counters. */
#include <string.h>

#include "formats/base/hex.h"
#include "pipeline/derive/run/executor_inside.h"
#include "pipeline/sys/log.h"

/* A quarantine that is not known so long after it was told is told again. */
#define TELL_AGAIN_US 2000000u

const uint64_t executor_latency_us[EXECUTOR_LATENCIES - 1] = {
    10, 100, 1000, 5000, 25000, 100000, 500000, 2500000, 10000000, 60000000, 600000000,
};

/* ---- functions ---- */

struct function_facts *function_facts_of(struct executor *ex, const struct function *function)
{
    executor_lock(ex);
    struct function_facts *facts = ex->functions;
    while (facts != NULL && facts->function != function)
        facts = facts->next;
    if (facts == NULL) {
        facts = must_alloc(1, sizeof(*facts));
        facts->function = function;
        facts->digest = function_digest(function);
        facts->next = ex->functions;
        ex->functions = facts;
    }
    executor_unlock(ex);
    return facts;
}

void function_facts_measured(struct function_facts *facts, uint64_t cost_us)
{
    uint64_t was = atomic_load_explicit(&facts->cost_us, memory_order_relaxed);
    uint64_t cost = cost_us > 0 ? cost_us : 1;
    /* The last ones count most; two threads at once may lose one of theirs. */
    atomic_store_explicit(&facts->cost_us, was == 0 ? cost : (7 * was + cost + 4) / 8,
                          memory_order_relaxed);
}

/* ---- quarantines ---- */

static void quarantine_problem(struct derive_problem *problem, const struct function *fn,
                               const struct hash *first, const struct hash *second)
{
    problem->fault = DERIVE_FAULT_QUARANTINED;
    problem->err = ERR_CONFLICT;
    problem->first = *first;
    problem->second = *second;
    (void)snprintf(problem->name, sizeof(problem->name), "%s", fn->name);
    (void)snprintf(problem->version, sizeof(problem->version), "%s", fn->version);
}

/* Under the lock. */
static struct quarantined *quarantine_here(const struct executor *ex,
                                           const struct id16 *project,
                                           const struct function_facts *function)
{
    struct quarantined *q = ex->quarantines;
    while (q != NULL && !(q->function == function && id16_equal(&q->project, project)))
        q = q->next;
    return q;
}

static int quarantine_tell(struct executor *ex, struct derive_source *source,
                           struct quarantined *q)
{
    const struct function *fn = q->function->function;
    struct clock *clock = ex->options.clock;
    const struct derive_item item = {.kind = DERIVE_QUARANTINE,
                                     .address = q->key,
                                     .quarantine = {.function = bytes_str(fn->name),
                                                    .version = bytes_str(fn->version),
                                                    .implementation = q->function->digest,
                                                    .key = q->key,
                                                    .first = q->first,
                                                    .second = q->second}};
    int err = source->tell(source, &item, 1);
    executor_lock(ex);
    q->told_us = err == OK ? clock->mono_us(clock) : 0;
    executor_unlock(ex);
    return err;
}

/* What was told may have been lost on its way, or was not taken: then it is not known to the
 * source, and is told again. */
static void quarantine_keep(struct executor *ex, struct derive_source *source,
                            struct quarantined *q)
{
    const struct function *fn = q->function->function;
    struct clock *clock = ex->options.clock;
    struct quarantine found;
    executor_lock(ex);
    bool due = q->told_us == 0 || clock->mono_us(clock) - q->told_us >= TELL_AGAIN_US;
    executor_unlock(ex);
    /* What cannot be told now is told some other time. */
    if (due && source->quarantine(source, bytes_str(fn->name), bytes_str(fn->version),
                                  &q->function->digest, &found) == ERR_NOT_FOUND)
        (void)quarantine_tell(ex, source, q);
}

int executor_quarantine_find(struct executor *ex, const struct id16 *project,
                             struct derive_source *source, struct function_facts *function,
                             struct derive_problem *problem)
{
    const struct function *fn = function->function;
    executor_lock(ex);
    struct quarantined *here = quarantine_here(ex, project, function);
    executor_unlock(ex);
    if (here != NULL) {
        quarantine_problem(problem, fn, &here->first, &here->second);
        quarantine_keep(ex, source, here);
        return OK;
    }
    struct quarantine found;
    int err = source->quarantine(source, bytes_str(fn->name), bytes_str(fn->version),
                                 &function->digest, &found);
    if (err == OK)
        quarantine_problem(problem, fn, &found.first, &found.second);
    return err;
}

void executor_quarantine(struct executor *ex, const struct run *run, const struct hash *first,
                         const struct hash *second, struct derive_problem *problem)
{
    const struct function *fn = run->function->function;
    *problem = (struct derive_problem){.address = run->address};
    quarantine_problem(problem, fn, first, second);
    struct quarantined *made = must_alloc(1, sizeof(*made));
    *made = (struct quarantined){.project = run->project,
                                 .function = run->function,
                                 .key = run->key,
                                 .first = *first,
                                 .second = *second,
                                 .told_us = ex->options.clock->mono_us(ex->options.clock)};
    executor_lock(ex);
    bool fresh = quarantine_here(ex, &run->project, run->function) == NULL;
    if (fresh) {
        made->next = ex->quarantines;
        ex->quarantines = made;
    }
    executor_unlock(ex);
    executor_forget(ex, &run->project, NULL);
    if (!fresh) {
        free(made);
        return;
    }
    int err = quarantine_tell(ex, run->source->source, made);
    log_warn("derive_quarantined", LOG_STR("project", id16_hex(&run->project).s),
             LOG_STR("address", hash_hex(&run->address).s), LOG_STR("function", fn->name),
             LOG_STR("version", fn->version), LOG_STR("first", hash_hex(first).s),
             LOG_STR("second", hash_hex(second).s), LOG_STR("told", err_name(err)));
}

void executor_forget(struct executor *ex, const struct id16 *project,
                     const struct hash *address)
{
    /* First: what a get puts in later it has looked at later. */
    (void)atomic_fetch_add(&ex->forgets, 1);
    fact_table_forget(ex->known, project, address);
}

/* ---- counters ---- */

struct executor_stats executor_stats(struct executor *ex)
{
    const struct counters *c = &ex->counters;
    struct executor_stats out = {.gets = atomic_load(&c->gets),
                                 .fast = atomic_load(&c->fast),
                                 .runs = atomic_load(&c->runs),
                                 .failed = atomic_load(&c->failed),
                                 .stopped = atomic_load(&c->stopped),
                                 .shared = atomic_load(&c->shared),
                                 .hits = atomic_load(&c->hits),
                                 .misses = atomic_load(&c->misses),
                                 .recomputed = atomic_load(&c->recomputed),
                                 .verified = atomic_load(&c->verified),
                                 .verify_passed = atomic_load(&c->verify_passed),
                                 .verify_failed = atomic_load(&c->verify_failed),
                                 .depth_last = atomic_load(&c->depth_last),
                                 .depth_most = atomic_load(&c->depth_most)};
    executor_lock(ex);
    out.running = ex->running;
    out.waiting = ex->ready.n;
    out.in_flight = ex->in_flight;
    out.in_flight_most = ex->in_flight_most;
    executor_unlock(ex);
    return out;
}

void executor_latencies(struct executor *ex,
                        void (*take)(void *arg, const struct executor_latency *), void *arg)
{
    executor_lock(ex);
    const struct function_facts *first = ex->functions;
    executor_unlock(ex);
    /* New ones come in front, and none goes while the executor is open. */
    for (const struct function_facts *facts = first; facts != NULL; facts = facts->next) {
        struct executor_latency out = {.function = facts->function,
                                       .sum_us = atomic_load(&facts->sum_us)};
        uint64_t runs = 0;
        for (size_t i = 0; i < EXECUTOR_LATENCIES; i++) {
            out.n[i] = atomic_load(&facts->latencies[i]);
            runs += out.n[i];
        }
        if (runs > 0)
            take(arg, &out);
    }
}
