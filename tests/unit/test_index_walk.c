/* Dependents: direct ones in pages, all of them by a walk; against a naive computation, small
 * and large, after a restart, and in bounded memory. */
#include "pipeline/derive/index/derive_index.h"

#include <check.h>
#include <stdlib.h>

#include "pipeline/derive/index/index_project.h"
#include "pipeline/derive/index/index_runs.h"
#include "tests/support/chance.h"
#include "tests/support/index_rig.h"
#include "tests/support/suite.h"

#define NODES_MAX  3000u
#define INPUTS_MAX 6u

static struct index_rig rig;

/* A DAG as it was made: node 0 is a leaf; each other is a recipe over some before it. */
struct naive {
    size_t n;
    struct hash address[NODES_MAX];
    uint32_t inputs[NODES_MAX][INPUTS_MAX];
    uint32_t n_inputs[NODES_MAX];
    bool names_ref[NODES_MAX];
    uint64_t distance[NODES_MAX]; /* from the root; UINT64_MAX: does not depend on it */
};
static struct naive dag;

static const char ref_name[] = "some/ref";

static void dag_make(struct chance *chance, size_t n, size_t reach, size_t batch)
{
    static struct derive_item items[NODES_MAX];
    dag = (struct naive){.n = n, .address[0] = rig_leaf(&rig, 0).address};
    items[0] = rig_leaf(&rig, 0);
    for (size_t i = 1; i < n; i++) {
        struct hash inputs[INPUTS_MAX];
        dag.n_inputs[i] = (uint32_t)chance_below(chance, INPUTS_MAX);
        for (uint32_t k = 0; k < dag.n_inputs[i]; k++) {
            uint64_t back = 1 + chance_below(chance, i < reach ? i : reach);
            dag.inputs[i][k] = (uint32_t)(i - back);
            inputs[k] = dag.address[i - back];
        }
        dag.names_ref[i] = chance_below(chance, 10) == 0;
        items[i] =
            rig_recipe(&rig, i, inputs, dag.n_inputs[i], dag.names_ref[i] ? ref_name : NULL);
        dag.address[i] = items[i].address;
    }
    /* They come in any order, and recipes before their inputs. */
    for (size_t i = n; i > 1; i--) {
        size_t j = chance_below(chance, i);
        struct derive_item swapped = items[i - 1];
        items[i - 1] = items[j];
        items[j] = swapped;
    }
    for (size_t i = 0; i < n; i += batch)
        index_rig_tell(&rig, 1 + i % 3, 100 + i, &items[i],
                       (uint32_t)(n - i < batch ? n - i : batch));
}

/* Shortest ways, by going over all edges until nothing changes. */
static struct derive_walk naive_walk(const uint32_t *root)
{
    struct derive_walk walk = {0};
    bool changed = true;
    for (size_t i = 0; i < dag.n; i++)
        dag.distance[i] = root == NULL && dag.names_ref[i] ? 1 : UINT64_MAX;
    if (root != NULL)
        dag.distance[*root] = 0;
    while (changed) {
        changed = false;
        for (size_t i = 1; i < dag.n; i++) {
            for (uint32_t k = 0; k < dag.n_inputs[i]; k++) {
                uint64_t below = dag.distance[dag.inputs[i][k]];
                if (below == UINT64_MAX || below + 1 >= dag.distance[i])
                    continue;
                dag.distance[i] = below + 1;
                changed = true;
            }
        }
    }
    for (size_t i = 0; i < dag.n; i++) {
        if (dag.distance[i] == UINT64_MAX || dag.distance[i] == 0)
            continue;
        walk.count++;
        if (dag.distance[i] > walk.depth)
            walk.depth = dag.distance[i];
    }
    return walk;
}

struct seen_walk {
    uint64_t n;
    uint64_t last;
    bool seen[NODES_MAX];
};

static size_t node_of(const struct hash *address)
{
    size_t i = 0;
    while (i < dag.n && !hash_equal(&dag.address[i], address))
        i++;
    ck_assert_uint_lt(i, dag.n);
    return i;
}

