#include "tests/support/faulty.h"

#include <pthread.h>
#include <stdlib.h>

#include "pipeline/sys/rng.h"

#define PLANS_MAX 64u

struct plan {
    uint64_t call;
    enum fault fault;
};

/* A write whose effect is still to come. */
struct late {
    struct late *next;
    uint64_t due; /* before this call */
    struct store_op op;
    char *key;
    uint8_t *data;
};

struct faulty_store {
    struct store store;
    struct store *below;
    pthread_mutex_t lock; /* of all that follows */
    struct plan plans[PLANS_MAX];
    size_t n_plans;
    bool by_chance;
    unsigned odds[FAULTS];
    struct rng_seeded rng;
    uint64_t late_calls;
    uint64_t age;      /* calls since the opening: when late effects are due */
    struct late *late; /* in order of their calls */
    uint64_t calls;
    uint64_t hits[FAULTS];
    bool dead;
    void (*crash)(void *arg);
    void *crash_arg;
    void (*watch)(void *arg, uint64_t call, const struct store_op *op);
    void *watch_arg;
};

static struct faulty_store *faulty_of(struct store *store)
{
    return (struct faulty_store *)store;
}

static void lock(struct faulty_store *faulty)
{
    (void)pthread_mutex_lock(&faulty->lock);
}

static void unlock(struct faulty_store *faulty)
{
    (void)pthread_mutex_unlock(&faulty->lock);
}

static void *must_have(void *memory)
{
    if (memory == NULL) {
        abort();
    }
    return memory;
}

const char *fault_name(enum fault fault)
{
    switch (fault) {
    case FAULT_NONE:
        return "none";
    case FAULT_AGAIN:
        return "again";
    case FAULT_UNKNOWN_DONE:
        return "unknown_done";
    case FAULT_UNKNOWN_LOST:
        return "unknown_lost";
    case FAULT_UNKNOWN_LATE:
        return "unknown_late";
    case FAULT_CRASH_BEFORE:
        return "crash_before";
    case FAULT_CRASH_AFTER:
        return "crash_after";
    case FAULTS:
        break;
    }
    return "none";
}

/* The effects that are due before call `age`, taken out of the list; under the lock. */
static struct late *take_due(struct faulty_store *faulty, uint64_t age)
{
    struct late *due = NULL;
    struct late **due_end = &due;
    for (struct late **at = &faulty->late; *at != NULL;) {
        struct late *late = *at;
        if (late->due > age) {
            at = &late->next;
            continue;
        }
        *at = late->next;
        late->next = NULL;
        *due_end = late;
        due_end = &late->next;
    }
    return due;
}

static void late_free(struct late *late)
{
    free(late->key);
    free(late->data);
    free(late);
}

static void late_happen(struct faulty_store *faulty, struct late *late)
{
    while (late != NULL) {
        struct late *next = late->next;
        (void)faulty->below->calls->one(faulty->below, &late->op);
        late_free(late);
        late = next;
    }
}

static void late_add(struct faulty_store *faulty, const struct store_op *op)
{
    struct late *late = must_have(calloc(1, sizeof(*late)));
    late->key = must_have(strdup(op->key));
    late->data = must_have(malloc(op->data.len + 1));
    if (op->data.len > 0) {
        memcpy(late->data, op->data.data, op->data.len);
    }
    late->op = *op;
    late->op.key = late->key;
    late->op.data = bytes_of(late->data, op->data.len);
    lock(faulty);
    uint64_t wait = faulty->late_calls;
    if (faulty->by_chance && wait > 1) {
        wait = 1 + rng_below(&faulty->rng.rng, wait);
    }
    late->due = faulty->age + wait + 1;
    struct late **end = &faulty->late;
    while (*end != NULL) {
        end = &(*end)->next;
    }
    *end = late;
    unlock(faulty);
}

/* Under the lock. */
static enum fault draw(struct faulty_store *faulty)
{
    for (size_t i = 0; i < faulty->n_plans; i++) {
        if (faulty->plans[i].call == faulty->calls) {
            return faulty->plans[i].fault;
        }
    }
    if (!faulty->by_chance) {
        return FAULT_NONE;
    }
    uint64_t roll = rng_below(&faulty->rng.rng, 1000);
    for (enum fault fault = FAULT_AGAIN; fault < FAULTS; fault++) {
        if (roll < faulty->odds[fault]) {
            return fault;
        }
        roll -= faulty->odds[fault];
    }
    return FAULT_NONE;
}

