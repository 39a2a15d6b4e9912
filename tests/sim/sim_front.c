#include "tests/sim/sim_front.h"

#include "api/service/parts.h"
#include "formats/base/limits.h"
#include "tests/sim/counts.h"
#include "tests/sim/sim_refs.h"

#define NETWORK_MAX_US 3000u

/* --- what the service's threads do --- */

static void flusher_life(void *arg)
{
    struct process *p = arg;
    while (!p->ending) {
        if (intake_flush(p->service->intake) == 0)
            task_wait();
        else if (p->fetcher != NULL)
            task_wake(p->fetcher);
        /* Others may join. */
        task_pause(world_below(5000));
    }
    p->flusher = NULL;
}

static bool anybody_waits(struct process *p)
{
    struct service_stats stats;
    service_stats(p->service, &stats);
    return stats.waiters > 0;
}

static void fetcher_life(void *arg)
{
    struct process *p = arg;
    while (!p->ending) {
        (void)waiters_step(p->service->waiters);
        if (anybody_waits(p))
            task_wait_for(world_between(2000, 300000));
        else
            task_wait();
    }
    p->fetcher = NULL;
}

static void queued_hint(void *arg, uint32_t shard)
{
    struct process *p = arg;
    (void)shard;
    task_wake(p->drainer);
}

void front_landed_hint(void *arg, const struct id16 *project, const struct head *head)
{
    struct process *p = arg;
    if (p->service == NULL)
        return;
    service_landed(p->service, project, head);
    task_wake(p->fetcher);
}

void front_open(struct process *p)
{
    const struct service_options options = {.intake = {.batch_max = 64 * KIB,
                                                       .queue_max = MIB,
                                                       .hint = p->drains ? queued_hint : NULL,
                                                       .hint_arg = p},
                                            .refs = sim_refs_source(),
                                            .wait_max_ms = 60000,
                                            .poll_ms = 50,
                                            .waiters_max = 1000};
    int err = service_open(p->repo, &options, &p->service);
    assert(err == OK);
    p->flusher = task_start(p, flusher_life, p);
    p->fetcher = task_start(p, fetcher_life, p);
    p->up = true;
}

void front_end(struct process *p)
{
    p->up = false;
    while (p->inside > 0)
        task_pause(1000);
    p->ending = true;
    while (p->flusher != NULL || p->fetcher != NULL || p->drainer != NULL) {
        task_wake(p->flusher);
        task_wake(p->fetcher);
        task_wake(p->drainer);
        task_pause(1000);
    }
    service_stop(p->service);
    service_close(p->service);
    p->service = NULL;
    p->ending = false;
    if (p->calls != NULL)
        broken("final", "%s has ended and left a call without an answer", p->name);
}

/* --- calls --- */

static void call_unlink(struct call *call)
{
    struct call **at = &call->process->calls;
    while (*at != call)
        at = &(*at)->next;
    *at = call->next;
}

static void call_finish(struct call *call, enum call_state state)
{
    call_unlink(call);
    call->state = state;
    task_wake(call->client);
}

void front_calls_lose(struct process *p)
{
    while (p->calls != NULL)
        call_finish(p->calls, CALL_LOST);
}

void call_done(struct call *call)
{
    if (call->state != CALL_UNDER_WAY)
        broken("once", "a call is answered twice");
    bool lost = !call->process->calm && world_chance(100);
    if (lost)
        count(COUNT_ANSWER_LOST);
    call_finish(call, lost ? CALL_LOST : CALL_DONE);
}

static void handler_life(void *arg)
{
    struct call *call = arg;
    struct process *p = call->process;
    task_pause(world_below(NETWORK_MAX_US));
    call->run(call, p);
    p->inside--;
    task_wake(p->flusher);
    task_wake(p->fetcher);
}

void call_make(struct call *call, struct process *front, uint64_t patience_us)
{
    call->process = front;
    call->client = task_now();
    call->state = CALL_UNDER_WAY;
    call->refused = !front->up;
    task_pause(world_below(NETWORK_MAX_US));
    if (!front->up) {
        call->refused = true;
        call->state = CALL_LOST;
        task_pause(world_between(1000, 100000));
        return;
    }
    call->refused = false;
    call->next = front->calls;
    front->calls = call;
    front->inside++;
    (void)task_start(front, handler_life, call);
    task_hold_all(front, front->held_until_us);
    uint64_t until = world_now_us() + patience_us;
    while (call->state == CALL_UNDER_WAY && world_now_us() < until)
        task_wait_for(until - world_now_us());
    call->client = NULL;
}
