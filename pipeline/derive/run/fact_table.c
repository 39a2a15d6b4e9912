#include "pipeline/derive/run/fact_table.h"

#include <pthread.h>

#include "pipeline/sys/must_alloc.h"

#define WAYS  4u
#define LOCKS 64u

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

struct fact_table {
    pthread_mutex_t locks[LOCKS]; /* of the sets whose number ends so */
    struct set *sets;
    size_t n_sets; /* a power of two, at least LOCKS */
};

struct fact_table *fact_table_open(size_t bytes_max)
{
    struct fact_table *table = must_alloc(1, sizeof(*table));
    table->n_sets = LOCKS;
    while (table->n_sets * 2 * sizeof(*table->sets) <= bytes_max)
        table->n_sets *= 2;
    table->sets = must_alloc(table->n_sets, sizeof(*table->sets));
    for (size_t i = 0; i < LOCKS; i++)
        (void)pthread_mutex_init(&table->locks[i], NULL);
    return table;
}

void fact_table_close(struct fact_table *table)
{
    if (table == NULL)
        return;
    for (size_t i = 0; i < LOCKS; i++)
        (void)pthread_mutex_destroy(&table->locks[i]);
    free(table->sets);
    free(table);
}

/* Both halves of the key are even already. */
static size_t set_of(const struct fact_table *table, const struct id16 *project,
                     const struct hash *hash)
{
    size_t a;
    size_t b;
    memcpy(&a, project->b, sizeof(a));
    memcpy(&b, hash->b + 8, sizeof(b));
    return (a ^ b) & (table->n_sets - 1);
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
    size_t at = set_of(table, project, hash);
    pthread_mutex_t *lock = &table->locks[at % LOCKS];
    (void)pthread_mutex_lock(lock);
    struct set *set = &table->sets[at];
    size_t i = slot_find(set, project, hash);
    if (i < WAYS) {
        set->used[i] = ++set->uses;
        *out = set->slots[i].fact;
    }
    (void)pthread_mutex_unlock(lock);
    return i < WAYS;
}

void fact_table_put(struct fact_table *table, const struct id16 *project,
                    const struct hash *hash, const struct fact *fact)
{
    size_t at = set_of(table, project, hash);
    pthread_mutex_t *lock = &table->locks[at % LOCKS];
    (void)pthread_mutex_lock(lock);
    struct set *set = &table->sets[at];
    size_t i = slot_find(set, project, hash);
    if (i == WAYS) {
        i = 0;
        for (size_t other = 1; other < WAYS; other++) {
            if (set->used[other] < set->used[i])
                i = other;
        }
    }
    set->slots[i] = (struct slot){.project = *project, .hash = *hash, .fact = *fact};
    set->tags[i] = tag_of(hash);
    set->used[i] = ++set->uses;
    (void)pthread_mutex_unlock(lock);
}

void fact_table_forget(struct fact_table *table, const struct id16 *project,
                       const struct hash *hash)
{
    size_t first = hash != NULL ? set_of(table, project, hash) : 0;
    size_t end = hash != NULL ? first + 1 : table->n_sets;
    for (size_t at = first; at < end; at++) {
        pthread_mutex_t *lock = &table->locks[at % LOCKS];
        (void)pthread_mutex_lock(lock);
        struct set *set = &table->sets[at];
        for (size_t i = 0; i < WAYS; i++) {
            if (id16_equal(&set->slots[i].project, project) &&
                (hash == NULL || hash_equal(&set->slots[i].hash, hash))) {
                set->slots[i] = (struct slot){0};
                set->tags[i] = 0;
                set->used[i] = 0;
            }
        }
        (void)pthread_mutex_unlock(lock);
    }
}
