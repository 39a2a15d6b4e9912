#include "pipeline/store/slow.h"

#include <stdlib.h>

struct slow_store {
    struct store store;
    struct store *below;
    struct clock *clock;
    uint64_t delay_us;
};

static struct slow_store *slow_of(struct store *store)
{
    return (struct slow_store *)store;
}

/* Half of the delay is the way there and half the way back, so that a request takes effect in
 * the middle of its time, as it does in a far store. Gives when it began. */
static uint64_t way_there(struct slow_store *slow)
{
    uint64_t begun = slow->clock->mono_us(slow->clock);
    slow->clock->sleep_us(slow->clock, slow->delay_us / 2);
    return begun;
}

static void way_back(struct slow_store *slow, uint64_t begun_us)
{
    uint64_t taken = slow->clock->mono_us(slow->clock) - begun_us;
    if (taken < slow->delay_us) {
        slow->clock->sleep_us(slow->clock, slow->delay_us - taken);
    }
}

static int slow_one(struct store *store, struct store_op *op)
{
    struct slow_store *slow = slow_of(store);
    uint64_t begun = way_there(slow);
    int err = slow->below->calls->one(slow->below, op);
    way_back(slow, begun);
    return err;
}

static int slow_many(struct store *store, struct store_op *ops, size_t n)
{
    struct slow_store *slow = slow_of(store);
    uint64_t begun = way_there(slow);
    int err = slow->below->calls->many(slow->below, ops, n);
    way_back(slow, begun);
    return err;
}

static int slow_list(struct store *store, struct arena *arena, const char *prefix,
                     const char *after, size_t max, struct store_list *out)
{
    struct slow_store *slow = slow_of(store);
    uint64_t begun = way_there(slow);
    int err = slow->below->calls->list(slow->below, arena, prefix, after, max, out);
    way_back(slow, begun);
    return err;
}

static uint64_t slow_date_ms(struct store *store)
{
    return store_date_ms(slow_of(store)->below);
}

static void slow_close(struct store *store)
{
    free(slow_of(store));
}

struct store *slow_store_open(struct store *below, struct clock *clock, uint64_t delay_us)
{
    static const struct store_calls calls = {
        .name = "slow",
        .one = slow_one,
        .many = slow_many,
        .list = slow_list,
        .date_ms = slow_date_ms,
        .close = slow_close,
    };
    struct slow_store *slow = calloc(1, sizeof(*slow));
    if (slow == NULL) {
        abort();
    }
    slow->store.calls = &calls;
    slow->below = below;
    slow->clock = clock;
    slow->delay_us = delay_us;
    return &slow->store;
}
