#include "pipeline/derive/index/index_runs.h"

#include <stdlib.h>

#include "pipeline/sys/must_alloc.h"

/* A run is put together with one before it that is up to so many times as long. */
#define LONGER 2u

/* Edges that are read and handed over at once. */
#define PART 8192u

struct run {
    uint64_t id;
    uint64_t n;
};

static int run_open(struct index_rows *rows, const struct run *run, struct index_blob **out)
{
    struct index_blob *blob = NULL;
    int err = index_blob_open(rows->db, "run", "edges", run->id, &blob);
    if (err == OK && index_blob_size(blob) != run->n * sizeof(uint64_t)) {
        index_blob_close(blob);
        err = ERR_CORRUPT;
    }
    if (err == OK)
        *out = blob;
    return err;
}

static int part_read(struct index_blob *blob, uint64_t from, uint64_t *edges, size_t n)
{
    return index_blob_read(blob, from * sizeof(*edges), edges, n * sizeof(*edges));
}

/* Some edges in memory, sorted. */
struct pile {
    uint64_t *edges;
    size_t n;
};

static void merge(const struct pile *a, const struct pile *b, uint64_t *out)
{
    size_t i = 0;
    size_t k = 0;
    while (i < a->n && k < b->n)
        *out++ = a->edges[i] < b->edges[k] ? a->edges[i++] : b->edges[k++];
    memcpy(out, a->edges + i, (a->n - i) * sizeof(*out));
    memcpy(out + (a->n - i), b->edges + k, (b->n - k) * sizeof(*out));
}

/* Reads a run and puts it together with what the pile holds. */
static int pile_take(struct pile *pile, struct index_rows *rows, const struct run *run)
{
    struct index_blob *blob;
    int err = run_open(rows, run, &blob);
    if (err != OK)
        return err;
    struct pile one = {.edges = must_alloc(run->n, sizeof(uint64_t)), .n = run->n};
    err = part_read(blob, 0, one.edges, one.n);
    index_blob_close(blob);
    if (err == OK && pile->n == 0) {
        struct pile empty = *pile;
        *pile = one;
        one = empty;
    } else if (err == OK) {
        uint64_t *both = must_alloc(pile->n + one.n, sizeof(*both));
        merge(&one, pile, both);
        free(pile->edges);
        *pile = (struct pile){.edges = both, .n = pile->n + one.n};
    }
    free(one.edges);
    return err;
}

/* ---- reading ---- */

/* The longest run is not read into memory: what the others hold goes in between. */
struct flow {
    struct index_blob *blob;
    uint64_t n;
    uint64_t at;
    struct pile others;
    size_t others_at;
    int (*take)(void *arg, const uint64_t *edges, size_t n);
    void *arg;
    uint64_t part[PART];
};

/* How many of the edges, which are sorted, come before `other`: looked for in steps that
 * double, for mostly it is many or one. */
