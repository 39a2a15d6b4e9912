#include "pipeline/derive/index/index_fill.h"

#include <stdlib.h>

#include "pipeline/derive/index/index_runs.h"

/* An address that needs a number: of a recipe, or of an input. */
struct named {
    struct hash address;
    uint64_t node;
    const struct named *same; /* the first with this address; its own place if it is that */
};

struct edge_to_ref {
    struct bytes ref;
    uint64_t recipe;
};

struct fill {
    struct index_rows *rows;
    const struct index_stage *stage;
    struct arena arena;
    const struct staged **sorted; /* all items, by kind and address */
    /* Each recipe's own address, then those of its inputs. */
    struct named *named;
    size_t n_named;
    size_t cap_named;
    struct named **by_address;
    uint64_t next_node;
    uint64_t *edges;
    size_t n_edges;
    size_t cap_edges;
    struct edge_to_ref *refs;
    size_t n_refs;
    size_t cap_refs;
    struct derive_counts counts; /* what comes to them; pins may fall */
    const struct fill_heard *heard;
};

static struct bytes bytes_of_hash(const struct hash *hash)
{
    return bytes_of(hash->b, sizeof(hash->b));
}

static int compare_staged(const void *a, const void *b)
{
    const struct staged *x = *(const struct staged *const *)a;
    const struct staged *y = *(const struct staged *const *)b;
    if (x->kind != y->kind)
        return x->kind < y->kind ? -1 : 1;
    /* What belongs together is mostly told together, so recipes keep their order. */
    if (x->kind == DERIVE_RECIPE)
        return x < y ? -1 : 1;
    return hash_compare(&x->address, &y->address);
}