/* Counts a call, lets what is due happen, and gives how the call fails. `dead` says that
 * nothing may happen. */
static enum fault begin(struct faulty_store *faulty, const struct store_op *op, bool *dead)
{
    lock(faulty);
    uint64_t call = faulty->dead ? 0 : ++faulty->calls;
    faulty->age += call > 0;
    struct late *due = call > 0 ? take_due(faulty, faulty->age) : NULL;
    unlock(faulty);
    late_happen(faulty, due);
    *dead = call == 0;
    if (call == 0) {
        return FAULT_NONE;
    }
    if (faulty->watch != NULL) {
        faulty->watch(faulty->watch_arg, call, op);
    }
    lock(faulty);
    enum fault fault = draw(faulty);
    if (fault != FAULT_NONE) {
        faulty->hits[fault]++;
    }
    unlock(faulty);
    return fault;
}

static int die(struct faulty_store *faulty)
{
    lock(faulty);
    faulty->dead = true;
    unlock(faulty);
    if (faulty->crash != NULL) {
        faulty->crash(faulty->crash_arg);
    }
    return ERR_UNKNOWN;
}

/* A write that fails: whatever it gave is not told. */
static int run_write(struct faulty_store *faulty, struct store_op *op, enum fault fault)
{
    struct store_op silent = *op;
    switch (fault) {
    case FAULT_NONE:
    case FAULTS:
        return faulty->below->calls->one(faulty->below, op);
    case FAULT_AGAIN:
        return ERR_AGAIN;
    case FAULT_UNKNOWN_DONE:
        (void)faulty->below->calls->one(faulty->below, &silent);
        return ERR_UNKNOWN;
    case FAULT_UNKNOWN_LOST:
        return ERR_UNKNOWN;
    case FAULT_UNKNOWN_LATE:
        late_add(faulty, op);
        return ERR_UNKNOWN;
    case FAULT_CRASH_BEFORE:
        return die(faulty);
    case FAULT_CRASH_AFTER:
        (void)faulty->below->calls->one(faulty->below, &silent);
        return die(faulty);
    }
    return ERR_UNKNOWN;
}

static bool is_crash(enum fault fault)
{
    return fault == FAULT_CRASH_BEFORE || fault == FAULT_CRASH_AFTER;
}

static int faulty_one(struct store *store, struct store_op *op)
{
    struct faulty_store *faulty = faulty_of(store);
    bool dead;
    enum fault fault = begin(faulty, op, &dead);
    if (dead) {
        op->err = ERR_UNKNOWN;
    } else if (op->verb != STORE_GET) {
        op->err = run_write(faulty, op, fault);
    } else if (fault == FAULT_NONE) {
        op->err = faulty->below->calls->one(faulty->below, op);
    } else {
        op->err = is_crash(fault) ? die(faulty) : ERR_AGAIN;
    }
    return op->err;
}

/* An order for `n` operations: the vector's, or by chance. */
static void make_order(struct faulty_store *faulty, size_t *order, size_t n)
{
    lock(faulty);
    for (size_t i = 0; i < n; i++) {
        order[i] = i;
        if (faulty->by_chance) {
            size_t j = (size_t)rng_below(&faulty->rng.rng, i + 1);
            order[i] = order[j];
            order[j] = i;
        }
    }
    unlock(faulty);
}

static int faulty_many(struct store *store, struct store_op *ops, size_t n)
{
    /* The arena is what a longjmp out of a crash leaks; a child that ends does not care. */
    struct arena arena = {0};
    size_t *order = arena_array(&arena, n, size_t);
    make_order(faulty_of(store), order, n);
    for (size_t i = 0; i < n; i++) {
        (void)faulty_one(store, &ops[order[i]]);
    }
    arena_release(&arena);
    for (size_t i = 0; i < n; i++) {
        if (ops[i].err != OK) {
            return ops[i].err;
        }
    }
    return OK;
}

