#include "pipeline/store/slow.h"

#include <pthread.h>
#include <stdlib.h>

#include "pipeline/store/put_times.h"

struct slow_store {
    struct store store;
    struct store *below;
    struct slow_options options;
    pthread_mutex_t lock;
    struct put_times times; /* under lock */
    uint64_t refused;       /* under lock */
};

static struct slow_store *slow_of(struct store *store)
{
    return (struct slow_store *)store;
}

static uint64_t now_us(struct slow_store *slow)
{
    return slow->options.clock->mono_us(slow->options.clock);
}

/* Half of the delay is the way there and half the way back, so that a request takes effect in
 * the middle of its time, as it does in a far store. Gives when it began. */
static uint64_t way_there(struct slow_store *slow)
{
    uint64_t begun = now_us(slow);
    slow->options.clock->sleep_us(slow->options.clock, slow->options.delay_us / 2);
    return begun;
}

static void way_back(struct slow_store *slow, uint64_t begun_us)
{
    uint64_t taken = now_us(slow) - begun_us;
    if (taken < slow->options.delay_us) {
        slow->options.clock->sleep_us(slow->options.clock, slow->options.delay_us - taken);
    }
}

/* --- how often a key is put --- */

static uint64_t interval_us(const struct slow_store *slow)
{
    return (uint64_t)slow->options.put_interval_ms * 1000;
}

/* Whether the operation may go on; it is marked refused otherwise. */
static bool rate_take(struct slow_store *slow, struct store_op *op)
{
    if (slow->options.put_interval_ms == 0 || op->verb != STORE_PUT) {
        return true;
    }
    uint64_t now = now_us(slow);
    (void)pthread_mutex_lock(&slow->lock);
    bool takes = put_times_wait_us(&slow->times, op->key, now, interval_us(slow)) == 0;
    if (takes) {
        put_times_note(&slow->times, op->key, now, interval_us(slow));
    } else {
        slow->refused++;
    }
    (void)pthread_mutex_unlock(&slow->lock);
    op->err = takes ? OK : ERR_AGAIN;
    return takes;
}

/* Only a put that was successful keeps others away. */
static void rate_settle(struct slow_store *slow, const struct store_op *op)
{
    if (slow->options.put_interval_ms == 0 || op->verb != STORE_PUT || op->err == OK) {
        return;
    }
    (void)pthread_mutex_lock(&slow->lock);
    put_times_forget(&slow->times, op->key);
    (void)pthread_mutex_unlock(&slow->lock);
}

static int one_at_rate(struct slow_store *slow, struct store_op *op)
{
    if (!rate_take(slow, op)) {
        return ERR_AGAIN;
    }
    int err = slow->below->calls->one(slow->below, op);
    rate_settle(slow, op);
    return err;
}

static int many_at_rate(struct slow_store *slow, struct store_op *ops, size_t n)
{
    struct store_op *taken = calloc(n + 1, sizeof(*taken));
    size_t *place = calloc(n + 1, sizeof(*place));
    if (taken == NULL || place == NULL) {
        abort();
    }
    size_t n_taken = 0;
    for (size_t i = 0; i < n; i++) {
        if (rate_take(slow, &ops[i])) {
            place[n_taken] = i;
            taken[n_taken++] = ops[i];
        }
    }
    if (n_taken > 0) {
        (void)slow->below->calls->many(slow->below, taken, n_taken); /* each its own outcome */
    }
    for (size_t i = 0; i < n_taken; i++) {
        ops[place[i]] = taken[i];
        rate_settle(slow, &taken[i]);
    }
    free(taken);
    free(place);
    for (size_t i = 0; i < n; i++) {
        if (ops[i].err != OK) {
            return ops[i].err;
        }
    }
    return OK;
}

/* --- the calls --- */

static int slow_one(struct store *store, struct store_op *op)
{
    struct slow_store *slow = slow_of(store);
    uint64_t begun = way_there(slow);
    int err = one_at_rate(slow, op);
    way_back(slow, begun);
    return err;
}

static int slow_many(struct store *store, struct store_op *ops, size_t n)
{
    struct slow_store *slow = slow_of(store);
    uint64_t begun = way_there(slow);
    int err = slow->options.put_interval_ms == 0 ? slow->below->calls->many(slow->below, ops, n)
                                                 : many_at_rate(slow, ops, n);
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

static uint32_t slow_put_interval_ms(struct store *store)
{
    struct slow_store *slow = slow_of(store);
    uint32_t below = store_put_interval_ms(slow->below);
    return below > slow->options.put_interval_ms ? below : slow->options.put_interval_ms;
}

static void slow_close(struct store *store)
{
    struct slow_store *slow = slow_of(store);
    put_times_release(&slow->times);
    (void)pthread_mutex_destroy(&slow->lock);
    free(slow);
}

struct store *slow_store_open(struct store *below, const struct slow_options *options)
{
    static const struct store_calls calls = {
        .name = "slow",
        .one = slow_one,
        .many = slow_many,
        .list = slow_list,
        .date_ms = slow_date_ms,
        .put_interval_ms = slow_put_interval_ms,
        .close = slow_close,
    };
    struct slow_store *slow = calloc(1, sizeof(*slow));
    if (slow == NULL || pthread_mutex_init(&slow->lock, NULL) != 0) {
        abort();
    }
    slow->store.calls = &calls;
    slow->below = below;
    slow->options = *options;
    return &slow->store;
}

uint64_t slow_store_refused(struct store *store)
{
    struct slow_store *slow = slow_of(store);
    (void)pthread_mutex_lock(&slow->lock);
    uint64_t refused = slow->refused;
    (void)pthread_mutex_unlock(&slow->lock);
    return refused;
}
