/* Questions about all: pins, counts, dependents. */
#include <stdlib.h>

#include "pipeline/derive/index/index_graph.h"
#include "pipeline/derive/index/index_project.h"

/* What a walk has read is kept for the next one, up to so much. */
#define KEPT_BYTES_MAX (64u * 1024u * 1024u)

/* A walk goes over much once: more than this would not be found again. */
#define WALKER_CACHE_BYTES (2u * 1024u * 1024u)

/* A database that is damaged is made anew, filled by a look, and asked again. */
#define TRIES_MAX 3u

/* Holds the project, settles it, and asks. */
static int settled_ask(struct derive_index *index, const struct id16 *project,
                       int (*ask)(struct index_project *, void *arg), void *arg)
{
    struct index_project *p;
    int err = project_hold(index, project, &p);
    if (err != OK)
        return err;
    err = ERR_CORRUPT;
    for (unsigned tries = 0; tries < TRIES_MAX && err == ERR_CORRUPT; tries++) {
        err = project_settle(p);
        if (err == OK)
            err = ask(p, arg);
    }
    project_release(p);
    return err;
}

struct asked {
    index_ask *ask;
    void *arg;
};

static int ask_reader(struct index_project *p, void *arg)
{
    struct asked *asked = arg;
    return project_ask(p, asked->ask, asked->arg);
}

/* ---- pins and counts ---- */

struct pins {
    const struct hash *after;
    size_t max;
    struct arena *arena;
    struct hash **out;
    size_t *n;
};

static int ask_pins(struct index_rows *rows, void *arg)
{
    struct pins *pins = arg;
    return rows_pins(rows, pins->after, pins->max, pins->arena, pins->out, pins->n);
}

int derive_index_pins(struct derive_index *index, const struct id16 *project,
                      const struct hash *after, size_t max, struct arena *arena,
                      struct hash **out, size_t *n)
{
    struct pins pins = {.after = after, .max = max, .arena = arena, .out = out};
    pins.n = n;
    struct asked asked = {ask_pins, &pins};
    return settled_ask(index, project, ask_reader, &asked);
}

struct pinned {
    const struct hash *address;
    bool *out;
};

static int ask_pinned(struct index_rows *rows, void *arg)
{
    struct pinned *pinned = arg;
    struct told told;
    bool is = false;
    int err = rows_pin(rows, pinned->address, &is, &told);
    if (err == OK || err == ERR_NOT_FOUND)
        *pinned->out = err == OK && is;
    return err == ERR_NOT_FOUND ? OK : err;
}

int derive_index_pinned(struct derive_index *index, const struct id16 *project,
                        const struct hash *address, bool *out)
{
    struct pinned pinned = {.address = address};
    pinned.out = out;
    struct asked asked = {ask_pinned, &pinned};
    return settled_ask(index, project, ask_reader, &asked);
}

static int ask_counts(struct index_rows *rows, void *arg)
{
    uint64_t edges;
    return rows_counts(rows, arg, &edges);
}

int derive_index_counts(struct derive_index *index, const struct id16 *project,
                        struct derive_counts *out)
{
    struct asked asked = {ask_counts, out};
    return settled_ask(index, project, ask_reader, &asked);
}

/* ---- dependents ---- */

struct dependents {
    const struct derive_root *root;
    const struct hash *after;
    size_t max;
    struct arena *arena;
    struct hash **out;
    size_t *n;
};

static int ask_dependents(struct index_rows *rows, void *arg)
{
    struct dependents *d = arg;
    const struct bytes *ref = d->root->address == NULL ? &d->root->ref : NULL;
    uint64_t node = 0;
    uint64_t after = 0;
    uint64_t *nodes = NULL;
    size_t n = 0;
    int err = ref == NULL ? rows_node(rows, d->root->address, &node) : OK;
    if (err == OK && !hash_is_zero(d->after))
        err = rows_node(rows, d->after, &after);
    if (err == OK)
        err = rows_dependents(rows, node, ref, after, d->max, d->arena, &nodes, &n);
    if (err == ERR_NOT_FOUND) /* nothing knows of it */
        err = OK;
    struct hash *found = arena_array(d->arena, n, struct hash);
    for (size_t i = 0; i < n && err == OK; i++)
        err = rows_address(rows, nodes[i], &found[i]);
    if (err == OK) {
        *d->out = found;
        *d->n = n;
    }
    return err;
}

int derive_index_dependents(struct derive_index *index, const struct id16 *project,
                            const struct derive_root *root, const struct hash *after,
                            size_t max, struct arena *arena, struct hash **out, size_t *n)
{
    struct dependents d = {
        .root = root, .after = after, .max = max, .arena = arena, .out = out};
    d.n = n;
    struct asked asked = {ask_dependents, &d};
    return settled_ask(index, project, ask_reader, &asked);
}

