#include "pipeline/repo/known.h"

#include "formats/base/arena.h"
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
    struct arena arena;
    struct slot *slots;
    size_t sets;
    uint64_t now; /* counts uses */
};

struct known *known_open(size_t facts_max)
{
    struct arena arena = {0};
    struct known *known = arena_new(&arena, struct known);
    known->sets = facts_max / WAYS + 1;
    known->slots = arena_array(&arena, known->sets * WAYS, struct slot);
    int err = pthread_mutex_init(&known->lock, NULL);
    assert(err == 0);
    known->arena = arena;
    return known;
}

void known_close(struct known *known)
{
    if (known == NULL)
        return;
    (void)pthread_mutex_destroy(&known->lock);
    struct arena arena = known->arena;
    arena_release(&arena);
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

void known_add(struct known *known, const struct hash *name, const struct fact *fact)
{
    if (known == NULL)
        return;
    (void)pthread_mutex_lock(&known->lock);
    struct slot *set = set_of(known, name);
    struct slot *place = &set[0];
    for (unsigned i = 0; i < WAYS; i++) {
        if (set[i].used != 0 && hash_equal(&set[i].name, name)) {
            place = &set[i];
            break;
        }
        if (set[i].used < place->used)
            place = &set[i];
    }
    *place = (struct slot){.name = *name, .fact = *fact, .used = ++known->now};
    (void)pthread_mutex_unlock(&known->lock);
}

void known_clear(struct known *known)
{
    if (known == NULL)
        return;
    (void)pthread_mutex_lock(&known->lock);
    memset(known->slots, 0, known->sets * WAYS * sizeof(*known->slots));
    (void)pthread_mutex_unlock(&known->lock);
}
