#include "api/service/due_heap.h"

#include <stdlib.h>

void due_heap_release(struct due_heap *heap)
{
    free(heap->items);
    *heap = (struct due_heap){0};
}

static void place(struct due_heap *heap, size_t at, struct due *due)
{
    heap->items[at] = due;
    due->index = at;
}

static void sift_up(struct due_heap *heap, size_t at, struct due *due)
{
    while (at > 1 && heap->items[at / 2]->at_us > due->at_us) {
        place(heap, at, heap->items[at / 2]);
        at /= 2;
    }
    place(heap, at, due);
}

static void sift_down(struct due_heap *heap, size_t at, struct due *due)
{
    for (;;) {
        size_t child = at * 2;
        if (child > heap->n)
            break;
        if (child < heap->n && heap->items[child + 1]->at_us < heap->items[child]->at_us)
            child++;
        if (heap->items[child]->at_us >= due->at_us)
            break;
        place(heap, at, heap->items[child]);
        at = child;
    }
    place(heap, at, due);
}

void due_heap_set(struct due_heap *heap, struct due *due, uint64_t at_us)
{
    due_heap_remove(heap, due);
    if (heap->n + 2 > heap->cap) {
        heap->cap = heap->cap == 0 ? 64 : heap->cap * 2;
        heap->items = reallocarray(heap->items, heap->cap, sizeof(struct due *));
        if (heap->items == NULL)
            abort();
    }
    due->at_us = at_us;
    sift_up(heap, ++heap->n, due);
}

void due_heap_remove(struct due_heap *heap, struct due *due)
{
    size_t at = due->index;
    if (at == 0)
        return;
    due->index = 0;
    struct due *last = heap->items[heap->n--];
    if (last == due)
        return;
    if (at > 1 && heap->items[at / 2]->at_us > last->at_us)
        sift_up(heap, at, last);
    else
        sift_down(heap, at, last);
}

struct due *due_heap_top(const struct due_heap *heap)
{
    return heap->n == 0 ? NULL : heap->items[1];
}