/* ---- walks ---- */

struct walking {
    const struct derive_root *root;
    int (*each)(void *arg, const struct hash *address, uint64_t distance);
    void *arg;
    struct derive_walk *out;
    struct derive_walk walk; /* of this try */
    bool asked_many;
    int each_err; /* what each gave */
};

static int each_address(void *arg, const struct hash *address)
{
    struct walking *w = arg;
    /* An error of the caller's is told apart from one of the database. */
    w->each_err = w->each(w->arg, address, w->walk.depth);
    return w->each_err;
}

/* The level of those that name the root. */
static int first_level(struct index_graph *g, const struct derive_root *root,
                       struct graph_level *level)
{
    struct index_query *query;
    int err = OK;
    if (root->address != NULL) {
        uint64_t node;
        struct graph_level at = {0};
        err = rows_node(g->rows, root->address, &node);
        if (err == OK && node >= g->n_nodes)
            err = ERR_CORRUPT;
        if (err == OK) {
            index_graph_visit(g, node, &at);
            err = index_graph_next(g, &at, level);
        }
        graph_level_release(&at);
        return err == ERR_NOT_FOUND ? OK : err;
    }
    err = rows_query(g->rows, ROWS_REF_EDGES, &query);
    if (err != OK)
        return err;
    index_query_bytes(query, 1, root->ref);
    index_query_number(query, 2, 0);
    while ((err = index_query_next(query)) == OK && index_row_number(query, 0) < g->n_nodes)
        index_graph_visit(g, index_row_number(query, 0), level);
    index_query_reset(query);
    return err == ERR_NOT_FOUND ? OK : ERR_CORRUPT;
}

static int levels_walk(struct index_graph *g, struct walking *w)
{
    struct graph_level level = {0};
    int err = first_level(g, w->root, &level);
    while (err == OK && level.n > 0) {
        struct graph_level next = {0};
        w->walk.count += level.n;
        w->walk.depth++;
        if (w->each != NULL)
            err = index_graph_addresses(g, &level, each_address, w);
        if (err == OK)
            err = index_graph_next(g, &level, &next);
        graph_level_release(&level);
        level = next;
    }
    graph_level_release(&level);
    return err;
}

/* `edges` goes in and out. */
static int graph_walk(struct index_rows *rows, struct walking *w, struct graph_edges **edges)
{
    int err = index_db_run(rows->db, "BEGIN");
    if (err != OK)
        return err;
    struct index_graph graph;
    err = index_graph_init(&graph, rows, GRAPH_BYTES_MAX, *edges);
    if (err == OK)
        err = levels_walk(&graph, w);
    *edges = graph.edges;
    graph.edges = NULL;
    w->asked_many = graph.asked >= ASKED_MANY;
    index_graph_release(&graph);
    int ended = index_db_run(rows->db, "COMMIT");
    return err != OK ? err : ended;
}

int project_walker_take(struct index_project *p, struct index_rows **out, uint64_t *generation)
{
    index_lock(&p->lock);
    *generation = p->generation;
    struct index_rows *walker = p->walker;
    p->walker = NULL;
    index_unlock(&p->lock);
    if (walker != NULL) {
        *out = walker;
        return OK;
    }
    int err = index_rows_open(p->path, &p->id, WALKER_CACHE_BYTES, out);
    if (err == OK)
        index_db_leave((*out)->db);
    return err;
}

void project_walker_give(struct index_project *p, struct index_rows *walker,
                         uint64_t generation)
{
    index_lock(&p->lock);
    if (p->walker == NULL && p->generation == generation) {
        p->walker = walker;
        walker = NULL;
    }
    index_unlock(&p->lock);
    index_rows_close(walker);
}

/* Takes what an earlier walk has read, or begins to gather what comes while this one reads.
 * What is being read aside is waited for: it is there sooner than if it were read twice. False
 * when another walk has it, or the database was made anew since. */
static bool graph_take(struct index_project *p, uint64_t generation, bool ahead,
                       struct graph_edges **out)
{
    struct graph_edges *edges = NULL;
    uint64_t *gathered = NULL;
    size_t n = 0;
    index_lock(&p->lock);
    while (p->reads_ahead && !ahead)
        (void)pthread_cond_wait(&p->graph_read, &p->lock);
    bool ours = !p->graph_out && p->generation == generation;
    if (ours) {
        edges = p->graph;
        gathered = p->gathered;
        n = p->n_gathered;
        p->graph = NULL;
        p->gathered = NULL;
        project_graph_drop(p);
        p->graph_out = true;
        p->gathers = true;
    }
    index_unlock(&p->lock);
    if (edges != NULL)
        graph_edges_add(edges, gathered, n);
    free(gathered);
    *out = edges;
    return ours;
}