static size_t before(const uint64_t *edges, size_t n, uint64_t other)
{
    size_t low = 0;
    size_t step = 1;
    while (step <= n && edges[step - 1] < other) {
        low = step;
        step *= 2;
    }
    size_t high = step - 1 < n ? step - 1 : n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (edges[middle] < other)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Hands over a part of the longest run, and the others' up to its last one. */
static int flow_part(struct flow *f, size_t n)
{
    int err = part_read(f->blob, f->at, f->part, n);
    f->at += n;
    for (size_t i = 0; i < n && err == OK;) {
        if (f->others_at == f->others.n)
            return f->take(f->arg, f->part + i, n - i);
        const uint64_t *other = &f->others.edges[f->others_at];
        size_t some = before(f->part + i, n - i, *other);
        err = f->take(f->arg, f->part + i, some);
        i += some;
        if (err == OK && i < n) {
            err = f->take(f->arg, other, 1);
            f->others_at++;
        }
    }
    return err;
}

static int flow_all(struct flow *f)
{
    int err = OK;
    while (f->at < f->n && err == OK)
        err = flow_part(f, f->n - f->at < PART ? (size_t)(f->n - f->at) : PART);
    if (err == OK && f->others_at < f->others.n)
        err = f->take(f->arg, f->others.edges + f->others_at, f->others.n - f->others_at);
    return err;
}

/* All runs, in the arena; where the longest is. ERR_CORRUPT when they have not `n` edges. */
static int runs_list(struct index_rows *rows, uint64_t n, struct arena *arena, struct run **out,
                     size_t *n_out, size_t *longest)
{
    struct index_query *query;
    void *items = NULL;
    size_t n_runs = 0;
    size_t cap = 0;
    size_t most = 0;
    uint64_t sum = 0;
    int err = rows_query(rows, ROWS_RUNS, &query);
    if (err != OK)
        return err;
    while ((err = index_query_next(query)) == OK) {
        struct run *run = arena_push(arena, &items, &n_runs, &cap, sizeof(*run));
        *run = (struct run){.id = index_row_number(query, 0), .n = index_row_number(query, 1)};
        if (run->n > n - sum) {
            err = ERR_CORRUPT;
            break;
        }
        sum += run->n;
        if (run->n > ((struct run *)items)[most].n)
            most = n_runs - 1;
    }
    index_query_reset(query);
    if (err != ERR_NOT_FOUND)
        return err;
    *out = items;
    *n_out = n_runs;
    *longest = most;
    return sum == n ? OK : ERR_CORRUPT;
}

int runs_read(struct index_rows *rows, uint64_t n,
              int (*take)(void *arg, const uint64_t *edges, size_t n), void *arg)
{
    AUTO(arena_release) struct arena arena = {0};
    struct run *runs;
    size_t n_runs;
    size_t longest;
    int err = runs_list(rows, n, &arena, &runs, &n_runs, &longest);
    if (err != OK || n_runs == 0)
        return err;
    struct flow *flow = must_alloc(1, sizeof(*flow));
    flow->take = take;
    flow->arg = arg;
    flow->n = runs[longest].n;
    for (size_t i = n_runs; i > 0 && err == OK; i--) { /* the short ones are the last */
        if (i - 1 != longest)
            err = pile_take(&flow->others, rows, &runs[i - 1]);
    }
    if (err == OK)
        err = run_open(rows, &runs[longest], &flow->blob);
    if (err == OK)
        err = flow_all(flow);
    index_blob_close(flow->blob);
    free(flow->others.edges);
    free(flow);
    return err;
}

/* ---- adding ---- */

/* Takes the last runs that are to go into a new one; `id` is where that goes. */
static int runs_take(struct index_rows *rows, struct pile *pile, uint64_t *id)
{
    struct index_query *query;
    int err = rows_query(rows, ROWS_LAST_RUNS, &query);
    if (err != OK)
        return err;
    *id = 0;
    while ((err = index_query_next(query)) == OK) {
        struct run run = {.id = index_row_number(query, 0), .n = index_row_number(query, 1)};
        if (*id == 0)
            *id = run.id + 1;
        if (run.n > LONGER * pile->n || run.n + pile->n > RUN_EDGES_MAX)
            break;
        err = pile_take(pile, rows, &run);
        if (err != OK)
            break;
        *id = run.id;
    }
    index_query_reset(query);
    if (*id == 0)
        *id = 1;
    return err == ERR_NOT_FOUND ? OK : err;
}

int runs_add(struct index_rows *rows, const uint64_t *edges, size_t n)
{
    if (n == 0)
        return OK;
    struct pile pile = {.edges = must_alloc(n, sizeof(*edges)), .n = n};
    uint64_t id = 0;
    struct index_query *put = NULL;
    memcpy(pile.edges, edges, n * sizeof(*edges));
    int err = runs_take(rows, &pile, &id);
    if (err == OK)
        err = rows_query(rows, ROWS_RUNS_DROP, &put);
    if (err == OK) {
        index_query_number(put, 1, id);
        err = index_query_run(put);
    }
    if (err == OK)
        err = rows_query(rows, ROWS_RUN_PUT, &put);
    if (err == OK) {
        index_query_number(put, 1, id);
        index_query_number(put, 2, pile.n);
        index_query_bytes(put, 3,
                          bytes_of((const uint8_t *)pile.edges, pile.n * sizeof(*pile.edges)));
        err = index_query_run(put);
    }
    free(pile.edges);
    return err;
}
