#include "pipeline/derive/log/derive_cursor.h"

#include <stdlib.h>

void derive_cursor_release(struct derive_cursor *cursor)
{
    for (size_t i = 0; i < cursor->n; i++)
        free(cursor->agents[i].holes);
    free(cursor->agents);
    free(cursor->segments.holes);
    *cursor = (struct derive_cursor){0};
}

/* Where the agent is, or would be. */
static size_t place_of(const struct derive_cursor *cursor, uint64_t agent)
{
    size_t low = 0;
    size_t high = cursor->n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (cursor->agents[middle].agent < agent)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

struct derive_at *derive_cursor_find(const struct derive_cursor *cursor, uint64_t agent)
{
    size_t i = place_of(cursor, agent);
    return i < cursor->n && cursor->agents[i].agent == agent ? &cursor->agents[i] : NULL;
}

struct derive_at *derive_cursor_get(struct derive_cursor *cursor, uint64_t agent)
{
    size_t i = place_of(cursor, agent);
    if (i < cursor->n && cursor->agents[i].agent == agent)
        return &cursor->agents[i];
    if (cursor->n == cursor->cap) {
        cursor->cap = cursor->cap == 0 ? 16 : cursor->cap * 2;
        cursor->agents = reallocarray(cursor->agents, cursor->cap, sizeof(*cursor->agents));
        if (cursor->agents == NULL)
            abort();
    }
    memmove(&cursor->agents[i + 1], &cursor->agents[i],
            (cursor->n - i) * sizeof(*cursor->agents));
    cursor->agents[i] = (struct derive_at){.agent = agent};
    cursor->n++;
    return &cursor->agents[i];
}

static void hole_remove(struct derive_at *at, uint32_t i)
{
    at->n_holes--;
    memmove(&at->holes[i], &at->holes[i + 1], (at->n_holes - i) * sizeof(*at->holes));
}

static void hole_insert(struct derive_at *at, uint32_t i, struct derive_hole hole)
{
    at->holes = reallocarray(at->holes, at->n_holes + 1, sizeof(*at->holes));
    if (at->holes == NULL)
        abort();
    memmove(&at->holes[i + 1], &at->holes[i], (at->n_holes - i) * sizeof(*at->holes));
    at->holes[i] = hole;
    at->n_holes++;
}

void derive_cursor_know(struct derive_cursor *cursor, uint64_t agent, uint64_t seq)
{
    struct derive_at *at = derive_cursor_get(cursor, agent);
    at->seq = seq > at->seq ? seq : at->seq;
    while (at->n_holes > 0 && at->holes[0].last <= seq)
        hole_remove(at, 0);
    if (at->n_holes > 0 && at->holes[0].first <= seq)
        at->holes[0].first = seq + 1;
}

/* The hole that `seq` is in, or n_holes. */
static uint32_t hole_of(const struct derive_at *at, uint64_t seq)
{
    for (uint32_t i = 0; i < at->n_holes; i++) {
        if (at->holes[i].first <= seq && seq <= at->holes[i].last)
            return i;
    }
    return at->n_holes;
}

bool derive_at_wants(const struct derive_at *at, uint64_t seq)
{
    return seq > at->seq || hole_of(at, seq) < at->n_holes;
}

void derive_at_took(struct derive_at *at, uint64_t seq)
{
    if (seq > at->seq) {
        assert(seq == at->seq + 1);
        at->seq = seq;
        return;
    }
    uint32_t i = hole_of(at, seq);
    if (i == at->n_holes)
        return;
    struct derive_hole *hole = &at->holes[i];
    if (hole->first == hole->last) {
        hole_remove(at, i);
    } else if (seq == hole->first) {
        hole->first++;
    } else if (seq == hole->last) {
        hole->last--;
    } else {
        struct derive_hole rest = {.first = seq + 1, .last = hole->last, .err = hole->err};
        hole->last = seq - 1;
        hole_insert(at, i + 1, rest);
    }
}

int derive_at_missed(struct derive_at *at, uint64_t last, int err)
{
    assert(last > at->seq);
    struct derive_hole *before = at->n_holes > 0 ? &at->holes[at->n_holes - 1] : NULL;
    if (before != NULL && before->last == at->seq) {
        before->last = last;
    } else if (at->n_holes >= DERIVE_HOLES_MAX) {
        return ERR_LIMIT;
    } else {
        hole_insert(at, at->n_holes,
                    (struct derive_hole){.first = at->seq + 1, .last = last, .err = err});
    }
    at->seq = last;
    return OK;
}
