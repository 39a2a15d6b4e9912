#include "pipeline/repo/tree/overlay_store.h"

static struct overlay_store *overlay_of(struct store *store)
{
    return (struct overlay_store *)store;
}

static int object_get(const struct overlay_store *overlay, struct store_op *op)
{
    uint64_t offset;
    uint64_t len;
    int err = range_resolve(op->range, overlay->object.len, &offset, &len);
    if (err != OK)
        return err;
    if (len > 0)
        buf_append(op->body, overlay->object.data + offset, (size_t)len);
    op->size = overlay->object.len;
    op->etag = (struct etag){0};
    return OK;
}

static int overlay_one(struct store *store, struct store_op *op)
{
    struct overlay_store *overlay = overlay_of(store);
    if (op->verb != STORE_GET)
        op->err = ERR_DENIED;
    else if (strcmp(op->key, overlay->key.s) == 0)
        op->err = object_get(overlay, op);
    else
        return overlay->below->calls->one(overlay->below, op);
    return op->err;
}

static int overlay_many(struct store *store, struct store_op *ops, size_t n)
{
    int first = OK;
    for (size_t i = 0; i < n; i++) {
        int err = overlay_one(store, &ops[i]);
        if (first == OK)
            first = err;
    }
    return first;
}

static int overlay_list(struct store *store UNUSED, struct arena *arena UNUSED,
                        const char *prefix UNUSED, const char *after UNUSED, size_t max UNUSED,
                        struct store_list *out UNUSED)
{
    return ERR_DENIED;
}

static uint64_t overlay_date_ms(struct store *store)
{
    return store_date_ms(overlay_of(store)->below);
}

static uint32_t overlay_put_interval_ms(struct store *store)
{
    return store_put_interval_ms(overlay_of(store)->below);
}

static void overlay_close(struct store *store UNUSED)
{
}

static const struct store_calls overlay_calls = {
    .name = "overlay",
    .one = overlay_one,
    .many = overlay_many,
    .list = overlay_list,
    .date_ms = overlay_date_ms,
    .put_interval_ms = overlay_put_interval_ms,
    .close = overlay_close,
};

void overlay_store_init(struct overlay_store *overlay, struct store *below,
                        const struct key *key, struct bytes object)
{
    *overlay = (struct overlay_store){
        .store = {.calls = &overlay_calls},
        .below = below,
        .key = *key,
        .object = object,
    };
}
