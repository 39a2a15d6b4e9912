#include "pipeline/repo/intake/queue_read.h"

#include <stdlib.h>

#include "formats/base/limits.h"
#include "formats/key.h"
#include "pipeline/repo/damage.h"

#define LISTS_MAX    64u
#define GETS_AT_ONCE 64u
/* Looks at a queue of which something is gone between list and get. What is kept from the look
 * before is not got again, so that the last ones are quick. */
#define LOOKS_MAX 8u

/* One object in memory. `held` is first: callers have its address. */
struct entry_held {
    struct queue_held held;
    struct key key;
    struct buf bytes;
    struct arena arena;
    unsigned refs; /* the cache's own included */
    bool damaged;
};

struct cached_shard {
    struct entry_held **entries; /* sorted by key */
    size_t n;
};

struct queue_cache {
    pthread_mutex_t lock;
    size_t bytes_max;
    size_t bytes;
    uint32_t shards;
    struct cached_shard *cached;
};

static size_t entry_cost(const struct entry_held *entry)
{
    return sizeof(*entry) + entry->bytes.cap + entry->arena.used;
}

static void entry_free(struct entry_held *entry)
{
    buf_release(&entry->bytes);
    arena_release(&entry->arena);
    free(entry);
}

/* Under the lock. */
static void entry_drop(struct entry_held *entry)
{
    assert(entry->refs > 0);
    if (--entry->refs == 0)
        entry_free(entry);
}

struct queue_cache *queue_cache_open(uint32_t shards, size_t bytes_max)
{
    struct queue_cache *cache = calloc(1, sizeof(*cache));
    if (cache == NULL)
        abort();
    cache->cached = calloc(shards, sizeof(*cache->cached));
    if (cache->cached == NULL)
        abort();
    cache->shards = shards;
    cache->bytes_max = bytes_max;
    int err = pthread_mutex_init(&cache->lock, NULL);
    assert(err == 0);
    return cache;
}

void queue_cache_close(struct queue_cache *cache)
{
    if (cache == NULL)
        return;
    for (uint32_t shard = 0; shard < cache->shards; shard++) {
        for (size_t i = 0; i < cache->cached[shard].n; i++)
            entry_drop(cache->cached[shard].entries[i]);
        free(cache->cached[shard].entries);
    }
    free(cache->cached);
    (void)pthread_mutex_destroy(&cache->lock);
    free(cache);
}

/* --- the cache --- */

