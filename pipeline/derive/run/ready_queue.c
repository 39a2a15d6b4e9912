/* A heap of the runs that could start. Each run knows its place in it. */
#include <string.h>

#include "pipeline/derive/run/executor_inside.h"

static void place(struct ready_queue *queue, size_t at, struct run *run)
{
    queue->runs[at] = run;
    run->ready_at = at;
}

static void rise(struct ready_queue *queue, size_t at)
{
    struct run *run = queue->runs[at];
    while (at > 0 && queue->runs[(at - 1) / 2]->rank < run->rank) {
        place(queue, at, queue->runs[(at - 1) / 2]);
        at = (at - 1) / 2;
    }
    place(queue, at, run);
}

static void sink(struct ready_queue *queue, size_t at)
{
    struct run *run = queue->runs[at];
    for (;;) {
        size_t below = 2 * at + 1;
        if (below >= queue->n)
            break;
        if (below + 1 < queue->n && queue->runs[below + 1]->rank > queue->runs[below]->rank)
            below++;
        if (queue->runs[below]->rank <= run->rank)
            break;
        place(queue, at, queue->runs[below]);
        at = below;
    }
    place(queue, at, run);
}

void ready_push(struct ready_queue *queue, struct run *run)
{
    if (queue->n == queue->cap) {
        size_t cap = queue->cap == 0 ? 64 : 2 * queue->cap;
        struct run **runs = must_alloc(cap, sizeof(struct run *));
        if (queue->n > 0)
            memcpy(runs, queue->runs, queue->n * sizeof(struct run *));
        free(queue->runs);
        queue->runs = runs;
        queue->cap = cap;
    }
    queue->n++;
    place(queue, queue->n - 1, run);
    rise(queue, queue->n - 1);
}

struct run *ready_top(const struct ready_queue *queue)
{
    return queue->n > 0 ? queue->runs[0] : NULL;
}

void ready_remove(struct ready_queue *queue, struct run *run)
{
    size_t at = run->ready_at;
    struct run *last = queue->runs[--queue->n];
    if (last == run)
        return;
    place(queue, at, last);
    sink(queue, at);
    rise(queue, last->ready_at);
}

void ready_raise(struct ready_queue *queue, struct run *run)
{
    rise(queue, run->ready_at);
}
