#include "pipeline/repo/chain_cache.h"

/* Most batches have a few ids; those that answer thousands count for more than one. */
#define IDS_PER_BATCH 256u
/* Of the room for records one batch takes at most so big a part, or it would be all there is.
 */
#define RECORDS_PART 4u

struct node {
    struct batch batch; /* first, so that a batch is its node */
    struct id16 project;
    unsigned holders;
    bool cached;
    struct node *next;  /* in its slot */
    struct node *newer; /* by last use */
    struct node *older;
    struct node *kept_newer; /* of those with records, by when they came */
    struct node *kept_older;
};

struct chain_cache {
    pthread_mutex_t lock;
    struct arena arena;
    struct node **slots;
    size_t n_slots;
    size_t n;
    size_t n_max;
    size_t ids;
    struct node *newest;
    struct node *oldest;
    size_t records; /* bytes of them */
    size_t records_max;
    struct node *kept_newest;
    struct node *kept_oldest;
};

struct chain_cache *chain_cache_open(size_t batches_max, size_t records_max)
{
    struct arena arena = {0};
    struct chain_cache *cache = arena_new(&arena, struct chain_cache);
    cache->n_max = batches_max > 0 ? batches_max : 1;
    cache->records_max = records_max;
    cache->n_slots = cache->n_max;
    cache->slots = arena_array(&arena, cache->n_slots, struct node *);
    int err = pthread_mutex_init(&cache->lock, NULL);
    assert(err == 0);
    cache->arena = arena;
    return cache;
}

static struct node *node_of(const struct batch *batch)
{
    /* Every batch is the first member of a node that chain_cache_new made, and was handed out
     * as const only to keep its readers from changing it. */
    return (struct node *)(uintptr_t)batch;
}

static void node_free(struct node *node)
{
    buf_release(&node->batch.records);
    struct arena arena = node->batch.arena;
    arena_release(&arena);
}

void chain_cache_close(struct chain_cache *cache)
{
    if (cache == NULL)
        return;
    for (struct node *node = cache->newest; node != NULL;) {
        struct node *older = node->older;
        assert(node->holders == 0);
        node_free(node);
        node = older;
    }
    (void)pthread_mutex_destroy(&cache->lock);
    struct arena arena = cache->arena;
    arena_release(&arena);
}

static struct node **slot_of(struct chain_cache *cache, const struct hash *tree_hash)
{
    uint64_t start;
    memcpy(&start, tree_hash->b, sizeof(start));
    return &cache->slots[start % cache->n_slots];
}

static void unlink_use(struct chain_cache *cache, struct node *node)
{
    *(node->newer != NULL ? &node->newer->older : &cache->newest) = node->older;
    *(node->older != NULL ? &node->older->newer : &cache->oldest) = node->newer;
}

static void link_newest(struct chain_cache *cache, struct node *node)
{
    node->newer = NULL;
    node->older = cache->newest;
    *(cache->newest != NULL ? &cache->newest->newer : &cache->oldest) = node;
    cache->newest = node;
}

static struct node *find(struct chain_cache *cache, const struct id16 *project,
                         const struct hash *tree_hash)
{
    struct node *node = *slot_of(cache, tree_hash);
    while (node != NULL && !(hash_equal(&node->batch.tree_hash, tree_hash) &&
                             id16_equal(&node->project, project)))
        node = node->next;
    return node;
}

static void records_forget(struct chain_cache *cache, struct node *node)
{
    if (node->batch.records.len == 0)
        return;
    *(node->kept_newer != NULL ? &node->kept_newer->kept_older : &cache->kept_newest) =
        node->kept_older;
    *(node->kept_older != NULL ? &node->kept_older->kept_newer : &cache->kept_oldest) =
        node->kept_newer;
    cache->records -= node->batch.records.len;
}

