#include "pipeline/repo/known.h"

#include <stdlib.h>

#include "formats/base/hash.h"
#include <pthread.h>

/* A name has its place in one of the sets, by its first bytes, and within the set in any
 * way. */
#define WAYS 8u

struct slot {
    struct hash name;
    struct fact fact;
    uint64_t used; /* when it was last asked for; 0: the slot is empty */
};

struct known {
    pthread_mutex_t lock;
    struct slot *slots;
    size_t sets;
    uint64_t now; /* counts uses */
};

/* What is not used of it takes no memory. */
static struct slot *slots_new(size_t sets)
{
    struct slot *slots = calloc(sets * WAYS, sizeof(*slots));
    if (slots == NULL)
        abort();
    return slots;
}

struct known *known_open(size_t facts_max)
{
    struct known *known = calloc(1, sizeof(*known));
    if (known == NULL)
        abort();
    known->sets = facts_max / WAYS + 1;
    known->slots = slots_new(known->sets);
    int err = pthread_mutex_init(&known->lock, NULL);
    assert(err == 0);
    return known;
}

void known_close(struct known *known)
{
    if (known == NULL)
        return;
    (void)pthread_mutex_destroy(&known->lock);
    free(known->slots);
    free(known);
}

struct hash known_name(const char *domain, const struct id16 *project, struct bytes name)
{
    struct sha256_ctx ctx;
    sha256_init(&ctx);
    sha256_update(&ctx, bytes_of(domain, strlen(domain) + 1));
    if (project != NULL)
        sha256_update(&ctx, bytes_of(project->b, sizeof(project->b)));
    sha256_update(&ctx, name);
    return sha256_final(&ctx);
}

static struct slot *set_of(struct known *known, const struct hash *name)
{
    uint64_t start;
    memcpy(&start, name->b, sizeof(start));
    return &known->slots[start % known->sets * WAYS];
}

bool known_find(struct known *known, const struct hash *name, struct fact *out)
{
    if (known == NULL)
        return false;
    bool found = false;
    (void)pthread_mutex_lock(&known->lock);
    struct slot *set = set_of(known, name);
    for (unsigned i = 0; i < WAYS && !found; i++) {
        if (set[i].used != 0 && hash_equal(&set[i].name, name)) {
            set[i].used = ++known->now;
            *out = set[i].fact;
            found = true;
        }
    }
    (void)pthread_mutex_unlock(&known->lock);
    return found;
}

static void add(struct known *known, const struct hash *name, const struct fact *fact,
                bool raises)
{
    if (known == NULL)
        return;
    (void)pthread_mutex_lock(&known->lock);
    struct slot *set = set_of(known, name);
    struct slot *place = &set[0];
    bool there = false;
    for (unsigned i = 0; i < WAYS && !there; i++) {
        there = set[i].used != 0 && hash_equal(&set[i].name, name);
        if (there || set[i].used < place->used)
            place = &set[i];
    }
    if (!there || !raises || place->fact.number <= fact->number)
        *place = (struct slot){.name = *name, .fact = *fact, .used = ++known->now};
    (void)pthread_mutex_unlock(&known->lock);
}

void known_add(struct known *known, const struct hash *name, const struct fact *fact)
{
    add(known, name, fact, false);
}

void known_raise(struct known *known, const struct hash *name, const struct fact *fact)
{
    add(known, name, fact, true);
}