static int each(void *arg, const struct hash *address, uint64_t distance)
{
    struct seen_walk *seen = arg;
    size_t i = node_of(address);
    ck_assert(!seen->seen[i]);
    seen->seen[i] = true;
    seen->n++;
    ck_assert_uint_eq(distance, dag.distance[i]);
    ck_assert_uint_ge(distance, seen->last);
    seen->last = distance;
    return OK;
}

static void walk_is_right(const uint32_t *root)
{
    struct derive_walk wanted = naive_walk(root);
    struct derive_root from = {.address = root != NULL ? &dag.address[*root] : NULL,
                               .ref = bytes_str(ref_name)};
    struct derive_walk walk;
    struct seen_walk seen = {0};
    ck_assert_int_eq(derive_index_walk(rig.index, &rig.project, &from, NULL, NULL, &walk), OK);
    ck_assert_uint_eq(walk.count, wanted.count);
    ck_assert_uint_eq(walk.depth, wanted.depth);
    ck_assert_int_eq(derive_index_walk(rig.index, &rig.project, &from, each, &seen, &walk), OK);
    ck_assert_uint_eq(walk.count, wanted.count);
    ck_assert_uint_eq(walk.depth, wanted.depth);
    ck_assert_uint_eq(seen.n, wanted.count);
}

/* The direct ones, in pages of `max`. */
static void dependents_are_right(const uint32_t *root, size_t max)
{
    struct derive_root from = {.address = root != NULL ? &dag.address[*root] : NULL,
                               .ref = bytes_str(ref_name)};
    struct hash after = {0};
    size_t wanted = 0;
    size_t found = 0;
    for (size_t i = 1; i < dag.n; i++) {
        bool direct = root == NULL && dag.names_ref[i];
        for (uint32_t k = 0; k < dag.n_inputs[i] && root != NULL; k++)
            direct = direct || dag.inputs[i][k] == *root;
        dag.distance[i] = direct ? 1 : UINT64_MAX;
        wanted += direct;
    }
    for (size_t n = 1; n > 0; found += n) {
        struct hash *page;
        ck_assert_int_eq(derive_index_dependents(rig.index, &rig.project, &from, &after, max,
                                                 &rig.arena, &page, &n),
                         OK);
        ck_assert_uint_le(n, max);
        for (size_t i = 0; i < n; i++) {
            size_t node = node_of(&page[i]);
            ck_assert_uint_eq(dag.distance[node], 1);
            dag.distance[node] = 2; /* each once */
            after = page[i];
        }
    }
    ck_assert_uint_eq(found, wanted);
}

static void all_is_right(struct chance *chance)
{
    for (unsigned i = 0; i < 12; i++) {
        uint32_t root = i == 0 ? 0 : (uint32_t)chance_below(chance, dag.n);
        walk_is_right(&root);
        dependents_are_right(&root, 1 + chance_below(chance, 7));
    }
    walk_is_right(NULL);
    dependents_are_right(NULL, 5);
}

START_TEST(walks_equal_a_naive_one)
{
    struct chance chance;
    chance_init(&chance, "walks_equal_a_naive_one");
    for (unsigned round = 0; round < 8; round++) {
        index_rig_open(&rig);
        size_t n = 2 + chance_below(&chance, round < 6 ? 200 : NODES_MAX - 2);
        dag_make(&chance, n, 1 + chance_below(&chance, n), 1 + chance_below(&chance, 50));
        all_is_right(&chance);
        index_rig_reopen(&rig);
        all_is_right(&chance);
        index_rig_close(&rig);
    }
}
END_TEST

/* What is told between two walks. */
START_TEST(walks_see_what_was_told)
{
    index_rig_open(&rig);
    struct hash address = rig_leaf(&rig, 1).address;
    struct derive_root root = {.address = &address};
    struct hash above = address;
    for (uint64_t i = 0; i < 150; i++) {
        struct derive_walk walk;
        ck_assert_int_eq(derive_index_walk(rig.index, &rig.project, &root, NULL, NULL, &walk),
                         OK);
        ck_assert_uint_eq(walk.count, i);
        ck_assert_uint_eq(walk.depth, i);
        struct derive_item item = rig_recipe(&rig, i, &above, 1, NULL);
        index_rig_tell(&rig, 1, 100 + i, &item, 1);
        above = item.address;
    }
    index_rig_close(&rig);
}
END_TEST

