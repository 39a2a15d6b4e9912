#include "tests/support/undated_store.h"

#include <stdlib.h>

struct undated {
    struct store store;
    struct store *below;
};

static struct store *below(struct store *store)
{
    return ((struct undated *)store)->below;
}

static int undated_one(struct store *store, struct store_op *op)
{
    return store_one(below(store), op);
}

static int undated_many(struct store *store, struct store_op *ops, size_t n)
{
    return store_many(below(store), ops, n);
}

static int undated_list(struct store *store, struct arena *arena, const char *prefix,
                        const char *after, size_t max, struct store_list *out)
{
    return store_list(below(store), arena, prefix, after, max, out);
}

static uint64_t undated_date_ms(struct store *store)
{
    (void)store;
    return 0;
}

static void undated_close(struct store *store)
{
    store_close(below(store));
    free(store);
}

struct store *undated_store_open(struct store *below_it)
{
    static const struct store_calls calls = {
        .name = "undated",
        .one = undated_one,
        .many = undated_many,
        .list = undated_list,
        .date_ms = undated_date_ms,
        .close = undated_close,
    };
    struct undated *undated = calloc(1, sizeof(*undated));
    if (undated == NULL)
        abort();
    undated->store.calls = &calls;
    undated->below = below_it;
    return &undated->store;
}
