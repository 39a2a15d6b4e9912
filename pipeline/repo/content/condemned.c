#include "pipeline/repo/content/condemned.h"

#include <pthread.h>
#include <stdlib.h>

#include "formats/base/hash.h"
#include "formats/key.h"
#include "pipeline/repo/damage.h"

/* Projects whose last version is kept; closed ones are small, open ones few. */
#define PROJECTS_MAX 256u
/* What is read at once: all of one that is closed, and of one that has few names. */
#define FIRST_LEN 4096u

struct condemned_cache {
    pthread_mutex_t lock;
    const struct condemned *last[PROJECTS_MAX];
    uint64_t used[PROJECTS_MAX];
    size_t n;
    uint64_t now;
};

static struct condemned *condemned_new(const struct id16 *project)
{
    struct condemned *c = calloc(1, sizeof(*c));
    if (c == NULL)
        abort();
    c->project = *project;
    c->version = CONDEMNED_ABSENT;
    c->gc.state = GC_CLOSED;
    atomic_init(&c->refs, 1);
    return c;
}

static const struct condemned *hold(const struct condemned *condemned)
{
    struct condemned *c = (struct condemned *)(uintptr_t)condemned;
    atomic_fetch_add(&c->refs, 1);
    return condemned;
}

void condemned_drop(const struct condemned *condemned)
{
    struct condemned *c = (struct condemned *)(uintptr_t)condemned;
    if (c == NULL || atomic_fetch_sub(&c->refs, 1) > 1)
        return;
    arena_release(&c->arena);
    free(c);
}

/* --- what was read last --- */

struct condemned_cache *condemned_cache_open(void)
{
    struct condemned_cache *cache = calloc(1, sizeof(*cache));
    if (cache == NULL || pthread_mutex_init(&cache->lock, NULL) != 0)
        abort();
    return cache;
}

void condemned_cache_close(struct condemned_cache *cache)
{
    if (cache == NULL)
        return;
    for (size_t i = 0; i < cache->n; i++)
        condemned_drop(cache->last[i]);
    (void)pthread_mutex_destroy(&cache->lock);
    free(cache);
}

/* With the lock. Its place, or PROJECTS_MAX. */
static size_t place_of(struct condemned_cache *cache, const struct id16 *project)
{
    for (size_t i = 0; i < cache->n; i++) {
        if (id16_equal(&cache->last[i]->project, project)) {
            cache->used[i] = ++cache->now;
            return i;
        }
    }
    return PROJECTS_MAX;
}

static const struct condemned *cache_find(struct condemned_cache *cache,
                                          const struct id16 *project)
{
    if (cache == NULL)
        return NULL;
    (void)pthread_mutex_lock(&cache->lock);
    size_t at = place_of(cache, project);
    const struct condemned *found = at < PROJECTS_MAX ? hold(cache->last[at]) : NULL;
    (void)pthread_mutex_unlock(&cache->lock);
    return found;
}

static void cache_keep(struct condemned_cache *cache, const struct condemned *condemned)
{
    if (cache == NULL)
        return;
    (void)pthread_mutex_lock(&cache->lock);
    size_t at = place_of(cache, &condemned->project);
    if (at == PROJECTS_MAX && cache->n < PROJECTS_MAX) {
        at = cache->n++;
    } else {
        if (at == PROJECTS_MAX) {
            at = 0;
            for (size_t i = 1; i < cache->n; i++)
                at = cache->used[i] < cache->used[at] ? i : at;
        }
        condemned_drop(cache->last[at]);
    }
    cache->last[at] = hold(condemned);
    cache->used[at] = ++cache->now;
    (void)pthread_mutex_unlock(&cache->lock);
}

uint64_t condemned_last(struct repo *repo, const struct id16 *project)
{
    const struct condemned *last = cache_find(repo->condemned, project);
    uint64_t version = condemned_version(last);
    condemned_drop(last);
    return version;
}

/* --- reading --- */

/* All of it, of which `begun` are the first bytes. */
static int rest_get(struct repo *repo, const struct key *key, uint64_t size, struct buf *begun)
{
    if (size <= begun->len)
        return OK;
    if (size > GC_LEN_MAX)
        return ERR_LIMIT;
    buf_clear(begun);
    return store_get(repo->store, key->s, range_all(), begun, NULL, NULL);
}

static int condemned_make(struct repo *repo, const struct key *key, uint64_t size,
                          struct buf *begun, struct condemned *out)
{
    int err = rest_get(repo, key, size, begun);
    if (err == OK)
        err = gc_decode(buf_bytes(begun), &out->arena, &out->gc);
    if (err != OK)
        return err;
    memcpy(out->head, begun->data, GC_HEAD_LEN);
    out->version = xxh3_64(bytes_of(out->head, GC_HEAD_LEN));
    if (out->version <= CONDEMNED_ABSENT)
        out->version = ~out->version;
    return OK;
}

/* Whether its last deletes have had their time, by the store's own clock. Whoever collects next
 * closes it; nobody has to wait for that. */
static bool is_cool(struct repo *repo, const struct condemned *c)
{
    uint64_t now_ms = store_date_ms(repo->store);
    return c->gc.state == GC_COOLING && now_ms != 0 && c->gc.until_ms <= now_ms;
}

/* The same version without its names. */
static const struct condemned *cooled(struct repo *repo, const struct condemned *hot)
{
    struct condemned *c = condemned_new(&hot->project);
    c->version = hot->version;
    memcpy(c->head, hot->head, sizeof(c->head));
    condemned_drop(hot);
    cache_keep(repo->condemned, c);
    return c;
}

int condemned_read(struct repo *repo, const struct id16 *project, const struct condemned **out)
{
    AUTO_BUF begun = {0};
    struct key key = key_gc(project);
    const struct condemned *last = cache_find(repo->condemned, project);
    uint64_t size = 0;
    int err = store_get(repo->store, key.s, range_of(0, FIRST_LEN), &begun, NULL, &size);
    bool same = last != NULL && last->version > CONDEMNED_ABSENT && err == OK &&
                begun.len > GC_HEAD_LEN && memcmp(begun.data, last->head, GC_HEAD_LEN) == 0;
    if (same || (err == ERR_NOT_FOUND && condemned_version(last) == CONDEMNED_ABSENT)) {
        *out = is_cool(repo, last) ? cooled(repo, last) : last;
        return OK;
    }
    condemned_drop(last);
    struct condemned *fresh = condemned_new(project);
    if (err == OK)
        err = condemned_make(repo, &key, size, &begun, fresh);
    else if (err == ERR_NOT_FOUND)
        err = OK;
    if (err != OK) {
        condemned_drop(fresh);
        return damage_of(repo, key.s, err);
    }
    cache_keep(repo->condemned, fresh);
    *out = is_cool(repo, fresh) ? cooled(repo, fresh) : fresh;
    return OK;
}