static int stop_at_third(void *arg, const struct hash *address, uint64_t distance)
{
    unsigned *n = arg;
    (void)address;
    (void)distance;
    return ++*n == 3 ? ERR_CORRUPT : OK;
}

/* Its error is given back as it is, also one that the index knows itself. */
START_TEST(each_may_end_a_walk)
{
    struct chance chance;
    chance_init(&chance, "each_may_end_a_walk");
    index_rig_open(&rig);
    dag_make(&chance, 200, 2, 10);
    struct derive_root root = {.ref = bytes_str(ref_name)};
    struct derive_walk walk;
    unsigned n = 0;
    ck_assert_int_eq(
        derive_index_walk(rig.index, &rig.project, &root, stop_at_third, &n, &walk),
        ERR_CORRUPT);
    ck_assert_uint_eq(n, 3);
    walk_is_right(NULL);
    ck_assert_uint_eq(rig.looks, 1);
    index_rig_close(&rig);
}
END_TEST

/* ---- memory ---- */

static int count_one(void *arg, const struct hash *address)
{
    (void)address;
    *(uint64_t *)arg += 1;
    return OK;
}

/* The walk over what the database file has, with so much memory for edges and addresses. */
static uint64_t walk_within(size_t bytes_max, bool *in_memory)
{
    struct index_rows *rows;
    struct index_graph graph;
    struct graph_level level = {0};
    uint64_t node;
    uint64_t n = 0;
    ck_assert_int_eq(index_rows_open(index_rig_file(&rig), &rig.project, 1 << 20, &rows), OK);
    ck_assert_int_eq(index_graph_init(&graph, rows, bytes_max, NULL), OK);
    ck_assert_int_eq(rows_node(rows, &dag.address[0], &node), OK);
    index_graph_visit(&graph, node, &level);
    while (level.n > 0) {
        struct graph_level next = {0};
        ck_assert_int_eq(index_graph_next(&graph, &level, &next), OK);
        ck_assert_int_eq(index_graph_addresses(&graph, &next, count_one, &n), OK);
        graph_level_release(&level);
        level = next;
    }
    graph_level_release(&level);
    *in_memory = graph.edges != NULL;
    index_graph_release(&graph);
    index_rows_close(rows);
    return n;
}

START_TEST(walks_keep_to_their_memory)
{
    struct chance chance;
    chance_init(&chance, "walks_keep_to_their_memory");
    index_rig_open(&rig);
    dag_make(&chance, 2000, 20, 100);
    ck_assert_int_eq(derive_index_flush(rig.index), OK);
    uint32_t root = 0;
    uint64_t wanted = naive_walk(&root).count;
    bool in_memory;
    ck_assert_uint_eq(walk_within(1 << 20, &in_memory), wanted);
    ck_assert(in_memory || wanted < 100);
    ck_assert_uint_eq(walk_within(1000, &in_memory), wanted);
    ck_assert(!in_memory);
    index_rig_close(&rig);
}
END_TEST

/* A walk that asked much has the edges read for the next, which sees what came since all the
 * same. */
START_TEST(next_walk_finds_edges_in_memory)
{
    index_rig_open(&rig);
    struct hash few = rig_leaf(&rig, 1).address;
    struct hash other = rig_leaf(&rig, 2).address;
    struct derive_root root = {.address = &few};
    struct derive_walk walk;
    static struct derive_item items[20000];
    struct index_project *p;
    for (size_t i = 0; i < ARRAY_LEN(items); i++)
        items[i] = rig_recipe(&rig, i, i < 1500 ? &few : &other, 1, NULL);
    index_rig_tell(&rig, 1, 100, items, ARRAY_LEN(items));
    ck_assert_int_eq(project_hold(rig.index, &rig.project, &p), OK);
    for (unsigned i = 0; i < 2; i++) {
        ck_assert_int_eq(derive_index_walk(rig.index, &rig.project, &root, NULL, NULL, &walk),
                         OK);
        ck_assert_uint_eq(walk.count, 1500);
        ck_assert_int_eq(derive_index_flush(rig.index), OK);
        ck_assert_ptr_nonnull(p->graph);
        ck_assert_uint_eq(p->graph->n_edges, ARRAY_LEN(items));
    }
    struct derive_item more = rig_recipe(&rig, ARRAY_LEN(items), &items[7].address, 1, NULL);
    index_rig_tell(&rig, 1, 200, &more, 1);
    ck_assert_int_eq(derive_index_walk(rig.index, &rig.project, &root, NULL, NULL, &walk), OK);
    ck_assert_uint_eq(walk.count, 1501);
    ck_assert_uint_eq(walk.depth, 2);
    ck_assert_uint_eq(p->graph->n_fresh, 1);
    /* When no walk has come for long, it goes. */
    rig.clock.us += 60000000;
    ck_assert_int_eq(derive_index_flush(rig.index), OK);
    ck_assert_ptr_null(p->graph);
    ck_assert_int_eq(derive_index_walk(rig.index, &rig.project, &root, NULL, NULL, &walk), OK);
    ck_assert_uint_eq(walk.count, 1501);
    project_release(p);
    index_rig_close(&rig);
}
END_TEST