static void take_out(struct chain_cache *cache, struct node *node)
{
    assert(node != NULL);
    struct node **at = slot_of(cache, &node->batch.tree_hash);
    while (*at != node)
        at = &(*at)->next;
    *at = node->next;
    unlink_use(cache, node);
    records_forget(cache, node); /* who holds it has them still */
    cache->n--;
    cache->ids -= node->batch.footer.n_records;
    node->cached = false;
    if (node->holders == 0)
        node_free(node);
}

const struct batch *chain_cache_find(struct chain_cache *cache, const struct id16 *project,
                                     const struct hash *tree_hash)
{
    (void)pthread_mutex_lock(&cache->lock);
    struct node *node = find(cache, project, tree_hash);
    if (node != NULL) {
        node->holders++;
        unlink_use(cache, node);
        link_newest(cache, node);
    }
    (void)pthread_mutex_unlock(&cache->lock);
    return node != NULL ? &node->batch : NULL;
}

struct batch *chain_cache_new(const struct hash *tree_hash)
{
    struct arena arena = {0};
    struct node *node = arena_new(&arena, struct node);
    node->batch.tree_hash = *tree_hash;
    node->batch.arena = arena;
    return &node->batch;
}

void chain_cache_forget(struct batch *batch)
{
    node_free(node_of(batch));
}

const struct batch *chain_cache_add(struct chain_cache *cache, const struct id16 *project,
                                    struct batch *batch)
{
    struct node *node = node_of(batch);
    node->project = *project;
    (void)pthread_mutex_lock(&cache->lock);
    struct node *there = find(cache, project, &batch->tree_hash);
    if (there != NULL) {
        node_free(node);
        node = there;
        unlink_use(cache, node);
    } else {
        struct node **slot = slot_of(cache, &batch->tree_hash);
        node->next = *slot;
        *slot = node;
        node->cached = true;
        cache->n++;
        cache->ids += batch->footer.n_records;
    }
    link_newest(cache, node);
    node->holders++;
    while (cache->n > 1 &&
           (cache->n > cache->n_max || cache->ids / IDS_PER_BATCH > cache->n_max))
        take_out(cache, cache->oldest);
    (void)pthread_mutex_unlock(&cache->lock);
    return &node->batch;
}

/* Whoever holds a batch may be reading its records. */
static void records_bound(struct chain_cache *cache)
{
    struct node *node = cache->kept_oldest;
    while (node != NULL && cache->records > cache->records_max) {
        struct node *newer = node->kept_newer;
        if (node->holders == 0) {
            records_forget(cache, node);
            buf_release(&node->batch.records);
        }
        node = newer;
    }
}

void chain_cache_keep(struct chain_cache *cache, const struct batch *batch,
                      struct bytes records)
{
    struct node *node = node_of(batch);
    /* What is empty would stay among those with records when it leaves the cache. */
    if (records.len == 0 || records.len > cache->records_max / RECORDS_PART)
        return;
    struct buf copy = {0};
    buf_append_bytes(&copy, records);
    (void)pthread_mutex_lock(&cache->lock);
    /* Who holds it besides may be looking at its records. */
    if (node->cached && node->holders == 1 && node->batch.records.len == 0) {
        node->batch.records = copy;
        copy = (struct buf){0};
        node->kept_newer = NULL;
        node->kept_older = cache->kept_newest;
        *(cache->kept_newest != NULL ? &cache->kept_newest->kept_newer : &cache->kept_oldest) =
            node;
        cache->kept_newest = node;
        cache->records += node->batch.records.len;
        records_bound(cache);
    }
    (void)pthread_mutex_unlock(&cache->lock);
    buf_release(&copy);
}

void chain_cache_drop(struct chain_cache *cache, const struct batch *batch)
{
    if (batch == NULL)
        return;
    struct node *node = node_of(batch);
    (void)pthread_mutex_lock(&cache->lock);
    assert(node->holders > 0);
    if (--node->holders == 0 && !node->cached)
        node_free(node);
    (void)pthread_mutex_unlock(&cache->lock);
}
