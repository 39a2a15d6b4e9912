#include "pipeline/store/pulse.h"

#include <pthread.h>
#include <stdlib.h>

struct pulse_store {
    struct store store;
    struct store *below;
    struct clock *clock;
    pthread_mutex_t lock;
    struct pulse pulse; /* under lock */
};

static struct pulse_store *pulse_of(struct store *store)
{
    return (struct pulse_store *)store;
}

static bool is_well(int err)
{
    switch ((enum err)err) {
    case OK:
    case ERR_NOT_FOUND:
    case ERR_CONFLICT:
    case ERR_CORRUPT:
    case ERR_INVALID:
    case ERR_LIMIT:
        return true;
    case ERR_DENIED:
    case ERR_AGAIN:
    case ERR_UNKNOWN:
        return false;
    }
    return false;
}

static void heard(struct pulse_store *mine, bool well)
{
    uint64_t now_us = mine->clock->mono_us(mine->clock);
    (void)pthread_mutex_lock(&mine->lock);
    struct pulse *pulse = &mine->pulse;
    pulse->heard_us = now_us;
    if (well) {
        pulse->failed = 0;
        pulse->since_us = 0;
    } else if (pulse->failed++ == 0) {
        pulse->since_us = now_us;
    }
    pulse->away = pulse->failed >= PULSE_AWAY_CALLS;
    (void)pthread_mutex_unlock(&mine->lock);
}

static int pulse_one(struct store *store, struct store_op *op)
{
    struct pulse_store *mine = pulse_of(store);
    int err = mine->below->calls->one(mine->below, op);
    heard(mine, is_well(err));
    return err;
}

/* What is well with one of the operations is well with the store. */
static int pulse_many(struct store *store, struct store_op *ops, size_t n)
{
    struct pulse_store *mine = pulse_of(store);
    int err = mine->below->calls->many(mine->below, ops, n);
    bool well = n == 0;
    for (size_t i = 0; i < n && !well; i++)
        well = is_well(ops[i].err);
    if (n > 0)
        heard(mine, well);
    return err;
}

static int pulse_list(struct store *store, struct arena *arena, const char *prefix,
                      const char *after, size_t max, struct store_list *out)
{
    struct pulse_store *mine = pulse_of(store);
    int err = mine->below->calls->list(mine->below, arena, prefix, after, max, out);
    heard(mine, is_well(err));
    return err;
}

static uint64_t pulse_date_ms(struct store *store)
{
    return store_date_ms(pulse_of(store)->below);
}

static uint32_t pulse_put_interval_ms(struct store *store)
{
    return store_put_interval_ms(pulse_of(store)->below);
}

static void pulse_close(struct store *store)
{
    struct pulse_store *mine = pulse_of(store);
    (void)pthread_mutex_destroy(&mine->lock);
    free(mine);
}

struct store *pulse_store_open(struct store *below, struct clock *clock)
{
    static const struct store_calls calls = {
        .name = "pulse",
        .one = pulse_one,
        .many = pulse_many,
        .list = pulse_list,
        .date_ms = pulse_date_ms,
        .put_interval_ms = pulse_put_interval_ms,
        .close = pulse_close,
    };
    struct pulse_store *mine = calloc(1, sizeof(*mine));
    if (mine == NULL || pthread_mutex_init(&mine->lock, NULL) != 0)
        abort();
    mine->store.calls = &calls;
    mine->below = below;
    mine->clock = clock;
    return &mine->store;
}

struct pulse pulse_store_read(struct store *pulse)
{
    struct pulse_store *mine = pulse_of(pulse);
    (void)pthread_mutex_lock(&mine->lock);
    struct pulse now = mine->pulse;
    (void)pthread_mutex_unlock(&mine->lock);
    return now;
}