static int compare_numbers(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a;
    uint64_t y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static int compare_named(const void *a, const void *b)
{
    const struct named *x = *(struct named *const *)a;
    const struct named *y = *(struct named *const *)b;
    int order = hash_compare(&x->address, &y->address);
    return order != 0 ? order : (x > y) - (x < y);
}

/* ---- numbers of addresses ---- */

static void name(struct fill *f, const struct hash *address)
{
    void *items = f->named;
    struct named *named =
        arena_push(&f->arena, &items, &f->n_named, &f->cap_named, sizeof(*named));
    named->address = *address;
    f->named = items;
}

static int name_recipe(struct fill *f, const struct staged *staged)
{
    AUTO(arena_release) struct arena arena = {0};
    struct recipe recipe;
    name(f, &staged->address);
    int err = recipe_decode(staged->recipe, &arena, &recipe);
    for (uint32_t i = 0; i < recipe.n_inputs && err == OK; i++) {
        if (recipe.inputs[i].kind == RECIPE_ADDRESS)
            name(f, &recipe.inputs[i].address);
    }
    return err;
}

/* Looks all addresses up; those without a number keep 0. */
static int nodes_find(struct fill *f)
{
    f->by_address = arena_alloc(&f->arena, f->n_named * sizeof(struct named *));
    for (size_t i = 0; i < f->n_named; i++)
        f->by_address[i] = &f->named[i];
    if (f->n_named > 1)
        qsort(f->by_address, f->n_named, sizeof(struct named *), compare_named);
    int err = OK;
    for (size_t i = 0; i < f->n_named; i++) {
        struct named *named = f->by_address[i];
        const struct named *before = i > 0 ? f->by_address[i - 1] : NULL;
        if (before != NULL && hash_equal(&named->address, &before->address)) {
            named->same = before->same;
            continue;
        }
        named->same = named;
        err = rows_node(f->rows, &named->address, &named->node);
        if (err != OK && err != ERR_NOT_FOUND)
            return err;
    }
    return OK;
}

/* Gives new numbers to those that have none. */
static int nodes_number(struct fill *f)
{
    struct index_query *put;
    int err = rows_query(f->rows, ROWS_NODE_PUT, &put);
    for (size_t i = 0; i < f->n_named && err == OK; i++) {
        struct named *named = &f->named[i];
        if (named->same != named) {
            named->node = named->same->node; /* it lies before this one */
            continue;
        }
        if (named->node != 0)
            continue;
        if (f->next_node >= INDEX_NODES_MAX)
            return ERR_LIMIT;
        named->node = f->next_node++;
        index_query_number(put, 1, named->node);
        index_query_bytes(put, 2, bytes_of_hash(&named->address));
        err = index_query_run(put);
    }
    return err;
}

static int nodes_resolve(struct fill *f)
{
    struct index_query *query;
    int err = rows_query(f->rows, ROWS_NEXT_NODE, &query);
    if (err == OK)
        err = index_query_next(query);
    if (err != OK)
        return err;
    uint64_t first = index_row_number(query, 0);
    f->next_node = first;
    index_query_reset(query);
    err = nodes_find(f);
    if (err == OK)
        err = nodes_number(f);
    if (err == OK)
        err = rows_query(f->rows, ROWS_PREFIX_PUT, &query);
    for (size_t i = 0; i < f->n_named && err == OK; i++) {
        const struct named *named = f->by_address[i];
        if (named->same != named || named->node < first)
            continue;
        index_query_number(query, 1, rows_prefix(&named->address));
        index_query_number(query, 2, named->node);
        err = index_query_run(query);
    }
    return err;
}

/* ---- recipes ---- */

/* Notes the edges of a recipe that is new; `named` is its own address. */
static void edges_note(struct fill *f, const struct recipe *recipe, const struct named *named)
{
    uint64_t node = named->node;
    for (uint32_t i = 0; i < recipe->n_inputs; i++) {
        const struct recipe_input *input = &recipe->inputs[i];
        if (input->kind == RECIPE_ADDRESS) {
            void *items = f->edges;
            uint64_t *edge =
                arena_push(&f->arena, &items, &f->n_edges, &f->cap_edges, sizeof(*edge));
            *edge = (++named)->node << 31 | node;
            f->edges = items;
        } else {
            void *items = f->refs;
            struct edge_to_ref *ref =
                arena_push(&f->arena, &items, &f->n_refs, &f->cap_refs, sizeof(*ref));
            *ref = (struct edge_to_ref){.ref = input->ref, .recipe = node};
            f->refs = items;
        }
    }
}

/* `at` is the place of the recipe's own address; moved on to the next recipe's. */
static int recipe_put(struct fill *f, const struct staged *staged, size_t *at)
{
    AUTO(arena_release) struct arena arena = {0};
    struct recipe recipe;
    struct index_query *put;
    int err = recipe_decode(staged->recipe, &arena, &recipe);
    if (err == OK)
        err = rows_query(f->rows, ROWS_RECIPE_PUT, &put);
    if (err != OK)
        return err;
    const struct named *named = &f->named[*at];
    index_query_number(put, 1, named->node);
    index_query_bytes(put, 2, staged->recipe);
    err = index_query_run(put);
    if (err == OK && index_db_changed(f->rows->db) > 0) {
        f->counts.recipes++;
        edges_note(f, &recipe, named);
    }
    *at += 1;
    for (uint32_t i = 0; i < recipe.n_inputs; i++)
        *at += recipe.inputs[i].kind == RECIPE_ADDRESS;
    return err;
}

static int edges_put(struct fill *f)
{
    struct index_query *put;
    int err = rows_query(f->rows, ROWS_EDGE_PUT, &put);
    if (err == OK && f->n_edges > 1)
        qsort(f->edges, f->n_edges, sizeof(*f->edges), compare_numbers);
    /* A recipe that is new has no edges yet, so each of these is new; it may name an input
     * more than once. */
    size_t made = 0;
    for (size_t i = 0; i < f->n_edges; i++) {
        if (made == 0 || f->edges[i] != f->edges[made - 1])
            f->edges[made++] = f->edges[i];
    }
    f->n_edges = made;
    for (size_t i = 0; i < made && err == OK; i++) {
        index_query_number(put, 1, f->edges[i]);
        err = index_query_run(put);
    }
    if (err == OK)
        err = runs_add(f->rows, f->edges, made);
    if (err == OK)
        err = rows_query(f->rows, ROWS_REF_EDGE_PUT, &put);
    for (size_t i = 0; i < f->n_refs && err == OK; i++) {
        index_query_bytes(put, 1, f->refs[i].ref);
        index_query_number(put, 2, f->refs[i].recipe);
        err = index_query_run(put);
    }
    return err;
}

static int recipes_put(struct fill *f, const struct staged *const *recipes, size_t n)
{
    int err = OK;
    for (size_t i = 0; i < n && err == OK; i++)
        err = name_recipe(f, recipes[i]);
    if (err == OK)
        err = nodes_resolve(f);
    size_t at = 0;
    for (size_t i = 0; i < n && err == OK; i++)
        err = recipe_put(f, recipes[i], &at);
    return err != OK ? err : edges_put(f);
}

/* ---- the rest ---- */

static int leaf_put(struct fill *f, const struct staged *staged)
{
    struct derive_leaf there;
    struct index_query *put;
    int err = rows_leaf(f->rows, &staged->address, &there);
    if (err != OK && err != ERR_NOT_FOUND)
        return err;
    f->counts.leaves += err == ERR_NOT_FOUND;
    err = rows_query(f->rows, ROWS_LEAF_PUT, &put);
    if (err != OK)
        return err;
    index_query_bytes(put, 1, bytes_of_hash(&staged->address));
    index_query_number(put, 2, staged->leaf.uploaded);
    index_query_number(put, 3, staged->leaf.size);
    index_query_number(put, 4, staged->leaf.agent);
    index_query_number(put, 5, staged->leaf.seq);
    index_query_number(put, 6, staged->leaf.offset);
    return index_query_run(put);
}

static void told_values(struct index_query *put, int at, const struct told *told)
{
    index_query_number(put, at, told->hlc);
    index_query_number(put, at + 1, told->agent);
    index_query_number(put, at + 2, told->seq);
    index_query_number(put, at + 3, told->item);
}

static int quarantine_put(struct fill *f, const struct quarantine *q)
{
    struct index_query *put;
    int err = rows_query(f->rows, ROWS_QUARANTINE_PUT, &put);
    if (err != OK)
        return err;
    index_query_bytes(put, 1, q->function);
    index_query_bytes(put, 2, q->version);
    index_query_bytes(put, 3, bytes_of_hash(&q->implementation));
    index_query_bytes(put, 4, bytes_of_hash(&q->key));
    index_query_bytes(put, 5, bytes_of_hash(&q->first));
    index_query_bytes(put, 6, bytes_of_hash(&q->second));
    return index_query_run(put);
}

/* The memo that was told first stays. */
static int memo_put(struct fill *f, const struct staged *staged)
{
    AUTO(arena_release) struct arena arena = {0};
    struct memo there;
    struct told told;
    int err = rows_memo(f->rows, &staged->address, &arena, &there, &told);
    if (err == OK && !hash_equal(&there.output, &staged->memo->output)) {
        struct quarantine q = index_quarantine_of(&there, staged->memo);
        f->heard->twice(f->heard->arg, &q);
        err = quarantine_put(f, &q);
    }
    if ((err != OK && err != ERR_NOT_FOUND) ||
        (err == OK && told_compare(&told, &staged->told) <= 0))
        return err;
    f->counts.memos += err == ERR_NOT_FOUND;
    AUTO_BUF body = {0};
    memo_write(&body, staged->memo);
    struct index_query *put;
    err = rows_query(f->rows, ROWS_MEMO_PUT, &put);
    if (err != OK)
        return err;
    index_query_bytes(put, 1, bytes_of_hash(&staged->address));
    index_query_bytes(put, 2, bytes_of_hash(&staged->memo->output));
    index_query_bytes(put, 3, buf_bytes(&body));
    told_values(put, 4, &staged->told);
    return index_query_run(put);
}

static int tree_put(struct fill *f, const struct staged *staged)
{
    struct index_query *put;
    int err = rows_query(f->rows, ROWS_TREE_PUT, &put);
    if (err != OK)
        return err;
    index_query_bytes(put, 1, bytes_of_hash(&staged->address));
    index_query_bytes(put, 2, bytes_of_hash(&staged->where->tree));
    index_query_number(put, 3, staged->where->offset);
    index_query_number(put, 4, staged->where->len);
    index_query_bytes(put, 5, bytes_of_hash(&staged->where->check));
    return index_query_run(put);
}

/* What was told last counts. */
static int pin_put(struct fill *f, const struct staged *staged)
{
    bool pinned = false;
    struct told told;
    int err = rows_pin(f->rows, &staged->address, &pinned, &told);
    if ((err != OK && err != ERR_NOT_FOUND) ||
        (err == OK && told_compare(&told, &staged->told) >= 0))
        return err;
    bool pin = staged->kind == DERIVE_PIN;
    f->counts.pins += (uint64_t)pin - (uint64_t)pinned;
    struct index_query *put;
    err = rows_query(f->rows, ROWS_PIN_PUT, &put);
    if (err != OK)
        return err;
    index_query_bytes(put, 1, bytes_of_hash(&staged->address));
    index_query_number(put, 2, pin);
    told_values(put, 3, &staged->told);
    return index_query_run(put);
}

/* The recipe that was told first stays. */
static int chunk_put(struct fill *f, const struct staged *staged)
{
    struct derive_chunk there;
    struct told told;
    int err = rows_chunk(f->rows, &staged->address, &there, &told);
    if ((err != OK && err != ERR_NOT_FOUND) ||
        (err == OK && told_compare(&told, &staged->told) <= 0))
        return err;
    struct index_query *put;
    err = rows_query(f->rows, ROWS_CHUNK_PUT, &put);
    if (err != OK)
        return err;
    index_query_bytes(put, 1, bytes_of_hash(&staged->address));
    index_query_bytes(put, 2, bytes_of_hash(&staged->chunk->recipe));
    index_query_number(put, 3, staged->chunk->from);
    index_query_number(put, 4, staged->chunk->end);
    told_values(put, 5, &staged->told);
    return index_query_run(put);
}

static int other_put(struct fill *f, const struct staged *staged)
{
    switch (staged->kind) {
    case DERIVE_LEAF:
    case DERIVE_UPLOAD:
        return leaf_put(f, staged);
    case DERIVE_MEMO:
        return memo_put(f, staged);
    case DERIVE_TREE:
        return tree_put(f, staged);
    case DERIVE_QUARANTINE:
        return quarantine_put(f, staged->quarantine);
    case DERIVE_PIN:
    case DERIVE_UNPIN:
        return pin_put(f, staged);
    case DERIVE_CHUNKS:
        return chunk_put(f, staged);
    case DERIVE_RECIPE:
        break;
    }
    return OK;
}

static int totals_put(struct fill *f, const struct derive_read *read, size_t n_read)
{
    struct index_query *put;
    int err = rows_query(f->rows, ROWS_AGENT_PUT, &put);
    for (size_t i = 0; i < n_read && err == OK; i++) {
        index_query_number(put, 1, read[i].agent);
        index_query_number(put, 2, read[i].seq);
        err = index_query_run(put);
    }
    if (err == OK)
        err = rows_query(f->rows, ROWS_COUNT, &put);
    if (err != OK)
        return err;
    index_query_number(put, 1, f->counts.recipes);
    index_query_number(put, 2, f->counts.leaves);
    index_query_number(put, 3, f->counts.memos);
    index_query_number(put, 4, f->counts.pins);
    index_query_number(put, 5, f->n_edges);
    return index_query_run(put);
}

static int fill_all(struct fill *f, const struct derive_read *read, size_t n_read)
{
    size_t n = f->stage->n;
    f->sorted = arena_alloc(&f->arena, n * sizeof(const struct staged *));
    for (size_t i = 0; i < n; i++)
        f->sorted[i] = &f->stage->items[i];
    if (n > 1)
        qsort(f->sorted, n, sizeof(const struct staged *), compare_staged);
    size_t recipes = 0;
    while (recipes < n && f->sorted[recipes]->kind == DERIVE_RECIPE)
        recipes++;
    int err = recipes_put(f, f->sorted, recipes);
    for (size_t i = recipes; i < n && err == OK; i++)
        err = other_put(f, f->sorted[i]);
    return err != OK ? err : totals_put(f, read, n_read);
}

int index_fill(struct index_rows *rows, const struct index_stage *stage,
               const struct derive_read *read, size_t n_read, const struct fill_heard *heard)
{
    int err = index_db_run(rows->db, "BEGIN IMMEDIATE");
    if (err != OK)
        return err;
    struct fill f = {.rows = rows, .stage = stage, .heard = heard};
    err = fill_all(&f, read, n_read);
    if (err == OK)
        err = index_db_run(rows->db, "COMMIT");
    if (err == OK)
        heard->edges(heard->arg, f.edges, f.n_edges);
    arena_release(&f.arena);
    if (err == OK)
        return OK;
    /* The first cause is what is told; a transaction that failed for it may be over already. */
    int undone = index_db_run(rows->db, "ROLLBACK");
    (void)undone;
    return err;
}