/* Keeps it, unless it is too much, or something came between that was not gathered. */
static void graph_give(struct index_project *p, struct graph_edges *edges, bool ours,
                       uint64_t generation)
{
    struct clock *clock = p->index->options.clock;
    uint64_t now = clock->mono_us(clock);
    bool keep = ours && edges != NULL && graph_edges_bytes(edges) <= KEPT_BYTES_MAX &&
                edges->n_fresh <= edges->n_edges / 4;
    index_lock(&p->lock);
    if (ours)
        p->graph_out = false;
    if (keep && p->gathers && p->generation == generation) {
        p->wants_graph = false;
        p->graph = edges;
        p->graph_us = now;
        edges = NULL;
    } else if (ours) {
        project_graph_drop(p);
    }
    index_unlock(&p->lock);
    graph_edges_free(edges);
}

static void graph_want(struct index_project *p)
{
    index_lock(&p->lock);
    p->wants_graph = true;
    index_unlock(&p->lock);
    bell_ring(&p->index->bell);
}

static int edges_read(struct index_rows *rows, struct graph_edges **edges)
{
    int err = index_db_run(rows->db, "BEGIN");
    if (err != OK)
        return err;
    struct index_graph graph;
    err = index_graph_init(&graph, rows, KEPT_BYTES_MAX, NULL);
    if (err == OK)
        err = index_graph_load(&graph);
    *edges = graph.edges;
    graph.edges = NULL;
    index_graph_release(&graph);
    int ended = index_db_run(rows->db, "COMMIT");
    return err != OK ? err : ended;
}

static void read_now(struct index_project *p)
{
    struct index_rows *walker = NULL;
    struct graph_edges *edges;
    uint64_t generation = 0;
    if (project_walker_take(p, &walker, &generation) != OK)
        return;
    bool ours = graph_take(p, generation, true, &edges);
    int err = OK;
    if (ours && edges == NULL)
        err = edges_read(walker, &edges);
    if (err != OK) { /* the next walk meets the same, and says it */
        graph_edges_free(edges);
        edges = NULL;
    }
    graph_give(p, edges, ours, generation);
    project_walker_give(p, walker, generation);
}

void project_read_ahead(struct index_project *p)
{
    index_lock(&p->lock);
    bool wanted = p->wants_graph && !p->reads_ahead;
    if (wanted) {
        p->wants_graph = false;
        p->reads_ahead = true;
    }
    index_unlock(&p->lock);
    if (!wanted)
        return;
    read_now(p);
    index_lock(&p->lock);
    p->reads_ahead = false;
    (void)pthread_cond_broadcast(&p->graph_read);
    index_unlock(&p->lock);
}

/* Has the database made anew, for another try. */
static int walk_damaged(struct index_project *p, const struct walking *w, uint64_t generation)
{
    int err = project_reset(p, generation);
    if (err != OK)
        return err;
    /* Who has been given some is not given them again. */
    return w->each != NULL && w->walk.count > 0 ? ERR_AGAIN : ERR_CORRUPT;
}

static int ask_walk(struct index_project *p, void *arg)
{
    struct walking *w = arg;
    struct index_rows *walker = NULL;
    uint64_t generation = 0;
    w->walk = (struct derive_walk){0};
    w->each_err = OK;
    struct graph_edges *edges;
    int err = project_walker_take(p, &walker, &generation);
    if (err != OK)
        return err == ERR_CORRUPT ? walk_damaged(p, w, generation) : err;
    bool ours = graph_take(p, generation, false, &edges);
    err = graph_walk(walker, w, &edges);
    graph_give(p, err == OK ? edges : NULL, ours, generation);
    if (err != OK)
        graph_edges_free(edges);
    project_walker_give(p, walker, generation);
    if (err == OK && edges == NULL && w->asked_many)
        graph_want(p);
    if (w->each_err != OK)
        return OK; /* the walk is over, and nothing is wrong with the database */
    if (err == OK)
        *w->out = w->walk;
    return err == ERR_CORRUPT ? walk_damaged(p, w, generation) : err;
}

int derive_index_walk(struct derive_index *index, const struct id16 *project,
                      const struct derive_root *root,
                      int (*each)(void *arg, const struct hash *address, uint64_t distance),
                      void *arg, struct derive_walk *out)
{
    struct walking w = {.root = root, .each = each, .arg = arg, .out = out};
    int err = settled_ask(index, project, ask_walk, &w);
    return err != OK ? err : w.each_err;
}
