#include "pipeline/derive/run/fact_table.h"

#include <pthread.h>

#include "pipeline/sys/must_alloc.h"

#define WAYS   4u
#define SHARDS 64u

struct slot {
    struct id16 project;
    struct hash hash;
    struct fact fact;
};

/* Whoever is not here is told so by the tags, which lie together. */
struct set {
    uint32_t tags[WAYS]; /* 0: the slot is free */
    uint32_t used[WAYS]; /* when, by the set's own count */
    uint32_t uses;
    struct slot slots[WAYS];
};

/* The facts whose keys end alike. It grows, so that few facts lie in few pages of memory. */
struct shard {
    pthread_mutex_t lock;
    struct set *sets;
    size_t n_sets; /* a power of two */
    size_t n;      /* slots that are not free */
};

struct fact_table {
    struct shard shards[SHARDS];
    size_t sets_most; /* of a shard */
};

struct fact_table *fact_table_open(size_t bytes_max)
{
    struct fact_table *table = must_alloc(1, sizeof(*table));
    table->sets_most = 1;
    while (table->sets_most * 2 * SHARDS * sizeof(struct set) <= bytes_max)
        table->sets_most *= 2;
    for (size_t i = 0; i < SHARDS; i++) {
        struct shard *shard = &table->shards[i];
        (void)pthread_mutex_init(&shard->lock, NULL);
        shard->n_sets = 1;
        shard->sets = must_alloc(1, sizeof(*shard->sets));
    }
    return table;
}

void fact_table_close(struct fact_table *table)
{
    if (table == NULL)
        return;
    for (size_t i = 0; i < SHARDS; i++) {
        (void)pthread_mutex_destroy(&table->shards[i].lock);
        free(table->shards[i].sets);
    }
    free(table);
}

/* Both halves of the key are even already. */
static size_t code_of(const struct id16 *project, const struct hash *hash)
{
    size_t a;
    size_t b;
    memcpy(&a, project->b, sizeof(a));
    memcpy(&b, hash->b + 8, sizeof(b));
    return a ^ b;
}

static struct shard *shard_of(struct fact_table *table, size_t code)
{
    return &table->shards[code % SHARDS];
}

static struct set *set_of(const struct shard *shard, size_t code)
{
    return &shard->sets[code / SHARDS & (shard->n_sets - 1)];
}

static uint32_t tag_of(const struct hash *hash)
{
    uint32_t tag;
    memcpy(&tag, hash->b + 16, sizeof(tag));
    return tag | 1;
}

/* WAYS when it is not there. */
static size_t slot_find(const struct set *set, const struct id16 *project,
                        const struct hash *hash)
{
    uint32_t tag = tag_of(hash);
    size_t i = 0;
    while (i < WAYS && !(set->tags[i] == tag && hash_equal(&set->slots[i].hash, hash) &&
                         id16_equal(&set->slots[i].project, project)))
        i++;
    return i;
}

bool fact_table_find(struct fact_table *table, const struct id16 *project,
                     const struct hash *hash, struct fact *out)
{
    size_t code = code_of(project, hash);
    struct shard *shard = shard_of(table, code);
    (void)pthread_mutex_lock(&shard->lock);
    struct set *set = set_of(shard, code);
    size_t i = slot_find(set, project, hash);
    if (i < WAYS) {
        set->used[i] = ++set->uses;
        *out = set->slots[i].fact;
    }
    (void)pthread_mutex_unlock(&shard->lock);
    return i < WAYS;
}

/* Twice as many sets; what was in one goes into two, so it has room. */
static void shard_grow(struct shard *shard)
{
    struct shard old = *shard;
    shard->n_sets = 2 * old.n_sets;
    shard->sets = must_alloc(shard->n_sets, sizeof(*shard->sets));
    for (size_t at = 0; at < old.n_sets * WAYS; at++) {
        const struct set *from = &old.sets[at / WAYS];
        size_t i = at % WAYS;
        if (from->tags[i] == 0)
            continue;
        struct set *to = set_of(shard, code_of(&from->slots[i].project, &from->slots[i].hash));
        size_t free_slot = 0;
        while (to->tags[free_slot] != 0)
            free_slot++;
        to->slots[free_slot] = from->slots[i];
        to->tags[free_slot] = from->tags[i];
        to->used[free_slot] = from->used[i];
        to->uses = from->uses;
    }
    free(old.sets);
}

void fact_table_put(struct fact_table *table, const struct id16 *project,
                    const struct hash *hash, const struct fact *fact)
{
    size_t code = code_of(project, hash);
    struct shard *shard = shard_of(table, code);
    (void)pthread_mutex_lock(&shard->lock);
    /* While a third of the slots has something in it, hardly a set has too much. */
    if (3 * shard->n >= shard->n_sets * WAYS && shard->n_sets < table->sets_most)
        shard_grow(shard);
    struct set *set = set_of(shard, code);
    size_t i = slot_find(set, project, hash);
    if (i == WAYS) {
        i = 0;
        for (size_t other = 1; other < WAYS; other++) {
            if (set->used[other] < set->used[i])
                i = other;
        }
        shard->n += set->tags[i] == 0;
    }
    set->slots[i] = (struct slot){.project = *project, .hash = *hash, .fact = *fact};
    set->tags[i] = tag_of(hash);
    set->used[i] = ++set->uses;
    (void)pthread_mutex_unlock(&shard->lock);
}

static void set_forget(struct shard *shard, struct set *set, const struct id16 *project,
                       const struct hash *hash)
{
    for (size_t i = 0; i < WAYS; i++) {
        if (set->tags[i] == 0 || !id16_equal(&set->slots[i].project, project) ||
            (hash != NULL && !hash_equal(&set->slots[i].hash, hash)))
            continue;
        set->slots[i] = (struct slot){0};
        set->tags[i] = 0;
        set->used[i] = 0;
        shard->n--;
    }
}

void fact_table_forget(struct fact_table *table, const struct id16 *project,
                       const struct hash *hash)
{
    size_t code = hash != NULL ? code_of(project, hash) : 0;
    for (size_t k = 0; k < SHARDS; k++) {
        struct shard *shard = &table->shards[k];
        if (hash != NULL && shard != shard_of(table, code))
            continue;
        (void)pthread_mutex_lock(&shard->lock);
        if (hash != NULL)
            set_forget(shard, set_of(shard, code), project, hash);
        for (size_t at = 0; at < shard->n_sets && hash == NULL; at++)
            set_forget(shard, &shard->sets[at], project, NULL);
        (void)pthread_mutex_unlock(&shard->lock);
    }
}
