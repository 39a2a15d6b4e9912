#include "tests/support/derive_rig.h"

#include <check.h>
#include <stdio.h>

#include "formats/base/limits.h"
#include "formats/key.h"
#include "pipeline/store/mem.h"
#include "tests/support/faulty.h"

#define ROUNDS_MAX 1000u

void derive_rig_open(struct derive_rig *rig)
{
    *rig = (struct derive_rig){.mem = mem_store_open()};
    rig->trace = trace_store_open(rig->mem);
    clock_manual_init(&rig->clock, 1800000000000u);
}

void derive_rig_close(struct derive_rig *rig)
{
    store_close(rig->trace);
    store_close(rig->mem);
    arena_release(&rig->arena);
}

static void durable(void *arg, const struct derive_object *object, struct bytes encoded)
{
    struct derive_node *node = arg;
    node->durables++;
    ck_assert_uint_eq(object->agent, node->repo.agent);
    ck_assert_uint_gt(object->n, 0);
    for (uint32_t i = 0; i < object->n; i++) {
        const uint8_t *data = object->items[i].data.data;
        ck_assert(data >= encoded.data && data < encoded.data + encoded.len);
    }
}

void derive_node_open(struct derive_node *node, struct derive_rig *rig, struct clock *clock,
                      size_t batch_max, size_t queue_max)
{
    static const struct repo_options options = {
        .page_cache_bytes = MIB, .shards = 1, .chunk_size = CHUNK_SIZE_DEFAULT};
    *node = (struct derive_node){.faulty = faulty_store_open(rig->trace)};
    ck_assert_int_eq(repo_open(&node->repo, node->faulty,
                               clock != NULL ? clock : &rig->clock.clock, rng_system(),
                               &options),
                     OK);
    node->log = derive_log_open(&node->repo, &(struct derive_log_options){
                                                 .window_us = 500,
                                                 .batch_max = batch_max,
                                                 .queue_max = queue_max,
                                                 .durable = durable,
                                                 .arg = node,
                                             });
    faulty_reset(node->faulty);
}

void derive_node_close(struct derive_node *node)
{
    derive_log_close(node->log);
    repo_close(&node->repo);
    store_close(node->faulty);
}

struct id16 derive_project(uint8_t n)
{
    return (struct id16){.b = {n}};
}

struct derive_item derive_leaf_item(struct arena *arena, uint64_t n)
{
    const char *text = arena_printf(arena, "leaf %llu", (unsigned long long)n);
    return (struct derive_item){.kind = DERIVE_LEAF, .data = bytes_str(text)};
}

uint64_t derive_leaf_number(const struct derive_item *item)
{
    uint64_t n = 0;
    ck_assert_int_eq(item->kind, DERIVE_LEAF);
    ck_assert_uint_gt(item->data.len, 5);
    for (size_t i = 5; i < item->data.len; i++)
        n = n * 10 + (uint64_t)(item->data.data[i] - '0');
    return n;
}

void derive_outcome_told(void *arg, int err, uint64_t hlc)
{
    struct derive_outcome *outcome = arg;
    outcome->err = err;
    outcome->told++;
    outcome->hlc = hlc;
}

int derive_node_tell(struct derive_node *node, uint8_t project, uint64_t n,
                     struct derive_outcome *outcome)
{
    AUTO(arena_release) struct arena arena = {0};
    struct id16 id = derive_project(project);
    struct derive_item item = derive_leaf_item(&arena, n);
    return derive_log_tell(node->log, &id, &item, 1, derive_outcome_told, outcome);
}

void derive_node_settle(struct derive_node *node, struct derive_rig *rig)
{
    for (unsigned i = 0; i < ROUNDS_MAX; i++) {
        struct derive_log_load load = derive_log_load(node->log);
        uint64_t wait_us = derive_log_wait_us(node->log);
        if (wait_us == UINT64_MAX || (load.items == 0 && load.unknown == 0))
            return;
        rig->clock.us += wait_us;
        (void)!derive_log_step(node->log);
    }
    ck_abort_msg("it never settles");
}

void derive_node_put(struct derive_node *node, struct derive_rig *rig, uint8_t project,
                     uint64_t n)
{
    struct derive_outcome outcome = {0};
    ck_assert_int_eq(derive_node_tell(node, project, n, &outcome), OK);
    derive_node_settle(node, rig);
    ck_assert_uint_eq(outcome.told, 1);
    ck_assert_int_eq(outcome.err, OK);
}

size_t derive_rig_keys(struct derive_rig *rig, const char *prefix, struct store_key **out)
{
    struct store_key *keys = NULL;
    size_t n = 0;
    size_t cap = 0;
    const char *after = "";
    struct store_list list = {.more = true};
    while (list.more) {
        ck_assert_int_eq(
            store_list(rig->mem, &rig->arena, prefix, after, STORE_LIST_MAX, &list), OK);
        for (size_t i = 0; i < list.n; i++) {
            void *items = keys;
            struct store_key *key = arena_push(&rig->arena, &items, &n, &cap, sizeof(*key));
            keys = items;
            *key = list.keys[i];
            after = key->key;
        }
    }
    *out = keys;
    return n;
}

size_t derive_rig_objects(struct derive_rig *rig, uint8_t project, uint64_t agent,
                          struct derive_object **out)
{
    struct id16 id = derive_project(project);
    char prefix[sizeof(struct key)];
    struct key first = key_derive(&id, agent, 1);
    struct store_key *keys;
    (void)snprintf(prefix, sizeof(prefix), "%.*s", (int)(strrchr(first.s, '/') + 1 - first.s),
                   first.s);
    size_t n = derive_rig_keys(rig, prefix, &keys);
    struct derive_object *objects = arena_array(&rig->arena, n, struct derive_object);
    for (size_t i = 0; i < n; i++) {
        AUTO_BUF bytes = {0};
        struct key key = key_derive(&id, agent, i + 1);
        ck_assert_str_eq(keys[i].key, key.s);
        ck_assert_int_eq(store_get(rig->mem, key.s, range_all(), &bytes, NULL, NULL), OK);
        ck_assert_int_eq(derive_object_decode(arena_copy(&rig->arena, buf_bytes(&bytes)),
                                              &rig->arena, &objects[i]),
                         OK);
        ck_assert(id16_equal(&objects[i].project, &id));
        ck_assert_uint_eq(objects[i].agent, agent);
        ck_assert_uint_eq(objects[i].seq, i + 1);
        ck_assert(i == 0 || objects[i].hlc > objects[i - 1].hlc);
    }
    *out = objects;
    return n;
}
