#include "pipeline/repo/collect/garbage_list.h"

#include <stdlib.h>

struct listing {
    struct garbage_list *list;
    struct reach *reach;
    struct buf young; /* hashes of uploads */
    uint64_t before_ms;
    const struct gc *only;
    const struct collect_options *options;
    struct collect_report *report;
};

void garbage_list_release(struct garbage_list *list)
{
    free(list->items);
    *list = (struct garbage_list){0};
}

struct key garbage_key(const struct id16 *project, const struct gc_name *name)
{
    return name->what == GC_TREE ? key_tree(project, &name->hash)
                                 : key_blob(project, &name->hash);
}

static void sum_add(struct collect_sum *sum, uint64_t size)
{
    sum->n++;
    sum->bytes += size;
}

static void garbage_add(struct garbage_list *list, const struct gc_name *name,
                        const struct store_key *key)
{
    if (list->max > 0 && list->n == list->max) {
        list->more = true;
        return;
    }
    if (list->n == list->cap) {
        list->cap = list->cap == 0 ? 64 : 2 * list->cap;
        list->items = reallocarray(list->items, list->cap, sizeof(*list->items));
        if (list->items == NULL)
            abort();
    }
    list->items[list->n++] =
        (struct garbage){.name = *name, .size = key->size, .put_ms = key->put_ms};
}

/* A young manifest keeps its chunks also where only some names are asked for: its put may have
 * come between the first mark and the gc object, and then its client was told that it is there.
 */
static void key_take(struct listing *l, const struct store_key *key, const struct gc_name *name)
{
    sum_add(&l->report->all, key->size);
    if (reach_has(l->reach, name))
        return;
    if (key->put_ms == 0) {
        sum_add(&l->report->undated, key->size);
    } else if (key->put_ms >= l->before_ms) {
        sum_add(&l->report->young, key->size);
        if (name->what == GC_BLOB)
            wr_hash(&l->young, &name->hash);
    } else if (l->only == NULL || gc_has(l->only, name)) {
        garbage_add(l->list, name, key);
    }
}

static int prefix_list(struct listing *l, const struct key *prefix, enum gc_what what)
{
    AUTO(fsck_keys_release)
    struct fsck_keys keys = {.store = l->reach->repo->store, .prefix = prefix->s};
    const struct store_key *key;
    int err;
    while ((err = fsck_keys_next(&keys, &key)) == OK) {
        struct gc_name name = {.what = what};
        int parsed = what == GC_TREE ? key_tree_parse(key->key, &name.hash)
                                     : key_blob_parse(key->key, &name.hash);
        if (parsed == OK)
            key_take(l, key, &name);
    }
    return err == ERR_NOT_FOUND ? OK : err;
}

static int garbage_order(const void *a, const void *b)
{
    const struct garbage *left = a;
    const struct garbage *right = b;
    return gc_name_compare(&left->name, &right->name);
}

/* Leaves what is still unmarked when young manifests have kept their chunks, and tells of it.
 */
static void garbage_settle(struct garbage_list *list, const struct listing *l)
{
    size_t n = 0;
    for (size_t i = 0; i < list->n; i++) {
        const struct garbage *item = &list->items[i];
        if (reach_has(l->reach, &item->name))
            continue;
        struct key key = garbage_key(&l->reach->project, &item->name);
        const struct collect_object object = {
            .name = item->name, .key = key.s, .size = item->size, .put_ms = item->put_ms};
        sum_add(&l->report->old, item->size);
        if (l->options != NULL && l->options->found != NULL)
            l->options->found(l->options->found_arg, &object);
        list->items[n++] = *item;
    }
    list->n = n;
}

int garbage_list_make(struct garbage_list *list, struct reach *reach, uint64_t before_ms,
                      const struct gc *only, const struct collect_options *options,
                      struct collect_report *report)
{
    struct listing l = {.list = list,
                        .reach = reach,
                        .before_ms = before_ms,
                        .only = only,
                        .options = options,
                        .report = report};
    struct key trees = key_tree_prefix(&reach->project);
    struct key blobs = key_blob_prefix(&reach->project);
    int err = prefix_list(&l, &trees, GC_TREE);
    if (err == OK)
        err = prefix_list(&l, &blobs, GC_BLOB);
    if (err == OK && list->n > 0 && l.young.len > 0)
        err = reach_chunks(reach, (const struct hash *)(const void *)l.young.data,
                           l.young.len / sizeof(struct hash));
    buf_release(&l.young);
    if (err != OK)
        return err;
    garbage_settle(list, &l);
    if (list->n > 0)
        qsort(list->items, list->n, sizeof(*list->items), garbage_order);
    return OK;
}
