#include "tests/support/bucket_copy.h"

#include <check.h>

#include "pipeline/store/mem.h"

void bucket_copy_take(struct bucket_copy *copy, struct store *store)
{
    *copy = (struct bucket_copy){0};
    struct store_list list = {.more = true};
    const char *after = "";
    size_t cap = 0;
    while (list.more) {
        ck_assert_int_eq(store_list(store, &copy->arena, "", after, STORE_LIST_MAX, &list), OK);
        for (size_t i = 0; i < list.n; i++) {
            AUTO_BUF body = {0};
            after = list.keys[i].key;
            ck_assert_int_eq(store_get(store, after, range_all(), &body, NULL, NULL), OK);
            void *items = copy->objects;
            struct bucket_object *slot =
                arena_push(&copy->arena, &items, &copy->n, &cap, sizeof(*slot));
            copy->objects = items;
            *slot = (struct bucket_object){.key = after,
                                           .bytes = arena_copy(&copy->arena, buf_bytes(&body))};
        }
    }
}

void bucket_copy_release(struct bucket_copy *copy)
{
    arena_release(&copy->arena);
}

const struct bucket_object *bucket_copy_find(const struct bucket_copy *copy, const char *key)
{
    size_t low = 0;
    size_t high = copy->n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(copy->objects[middle].key, key);
        if (order == 0)
            return &copy->objects[middle];
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

struct store *bucket_copy_store(const struct bucket_copy *copy)
{
    struct store *store = mem_store_open();
    for (size_t i = 0; i < copy->n; i++)
        ck_assert_int_eq(
            store_put(store, copy->objects[i].key, copy->objects[i].bytes, PUT_ANY, NULL), OK);
    return store;
}
