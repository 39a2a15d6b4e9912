#include "pipeline/derive/run/fact_table.h"

#include <pthread.h>

#include "pipeline/derive/run/must_alloc.h"

#define WAYS  4u
#define LOCKS 64u

struct slot {
    struct id16 project; /* all zero: the slot is free */
    struct hash hash;
    struct fact fact;
    uint64_t used; /* when, by the set's own count */
};

struct set {
    struct slot slots[WAYS];
    uint64_t uses;
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

static struct slot *slot_find(struct set *set, const struct id16 *project,
                              const struct hash *hash)
{
    for (size_t i = 0; i < WAYS; i++) {
        struct slot *slot = &set->slots[i];
        if (hash_equal(&slot->hash, hash) && id16_equal(&slot->project, project))
            return slot;
    }
    return NULL;
}

bool fact_table_find(struct fact_table *table, const struct id16 *project,
                     const struct hash *hash, struct fact *out)
{
    size_t at = set_of(table, project, hash);
    pthread_mutex_t *lock = &table->locks[at % LOCKS];
    (void)pthread_mutex_lock(lock);
    struct set *set = &table->sets[at];
    struct slot *slot = slot_find(set, project, hash);
    if (slot != NULL) {
        slot->used = ++set->uses;
        *out = slot->fact;
    }
    (void)pthread_mutex_unlock(lock);
    return slot != NULL;
}

void fact_table_put(struct fact_table *table, const struct id16 *project,
                    const struct hash *hash, const struct fact *fact)
{
    size_t at = set_of(table, project, hash);
    pthread_mutex_t *lock = &table->locks[at % LOCKS];
    (void)pthread_mutex_lock(lock);
    struct set *set = &table->sets[at];
    struct slot *slot = slot_find(set, project, hash);
    if (slot == NULL) {
        slot = &set->slots[0];
        for (size_t i = 1; i < WAYS; i++) {
            if (set->slots[i].used < slot->used)
                slot = &set->slots[i];
        }
    }
    *slot =
        (struct slot){.project = *project, .hash = *hash, .fact = *fact, .used = ++set->uses};
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
        for (size_t i = 0; i < WAYS; i++) {
            struct slot *slot = &table->sets[at].slots[i];
            if (id16_equal(&slot->project, project) &&
                (hash == NULL || hash_equal(&slot->hash, hash)))
                *slot = (struct slot){0};
        }
        (void)pthread_mutex_unlock(lock);
    }
}