/* They are read when the project is opened, before anybody walks. */
START_TEST(first_walk_finds_edges_in_memory)
{
    index_rig_open(&rig);
    struct hash leaf = rig_leaf(&rig, 1).address;
    struct derive_root root = {.address = &leaf};
    struct derive_walk walk;
    static struct derive_item items[2000];
    for (size_t i = 0; i < ARRAY_LEN(items); i++)
        items[i] = rig_recipe(&rig, i, &leaf, 1, NULL);
    index_rig_tell(&rig, 1, 100, items, ARRAY_LEN(items));
    index_rig_reopen(&rig);
    struct index_project *p;
    ck_assert_int_eq(project_hold(rig.index, &rig.project, &p), OK);
    ck_assert_ptr_null(p->graph);
    ck_assert_int_eq(derive_index_flush(rig.index), OK);
    ck_assert_ptr_nonnull(p->graph);
    ck_assert_uint_eq(p->graph->n_edges, ARRAY_LEN(items));
    ck_assert_int_eq(derive_index_walk(rig.index, &rig.project, &root, NULL, NULL, &walk), OK);
    ck_assert_uint_eq(walk.count, ARRAY_LEN(items));
    project_release(p);
    /* Or by the first question about all, if that comes sooner. */
    index_rig_reopen(&rig);
    struct derive_counts counts;
    ck_assert_int_eq(derive_index_counts(rig.index, &rig.project, &counts), OK);
    ck_assert_int_eq(project_hold(rig.index, &rig.project, &p), OK);
    ck_assert_ptr_nonnull(p->graph);
    project_release(p);
    index_rig_close(&rig);
}
END_TEST

/* ---- runs of edges ---- */