static int faulty_list(struct store *store, struct arena *arena, const char *prefix,
                       const char *after, size_t max, struct store_list *out)
{
    struct faulty_store *faulty = faulty_of(store);
    bool dead;
    enum fault fault = begin(faulty, NULL, &dead);
    if (dead) {
        return ERR_UNKNOWN;
    }
    if (fault != FAULT_NONE) {
        return is_crash(fault) ? die(faulty) : ERR_AGAIN;
    }
    return faulty->below->calls->list(faulty->below, arena, prefix, after, max, out);
}

static uint64_t faulty_date_ms(struct store *store)
{
    return store_date_ms(faulty_of(store)->below);
}

static uint32_t faulty_put_interval_ms(struct store *store)
{
    return store_put_interval_ms(faulty_of(store)->below);
}

static void faulty_close(struct store *store)
{
    struct faulty_store *faulty = faulty_of(store);
    while (faulty->late != NULL) {
        struct late *next = faulty->late->next;
        late_free(faulty->late);
        faulty->late = next;
    }
    (void)pthread_mutex_destroy(&faulty->lock);
    free(faulty);
}

struct store *faulty_store_open(struct store *below)
{
    static const struct store_calls calls = {
        .name = "faulty",
        .one = faulty_one,
        .many = faulty_many,
        .list = faulty_list,
        .date_ms = faulty_date_ms,
        .put_interval_ms = faulty_put_interval_ms,
        .close = faulty_close,
    };
    struct faulty_store *faulty = must_have(calloc(1, sizeof(*faulty)));
    if (pthread_mutex_init(&faulty->lock, NULL) != 0) {
        abort();
    }
    faulty->store.calls = &calls;
    faulty->below = below;
    faulty->late_calls = 3;
    return &faulty->store;
}

void faulty_plan(struct store *store, uint64_t call, enum fault fault)
{
    struct faulty_store *faulty = faulty_of(store);
    lock(faulty);
    size_t at = 0;
    while (at < faulty->n_plans && faulty->plans[at].call != call) {
        at++;
    }
    assert(at < PLANS_MAX && call > 0);
    faulty->plans[at] = (struct plan){.call = call, .fault = fault};
    faulty->n_plans += at == faulty->n_plans;
    unlock(faulty);
}

void faulty_chance(struct store *store, uint64_t seed, const unsigned odds[FAULTS])
{
    struct faulty_store *faulty = faulty_of(store);
    lock(faulty);
    rng_seeded_init(&faulty->rng, seed);
    memcpy(faulty->odds, odds, sizeof(faulty->odds));
    faulty->by_chance = true;
    unlock(faulty);
}

void faulty_late_calls(struct store *store, uint64_t calls)
{
    struct faulty_store *faulty = faulty_of(store);
    lock(faulty);
    faulty->late_calls = calls;
    unlock(faulty);
}

void faulty_flush(struct store *store)
{
    struct faulty_store *faulty = faulty_of(store);
    lock(faulty);
    struct late *due = take_due(faulty, UINT64_MAX);
    unlock(faulty);
    late_happen(faulty, due);
}

void faulty_reset(struct store *store)
{
    struct faulty_store *faulty = faulty_of(store);
    lock(faulty);
    faulty->n_plans = 0;
    faulty->by_chance = false;
    faulty->calls = 0;
    memset(faulty->hits, 0, sizeof(faulty->hits));
    faulty->dead = false;
    unlock(faulty);
}

void faulty_on_crash(struct store *store, void (*crash)(void *arg), void *arg)
{
    struct faulty_store *faulty = faulty_of(store);
    faulty->crash = crash;
    faulty->crash_arg = arg;
}

void faulty_watch(struct store *store,
                  void (*watch)(void *arg, uint64_t call, const struct store_op *op), void *arg)
{
    struct faulty_store *faulty = faulty_of(store);
    faulty->watch = watch;
    faulty->watch_arg = arg;
}

uint64_t faulty_calls(struct store *store)
{
    struct faulty_store *faulty = faulty_of(store);
    lock(faulty);
    uint64_t calls = faulty->calls;
    unlock(faulty);
    return calls;
}

uint64_t faulty_hits(struct store *store, enum fault fault)
{
    struct faulty_store *faulty = faulty_of(store);
    lock(faulty);
    uint64_t hits = faulty->hits[fault];
    unlock(faulty);
    return hits;
}
