#include "tests/support/index_rig.h"

#include <check.h>
#include <stdio.h>

#include "formats/base/hash.h"
#include "formats/base/hex.h"
#include "formats/base/limits.h"
#include "tests/support/folder.h"

/* Gives what the cursor has not, as derive_follow does. */
static int follow(void *arg, struct derive_index *index, const struct id16 *project,
                  struct derive_cursor *cursor)
{
    struct index_rig *rig = arg;
    rig->looks++;
    if (rig->look_err != OK)
        return rig->look_err;
    for (size_t i = 0; i < rig->n; i++) {
        const struct derive_object *object = &rig->log[i].object;
        const struct derive_at *at = derive_cursor_find(cursor, object->agent);
        if (!id16_equal(&object->project, project) || (at != NULL && at->seq >= object->seq))
            continue;
        int err = derive_index_apply(index, object, rig->log[i].encoded);
        if (err != OK)
            return err;
        rig->given++;
        derive_cursor_know(cursor, object->agent, object->seq);
    }
    return OK;
}

static void sleep_us(struct clock *clock, uint64_t us)
{
    ((struct clock_manual *)clock)->us += us;
}

void index_rig_open(struct index_rig *rig)
{
    *rig = (struct index_rig){.dir = "/tmp/mic-index-XXXXXX", .project = {.b = {7}}};
    folder_make(rig->dir);
    clock_manual_init(&rig->clock, 1800000000000u);
    rig->clock.clock.sleep_us = sleep_us;
    rig->options = (struct derive_index_options){
        .dir = rig->dir,
        .clock = &rig->clock.clock,
        .front_bytes = MIB,
        .cache_bytes = 4 * MIB,
        .follow = follow,
        .arg = rig,
    };
    ck_assert_int_eq(derive_index_open(&rig->options, &rig->index), OK);
}

void index_rig_close(struct index_rig *rig)
{
    derive_index_close(rig->index);
    folder_remove(rig->dir);
    arena_release(&rig->arena);
}

void index_rig_reopen(struct index_rig *rig)
{
    derive_index_close(rig->index);
    rig->looks = 0;
    rig->given = 0;
    ck_assert_int_eq(derive_index_open(&rig->options, &rig->index), OK);
}

const char *index_rig_file(struct index_rig *rig)
{
    return arena_printf(&rig->arena, "%s/%s.db", rig->dir, id16_hex(&rig->project).s);
}

const struct rig_object *index_rig_log(struct index_rig *rig, uint64_t agent, uint64_t hlc,
                                       const struct derive_item *items, uint32_t n)
{
    uint64_t seq = 1;
    for (size_t i = 0; i < rig->n; i++)
        seq += rig->log[i].object.agent == agent;
    AUTO_BUF encoded = {0};
    derive_object_begin(&encoded, &rig->project, agent, seq, hlc);
    for (uint32_t i = 0; i < n; i++)
        derive_item_write(&encoded, &items[i]);
    derive_object_finish(&encoded, n);
    void *log = rig->log;
    struct rig_object *made = arena_push(&rig->arena, &log, &rig->n, &rig->cap, sizeof(*made));
    rig->log = log;
    made->encoded = arena_copy(&rig->arena, buf_bytes(&encoded));
    ck_assert_int_eq(derive_object_decode(made->encoded, &rig->arena, &made->object), OK);
    return made;
}

void index_rig_apply(struct index_rig *rig, const struct rig_object *object)
{
    ck_assert_int_eq(derive_index_apply(rig->index, &object->object, object->encoded), OK);
}

void index_rig_tell(struct index_rig *rig, uint64_t agent, uint64_t hlc,
                    const struct derive_item *items, uint32_t n)
{
    index_rig_apply(rig, index_rig_log(rig, agent, hlc, items, n));
}

/* ---- items ---- */

struct hash rig_hash(uint64_t n)
{
    return sha256(bytes_of(&n, sizeof(n)));
}

struct derive_item rig_leaf(struct index_rig *rig, uint64_t n)
{
    const char *text = arena_printf(&rig->arena, "leaf %llu", (unsigned long long)n);
    return (struct derive_item){
        .kind = DERIVE_LEAF, .data = bytes_str(text), .address = sha256(bytes_str(text))};
}

struct derive_item rig_recipe(struct index_rig *rig, uint64_t n, const struct hash *inputs,
                              uint32_t n_inputs, const char *ref)
{
    AUTO_BUF canonical = {0};
    uint32_t all = n_inputs + (ref != NULL);
    struct parameter parameter = {
        .name = bytes_str("n"),
        .value = bytes_str(arena_printf(&rig->arena, "%llu", (unsigned long long)n))};
    struct recipe recipe = {
        .function = bytes_str("f"),
        .version = bytes_str("1"),
        .inputs = arena_array(&rig->arena, all, struct recipe_input),
        .n_inputs = all,
        .parameters = &parameter,
        .n_parameters = 1,
    };
    for (uint32_t i = 0; i < n_inputs; i++)
        recipe.inputs[i] = (struct recipe_input){.kind = RECIPE_ADDRESS, .address = inputs[i]};
    if (ref != NULL)
        recipe.inputs[n_inputs] =
            (struct recipe_input){.kind = RECIPE_REF, .ref = bytes_str(ref)};
    ck_assert_int_eq(recipe_settle(&recipe, NULL), OK);
    recipe_encode(&recipe, &canonical);
    struct bytes kept = arena_copy(&rig->arena, buf_bytes(&canonical));
    return (struct derive_item){
        .kind = DERIVE_RECIPE, .data = kept, .address = recipe_address(kept)};
}

struct derive_item rig_memo(uint64_t key, uint64_t output)
{
    return (struct derive_item){
        .kind = DERIVE_MEMO,
        .address = rig_hash(key),
        .memo = {.key = rig_hash(key),
                 .function = bytes_str("f"),
                 .version = bytes_str("1"),
                 .implementation = rig_hash(99),
                 .cost_us = key,
                 .size = 5,
                 .output = rig_hash(output),
                 .chunk_size = CHUNK_SIZE_DEFAULT},
    };
}

struct derive_item rig_tree(uint64_t content, uint32_t offset)
{
    return (struct derive_item){
        .kind = DERIVE_TREE,
        .address = rig_hash(content),
        .where = {.place = PLACE_PAGE,
                  .tree = rig_hash(1),
                  .offset = offset,
                  .len = 9,
                  .check = rig_hash(2)},
    };
}

struct derive_item rig_upload(uint64_t n, uint64_t size)
{
    return (struct derive_item){.kind = DERIVE_UPLOAD, .address = rig_hash(n), .size = size};
}

struct derive_item rig_chunks(struct index_rig *rig, uint64_t recipe, uint64_t output,
                              uint64_t chunk, uint32_t n)
{
    struct hash *hashes = arena_array(&rig->arena, n + 1, struct hash);
    for (uint32_t i = 0; i <= n; i++)
        hashes[i] = rig_hash(chunk + i);
    return (struct derive_item){.kind = DERIVE_CHUNKS,
                                .chunks = {.recipe = rig_hash(recipe),
                                           .output = rig_hash(output),
                                           .size = (uint64_t)n * CHUNK_SIZE_MIN + 1,
                                           .chunk_size = CHUNK_SIZE_MIN,
                                           .n = n + 1,
                                           .hashes = hashes}};
}

struct derive_item rig_pin(const struct hash *address, bool pin)
{
    return (struct derive_item){.kind = pin ? DERIVE_PIN : DERIVE_UNPIN, .address = *address};
}