static int compare_numbers(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a;
    uint64_t y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static uint64_t count_runs(struct index_rows *rows)
{
    struct index_query *query;
    uint64_t n = 0;
    int err;
    ck_assert_int_eq(rows_query(rows, ROWS_RUNS, &query), OK);
    while ((err = index_query_next(query)) == OK)
        n++;
    ck_assert_int_eq(err, ERR_NOT_FOUND);
    index_query_reset(query);
    return n;
}

struct edges_read {
    uint64_t *edges;
    size_t n;
    size_t cap;
};

static int edges_keep(void *arg, const uint64_t *edges, size_t n)
{
    struct edges_read *r = arg;
    ck_assert_uint_le(n, r->cap - r->n);
    memcpy(r->edges + r->n, edges, n * sizeof(*edges));
    r->n += n;
    return OK;
}

/* What fills of any size have added is there, each edge once, in few runs that are sorted. */
START_TEST(runs_are_few)
{
    struct chance chance;
    struct index_rows *rows;
    static uint64_t edges[60000];
    static uint64_t there[60000];
    size_t n = 0;
    chance_init(&chance, "runs_are_few");
    index_rig_open(&rig);
    ck_assert_int_eq(index_rows_open(index_rig_file(&rig), &rig.project, 1 << 20, &rows), OK);
    struct edges_read r = {.edges = there, .cap = ARRAY_LEN(there)};
    ck_assert_int_eq(runs_read(rows, 0, edges_keep, &r), OK);
    for (unsigned fill = 0; fill < 400; fill++) {
        size_t more = chance_below(&chance, chance_below(&chance, 20) == 0 ? 2000 : 10);
        for (size_t i = n; i < n + more; i++) /* no two are equal */
            edges[i] = chance_below(&chance, 1000000) * ARRAY_LEN(edges) + i;
        if (more > 0)
            qsort(edges + n, more, sizeof(*edges), compare_numbers);
        ck_assert_int_eq(runs_add(rows, edges + n, more), OK);
        n += more;
        ck_assert_uint_le(count_runs(rows), 16);
    }
    ck_assert_int_eq(runs_read(rows, n, edges_keep, &r), OK);
    ck_assert_uint_eq(r.n, n);
    qsort(edges, n, sizeof(*edges), compare_numbers);
    ck_assert_int_eq(memcmp(edges, there, n * sizeof(*edges)), 0);
    /* Fewer or more than the database has counted are not all. */
    ck_assert_int_eq(runs_read(rows, n + 1, edges_keep, &r), ERR_CORRUPT);
    ck_assert_int_eq(runs_read(rows, n - 1, edges_keep, &r), ERR_CORRUPT);
    index_rows_close(rows);
    index_rig_close(&rig);
}
END_TEST

/* ---- many ---- */

/* A chain, and as many that name the leaf at its foot; also right after a restart. */
START_TEST(large_dag_after_a_restart)
{
    const uint64_t n = getenv("MIC_LONG") != NULL ? 1000000 : 60000;
    index_rig_open(&rig);
    struct derive_item leaf = rig_leaf(&rig, 1);
    struct hash above = leaf.address;
    struct hash middle = above;
    struct derive_item items[1000];
    uint32_t gathered = 0;
    for (uint64_t i = 0; i < n; i++) {
        struct hash inputs[] = {i % 2 == 0 ? above : leaf.address, rig_hash(i)};
        items[gathered++] = rig_recipe(&rig, i, inputs, 2, NULL);
        if (i % 2 == 0)
            above = items[gathered - 1].address;
        if (i == n / 2)
            middle = above;
        if (gathered == ARRAY_LEN(items) || i == n - 1) {
            index_rig_apply(&rig, index_rig_log(&rig, 1, 100 + i, items, gathered));
            gathered = 0;
        }
    }
    for (unsigned i = 0; i < 2; i++) {
        struct derive_root root = {.address = &leaf.address};
        struct derive_walk walk;
        struct hash *found;
        size_t n_found;
        struct hash none = {0};
        ck_assert_int_eq(derive_index_walk(rig.index, &rig.project, &root, NULL, NULL, &walk),
                         OK);
        ck_assert_uint_eq(walk.count, n);
        ck_assert_uint_eq(walk.depth, n / 2);
        root.address = &middle;
        ck_assert_int_eq(derive_index_walk(rig.index, &rig.project, &root, NULL, NULL, &walk),
                         OK);
        ck_assert_uint_eq(walk.count, n / 2 - 1 - n / 4);
        struct hash last = rig_hash(n - 1);
        root.address = &last;
        ck_assert_int_eq(derive_index_dependents(rig.index, &rig.project, &root, &none, 10,
                                                 &rig.arena, &found, &n_found),
                         OK);
        ck_assert_uint_eq(n_found, 1);
        /* Its inputs, in their order. */
        AUTO_BUF canonical = {0};
        struct recipe recipe;
        ck_assert_int_eq(derive_index_recipe(rig.index, &rig.project, &found[0],
                                             DERIVE_MISS_TELL, &canonical),
                         OK);
        ck_assert_int_eq(recipe_decode(buf_bytes(&canonical), &rig.arena, &recipe), OK);
        ck_assert_uint_eq(recipe.n_inputs, 2);
        ck_assert(hash_equal(&recipe.inputs[0].address, &leaf.address));
        ck_assert(hash_equal(&recipe.inputs[1].address, &last));
        index_rig_reopen(&rig);
    }
    ck_assert_uint_eq(rig.given, 0);
    index_rig_close(&rig);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        walks_equal_a_naive_one,
        walks_see_what_was_told,
        each_may_end_a_walk,
        walks_keep_to_their_memory,
        large_dag_after_a_restart,
        next_walk_finds_edges_in_memory,
        first_walk_finds_edges_in_memory,
        runs_are_few,
    };
    return suite_run("index_walk", tests, ARRAY_LEN(tests));
}
