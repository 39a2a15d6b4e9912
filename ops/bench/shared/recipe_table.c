#include "ops/bench/shared/recipe_table.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "formats/base/hash.h"

#define BUCKETS (1u << 20)

enum row_kind { ROW_LEAF = 1, ROW_RECIPE, ROW_MEMO };

struct row {
    struct row *next;
    enum row_kind kind;
    struct hash key;
    struct bytes data;
    struct memo memo;
};

struct recipe_table {
    pthread_mutex_t lock;
    struct arena arena;
    struct row **buckets;
};

static void *must_have(void *memory)
{
    if (memory == NULL) {
        (void)fputs("out of memory\n", stderr);
        abort();
    }
    return memory;
}

struct recipe_table *recipe_table_open(void)
{
    struct recipe_table *table = must_have(calloc(1, sizeof(*table)));
    table->buckets = must_have(calloc(BUCKETS, sizeof(struct row *)));
    (void)pthread_mutex_init(&table->lock, NULL);
    return table;
}

void recipe_table_close(struct recipe_table *table)
{
    arena_release(&table->arena);
    (void)pthread_mutex_destroy(&table->lock);
    free(table->buckets);
    free(table);
}

static struct row **bucket_of(struct recipe_table *table, const struct hash *key)
{
    uint64_t at;
    memcpy(&at, key->b, sizeof(at));
    return &table->buckets[at & (BUCKETS - 1)];
}

static const struct row *row_find(struct recipe_table *table, const struct hash *key)
{
    (void)pthread_mutex_lock(&table->lock);
    const struct row *row = *bucket_of(table, key);
    while (row != NULL && !hash_equal(&row->key, key))
        row = row->next;
    (void)pthread_mutex_unlock(&table->lock);
    return row;
}

static void row_add(struct recipe_table *table, const struct row *made)
{
    (void)pthread_mutex_lock(&table->lock);
    struct row *row = arena_alloc(&table->arena, sizeof(*row));
    struct row **bucket = bucket_of(table, &made->key);
    *row = *made;
    row->data = arena_copy(&table->arena, made->data);
    row->next = *bucket;
    *bucket = row;
    (void)pthread_mutex_unlock(&table->lock);
}

struct hash recipe_table_leaf(struct recipe_table *table, struct bytes data)
{
    struct row row = {.kind = ROW_LEAF, .key = sha256(data), .data = data};
    row_add(table, &row);
    return row.key;
}

struct hash recipe_table_recipe(struct recipe_table *table, const char *function,
                                const struct hash *inputs, uint32_t n_inputs,
                                const struct parameter *parameters, uint32_t n_parameters)
{
    AUTO(arena_release) struct arena arena = {0};
    struct recipe recipe = {.function = bytes_str(function),
                            .version = bytes_str("1.0.0"),
                            .inputs = arena_array(&arena, n_inputs, struct recipe_input),
                            .n_inputs = n_inputs,
                            .parameters = arena_array(&arena, n_parameters, struct parameter),
                            .n_parameters = n_parameters};
    for (uint32_t i = 0; i < n_inputs; i++)
        recipe.inputs[i] = (struct recipe_input){.kind = RECIPE_ADDRESS, .address = inputs[i]};
    for (uint32_t i = 0; i < n_parameters; i++)
        recipe.parameters[i] = parameters[i];
    if (recipe_settle(&recipe, NULL) != OK)
        abort();
    AUTO_BUF text = {0};
    recipe_encode(&recipe, &text);
    struct row row = {
        .kind = ROW_RECIPE, .key = recipe_address(buf_bytes(&text)), .data = buf_bytes(&text)};
    row_add(table, &row);
    return row.key;
}

/* ---- as a source ---- */

struct table_source {
    struct derive_source source;
    struct recipe_table *table;
};

static struct recipe_table *table_of(struct derive_source *source)
{
    return ((struct table_source *)source)->table;
}

static int source_find(struct derive_source *source, const struct hash *address,
                       struct arena *arena, struct derive_found *out)
{
    const struct row *row = row_find(table_of(source), address);
    if (row == NULL)
        return ERR_NOT_FOUND;
    out->is = row->kind == ROW_RECIPE ? DERIVE_IS_RECIPE : DERIVE_IS_BYTES;
    out->size = row->data.len;
    return row->kind == ROW_RECIPE ? recipe_decode(row->data, arena, &out->recipe) : OK;
}

static int source_memo(struct derive_source *source, const struct hash *key, struct memo *out)
{
    const struct row *row = row_find(table_of(source), key);
    if (row == NULL)
        return ERR_NOT_FOUND;
    *out = row->memo;
    return OK;
}

static int source_tell(struct derive_source *source, const struct derive_item *items,
                       uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        struct row row = {.kind = ROW_MEMO, .key = items[i].address, .memo = items[i].memo};
        row_add(table_of(source), &row);
    }
    return OK;
}

static int source_quarantine(struct derive_source *source UNUSED, struct bytes function UNUSED,
                             struct bytes version UNUSED,
                             const struct hash *implementation UNUSED,
                             struct quarantine *out UNUSED)
{
    return ERR_NOT_FOUND;
}

struct leaf_input {
    struct fn_bytes bytes; /* first: views are given it */
    struct derive_input input;
    struct bytes data;
};

static int leaf_view(struct fn_bytes *bytes, uint64_t offset, struct bytes *out)
{
    const struct leaf_input *leaf = (struct leaf_input *)bytes;
    *out = bytes_of(leaf->data.data + offset, leaf->data.len - (size_t)offset);
    return OK;
}

static void leaf_close(struct derive_input *input)
{
    free(input->bytes);
}

static int source_open(struct derive_source *source, const struct hash *address,
                       struct derive_input **out)
{
    const struct row *row = row_find(table_of(source), address);
    if (row == NULL)
        return ERR_NOT_FOUND;
    struct leaf_input *leaf = must_have(calloc(1, sizeof(*leaf)));
    leaf->data = row->data;
    leaf->bytes = (struct fn_bytes){.size = row->data.len, .view = leaf_view};
    leaf->input = (struct derive_input){.bytes = &leaf->bytes, .close = leaf_close};
    *out = &leaf->input;
    return OK;
}

static int source_ref(struct derive_source *source UNUSED, struct bytes name UNUSED,
                      struct bytes path UNUSED, struct hash *address UNUSED)
{
    return ERR_NOT_FOUND;
}

static bool source_keeps(struct derive_source *source UNUSED, const struct hash *address UNUSED)
{
    return false;
}

static void source_release(struct derive_source *source)
{
    free(source);
}

struct derive_source *recipe_table_source(struct recipe_table *table)
{
    struct table_source *source = must_have(calloc(1, sizeof(*source)));
    source->table = table;
    source->source = (struct derive_source){.find = source_find,
                                            .memo = source_memo,
                                            .tell = source_tell,
                                            .quarantine = source_quarantine,
                                            .open = source_open,
                                            .ref = source_ref,
                                            .keeps = source_keeps,
                                            .release = source_release};
    return &source->source;
}
