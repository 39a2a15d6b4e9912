#include "pipeline/derive/cache/gdsf.h"

#include <stdio.h>
#include <stdlib.h>

#define HEAP_FIRST 256u

void gdsf_release(struct gdsf *g)
{
    free(g->heap);
    *g = (struct gdsf){0};
}

static void set(struct gdsf *g, size_t at, struct gdsf_node *node)
{
    g->heap[at - 1] = node;
    node->at = at;
}

static struct gdsf_node *get(const struct gdsf *g, size_t at)
{
    return g->heap[at - 1];
}

static void sift_up(struct gdsf *g, struct gdsf_node *node)
{
    size_t at = node->at;
    while (at > 1 && get(g, at / 2)->sorted > node->sorted) {
        set(g, at, get(g, at / 2));
        at /= 2;
    }
    set(g, at, node);
}

static void sift_down(struct gdsf *g, struct gdsf_node *node)
{
    size_t at = node->at;
    for (;;) {
        size_t child = at * 2;
        if (child > g->n)
            break;
        if (child < g->n && get(g, child + 1)->sorted < get(g, child)->sorted)
            child++;
        if (get(g, child)->sorted >= node->sorted)
            break;
        set(g, at, get(g, child));
        at = child;
    }
    set(g, at, node);
}

static double worth_now(const struct gdsf *g, const struct gdsf_node *node)
{
    return g->floor + (double)node->frequency * node->per_byte;
}

static void grow(struct gdsf *g)
{
    g->cap = g->cap == 0 ? HEAP_FIRST : g->cap * 2;
    struct gdsf_node **heap = realloc(g->heap, g->cap * sizeof(*heap));
    if (heap == NULL) {
        (void)fputs("out of memory\n", stderr);
        abort();
    }
    g->heap = heap;
}

void gdsf_add(struct gdsf *g, struct gdsf_node *node, uint64_t bytes, uint64_t cost_us)
{
    assert(node->at == 0);
    if (g->n == g->cap)
        grow(g);
    /* Nothing is free of cost, or the most used of such things would go like the least. */
    node->per_byte = ((double)cost_us + 1) / (double)(bytes > 0 ? bytes : 1);
    node->worth = worth_now(g, node);
    node->sorted = node->worth;
    g->n++;
    set(g, g->n, node);
    sift_up(g, node);
}

void gdsf_use(struct gdsf *g, struct gdsf_node *node)
{
    if (node->frequency < UINT32_MAX)
        node->frequency++;
    /* It gets its new place only when it comes to the top. */
    if (node->at != 0)
        node->worth = worth_now(g, node);
}

void gdsf_remove(struct gdsf *g, struct gdsf_node *node)
{
    size_t at = node->at;
    assert(at > 0 && get(g, at) == node);
    struct gdsf_node *last = get(g, g->n);
    g->n--;
    node->at = 0;
    if (last == node)
        return;
    set(g, at, last);
    sift_up(g, last);
    sift_down(g, last);
}

struct gdsf_node *gdsf_take(struct gdsf *g)
{
    while (g->n > 0) {
        struct gdsf_node *node = get(g, 1);
        if (node->worth > node->sorted) {
            node->sorted = node->worth;
            sift_down(g, node);
            continue;
        }
        gdsf_remove(g, node);
        if (node->worth > g->floor)
            g->floor = node->worth;
        return node;
    }
    return NULL;
}