static struct entry_held *shard_find(const struct cached_shard *shard, const char *key)
{
    size_t low = 0;
    size_t high = shard->n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(shard->entries[middle]->key.s, key);
        if (order == 0)
            return shard->entries[middle];
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

/* What is known of the keys, held; NULL for the others. */
static void cache_find(struct queue_cache *cache, uint32_t shard, const struct store_key *keys,
                       size_t n, struct entry_held **out)
{
    (void)pthread_mutex_lock(&cache->lock);
    for (size_t i = 0; i < n; i++) {
        out[i] = shard_find(&cache->cached[shard], keys[i].key);
        if (out[i] != NULL)
            out[i]->refs++;
    }
    (void)pthread_mutex_unlock(&cache->lock);
}

/* What was read now is the shard's share of the cache from here on: objects that are not listed
 * any more are settled. */
static void cache_replace(struct queue_cache *cache, uint32_t shard,
                          struct entry_held *const *entries, size_t n)
{
    struct entry_held **kept = calloc(n + 1, sizeof(struct entry_held *));
    if (kept == NULL)
        abort();
    size_t n_kept = 0;
    (void)pthread_mutex_lock(&cache->lock);
    struct cached_shard *cached = &cache->cached[shard];
    for (size_t i = 0; i < cached->n; i++)
        cache->bytes -= entry_cost(cached->entries[i]);
    for (size_t i = 0; i < n; i++) {
        size_t cost = entry_cost(entries[i]);
        if (cache->bytes + cost > cache->bytes_max)
            continue;
        cache->bytes += cost;
        entries[i]->refs++;
        kept[n_kept++] = entries[i];
    }
    for (size_t i = 0; i < cached->n; i++)
        entry_drop(cached->entries[i]);
    free(cached->entries);
    cached->entries = kept;
    cached->n = n_kept;
    (void)pthread_mutex_unlock(&cache->lock);
}

void queue_drop(struct repo *repo, const struct queue_view *view)
{
    (void)pthread_mutex_lock(&repo->queue->lock);
    for (size_t i = 0; i < view->n; i++) {
        /* Handed out as const, made here. */
        struct entry_held *entry = (struct entry_held *)(uintptr_t)view->objects[i];
        entry_drop(entry);
    }
    (void)pthread_mutex_unlock(&repo->queue->lock);
}

/* --- reading --- */

static int keys_list(struct repo *repo, uint32_t shard, struct arena *arena,
                     struct store_key **out, size_t *n)
{
    struct key prefix = key_queue_prefix(shard);
    const char *after = "";
    size_t cap = 0;
    *out = NULL;
    *n = 0;
    for (unsigned i = 0; i < LISTS_MAX; i++) {
        struct store_list list;
        int err = store_list(repo->store, arena, prefix.s, after, STORE_LIST_MAX, &list);
        if (err != OK)
            return err;
        for (size_t k = 0; k < list.n; k++) {
            uint32_t parsed;
            uint64_t hlc, agent, seq;
            after = list.keys[k].key;
            if (key_queue_parse(list.keys[k].key, &parsed, &hlc, &agent, &seq) != OK)
                continue;
            void *items = *out;
            struct store_key *key = arena_push(arena, &items, n, &cap, sizeof(*key));
            *out = items;
            *key = list.keys[k];
        }
        if (!list.more)
            return OK;
    }
    return ERR_LIMIT;
}

static struct entry_held *entry_new(const char *key)
{
    struct entry_held *entry = calloc(1, sizeof(*entry));
    if (entry == NULL)
        abort();
    assert(strlen(key) < sizeof(entry->key.s));
    memcpy(entry->key.s, key, strlen(key) + 1);
    entry->refs = 1;
    return entry;
}

static int session_order(const struct queue_group *group, const struct id16 *project,
                         const struct id16 *session)
{
    int order = id16_compare(&group->project, project);
    return order != 0 ? order : id16_compare(&group->session, session);
}

static int group_order(const void *a, const void *b)
{
    const struct queue_group *left = *(const struct queue_group *const *)a;
    const struct queue_group *right = *(const struct queue_group *const *)b;
    int order = session_order(left, &right->project, &right->session);
    return order != 0 ? order : (left > right) - (left < right);
}

/* There may be tens of thousands of groups in an object, and each reader asks for a few. */
static void entry_sort(struct entry_held *entry)
{
    struct queue_held *held = &entry->held;
    uint32_t n = held->object.n;
    held->by_session = arena_array(&entry->arena, n, const struct queue_group *);
    for (uint32_t i = 0; i < n; i++)
        held->by_session[i] = &held->object.groups[i];
    if (n > 1)
        qsort(held->by_session, n, sizeof(*held->by_session), group_order);
}

const struct queue_group *const *queue_held_find(const struct queue_held *held,
                                                 const struct id16 *project,
                                                 const struct id16 *session, size_t *n)
{
    size_t low = 0;
    size_t high = held->object.n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (session_order(held->by_session[middle], project, session) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    size_t end = low;
    while (end < held->object.n && session_order(held->by_session[end], project, session) == 0)
        end++;
    *n = end - low;
    return held->by_session + low;
}

static void entry_decode(struct repo *repo, struct entry_held *entry)
{
    uint32_t shard;
    uint64_t hlc, agent, seq;
    struct queue_object *object = &entry->held.object;
    int err = key_queue_parse(entry->key.s, &shard, &hlc, &agent, &seq);
    if (err == OK)
        err = queue_object_decode(buf_bytes(&entry->bytes), &entry->arena, object);
    if (err == OK && (object->hlc != hlc || object->agent != agent || object->seq != seq))
        err = ERR_CORRUPT;
    if (damage_of(repo, entry->key.s, err) != OK) {
        entry->damaged = true;
        return;
    }
    entry_sort(entry);
    if (!hlc_too_far(hlc, repo->clock->wall_ms(repo->clock), CLOCK_SKEW_MAX_MS))
        repo_hlc_seen(repo, hlc);
}

/* Gets up to GETS_AT_ONCE objects; an entry whose object is gone becomes NULL, and `*gone` is
 * set. */
static int entries_get(struct repo *repo, struct entry_held ***fetch, size_t n, bool *gone)
{
    struct store_op ops[GETS_AT_ONCE];
    for (size_t i = 0; i < n; i++) {
        struct entry_held *entry = *fetch[i];
        ops[i] = (struct store_op){.verb = STORE_GET,
                                   .key = entry->key.s,
                                   .range = range_all(),
                                   .body = &entry->bytes};
    }
    (void)!store_many(repo->store, ops, n); /* each has its own outcome */
    int first = OK;
    for (size_t i = 0; i < n; i++) {
        if (ops[i].err == OK) {
            entry_decode(repo, *fetch[i]);
            continue;
        }
        entry_free(*fetch[i]);
        *fetch[i] = NULL;
        *gone = *gone || ops[i].err == ERR_NOT_FOUND;
        if (ops[i].err != ERR_NOT_FOUND && first == OK)
            first = ops[i].err;
    }
    return first;
}

static int entries_complete(struct repo *repo, const struct store_key *keys,
                            struct entry_held **entries, size_t n, bool *gone)
{
    struct entry_held **fetch[GETS_AT_ONCE];
    size_t n_fetch = 0;
    int err = OK;
    for (size_t i = 0; i < n && err == OK; i++) {
        if (entries[i] == NULL) {
            entries[i] = entry_new(keys[i].key);
            fetch[n_fetch++] = &entries[i];
        }
        if (n_fetch == GETS_AT_ONCE || (i + 1 == n && n_fetch > 0)) {
            err = entries_get(repo, fetch, n_fetch, gone);
            n_fetch = 0;
        }
    }
    return err;
}

static int queue_look(struct repo *repo, uint32_t shard, struct arena *arena,
                      struct queue_view *out, bool *gone)
{
    struct store_key *keys;
    size_t n;
    int err = keys_list(repo, shard, arena, &keys, &n);
    if (err != OK)
        return err;
    struct entry_held **entries = arena_array(arena, n, struct entry_held *);
    cache_find(repo->queue, shard, keys, n, entries);
    err = entries_complete(repo, keys, entries, n, gone);
    size_t there = 0;
    for (size_t i = 0; i < n; i++) {
        if (entries[i] != NULL)
            entries[there++] = entries[i];
    }
    if (err == OK)
        cache_replace(repo->queue, shard, entries, there);
    struct queue_view all = {.objects = arena_array(arena, there, const struct queue_held *)};
    struct queue_view passed = {.objects =
                                    arena_array(arena, there, const struct queue_held *)};
    for (size_t i = 0; i < there; i++) {
        all.damaged = all.damaged || entries[i]->damaged;
        if (err == OK && !entries[i]->damaged)
            all.objects[all.n++] = &entries[i]->held;
        else
            passed.objects[passed.n++] = &entries[i]->held;
    }
    queue_drop(repo, &passed);
    if (err == OK)
        *out = all;
    return err;
}

int queue_read(struct repo *repo, uint32_t shard, struct arena *arena, struct queue_view *out)
{
    struct queue_view view;
    for (unsigned looks = 1;; looks++) {
        bool gone = false;
        int err = queue_look(repo, shard, arena, &view, &gone);
        if (err != OK)
            return err;
        if (!gone || looks == LOOKS_MAX)
            break;
        queue_drop(repo, &view);
    }
    *out = view;
    return OK;
}

struct record *queue_records_copy(const struct queue_group *group, struct arena *arena)
{
    AUTO_BUF bytes = {0};
    for (uint32_t i = 0; i < group->n; i++)
        record_write(&bytes, &group->records[i]);
    struct reader r;
    rd_init(&r, arena_copy(arena, buf_bytes(&bytes)));
    struct record *records = arena_array(arena, group->n, struct record);
    for (uint32_t i = 0; i < group->n; i++)
        records[i] = record_read(&r, arena);
    int err = rd_end(&r);
    assert(err == OK);
    return records;
}
